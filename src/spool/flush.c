/* Groups on their way to the disk: what goes with them, and what is decided when they are there. */
#include <stdlib.h>

#include "spool/inner.h"

/* A state that was recorded where it got lost is recorded again, from what memory still has of it. */
static bool repair_outcome(struct spool *s, struct queue_entry *e)
{
	uint8_t record[OUTCOME_RECORD_MAX];
	struct slice piece;
	struct outcome o;
	uint64_t place;

	if (spool_read_outcome(s, e, record, &o) < 0) {
		spool_report(s, "the state of a message was lost with its segment");
		e->outcome = 0;
		return true;
	}
	piece = slice_bytes((const char *)record + RECORD_HEAD, OUTCOME_HEAD + o.states.len + o.reply.len);
	if (spool_put(s, RECORD_OUTCOME, e->face.id, &piece, 1, ROOM_OUTCOME, &place) < 0)
		return false;
	e->outcome = place;
	return true;
}

static bool repair_dones(struct spool *s)
{
	uint64_t place;

	for (unsigned i = 0; i < s->done_count; i++) {
		if (s->dones[i].end != 0)
			continue;
		if (spool_put(s, RECORD_DONE, s->dones[i].id, NULL, 0, ROOM_OUTCOME, &place) < 0)
			return false;
		s->dones[i].end = journal_end(&s->journal);
	}
	return true;
}

/* The state of no message is there only. */
static bool holds_outcome(const struct spool *s, const struct segment *g)
{
	uint32_t at;

	for (uint64_t id = 0; (at = queue_above(&s->queue, id)) != QUEUE_NONE;) {
		const struct queue_entry *e = queue_at(&s->queue, at);

		id = e->face.id;
		if (e->outcome >> 32 == g->sequence)
			return true;
	}
	return false;
}

/*
 * A segment of which no flush ever succeeded holds nothing that was acknowledged. A disk that fails for a while would
 * else cost one with each try, and leave none for when it is well again.
 */
static void discard_failed(struct spool *s)
{
	struct store *st = &s->journal.store;

	for (unsigned i = st->log_count; i-- > 0;) {
		const struct segment *g = st->log[i];

		if (g->failed && g->flushed == 0 && g != s->journal.flushing && g->first == QUEUE_NONE &&
		    !holds_outcome(s, g))
			store_discard(st, i);
	}
}

/* A second segment that fails meanwhile sets s->repair again, for the next turn. */
static void repair(struct spool *s)
{
	uint32_t at;
	bool whole = true;

	s->repair = false;
	for (uint64_t id = 0; whole && (at = queue_above(&s->queue, id)) != QUEUE_NONE;) {
		struct queue_entry *e = queue_at(&s->queue, at);

		id = e->face.id;
		if (e->outcome != 0 && journal_is_lost(&s->journal, e->outcome))
			whole = repair_outcome(s, e);
	}
	whole = whole && repair_dones(s);
	s->stalled = !whole;
	if (!whole)
		s->repair = true;
	if (!s->repair) {
		free(s->journal.lost.octets);
		s->journal.lost = (struct journal_lost){ 0 };
	}
}

static uint32_t tail_of(const struct store *st)
{
	return st->log_count > 0 ? st->log[0]->sequence : st->sequence + 1;
}

static void put_mark(struct spool *s)
{
	struct mark m = { tail_of(&s->journal.store), journal_durable(&s->journal) };
	uint8_t octets[MARK_LENGTH];
	struct slice piece = { (const char *)octets, sizeof(octets) };
	uint64_t place;

	if (m.flushed == UINT64_MAX)
		m.flushed = journal_end(&s->journal);
	mark_encode(&m, octets);
	if (spool_put(s, RECORD_MARK, 0, &piece, 1, ROOM_FORWARD, &place) < 0) {
		s->stalled = true;
		return;
	}
	s->marked_tail = m.tail;
	s->mark_end = journal_end(&s->journal);
}

/* What a spool without a segment to write can't do now must not make its caller spin. */
static bool has_work(const struct spool *s)
{
	return !s->stalled && (s->repair || s->push || s->marked_tail != tail_of(&s->journal.store));
}

bool spool_flush_due(const struct spool *s)
{
	return !s->journal.busy && (s->wanted > journal_durable(&s->journal) || has_work(s));
}

int spool_flush_begin(struct spool *s)
{
	if (!spool_flush_due(s))
		return -1;
	if (s->repair) {
		discard_failed(s);
		repair(s);
	}
	forward_step(s);
	put_mark(s);
	journal_write(&s->journal);
	spool_settle(s);
	return journal_flush(&s->journal);
}

static void settle_dones(struct spool *s, uint64_t durable)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < s->done_count; i++)
		if (s->dones[i].end == 0 || s->dones[i].end > durable)
			s->dones[kept++] = s->dones[i];
	s->done_count = kept;
}

static void settle_waiting(struct spool *s, uint64_t durable)
{
	while (s->waiting.first && s->waiting.first->end <= durable)
		writer_list_add(&s->decided, writer_list_take(&s->waiting));
}

void spool_flush_end(struct spool *s, int result)
{
	uint64_t durable;

	if (result == 0)
		s->failures = 0;
	journal_flushed(&s->journal, result);
	spool_settle(s);
	durable = journal_durable(&s->journal);
	settle_waiting(s, durable);
	settle_dones(s, durable);
	if (s->mark_end != 0 && s->mark_end <= durable)
		s->journal.store.durable_tail = s->marked_tail;
	forward_settle(s);
	spool_reclaim(s);
	store_trim(&s->journal.store);
}

struct spool_writer *spool_committed(struct spool *s)
{
	struct spool_writer *w = writer_list_take(&s->decided);

	if (!w)
		return NULL;
	spool_drop_extents(w);
	w->stage = WRITER_IDLE;
	if (w->result < 0) {
		spool_forget(s, w->entry);
		return w;
	}
	queue_show(&s->queue, w->entry);
	queue_schedule(&s->queue, w->entry, s->mono);
	return w;
}
