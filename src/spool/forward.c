/*
 * Copying forward: a message that stays long would keep its segment, and all after it, in the log.
 * When room is short, what is alive in the oldest segment is appended again, a little with each
 * flush; a message is taken to be at its new place once that is flushed. So the log is a circle.
 */
#include <errno.h>
#include <stdlib.h>

#include "spool/inner.h"

#define TRIES		100u		/* reads that fail, about one a flush, before a message is given up */
#define STEP		(128u << 10)	/* octets copied with a flush, besides twice what was written since */

/* Of a segment that was left for good, the rest is dead, too. */
static uint64_t log_octets(const struct store *st)
{
	uint64_t octets = 0;

	for (unsigned i = 0; i < st->log_count; i++)
		octets += st->log[i]->failed ? st->log[i]->size : st->log[i]->written;
	return octets;
}

/* What mail may still bring is less than `octets`. */
static bool is_short(const struct store *st, uint64_t octets)
{
	return store_room(st, ROOM_FORWARD) <= octets + (uint64_t)ROOM_MAIL * st->segment_size;
}

/* Two dead segments at least: less would be copied round for nothing. */
bool forward_helps(const struct spool *s)
{
	const struct store *st = &s->journal.store;

	return is_short(st, st->budget / 8) &&
	       log_octets(st) > s->live + 2 * (uint64_t)st->segment_size;
}

/*
 * Who is being delivered has mostly gone a moment later, and is spared the copying. One that hangs must not hold the log until others
 * are refused.
 */
static bool may_move(const struct spool *s, const struct queue_entry *e)
{
	const struct store *st = &s->journal.store;

	return !e->face.taken || is_short(st, st->budget / 16);
}

/*
 * A medium that fails to read may do better the next time; only what stays unreadable is given up: else it
 * would hold the log for ever.
 */
static bool is_hopeless(struct spool *s, int error)
{
	return error == -EILSEQ || (error == -EIO && ++s->unreadable >= TRIES);
}

static void hole(struct spool *s, struct spool_extent *e)
{
	spool_report(s, "segment %u: damaged data at %u", (unsigned)e->segment, (unsigned)e->offset);
	*e = (struct spool_extent){ .length = e->length };
}

static void spend(struct spool *s, uint64_t octets)
{
	s->step_left -= s->step_left < octets ? s->step_left : octets;
}

/* Copies the extents that are in `tail`, until the step is used up. */
static int copy_extents(struct spool *s, uint64_t id, uint32_t tail, struct spool_extent *extents, uint32_t count)
{
	for (uint32_t i = 0; i < count && s->step_left > 0; i++) {
		struct spool_extent *e = &extents[i];
		const uint8_t *data;
		bool grew;
		int error;

		if (e->segment != tail)
			continue;
		spend(s, e->length);
		error = journal_read_data(&s->journal, id, e, &data);
		if (error < 0 && !is_hopeless(s, error))
			return error;
		if (error < 0) {
			hole(s, e);
			continue;
		}
		journal_seal(&s->journal);
		error = journal_put_data(&s->journal, id, slice_bytes((const char *)data, e->length), ROOM_FORWARD, e,
					 &grew);
		spool_settle(s);
		if (error < 0)
			return error;
	}
	return 0;
}

/* `oldest`, when none of them is older. */
static uint32_t oldest_of(const struct spool_extent *extents, uint32_t count, uint32_t oldest)
{
	for (uint32_t i = 0; i < count; i++)
		if (extents[i].segment != 0 && extents[i].segment < oldest)
			oldest = extents[i].segment;
	return oldest;
}

/* Only what was flushed is moved for good; a step that fails is forgotten as a whole. */
static int move_extents(struct spool *s, uint32_t at, struct commit *c, struct spool_extent *extents)
{
	struct queue_entry *e = queue_at(&s->queue, at);
	struct move m = { .id = e->face.id, .entry = at };
	int error = copy_extents(s, m.id, e->oldest, extents, c->extent_count);

	if (error == 0)
		error = spool_put_commit(s, m.id, c, extents, ROOM_FORWARD, &m.commit, &m.commit_length);
	if (error < 0 || s->repair)
		return error < 0 ? error : -EIO;
	spend(s, m.commit_length);
	m.oldest = oldest_of(extents, c->extent_count, (uint32_t)(m.commit >> 32));
	s->unreadable = 0;
	s->moves[s->move_count++] = m;
	return 0;
}

static int move_read(struct spool *s, uint32_t at, struct commit *c)
{
	struct spool_extent *extents = calloc(c->extent_count + 1, sizeof(*extents));
	int error;

	if (!extents)
		return -ENOMEM;
	for (uint32_t i = 0; i < c->extent_count; i++)
		extent_decode((const uint8_t *)c->extents.at + (size_t)i * EXTENT_LENGTH, &extents[i]);
	error = move_extents(s, at, c, extents);
	free(extents);
	return error;
}

/* What can't be read can't be delivered either; but whoever delivers it already has read it. */
static int drop(struct spool *s, uint32_t at)
{
	char text[SPOOL_ID_TEXT];
	uint64_t id = queue_at(&s->queue, at)->face.id;

	spool_id_text(id, text);
	spool_report(s, "message %s lost: its record is damaged", text);
	spool_done(s, id);
	spool_forget(s, at);
	return 0;
}

static int move_message(struct spool *s, uint32_t at)
{
	uint8_t record[OUTCOME_RECORD_MAX];
	struct queue_entry *e = queue_at(&s->queue, at);
	struct outcome o;
	struct commit c;
	int error = spool_read_commit(s, e, &c);

	if (error < 0)
		return !e->face.taken && is_hopeless(s, error) ? drop(s, at) : error;
	error = spool_read_outcome(s, e, record, &o);
	if (error < 0 && error != -ENOENT && !is_hopeless(s, error))
		return error;
	if (error == 0) {
		c.states = o.states;
		c.reply = o.reply;
		c.next_wall = o.next_wall;
	}
	c.attempts = e->face.attempts;
	return move_read(s, at, &c);
}

/* A slow client must not hold the log either. Its extents are only in memory: they change at once. */
static int move_writer(struct spool *s, struct queue_entry *e)
{
	struct spool_writer *w = s->open;
	int error;

	while (w && w->id != e->face.id)
		w = w->next;
	if (!w)
		return 0;
	error = copy_extents(s, w->id, e->oldest, w->extents, w->extent_count);
	if (error == 0)
		spool_bind(s, w->entry, oldest_of(w->extents, w->extent_count, UINT32_MAX));
	return error;
}

static int move(struct spool *s, uint32_t at)
{
	struct queue_entry *e = queue_at(&s->queue, at);

	if (!e->shown)
		return move_writer(s, e);
	return may_move(s, e) ? move_message(s, at) : 0;
}

void forward_step(struct spool *s)
{
	const struct store *st = &s->journal.store;
	uint32_t at, next;

	s->step_left = STEP + 2 * (s->journal.appended - s->moved_at);
	s->moved_at = s->journal.appended;
	s->push = false;
	if (s->move_count > 0 || s->repair || st->log_count < 2 || !forward_helps(s))
		return;
	for (at = st->log[0]->first; at != QUEUE_NONE && s->step_left > 0 && s->move_count < MOVES_MAX; at = next) {
		next = queue_at(&s->queue, at)->after;
		if (move(s, at) < 0 || s->repair)
			break;
	}
	s->moves_end = journal_end(&s->journal);
}

static void take_over(struct spool *s, const struct move *m)
{
	struct queue_entry *e = queue_at(&s->queue, m->entry);

	if (e->face.id != m->id || !may_move(s, e))
		return;
	s->live -= spool_cost(e);
	e->commit = m->commit;
	e->commit_length = m->commit_length;
	s->live += spool_cost(e);
	if (e->outcome < m->commit)
		e->outcome = 0;
	spool_bind(s, m->entry, m->oldest);
}

void forward_settle(struct spool *s)
{
	if (s->move_count == 0 || s->moves_end > journal_durable(&s->journal))
		return;
	for (unsigned i = 0; i < s->move_count; i++)
		take_over(s, &s->moves[i]);
	s->move_count = 0;
	s->push = forward_helps(s);
}
