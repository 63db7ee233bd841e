/* A message on its way in: room for it, its data, its COMMIT. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "spool/inner.h"

/* An envelope that spool_load can give in SPOOL_RECORD_MAX octets. */
#define ENVELOPE_ROOM	(SPOOL_RECORD_MAX - RECIPIENTS_CEILING - SMTP_REPLY_TEXT_MAX)

_Static_assert((ADDRESS_MAX + 1) * RECIPIENTS_CEILING + 4096 < ENVELOPE_ROOM, "the largest envelope fits");
_Static_assert(SPOOL_EXTENTS_MAX * EXTENT_LENGTH + SPOOL_RECORD_MAX + 4096 < SEGMENT_SIZE_MIN,
	       "the largest COMMIT fits a segment");

static enum room room_of(const struct spool_writer *w)
{
	return w->is_return ? ROOM_RETURN : ROOM_MAIL;
}

/*
 * Besides the octets in files: with the queue as full of live mail as this, copying forward
 * could make no room any more.
 */
static uint64_t most_live(const struct spool *s, enum room room)
{
	const struct store *st = &s->journal.store;

	return st->budget - (uint64_t)(room + 1) * st->segment_size;
}

static bool is_full(const struct spool *s, const struct spool_writer *w, uint64_t expect)
{
	return s->live + expect > most_live(s, room_of(w)) ||
	       expect > store_room(&s->journal.store, room_of(w)) + journal_rest(&s->journal);
}

void spool_room(const struct spool *s, uint64_t *left, uint64_t *most)
{
	*most = most_live(s, ROOM_MAIL);
	*left = s->live < *most ? *most - s->live : 0;
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
	if (spool_lost_data(s, w)) {
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
	if (error == 0 && spool_lost_data(s, w))
		error = -EIO;
	if (error == 0)
		error = put_message(s, w, &e, envelope);
	if (error < 0)
		return error;
	leave_open(s, w);
	w->end = journal_end(&s->journal);
	w->stage = WRITER_WAITING;
	writer_list_add(&s->waiting, w);
	return 0;
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
