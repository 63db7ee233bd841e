/* What all parts of the spool stand on: what is alive where, records that want a flush, and the loss of a segment. */
#include "spool/spool.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spool/inner.h"

#define REPORT_MAX	160		/* octets of a line for the log */

/* After so many in a row what is to be repaired waits for somebody to come: trying on and on would wear the disk. */
#define FAILURES_MAX	3u

static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUV";	/* RFC 4648 section 7 */

void spool_id_text(uint64_t id, char out[SPOOL_ID_TEXT])
{
	out[0] = 'B';
	for (int i = 10; i >= 1; i--, id >>= 5)
		out[i] = digits[id & 31];
	out[11] = '\0';
}

bool spool_id_parse(struct slice text, uint64_t *id)
{
	uint64_t value = 0;

	if (text.len != SPOOL_ID_TEXT - 1 || text.at[0] != 'B')
		return false;
	for (size_t i = 1; i < text.len; i++) {
		size_t digit = slice_find(slice_of(digits), text.at[i]);

		if (digit >= 32)
			return false;
		value = value << 5 | digit;
	}
	*id = value;
	return true;
}

void spool_report(struct spool *s, const char *format, ...)
{
	char line[REPORT_MAX];
	va_list arguments;

	if (!s->report)
		return;
	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	s->report(s->context, line);
}

bool spool_grow(uint8_t **memory, size_t *have, size_t size)
{
	uint8_t *grown;

	if (size <= *have)
		return true;
	grown = realloc(*memory, size);
	if (!grown)
		return false;
	*memory = grown;
	*have = size;
	return true;
}

void spool_bind(struct spool *s, uint32_t number, uint32_t oldest)
{
	struct queue_entry *e = queue_at(&s->queue, number);
	struct segment *g = e->oldest ? store_find(&s->journal.store, e->oldest) : NULL;

	if (g)
		queue_unpin(&s->queue, &g->first, number);
	g = oldest ? store_find(&s->journal.store, oldest) : NULL;
	if (g)
		queue_pin(&s->queue, &g->first, number);
	e->oldest = g ? oldest : 0;
}

/* A segment with something not flushed stays: what waits for it is not decided yet. */
static bool is_dead(const struct journal *j, const struct segment *g)
{
	return g != j->head && g != j->flushing && g->first == QUEUE_NONE &&
	       (g->failed || g->flushed == g->written);
}

void spool_reclaim(struct spool *s)
{
	struct store *st = &s->journal.store;

	if (s->repair)
		return;
	while (st->log_count > 0 && is_dead(&s->journal, st->log[0]))
		store_retire(st);
}

void spool_forget(struct spool *s, uint32_t number)
{
	struct queue_entry *e = queue_at(&s->queue, number);

	if (e->commit != 0)
		s->live -= spool_cost(e);
	spool_bind(s, number, 0);
	queue_drop(&s->queue, number);
	spool_reclaim(s);
}

static void want_flush(struct spool *s)
{
	s->wanted = journal_end(&s->journal);
}

int spool_put(struct spool *s, enum record_type type, uint64_t id, const struct slice *pieces, unsigned count,
	      enum room purpose, uint64_t *place)
{
	int error = journal_put(&s->journal, type, id, pieces, count, purpose, place);

	if (error == 0)
		want_flush(s);
	spool_settle(s);
	return error;
}

/* When there are too many to remember, only a failed flush with a crash after it can tell. */
static void remember_done(struct spool *s, uint64_t id, uint64_t end)
{
	if (s->done_count < DONES_MAX)
		s->dones[s->done_count++] = (struct done){ id, end };
	else if (end == 0)
		spool_report(s, "a finished message could not be recorded as such");
}

void spool_done(struct spool *s, uint64_t id)
{
	uint64_t place;
	int error = spool_put(s, RECORD_DONE, id, NULL, 0, ROOM_OUTCOME, &place);

	remember_done(s, id, error == 0 ? journal_end(&s->journal) : 0);
	if (error < 0)
		s->repair = true;
}

void writer_list_add(struct writer_list *l, struct spool_writer *w)
{
	w->next = NULL;
	if (l->last)
		l->last->next = w;
	else
		l->first = w;
	l->last = w;
}

struct spool_writer *writer_list_take(struct writer_list *l)
{
	struct spool_writer *w = l->first;

	if (!w)
		return NULL;
	l->first = w->next;
	if (!l->first)
		l->last = NULL;
	w->next = NULL;
	return w;
}

bool spool_lost_data(const struct spool *s, const struct spool_writer *w)
{
	for (uint32_t i = 0; i < w->extent_count; i++)
		if (journal_is_lost(&s->journal, place_of(w->extents[i].segment, w->extents[i].offset)))
			return true;
	return false;
}

static void fail_waiting(struct spool *s)
{
	struct writer_list all = s->waiting;
	struct spool_writer *w;

	s->waiting = (struct writer_list){ NULL, NULL };
	while ((w = writer_list_take(&all))) {
		if (!journal_is_lost(&s->journal, w->end - 1) && !spool_lost_data(s, w)) {
			writer_list_add(&s->waiting, w);
			continue;
		}
		/* Its COMMIT may be on disk nevertheless: the DONE takes it back. */
		remember_done(s, w->id, 0);
		w->result = s->journal.error;
		writer_list_add(&s->decided, w);
	}
}

void spool_settle(struct spool *s)
{
	if (!s->journal.broken)
		return;
	s->journal.broken = false;
	spool_report(s, "a segment was left after: %s", strerror(-s->journal.error));
	fail_waiting(s);
	for (unsigned i = 0; i < s->done_count; i++)
		if (s->dones[i].end != 0 && journal_is_lost(&s->journal, s->dones[i].end - 1))
			s->dones[i].end = 0;
	s->move_count = 0;
	s->marked_tail = s->journal.store.durable_tail;
	s->mark_end = 0;
	s->repair = true;
	s->stalled = ++s->failures > FAILURES_MAX;
}

int spool_put_commit(struct spool *s, uint64_t id, struct commit *c, const struct spool_extent *extents,
		     enum room purpose, uint64_t *place, uint32_t *length)
{
	uint8_t head[COMMIT_HEAD];
	size_t size = (size_t)c->extent_count * EXTENT_LENGTH;
	struct slice pieces[5];

	if (!spool_grow(&s->extra, &s->extra_size, size))
		return -ENOMEM;
	for (uint32_t i = 0; i < c->extent_count; i++)
		extent_encode(&extents[i], s->extra + (size_t)i * EXTENT_LENGTH);
	commit_encode(c, head);
	pieces[0] = slice_bytes((const char *)head, sizeof(head));
	pieces[1] = slice_bytes((const char *)s->extra, size);
	pieces[2] = c->envelope;
	pieces[3] = c->states;
	pieces[4] = c->reply;
	*length = (uint32_t)(COMMIT_HEAD + size + c->envelope.len + c->states.len + c->reply.len);
	return spool_put(s, RECORD_COMMIT, id, pieces, 5, purpose, place);
}

void spool_drop_extents(struct spool_writer *w)
{
	if (w->extents != w->few)
		free(w->extents);
	w->extents = NULL;
	w->extent_count = w->extent_room = 0;
}
