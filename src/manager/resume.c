#include "manager/resume.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "manager/rotation.h"

#define WINDOW_FIRST	(64u << 10)	/* octets at the end of the file that are looked at: many lines */
#define WINDOW_MAX	(16u << 20)	/* and at most; a power cut leaves less behind */

static ssize_t read_at(int fd, char *memory, size_t size, off_t at)
{
	size_t have = 0;

	while (have < size) {
		ssize_t n = pread(fd, memory + have, size - have, at + (off_t)have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		have += (size_t)n;
	}
	return (ssize_t)have;
}

/* The last whole line of the text that is one of ours; *end is where it ends, with its LF. */
static bool last_line(struct slice text, struct chain_line *line, size_t *end)
{
	size_t stop = text.len, start;

	while (stop > 0) {
		if (text.at[stop - 1] != '\n') {
			stop--;
			continue;
		}
		for (start = stop - 1; start > 0 && text.at[start - 1] != '\n'; start--)
			;
		*end = stop;
		if (chain_read(slice_bytes(text.at + start, stop - 1 - start), line))
			return true;
		stop--;
	}
	return false;
}

static void take(const struct chain_line *line, uint64_t good, uint64_t size, char last, struct resume *out)
{
	out->chain.number = line->number;
	slice_copy(line->link, out->chain.link, sizeof(out->chain.link));
	out->size = good;
	out->torn = size - good;
	out->ends_in_lf = !out->torn || last == '\n';
}

/* 1: found; 0: there is none; -errno. */
static int find_in(int fd, uint64_t size, struct resume *out)
{
	size_t window = WINDOW_FIRST, end;
	char *memory = NULL;
	struct chain_line line;
	int result = 0;

	for (;; window *= 4) {
		size_t want = size < window ? (size_t)size : window;
		char *more = realloc(memory, want ? want : 1);
		ssize_t got;

		result = -ENOMEM;
		if (!more)
			break;
		memory = more;
		got = read_at(fd, memory, want, (off_t)(size - want));
		result = got < 0 ? (int)got : (size_t)got < want ? -EAGAIN : 0;
		if (result || !want)
			break;
		if (last_line(slice_bytes(memory, want), &line, &end)) {
			take(&line, size - want + end, size, memory[want - 1], out);
			result = 1;
			break;
		}
		if (want == size || window >= WINDOW_MAX)
			break;
	}
	free(memory);
	return result;
}

/* The key of the file, from its first line. A file that begins with another line than ours is somebody else's. */
static int read_head(int fd, struct resume *out, bool *foreign)
{
	char memory[CHAIN_LINE_MAX];
	ssize_t got = read_at(fd, memory, sizeof(memory), 0);
	struct slice text, value;
	struct chain_line line;
	size_t end;

	*foreign = false;
	slice_copy(SLICE_OF("unknown"), out->key, sizeof(out->key));
	if (got <= 0)
		return (int)got;
	text = slice_bytes(memory, (size_t)got);
	end = slice_find(text, '\n');
	if (end < text.len && chain_read(slice_first(text, end), &line) &&
	    slice_equal(slice_first(line.record, slice_find(line.record, ' ')), SLICE_OF(CHAIN_FILE))) {
		if (chain_field(line.record, SLICE_OF("key"), &value))
			slice_copy(value, out->key, sizeof(out->key));
		return 0;
	}
	/* Of a line that was torn at its birth there may be anything, but no whole line of text, or more than a line. */
	*foreign = memory[0] != '\0' && (end < text.len || text.len == sizeof(memory));
	return 0;
}

static int look_into(const char *name, struct resume *out, bool *foreign)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW), result;
	struct stat st;

	*foreign = false;
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (fstat(fd, &st) < 0)
		result = -errno;
	else
		result = S_ISREG(st.st_mode) ? read_head(fd, out, foreign) : -EINVAL;
	if (!result)
		result = find_in(fd, (uint64_t)st.st_size, out);
	close(fd);
	return result;
}

int resume_find(const char *path, struct resume *out)
{
	*out = (struct resume){ .newest = RESUME_NONE };
	chain_begin(&out->chain);
	for (unsigned n = 0; n <= ROTATION_MAX; n++) {
		char name[PATH_MAX];
		bool foreign;
		int result;

		if (!rotation_name(path, n, name))
			return -ENAMETOOLONG;
		result = look_into(name, out, &foreign);
		if (n == 0 && foreign && result <= 0)
			return -EINVAL;
		if (result > 0)
			out->newest = n;
		if (result > 0 || (result < 0 && n == 0))
			return result > 0 ? 0 : result;
	}
	return 0;
}
