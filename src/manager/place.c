#include "manager/place.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/secret.h"
#include "base/slice.h"
#include "manager/agents.h"

#define KEEP_MS		5000	/* between writings; what a crash forgets is sent again, and known there */
#define STREAM_OCTETS	8
#define TEXT_MAX	(AGENT_STREAM_MAX + CHAIN_LINK_SIZE + 24)

struct place {
	struct loop *loop;
	struct helper *flusher;
	char path[300], next[304];	/* FILE.sent, and what is to become it */
	char stream[AGENT_STREAM_MAX + 1];
	uint64_t number;
	char link[CHAIN_LINK_SIZE + 1];
	bool dirty, told;
	int fd;				/* of `next`, being flushed; -1 */
	int64_t keep_at;		/* ms */
};

struct place *place_new(struct loop *l, struct helper *flusher)
{
	struct place *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->loop = l;
	p->flusher = flusher;
	p->fd = -1;
	return p;
}

static void abandon(struct place *p)
{
	if (p->fd < 0)
		return;
	helper_forget(p->flusher, p);
	close(p->fd);
	p->fd = -1;
}

void place_free(struct place *p)
{
	if (!p)
		return;
	abandon(p);
	free(p);
}

static bool is_stream(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!ascii_is_alnum(s.at[i]))
			return false;
	return s.len > 0 && s.len <= AGENT_STREAM_MAX;
}

/* "STREAM NUMBER LINK\n"; anything else is none. */
static bool parse(struct place *p, struct slice text)
{
	struct slice line = slice_first(text, slice_find(text, '\n')), stream, number;

	if (line.len + 1 != text.len || !slice_word(&line, &stream) || !slice_word(&line, &number) || !is_stream(stream) ||
	    !slice_number(number, INT64_MAX, &p->number) || !slice_copy(slice_trim(line), p->link, sizeof(p->link)))
		return false;
	slice_copy(stream, p->stream, sizeof(p->stream));
	return true;
}

void place_begin(struct place *p)
{
	uint8_t octets[STREAM_OCTETS];

	if (!secret_random(octets, sizeof(octets)))
		memset(octets, 0, sizeof(octets));
	ascii_hex(octets, sizeof(octets), p->stream);
	p->number = 0;
	p->link[0] = '\0';
	p->dirty = true;
	p->keep_at = loop_now(p->loop);
}

void place_open(struct place *p, const char *file)
{
	char text[TEXT_MAX];
	ssize_t n = -1;
	int fd;

	abandon(p);
	p->dirty = p->told = false;
	snprintf(p->path, sizeof(p->path), "%s.sent", file);
	snprintf(p->next, sizeof(p->next), "%s.new", p->path);
	fd = open(p->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd >= 0) {
		n = read(fd, text, sizeof(text));
		close(fd);
	}
	if (!parse(p, slice_bytes(text, n > 0 ? (size_t)n : 0)))
		place_begin(p);
}

const char *place_stream(const struct place *p)
{
	return p->stream;
}

uint64_t place_number(const struct place *p)
{
	return p->number;
}

void place_reach(struct place *p, uint64_t number, struct slice link)
{
	if (number == p->number)
		return;
	p->number = number;
	slice_copy(link, p->link, sizeof(p->link));
	if (!p->dirty)
		p->keep_at = loop_now(p->loop) + KEEP_MS;
	p->dirty = true;
}

bool place_is(const struct place *p, const struct chain_line *line)
{
	return line->number == p->number && slice_equal(line->link, slice_of(p->link));
}

static void complain(struct place *p, int error)
{
	p->dirty = true;
	p->keep_at = loop_now(p->loop) + KEEP_MS;
	if (!p->told)
		log_line(SEVERITY_ERR, "%s can't be written: %s", p->path, strerror(error));
	p->told = true;
}

static bool write_next(struct place *p)
{
	char text[TEXT_MAX];
	int n = snprintf(text, sizeof(text), "%s %" PRIu64 " %s\n", p->stream, p->number, p->link);

	p->fd = open(p->next, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0640);
	return p->fd >= 0 && write(p->fd, text, (size_t)n) == n;
}

static void replace(struct place *p)
{
	close(p->fd);
	p->fd = -1;
	if (rename(p->next, p->path) < 0)
		complain(p, errno);
	else
		p->told = false;
}

static void flushed(void *context, const void *answer, size_t len)
{
	struct place *p = context;
	int32_t result = -EIO;

	if (answer && len == sizeof(result))
		memcpy(&result, answer, sizeof(result));
	if (!result) {
		replace(p);
		return;
	}
	close(p->fd);
	p->fd = -1;
	complain(p, -result);
}

void place_keep(struct place *p)
{
	int error;

	if (!p->dirty || p->fd >= 0 || loop_now(p->loop) < p->keep_at)
		return;
	p->dirty = false;
	if (write_next(p) && helper_ask(p->flusher, "", 1, p->fd, flushed, p))
		return;
	error = errno;
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
	complain(p, error);
}

int64_t place_deadline(const struct place *p)
{
	return p->dirty && p->fd < 0 ? p->keep_at : NEVER;
}

void place_save(struct place *p)
{
	if (!p->path[0] || (!p->dirty && p->fd < 0))
		return;
	abandon(p);
	if (write_next(p))
		replace(p);
	else if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
}
