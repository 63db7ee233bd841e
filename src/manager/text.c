#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/secret.h"

/* Up to `size` octets; the count or -errno. */
static ssize_t read_all(int fd, char *out, size_t size)
{
	size_t used = 0;

	while (used < size) {
		ssize_t n = read(fd, out + used, size - used);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		used += (size_t)n;
	}
	return (ssize_t)used;
}

static int open_bits(const struct stat *st)
{
	return (int)(st->st_mode & (S_IRWXO | S_IWGRP));
}

static int read_descriptor(int fd, size_t max, struct slice *text, int *others)
{
	struct stat st;
	char *memory;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (others)
		*others = open_bits(&st);
	/* One more octet than allowed tells a file that is too large, or grows. */
	memory = malloc(max + 1);
	if (!memory)
		return -ENOMEM;
	n = read_all(fd, memory, max + 1);
	if (n >= 0 && (size_t)n <= max) {
		*text = slice_bytes(memory, (size_t)n);
		return 0;
	}
	secret_wipe(memory, max + 1);
	free(memory);
	return n < 0 ? (int)n : -EFBIG;
}

int text_read(const char *path, size_t max, struct slice *text, int *others)
{
	/* Opening a FIFO must not wait for its writer. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int result;

	if (fd < 0)
		return -errno;
	result = read_descriptor(fd, max, text, others);
	close(fd);
	return result;
}

char *text_stream(int fd, uint64_t max, size_t *len)
{
	size_t room = 65536;
	char *text = malloc(room), *larger;
	ssize_t n = 1;

	*len = 0;
	while (text && n > 0 && *len <= max) {
		n = read(fd, text + *len, room - *len);
		if (n < 0 && errno == EINTR)
			n = 1;
		else if (n > 0)
			*len += (size_t)n;
		if (*len < room)
			continue;
		room *= 2;
		larger = realloc(text, room);
		if (!larger)
			n = -1;
		else
			text = larger;
	}
	if (n >= 0)
		return text;
	free(text);
	return NULL;
}

void text_free(struct slice text)
{
	char *memory = (char *)(uintptr_t)text.at;

	if (!memory)
		return;
	secret_wipe(memory, text.len);
	free(memory);
}

int text_others(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return -errno;
	return open_bits(&st);
}
