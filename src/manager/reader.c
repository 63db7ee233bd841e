#include "manager/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "manager/rotation.h"

void reader_open(struct reader *r, const char *path, unsigned keep)
{
	r->fd = -1;
	r->keep = keep;
	slice_copy(slice_of(path), r->path, sizeof(r->path));
	reader_close(r);
}

void reader_close(struct reader *r)
{
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
	r->at = 0;
	r->begin = r->end = 0;
	r->blind = false;
}

/* The number of a file's first line; 0: it has none. */
static uint64_t first_number(int fd)
{
	char memory[CHAIN_LINE_MAX];
	ssize_t n = pread(fd, memory, sizeof(memory), 0);
	struct slice text = slice_bytes(memory, n > 0 ? (size_t)n : 0);
	struct chain_line line;
	size_t end = slice_find(text, '\n');

	return end < text.len && chain_read(slice_first(text, end), &line) ? line.number : 0;
}

/*
 * Opens the file in which `least` is, or the one after it: the newest that begins at it or before, else the oldest of all.
 * The files may not be in step with their numbers for a moment, when we are called from within a rotation; nobody does.
 */
static int find_file(struct reader *r, uint64_t least)
{
	char name[PATH_MAX];

	reader_close(r);
	for (unsigned n = 0; n <= r->keep && rotation_name(r->path, n, name); n++) {
		int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
		uint64_t first = fd >= 0 ? first_number(fd) : 0;

		if (first) {
			if (r->fd >= 0)
				close(r->fd);
			r->fd = fd;
			if (first <= least)
				return 0;
		} else if (fd >= 0) {
			close(fd);
		}
	}
	return 0;
}

/* The file has been rotated: nothing more will be written to it. */
static bool is_old(const struct reader *r)
{
	struct stat ours, newest;

	return fstat(r->fd, &ours) == 0 && stat(r->path, &newest) == 0 &&
	       (ours.st_ino != newest.st_ino || ours.st_dev != newest.st_dev);
}

/* More into the memory. Octets; 0 at the end. */
static ssize_t fill(struct reader *r)
{
	ssize_t n;

	memmove(r->memory, r->memory + r->begin, r->end - r->begin);
	r->end -= r->begin;
	r->begin = 0;
	n = pread(r->fd, r->memory + r->end, sizeof(r->memory) - r->end, r->at);
	if (n < 0)
		return -errno;
	r->at += n;
	r->end += (size_t)n;
	return n;
}

/* A whole line off what is read, without LF; false: there is none. */
static bool take_line(struct reader *r, struct slice *line)
{
	struct slice rest = slice_bytes(r->memory + r->begin, r->end - r->begin);
	size_t length = slice_find(rest, '\n');
	bool was_blind = r->blind;

	if (length == rest.len) {
		if (rest.len == sizeof(r->memory)) {	/* no line of ours; its end is none either */
			r->blind = true;
			r->begin = r->end;
		}
		return false;
	}
	*line = slice_first(rest, length);
	r->begin += length + 1;
	r->blind = false;
	if (was_blind)
		line->len = 0;
	return true;
}

/* As reader_next, of the file that is open. */
static int next_here(struct reader *r, uint64_t least, struct chain_line *line)
{
	struct slice text;
	ssize_t n;

	do {
		while (take_line(r, &text))
			if (chain_read(text, line) && line->number >= least)
				return 1;
		n = fill(r);
	} while (n > 0);
	return (int)n;
}

int reader_next(struct reader *r, uint64_t least, struct chain_line *line)
{
	int result;

	if (r->fd < 0)
		find_file(r, least);
	if (r->fd < 0)
		return 0;
	result = next_here(r, least, line);
	if (result || !is_old(r))
		return result;
	/* It may have been written to between our last read and its rotation; then the next file begins. */
	result = next_here(r, least, line);
	if (result)
		return result;
	find_file(r, least);
	return r->fd < 0 ? 0 : next_here(r, least, line);
}
