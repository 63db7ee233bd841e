#include "manager/mend.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/secret.h"
#include "manager/rotation.h"

#define ROOM		(64u << 10)	/* octets copied at once; many lines */
#define PIECES		8		/* in one step */

void mend_none(struct mend *m)
{
	*m = (struct mend){ .from = -1, .to = -1 };
}

bool mend_is_on(const struct mend *m)
{
	return m->to >= 0;
}

static void shut(struct mend *m)
{
	if (m->from >= 0)
		close(m->from);
	if (m->to >= 0)
		close(m->to);
	secret_wipe(&m->key, sizeof(m->key));
	mend_none(m);
}

void mend_drop(struct mend *m)
{
	/* Should it stay as it is, it is cut to nothing when it is opened again. */
	if (m->to >= 0 && ftruncate(m->to, 0) < 0)
		unlink(m->next);
	shut(m);
}

bool mend_was_on(const char *path)
{
	char name[PATH_MAX];

	return snprintf(name, sizeof(name), "%s.mend", path) < (int)sizeof(name) && access(name, F_OK) == 0;
}

int mend_begin(struct mend *m, const char *path, unsigned n, uint64_t kept, const struct chain_key *key)
{
	int error;

	mend_none(m);
	m->kept = kept;
	m->key = *key;
	if (!rotation_name(path, n, m->path) || snprintf(m->next, sizeof(m->next), "%s.mend", path) >= (int)sizeof(m->next))
		return -ENAMETOOLONG;
	m->from = open(m->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (m->from >= 0)
		m->to = open(m->next, O_WRONLY | O_APPEND | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0640);
	if (m->to >= 0) {
		fchmod(m->to, 0640);	/* whatever the umask; nothing depends on it */
		return 0;
	}
	error = -errno;
	shut(m);
	return error;
}

static void take_head(struct mend *m, const struct chain_line *line)
{
	struct slice key;

	m->keyed = chain_field(line->record, SLICE_OF("key"), &key) && slice_equal(key, slice_of(m->key.id));
}

/* Whether it may be copied. What is no line may be what a power cut has left; the next line that is one shows it. */
static bool look(struct mend *m, struct slice text)
{
	struct chain_line line;

	if (!chain_read(text, &line))
		return true;
	if (!m->good.number)
		take_head(m, &line);
	else if (line.number > m->kept && (line.number <= m->good.number || (m->keyed && !chain_fits(&line, &m->key, slice_of(m->good.link)))))
		return false;
	m->good.number = line.number;
	slice_copy(line.link, m->good.link, sizeof(m->good.link));
	m->rewritten += line.number > m->kept;
	return true;
}

/* Of whole lines, up to the first that isn't as it was written. */
static void look_through(struct mend *m, struct slice text)
{
	uint64_t at = m->at;
	size_t end;

	while (!m->damaged && (end = slice_find(text, '\n')) < text.len) {
		uint64_t number = m->good.number;

		m->damaged = !look(m, slice_first(text, end));
		at += end + 1;
		if (m->good.number != number)
			m->good_at = at;
		text = slice_skip(text, end + 1);
	}
}

/* Octets that end in LF, or all where there is none: that is no line of ours. */
static size_t whole(const char *memory, size_t n)
{
	size_t end = n;

	while (end > 0 && memory[end - 1] != '\n')
		end--;
	return end || n < ROOM ? end : n;
}

/* 1: at the end. */
static int copy(struct mend *m, char *memory)
{
	ssize_t n = pread(m->from, memory, ROOM, (off_t)m->at);
	size_t take;

	if (n < 0)
		return -errno;
	take = whole(memory, (size_t)n);
	if (!take)
		return 1;
	look_through(m, slice_bytes(memory, take));
	if (m->damaged)
		return 1;
	n = write(m->to, memory, take);
	if (n != (ssize_t)take)
		return n < 0 ? -errno : -ENOSPC;
	m->at += take;
	return 0;
}

/* The octets behind the last good line are no part of it; within the last piece they were not even copied. */
static int cut(struct mend *m, char *memory)
{
	ssize_t n;

	if (m->good_at < m->at)
		return ftruncate(m->to, (off_t)m->good_at) ? -errno : 1;
	n = pread(m->from, memory, (size_t)(m->good_at - m->at), (off_t)m->at);
	if (n != (ssize_t)(m->good_at - m->at) || write(m->to, memory, (size_t)n) != n)
		return -EIO;
	return 1;
}

int mend_step(struct mend *m)
{
	char *memory;
	int result = 0;

	if (m->damaged)
		return 1;
	memory = malloc(ROOM);
	if (!memory)
		return -ENOMEM;
	for (unsigned i = 0; i < PIECES && !result; i++)
		result = copy(m, memory);
	if (m->damaged && result > 0) {
		result = cut(m, memory);
		m->at = m->good_at;
	}
	free(memory);
	return result;
}

int mend_take(struct mend *m, bool is_last)
{
	int fd = m->to;

	if (is_last && m->good_at < m->at && ftruncate(fd, (off_t)m->good_at) < 0)
		return -errno;
	if (rename(m->next, m->path) < 0)
		return -errno;
	m->to = -1;
	shut(m);
	return fd;
}

uint64_t mend_first(const char *path, unsigned n)
{
	char name[PATH_MAX], memory[CHAIN_LINE_MAX];
	int fd = rotation_name(path, n, name) ? open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK) : -1;
	ssize_t got = fd >= 0 ? pread(fd, memory, sizeof(memory), 0) : -1;
	struct slice text = slice_bytes(memory, got > 0 ? (size_t)got : 0);
	size_t end = slice_find(text, '\n');
	struct chain_line line;

	if (fd >= 0)
		close(fd);
	return end < text.len && chain_read(slice_first(text, end), &line) ? line.number : 0;
}

unsigned mend_where(const char *path, unsigned keep, uint64_t number)
{
	for (unsigned n = 0; number && n <= keep; n++) {
		uint64_t first = mend_first(path, n);

		if (first && first <= number)
			return n;
	}
	return 0;
}
