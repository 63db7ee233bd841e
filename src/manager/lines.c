#include "manager/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "manager/chain.h"

#define WINDOW	(1u << 20)	/* octets of one read */

struct file {
	int fd;
	dev_t device;
	ino_t inode;
	char name[PATH_MAX];
};

struct lines {
	unsigned count;
	struct file *files;		/* the newest first, as they are opened */
	char *window;
};

static struct file *file_at(const struct lines *l, unsigned file)
{
	return &l->files[l->count - 1 - file];
}

static bool is_open(const struct lines *l, const struct stat *st)
{
	for (unsigned i = 0; i < l->count; i++)
		if (l->files[i].inode == st->st_ino && l->files[i].device == st->st_dev)
			return true;
	return false;
}

/* False with a fault; a number that isn't taken is none. */
static bool open_one(struct lines *l, const char *path, unsigned n, struct fault *f)
{
	struct file *files;
	struct stat st;
	char name[PATH_MAX];
	int fd;

	if (!rotation_name(path, n, name))
		return fault_set(f, STATUS_CONFIG, "%s: the path is too long", path);
	fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 && errno == ENOENT)
		return true;
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		fault_set(f, fd < 0 && errno == EACCES ? STATUS_DENIED : STATUS_TEMPORARY, "%s: %s", name,
			  fd < 0 ? strerror(errno) : "can't be an audit file");
		if (fd >= 0)
			close(fd);
		return false;
	}
	/* Rotated since we have opened it under its younger name. */
	files = is_open(l, &st) ? NULL : realloc(l->files, (l->count + 1) * sizeof(*files));
	if (!files) {
		close(fd);
		return is_open(l, &st) ? true : fault_set(f, STATUS_TEMPORARY, "out of memory");
	}
	l->files = files;
	files[l->count] = (struct file){ .fd = fd, .device = st.st_dev, .inode = st.st_ino };
	memcpy(files[l->count++].name, name, sizeof(name));
	return true;
}

struct lines *lines_open(const char *path, struct fault *f)
{
	struct lines *l = calloc(1, sizeof(*l));

	if (l)
		l->window = malloc(WINDOW);
	if (!l || !l->window) {
		fault_set(f, STATUS_TEMPORARY, "out of memory");
		lines_close(l);
		return NULL;
	}
	/* The newest first: one that is rotated meanwhile is then met twice, not missed. */
	for (unsigned n = 0; n <= ROTATION_MAX; n++)
		if (!open_one(l, path, n, f)) {
			lines_close(l);
			return NULL;
		}
	if (l->count)
		return l;
	fault_set(f, STATUS_NO, "%s isn't there: nothing has been recorded yet", path);
	lines_close(l);
	return NULL;
}

void lines_close(struct lines *l)
{
	if (!l)
		return;
	for (unsigned i = 0; i < l->count; i++)
		close(l->files[i].fd);
	free(l->files);
	free(l->window);
	free(l);
}

unsigned lines_count(const struct lines *l)
{
	return l->count;
}

const char *lines_name(const struct lines *l, unsigned file)
{
	return file_at(l, file)->name;
}

/* Hands out what is whole in the window; octets used. */
static size_t cut(const char *window, size_t have, struct lines_place *at, lines_each *each, void *context)
{
	const char *start = window, *end;

	while ((end = memchr(start, '\n', have - (size_t)(start - window)))) {
		at->whole = true;
		each(context, at, slice_bytes(start, (size_t)(end - start)));
		at->offset += (size_t)(end - start) + 1;
		at->line++;
		start = end + 1;
	}
	return (size_t)(start - window);
}

static int read_file(struct lines *l, unsigned file, lines_each *each, void *context)
{
	struct lines_place at = { .file = file, .line = 1 };
	size_t have = 0, used;
	ssize_t n;

	while ((n = pread(file_at(l, file)->fd, l->window + have, WINDOW - have, (off_t)(at.offset + have))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		have += (size_t)n;
		used = cut(l->window, have, &at, each, context);
		have -= used;
		memmove(l->window, l->window + used, have);
		if (have < WINDOW / 2)
			continue;
		/* No line of ours: handed out in pieces. */
		at.whole = false;
		each(context, &at, slice_bytes(l->window, have));
		at.offset += have;
		have = 0;
	}
	at.whole = false;
	if (have)
		each(context, &at, slice_bytes(l->window, have));
	return 0;
}

bool lines_read(struct lines *l, lines_each *each, void *context, struct fault *f)
{
	for (unsigned i = 0; i < l->count; i++) {
		int result = read_file(l, i, each, context);

		if (result)
			return fault_set(f, STATUS_TEMPORARY, "%s: %s", lines_name(l, i), strerror(-result));
	}
	return true;
}

bool lines_again(const struct lines *l, unsigned file, uint64_t offset, size_t len, char *out)
{
	return pread(file_at(l, file)->fd, out, len, (off_t)offset) == (ssize_t)len;
}
