/* The queue as its users see it: what is due, what a message holds, how an attempt ended. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "spool/inner.h"

size_t spool_count(const struct spool *s)
{
	return s->queue.shown;
}

void spool_usage(const struct spool *s, uint64_t *used, uint64_t *budget)
{
	const struct store *st = &s->journal.store;

	*budget = st->budget;
	*used = 0;
	for (unsigned i = 0; i < st->log_count; i++)
		*used += st->log[i] == s->journal.head ? st->log[i]->written + s->journal.held : st->log[i]->size;
}

static const struct spool_entry *face(const struct spool *s, uint32_t number)
{
	return number == QUEUE_NONE ? NULL : &queue_at(&s->queue, number)->face;
}

const struct spool_entry *spool_find(const struct spool *s, uint64_t id)
{
	return face(s, queue_find(&s->queue, id));
}

const struct spool_entry *spool_next(const struct spool *s, uint64_t after)
{
	return face(s, queue_above(&s->queue, after));
}

int64_t spool_next_due(const struct spool *s)
{
	uint32_t at = queue_first(&s->queue);

	return at == QUEUE_NONE ? INT64_MAX : queue_at(&s->queue, at)->face.next_attempt;
}

const struct spool_entry *spool_take(struct spool *s, int64_t mono)
{
	uint32_t at = queue_first(&s->queue);

	if (mono > s->mono)
		s->mono = mono;
	if (at == QUEUE_NONE || queue_at(&s->queue, at)->face.next_attempt > mono)
		return NULL;
	queue_unschedule(&s->queue, at);
	queue_at(&s->queue, at)->face.taken = true;
	return face(s, at);
}

static void give_back(struct spool *s, uint32_t at, int64_t mono)
{
	queue_at(&s->queue, at)->face.taken = false;
	queue_schedule(&s->queue, at, mono);
}

void spool_untake(struct spool *s, uint64_t id, int64_t mono)
{
	uint32_t at = queue_find(&s->queue, id);

	if (at != QUEUE_NONE)
		give_back(s, at, mono);
}

bool spool_hasten(struct spool *s, uint64_t id, int64_t mono)
{
	uint32_t at = queue_find(&s->queue, id);

	if (at == QUEUE_NONE || queue_at(&s->queue, at)->face.taken)
		return false;
	queue_schedule(&s->queue, at, mono);
	return true;
}

int spool_read_commit(struct spool *s, const struct queue_entry *e, struct commit *c)
{
	size_t size = RECORD_HEAD + (size_t)e->commit_length;
	struct record_head h;
	int error;

	if (!spool_grow(&s->scratch, &s->scratch_size, size))
		return -ENOMEM;
	error = journal_read_known(&s->journal, e->commit, s->scratch, e->commit_length, &h);
	if (error < 0)
		return error;
	if (h.type != RECORD_COMMIT || h.id != e->face.id ||
	    !commit_decode(slice_bytes((const char *)s->scratch + RECORD_HEAD, h.length), c))
		return -EILSEQ;
	return 0;
}

int spool_read_outcome(struct spool *s, const struct queue_entry *e, uint8_t *memory, struct outcome *o)
{
	struct record_head h;
	int error;

	if (e->outcome == 0)
		return -ENOENT;
	error = journal_read_record(&s->journal, e->outcome, memory, OUTCOME_RECORD_MAX, &h);
	if (error < 0)
		return error;
	if (h.type != RECORD_OUTCOME || h.id != e->face.id ||
	    !outcome_decode(slice_bytes((const char *)memory + RECORD_HEAD, h.length), o) ||
	    o->states.len != e->face.recipients)
		return -EILSEQ;
	return 0;
}

static int load_extents(struct spool_message *out, const struct commit *c)
{
	out->extents = out->extents_few;
	if (c->extent_count > sizeof(out->extents_few) / sizeof(out->extents_few[0]))
		out->extents = malloc(c->extent_count * sizeof(struct spool_extent));
	if (!out->extents)
		return -ENOMEM;
	out->extent_count = c->extent_count;
	for (uint32_t i = 0; i < c->extent_count; i++)
		extent_decode((const uint8_t *)c->extents.at + (size_t)i * EXTENT_LENGTH, &out->extents[i]);
	return 0;
}

static bool put_states(struct buffer *memory, struct slice states, uint32_t recipients)
{
	if (states.len > 0)
		return buffer_put(memory, states);
	for (uint32_t i = 0; i < recipients; i++)
		if (!buffer_put(memory, SLICE_OF("P")))
			return false;
	return true;
}

/* Envelope, states and reply behind each other in the caller's memory. */
static int keep_texts(struct buffer *memory, const struct commit *c, struct spool_message *out)
{
	buffer_clear(memory);
	if (!buffer_put(memory, c->envelope) || !put_states(memory, c->states, c->recipients) ||
	    !buffer_put(memory, c->reply))
		return -EMSGSIZE;
	out->states = slice_bytes(memory->at + c->envelope.len, c->recipients);
	out->last_reply = slice_bytes(memory->at + c->envelope.len + c->recipients, c->reply.len);
	out->size = c->size;
	return envelope_read(slice_bytes(memory->at, c->envelope.len), &out->envelope) &&
	       out->envelope.recipient_count == c->recipients ? 0 : -EILSEQ;
}

int spool_load(struct spool *s, uint64_t id, struct buffer *memory, struct spool_message *out)
{
	uint8_t record[OUTCOME_RECORD_MAX];
	uint32_t at = queue_find(&s->queue, id);
	struct outcome o;
	struct commit c;
	int error;

	*out = (struct spool_message){ .id = id };
	if (at == QUEUE_NONE)
		return -ENOENT;
	error = spool_read_commit(s, queue_at(&s->queue, at), &c);
	if (error < 0)
		return error;
	error = spool_read_outcome(s, queue_at(&s->queue, at), record, &o);
	if (error < 0 && error != -ENOENT)
		return error;
	if (error == 0) {
		c.states = o.states;
		c.reply = o.reply;
	}
	error = keep_texts(memory, &c, out);
	return error < 0 ? error : load_extents(out, &c);
}

static ssize_t read_at(struct spool *s, const struct spool_message *m, uint64_t offset, void *out, size_t size)
{
	for (uint32_t i = 0; i < m->extent_count; i++) {
		const struct spool_extent *e = &m->extents[i];
		const uint8_t *data;
		int error;

		if (offset >= e->length) {
			offset -= e->length;
			continue;
		}
		error = journal_read_data(&s->journal, m->id, e, &data);
		if (error < 0)
			return error;
		if (size > e->length - offset)
			size = (size_t)(e->length - offset);
		memcpy(out, data + offset, size);
		return (ssize_t)size;
	}
	return 0;
}

/* It was copied forward; its octets are the same at the new place. */
static int follow(struct spool *s, struct spool_message *m)
{
	uint32_t at = queue_find(&s->queue, m->id);
	struct commit c;
	int error;

	if (at == QUEUE_NONE)
		return -ESTALE;
	error = spool_read_commit(s, queue_at(&s->queue, at), &c);
	if (error < 0)
		return error;
	spool_message_end(m);
	return load_extents(m, &c);
}

ssize_t spool_read(struct spool *s, struct spool_message *m, uint64_t offset, void *out, size_t size)
{
	ssize_t n = read_at(s, m, offset, out, size);
	int error;

	if (n != -ESTALE)
		return n;
	error = follow(s, m);
	return error < 0 ? error : read_at(s, m, offset, out, size);
}

void spool_message_end(struct spool_message *m)
{
	if (m->extents != m->extents_few)
		free(m->extents);
	m->extents = NULL;
	m->extent_count = 0;
}

uint16_t spool_count_pending(struct slice states)
{
	uint16_t n = 0;

	for (size_t i = 0; i < states.len; i++)
		if (recipient_is_pending(states.at[i]))
			n++;
	return n;
}

int spool_outcome(struct spool *s, uint64_t id, struct slice states, int64_t next_wall, int64_t next_mono,
		  struct slice last_reply)
{
	uint32_t at = queue_find(&s->queue, id);
	struct outcome o = { .next_wall = next_wall, .states = states,
		.reply = slice_first(last_reply, SMTP_REPLY_TEXT_MAX) };
	uint8_t head[OUTCOME_HEAD];
	struct slice pieces[3] = { { (const char *)head, sizeof(head) }, o.states, o.reply };
	struct queue_entry *e;
	uint64_t place;
	int error;

	if (at == QUEUE_NONE)
		return -ENOENT;
	e = queue_at(&s->queue, at);
	if (states.len != e->face.recipients)
		return -EINVAL;
	s->stalled = false;
	if (spool_count_pending(states) == 0) {
		spool_done(s, id);
		spool_forget(s, at);
		return 0;
	}
	e->face.pending = spool_count_pending(states);
	o.attempts = ++e->face.attempts;
	give_back(s, at, next_mono);
	outcome_encode(&o, head);
	error = spool_put(s, RECORD_OUTCOME, id, pieces, 3, ROOM_OUTCOME, &place);
	if (error == 0)
		e->outcome = place;
	return error;
}
