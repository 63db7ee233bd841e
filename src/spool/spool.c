#include "spool/spool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "spool/inner.h"

/* An envelope that spool_load can give in SPOOL_RECORD_MAX octets. */
#define ENVELOPE_ROOM	(SPOOL_RECORD_MAX - RECIPIENTS_CEILING - SMTP_REPLY_TEXT_MAX)

/* After so many in a row what is to be repaired waits for somebody to come: trying on and on would wear the disk. */
#define FAILURES_MAX	3u

_Static_assert((ADDRESS_MAX + 1) * RECIPIENTS_CEILING + 4096 < ENVELOPE_ROOM, "the largest envelope fits");
_Static_assert(SPOOL_EXTENTS_MAX * EXTENT_LENGTH + SPOOL_RECORD_MAX + 4096 < SEGMENT_SIZE_MIN,
	       "the largest COMMIT fits a segment");

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

static void list_add(struct writer_list *l, struct spool_writer *w)
{
	w->next = NULL;
	if (l->last)
		l->last->next = w;
	else
		l->first = w;
	l->last = w;
}

static struct spool_writer *list_take(struct writer_list *l)
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

static bool has_lost_data(const struct spool *s, const struct spool_writer *w)
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
	while ((w = list_take(&all))) {
		if (!journal_is_lost(&s->journal, w->end - 1) && !has_lost_data(s, w)) {
			list_add(&s->waiting, w);
			continue;
		}
		/* Its COMMIT may be on disk nevertheless: the DONE takes it back. */
		remember_done(s, w->id, 0);
		w->result = s->journal.error;
		list_add(&s->decided, w);
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

static enum room room_of(const struct spool_writer *w)
{
	return w->is_return ? ROOM_RETURN : ROOM_MAIL;
}

/*
 * Besides the octets in files: with the queue as full of live mail as this, copying forward
 * could make no room any more.
 */
static bool is_full(const struct spool *s, const struct spool_writer *w, uint64_t expect)
{
	const struct store *st = &s->journal.store;
	uint64_t reserve = (uint64_t)(room_of(w) + 1) * st->segment_size;

	return s->live + expect > st->budget - reserve ||
	       expect > store_room(st, room_of(w)) + journal_rest(&s->journal);
}

static int find_room(struct spool *s, const struct spool_writer *w, uint64_t expect)
{
	uint64_t octets = expect + expect / 256 + MESSAGE_COST;

	s->stalled = false;
	if (is_full(s, w, octets))
		return -ENOSPC;
	if (octets <= journal_rest(&s->journal))
		return 0;
	return store_provide(&s->journal.store, (unsigned)room_of(w) + 1);
}

/* Refused for want of room: perhaps copying forward makes some until the client comes again. */
static int refuse(struct spool *s, int error)
{
	s->push = forward_helps(s);
	return error;
}

uint64_t spool_new_id(struct spool *s)
{
	return s->journal.next_id++;
}

int spool_begin(struct spool *s, struct spool_writer *w, uint64_t expect)
{
	uint32_t entry;
	int error;

	spool_abort(s, w);
	error = find_room(s, w, expect);
	if (error < 0)
		return refuse(s, error);
	entry = queue_new(&s->queue, s->journal.next_id);
	if (entry == QUEUE_NONE)
		return -ENOMEM;
	w->id = s->journal.next_id++;
	w->size = 0;
	w->extent_count = 0;
	w->extents = w->few;
	w->extent_room = sizeof(w->few) / sizeof(w->few[0]);
	w->result = 0;
	w->stage = WRITER_OPEN;
	w->entry = entry;
	w->before = NULL;
	w->next = s->open;
	if (s->open)
		s->open->before = w;
	s->open = w;
	return 0;
}

static int more_extents(struct spool_writer *w)
{
	uint32_t room = w->extent_room * 2 < SPOOL_EXTENTS_MAX ? w->extent_room * 2 : SPOOL_EXTENTS_MAX;
	struct spool_extent *grown;

	if (w->extent_count < w->extent_room)
		return 0;
	if (w->extent_count == SPOOL_EXTENTS_MAX)
		return -EFBIG;
	grown = realloc(w->extents == w->few ? NULL : w->extents, room * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	if (w->extents == w->few)
		memcpy(grown, w->few, sizeof(w->few));
	w->extents = grown;
	w->extent_room = room;
	return 0;
}

static int append(struct spool *s, struct spool_writer *w, struct slice data, uint32_t at)
{
	struct spool_extent e;
	bool grew;
	int error = more_extents(w);

	if (error == 0)
		error = journal_put_data(&s->journal, w->id, data, room_of(w), &e, &grew);
	spool_settle(s);
	if (error < 0)
		return error;
	w->size += data.len;
	if (grew) {
		w->extents[w->extent_count - 1].length += e.length;
		return 0;
	}
	memmove(w->extents + at + 1, w->extents + at, (w->extent_count - at) * sizeof(e));
	w->extents[at] = e;
	w->extent_count++;
	if (queue_at(&s->queue, w->entry)->oldest == 0)
		spool_bind(s, w->entry, e.segment);
	return 0;
}

int spool_append(struct spool *s, struct spool_writer *w, struct slice data)
{
	if (w->stage != WRITER_OPEN)
		return -EINVAL;
	return data.len == 0 ? 0 : append(s, w, data, w->extent_count);
}

static int put_front(struct spool *s, struct spool_writer *w, struct slice front)
{
	uint32_t at = 0;
	int error = 0;

	/* The front begins a record of its own: its place in the message is another. */
	while (front.len > 0 && error == 0) {
		journal_seal(&s->journal);
		error = append(s, w, slice_first(front, CHUNK_SIZE), at++);
		front = slice_skip(front, CHUNK_SIZE);
	}
	return error;
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

static void leave_open(struct spool *s, struct spool_writer *w)
{
	if (w->before)
		w->before->next = w->next;
	else
		s->open = w->next;
	if (w->next)
		w->next->before = w->before;
	w->next = w->before = NULL;
}

/* Before it is put: a write that fails meanwhile must find it in nobody's list. */
static int put_message(struct spool *s, struct spool_writer *w, const struct envelope *e, struct slice text)
{
	struct commit c = { .size = w->size, .arrived = e->arrived, .recipients = e->recipient_count,
		.extent_count = w->extent_count, .envelope = text };
	struct queue_entry *entry = queue_at(&s->queue, w->entry);
	uint64_t place;
	uint32_t length;
	int error = spool_put_commit(s, w->id, &c, w->extents, room_of(w), &place, &length);

	if (error < 0)
		return error;
	if (has_lost_data(s, w)) {
		spool_done(s, w->id);
		return -EIO;
	}
	entry->face.size = w->size;
	entry->face.arrived = e->arrived;
	entry->face.recipients = entry->face.pending = (uint16_t)e->recipient_count;
	entry->commit = place;
	entry->commit_length = length;
	if (entry->oldest == 0)
		spool_bind(s, w->entry, (uint32_t)(place >> 32));
	s->live += spool_cost(entry);
	return 0;
}

int spool_commit(struct spool *s, struct spool_writer *w, struct slice front, struct slice envelope)
{
	struct envelope e;
	int error;

	if (w->stage != WRITER_OPEN || !envelope_read(envelope, &e) || e.recipient_count == 0)
		return -EINVAL;
	if (envelope.len > ENVELOPE_ROOM)
		return -EMSGSIZE;
	error = put_front(s, w, front);
	if (error == 0 && has_lost_data(s, w))
		error = -EIO;
	if (error == 0)
		error = put_message(s, w, &e, envelope);
	if (error < 0)
		return error;
	leave_open(s, w);
	w->end = journal_end(&s->journal);
	w->stage = WRITER_WAITING;
	list_add(&s->waiting, w);
	return 0;
}

void spool_drop_extents(struct spool_writer *w)
{
	if (w->extents != w->few)
		free(w->extents);
	w->extents = NULL;
	w->extent_count = w->extent_room = 0;
}

void spool_abort(struct spool *s, struct spool_writer *w)
{
	if (w->stage != WRITER_OPEN)
		return;
	leave_open(s, w);
	spool_forget(s, w->entry);
	spool_drop_extents(w);
	w->id = 0;
	w->stage = WRITER_IDLE;
}

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
		list_add(&s->decided, list_take(&s->waiting));
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
	struct spool_writer *w = list_take(&s->decided);

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
