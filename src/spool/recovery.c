/*
 * Replay: the segments are read from the oldest to the newest; what the records say is applied in
 * that order. A damaged record is skipped by looking for the next sound one, so that it costs
 * no other message; octets of an older generation of a segment never count, since each record
 * carries its segment's sequence number.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "spool/inner.h"
#include "spool/scan.h"

#define DELAY_MAX	86400		/* seconds to the next attempt: further ahead it was put off by a clock that was wrong */
#define ID_CLOCK_BITS	18		/* ids begin at seconds << 18: past all that an earlier spool gave */
#define ID_BITS		50

struct range {				/* of a segment, damaged */
	uint64_t from, to;		/* places */
};

struct recovery {
	struct spool *s;
	struct fault *f;
	int64_t wall, mono;		/* s and ms: now */
	struct scan scan;
	uint32_t ends[SLOTS_MAX];	/* octets in each file */
	bool headless[SLOTS_MAX];	/* its header is damaged */
	struct range *ranges;		/* ascending */
	size_t range_count, range_room;
	uint32_t tail;
	uint64_t flushed;
};

/* Without memory the last range grows: more is taken for damaged than is. */
static void note_damage(struct recovery *r, const struct segment *g, uint32_t from, uint32_t to)
{
	struct range *grown;

	spool_report(r->s, "segment %u: damaged record at %u skipped", (unsigned)g->sequence, (unsigned)from);
	if (r->range_count == r->range_room) {
		grown = realloc(r->ranges, (r->range_room * 2 + 16) * sizeof(*grown));
		if (!grown && r->range_count > 0)
			r->ranges[r->range_count - 1].to = place_of(g->sequence, to);
		if (!grown)
			return;
		r->ranges = grown;
		r->range_room = r->range_room * 2 + 16;
	}
	r->ranges[r->range_count++] = (struct range){ place_of(g->sequence, from), place_of(g->sequence, to) };
}

static bool hits_damage(const struct recovery *r, uint64_t from, uint64_t to)
{
	size_t low = 0, high = r->range_count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (r->ranges[middle].to <= from)
			low = middle + 1;
		else
			high = middle;
	}
	return low < r->range_count && r->ranges[low].from < to;
}

/* All its octets are in what was read so far. */
static bool is_there(const struct recovery *r, const struct spool_extent *e)
{
	const struct segment *g = store_find(&r->s->journal.store, e->segment);
	uint64_t from = place_of(e->segment, e->offset);

	return g && e->offset >= SEGMENT_HEAD + RECORD_HEAD && e->offset <= g->written &&
	       e->length <= g->written - e->offset &&
	       !hits_damage(r, from - RECORD_HEAD, from + e->length);
}

/* Fills e in from a COMMIT at `place`. */
static void read_commit(const struct recovery *r, const struct commit *c, uint64_t place, struct queue_entry *e)
{
	uint64_t size = 0;

	e->face.size = c->size;
	e->face.arrived = c->arrived;
	e->face.attempts = c->attempts;
	e->face.recipients = e->face.pending = (uint16_t)c->recipients;
	if (c->states.len > 0)
		e->face.pending = spool_count_pending(c->states);
	e->face.next_attempt = c->next_wall;
	e->commit = place;
	e->outcome = 0;
	e->oldest = (uint32_t)(place >> 32);
	e->damaged = false;
	for (uint32_t i = 0; i < c->extent_count; i++) {
		struct spool_extent x;

		extent_decode((const uint8_t *)c->extents.at + (size_t)i * EXTENT_LENGTH, &x);
		size += x.length;
		e->damaged |= !is_there(r, &x);
		if (x.segment != 0 && x.segment < e->oldest)
			e->oldest = x.segment;
	}
	e->damaged |= size != c->size;
}

static void tell(struct recovery *r, uint64_t id, const char *what)
{
	char text[SPOOL_ID_TEXT];

	spool_id_text(id, text);
	spool_report(r->s, "message %s %s", text, what);
}

static bool apply_commit(struct recovery *r, const struct record_head *h, struct slice payload, uint64_t place)
{
	struct queue *q = &r->s->queue;
	struct queue_entry fresh = { .commit_length = h->length };
	uint32_t at = queue_find(q, h->id);
	struct queue_entry *e;
	struct commit c;

	if (h->id == 0 || !commit_decode(payload, &c) || c.recipients > UINT16_MAX)
		return true;
	read_commit(r, &c, place, &fresh);
	if (at != QUEUE_NONE && fresh.damaged)
		return true;		/* a copy that was never finished: what it copied is still there */
	if (at == QUEUE_NONE) {
		at = queue_new(q, h->id);
		if (at == QUEUE_NONE)
			return false;
		queue_show(q, at);
	}
	e = queue_at(q, at);
	fresh.face.id = h->id;
	e->face = fresh.face;
	e->commit = place;
	e->outcome = 0;
	e->commit_length = h->length;
	e->oldest = fresh.oldest;
	e->damaged = fresh.damaged;
	return true;
}

static bool apply_outcome(struct recovery *r, const struct record_head *h, struct slice payload, uint64_t place)
{
	uint32_t at = queue_find(&r->s->queue, h->id);
	struct queue_entry *e;
	struct outcome o;

	if (at == QUEUE_NONE || !outcome_decode(payload, &o))
		return true;
	e = queue_at(&r->s->queue, at);
	if (o.states.len != e->face.recipients)
		return true;
	e->outcome = place;
	e->face.attempts = o.attempts;
	e->face.pending = spool_count_pending(o.states);
	e->face.next_attempt = o.next_wall;
	return true;
}

static bool apply_done(struct recovery *r, const struct record_head *h, struct slice payload, uint64_t place)
{
	uint32_t at = queue_find(&r->s->queue, h->id);

	(void)payload;
	(void)place;
	if (at != QUEUE_NONE)
		queue_drop(&r->s->queue, at);
	return true;
}

static bool apply_mark(struct recovery *r, const struct record_head *h, struct slice payload, uint64_t place)
{
	struct mark m;

	if (!mark_decode(payload, &m) || m.tail > h->sequence || m.flushed > place)
		return true;
	if (m.tail > r->tail)
		r->tail = m.tail;
	if (m.flushed > r->flushed)
		r->flushed = m.flushed;
	return true;
}

/* By type; data is only looked at when a COMMIT names it. False: no memory. */
static bool (*const apply[])(struct recovery *r, const struct record_head *h, struct slice payload, uint64_t place) = {
	[RECORD_COMMIT] = apply_commit,
	[RECORD_OUTCOME] = apply_outcome,
	[RECORD_DONE] = apply_done,
	[RECORD_MARK] = apply_mark,
};

static bool apply_record(struct recovery *r, const uint8_t *at, const struct record_head *h, uint64_t place)
{
	struct journal *j = &r->s->journal;

	if (h->id >= j->next_id && h->id >> ID_BITS == 0)
		j->next_id = h->id + 1;
	if (!apply[h->type])
		return true;
	return apply[h->type](r, h, slice_bytes((const char *)at + RECORD_HEAD, h->length), place);
}

static void tell_end(struct recovery *r, const struct segment *g)
{
	const uint8_t *at = scan_look(&r->scan, g->written, RECORD_HEAD);
	struct record_head h;

	if (at && record_head_decode(at, &h) && h.sequence == g->sequence)
		spool_report(r->s, "segment %u: unfinished record at %u", (unsigned)g->sequence, (unsigned)g->written);
}

static bool replay(struct recovery *r, struct segment *g)
{
	uint32_t offset = SEGMENT_HEAD;
	struct record_head h;

	scan_show(&r->scan, g->fd, r->ends[g->slot]);
	g->written = SEGMENT_HEAD;
	while (offset != 0) {
		const uint8_t *at = scan_record(&r->scan, offset, g->sequence, &h);

		if (!at) {
			offset = scan_resume(&r->scan, g->written, g->sequence);
			if (offset != 0)
				note_damage(r, g, g->written, offset);
			continue;
		}
		g->written = offset + record_span(h.length);
		if (!apply_record(r, at, &h, place_of(g->sequence, offset)))
			return fault_set(r->f, STATUS_TEMPORARY, "spool: no memory");
		offset = g->written;
	}
	tell_end(r, g);
	g->flushed = g->written;
	return true;
}

/* The newest generation that any record tells of. */
static uint32_t sequence_by_records(struct recovery *r)
{
	uint32_t offset = SEGMENT_HEAD, sequence = 0;
	struct record_head h;

	while ((offset = scan_search(&r->scan, offset, 0, &h)) != 0) {
		if (h.sequence > sequence)
			sequence = h.sequence;
		offset += record_span(h.length);
	}
	return sequence;
}

static void resize(struct store *st, struct segment *g, uint32_t size)
{
	st->total = st->total - g->size + size;
	g->size = size;
}

static bool good_head(struct recovery *r, struct segment *g, const struct segment_head *h)
{
	g->sequence = h->sequence;
	if (h->size >= SEGMENT_HEAD && h->size <= INT32_MAX)
		resize(&r->s->journal.store, g, h->size);
	if (h->next_id > r->s->journal.next_id && h->next_id >> ID_BITS == 0)
		r->s->journal.next_id = h->next_id;
	return true;
}

/* A file that was made ahead and never written has no header: no cause for a report. */
static bool damaged_head(struct recovery *r, struct segment *g)
{
	g->sequence = sequence_by_records(r);
	r->headless[g->slot] = true;
	if (g->sequence != 0)
		spool_report(r->s, "seg-%04u: damaged header, its records are read", (unsigned)g->slot);
	else
		g->filled = 0;
	return true;
}

static bool read_head(struct recovery *r, struct segment *g)
{
	const uint8_t *at;
	struct segment_head h;
	enum segment_verdict verdict = SEGMENT_DAMAGED;

	scan_show(&r->scan, g->fd, r->ends[g->slot]);
	at = scan_look(&r->scan, 0, SEGMENT_HEAD);
	if (at)
		verdict = segment_head_decode(at, &h);
	switch (verdict) {
	case SEGMENT_GOOD:
		return good_head(r, g, &h);
	case SEGMENT_NEWER:
		return fault_set(r->f, STATUS_CONFIG, "spool: seg-%04u is of format %u, this program knows %u",
				 (unsigned)g->slot, (unsigned)h.version, (unsigned)SPOOL_VERSION);
	case SEGMENT_FOREIGN:
		return fault_set(r->f, STATUS_CONFIG, "spool: seg-%04u was written with another byte order",
				 (unsigned)g->slot);
	case SEGMENT_DAMAGED:
		break;
	}
	return damaged_head(r, g);
}

static bool open_files(struct recovery *r)
{
	struct store *st = &r->s->journal.store;

	for (unsigned i = 0; i < SLOTS_MAX; i++) {
		int error = store_open(st, i);

		if (error == -ENOENT)
			continue;
		if (error < 0)
			return fault_set(r->f, error == -EACCES || error == -EPERM ? STATUS_DENIED : STATUS_TEMPORARY,
					 "spool: seg-%04u: %s", i, strerror(-error));
		r->ends[i] = st->slots[i].size;
		if (!read_head(r, &st->slots[i]))
			return false;
	}
	return true;
}

static int by_sequence(const void *a, const void *b)
{
	const struct segment *x = *(struct segment *const *)a, *y = *(struct segment *const *)b;

	return x->sequence < y->sequence ? -1 : x->sequence > y->sequence;
}

/* Never written ones are idle, and of two with one number (a copied file) the second. */
static void line_up(struct store *st)
{
	struct segment *all[SLOTS_MAX];
	unsigned n = 0;

	for (unsigned i = 0; i < SLOTS_MAX; i++)
		if (st->slots[i].fd >= 0)
			all[n++] = &st->slots[i];
	qsort(all, n, sizeof(struct segment *), by_sequence);
	for (unsigned i = 0; i < n; i++) {
		if (all[i]->sequence == 0 || all[i]->sequence == st->sequence) {
			store_idle(st, all[i]);
			continue;
		}
		st->log[st->log_count++] = all[i];
		st->sequence = all[i]->sequence;
	}
}

/* What follows the last MARK's tail is the log. */
static void cut_tail(struct recovery *r)
{
	struct store *st = &r->s->journal.store;

	while (st->log_count > 0 && st->log[0]->sequence < r->tail)
		store_retire(st);
	if (r->tail == 0)
		r->tail = st->log_count > 0 ? st->log[0]->sequence : st->sequence + 1;
	st->durable_tail = r->s->marked_tail = r->tail;
}

/*
 * The data of an acknowledged message can only be missing by damage: it stays, and who reads it is told. Of
 * one whose flush nobody saw the end of, the client knows that it isn't ours.
 */
static bool keeps(struct recovery *r, const struct queue_entry *e)
{
	if (e->commit < place_of(r->tail, 0))
		return false;
	if (e->oldest < r->tail) {
		tell(r, e->face.id, "dropped: its data is gone, it was finished before");
		return false;
	}
	if (!e->damaged)
		return true;
	if (e->commit < r->flushed) {
		tell(r, e->face.id, "has damaged data");
		return true;
	}
	tell(r, e->face.id, "dropped: it was not complete");
	return false;
}

static uint32_t oldest_there(const struct store *st, uint32_t oldest)
{
	for (unsigned i = 0; i < st->log_count; i++)
		if (st->log[i]->sequence >= oldest)
			return st->log[i]->sequence;
	return 0;
}

static void enter(struct recovery *r, uint32_t at)
{
	struct spool *s = r->s;
	struct queue_entry *e = queue_at(&s->queue, at);
	uint32_t oldest = oldest_there(&s->journal.store, e->oldest);
	int64_t next = e->face.next_attempt, delay = next > r->wall ? next - r->wall : 0;

	e->oldest = 0;
	spool_bind(s, at, oldest);
	s->live += spool_cost(e);
	if (delay > DELAY_MAX)
		delay = 0;
	queue_schedule(&s->queue, at, r->mono + delay * 1000);
}

static void drop(struct recovery *r, uint32_t at)
{
	struct spool *s = r->s;
	uint64_t id = queue_at(&s->queue, at)->face.id;
	bool dead = queue_at(&s->queue, at)->commit < place_of(r->tail, 0);

	queue_drop(&s->queue, at);
	if (dead || s->done_count == DONES_MAX)
		return;
	s->dones[s->done_count++] = (struct done){ .id = id };
	s->repair = true;
}

static void enter_all(struct recovery *r)
{
	uint32_t at;

	for (uint64_t id = 0; (at = queue_above(&r->s->queue, id)) != QUEUE_NONE;) {
		id = queue_at(&r->s->queue, at)->face.id;
		if (keeps(r, queue_at(&r->s->queue, at)))
			enter(r, at);
		else
			drop(r, at);
	}
}

/* What is read may be in the page cache only; what follows relies on it. */
static bool flush_all(struct recovery *r)
{
	struct store *st = &r->s->journal.store;

	for (unsigned i = 0; i < st->log_count; i++) {
		int error = st->files->fdatasync(st->log[i]->fd);

		if (error < 0)
			return fault_set(r->f, STATUS_TEMPORARY, "spool: seg-%04u: %s",
					 (unsigned)st->log[i]->slot, strerror(-error));
	}
	return true;
}

/*
 * Behind the last sound record there is none of this generation, so that none can appear later. Whether those blocks were
 * ever written isn't known, where the file system made them ahead.
 */
static void go_on(struct recovery *r)
{
	struct journal *j = &r->s->journal;
	struct segment *last = j->store.log_count > 0 ? j->store.log[j->store.log_count - 1] : NULL;

	if (!last || r->headless[last->slot] || last->size != j->store.segment_size || last->written > last->size)
		return;
	j->head = last;
	if (r->ends[last->slot] == last->size)
		last->filled = last->written;
}

static bool run(struct recovery *r)
{
	struct store *st = &r->s->journal.store;

	if (!open_files(r))
		return false;
	line_up(st);
	for (unsigned i = 0; i < st->log_count; i++)
		if (!replay(r, st->log[i]))
			return false;
	cut_tail(r);
	enter_all(r);
	go_on(r);
	if (!flush_all(r))
		return false;
	spool_reclaim(r->s);
	store_trim(st);
	return true;
}

static void past_clock(struct journal *j, int64_t wall)
{
	if (wall > 0 && wall < (int64_t)1 << (ID_BITS - ID_CLOCK_BITS) &&
	    (uint64_t)wall << ID_CLOCK_BITS > j->next_id)
		j->next_id = (uint64_t)wall << ID_CLOCK_BITS;
}

bool recovery_run(struct spool *s, int64_t wall, int64_t mono, struct fault *f)
{
	struct recovery *r = calloc(1, sizeof(*r));
	bool done = false;

	if (!r)
		return fault_set(f, STATUS_TEMPORARY, "spool: no memory");
	r->s = s;
	r->f = f;
	r->wall = wall;
	r->mono = mono;
	r->scan.files = s->journal.store.files;
	r->scan.window = malloc(SCAN_WINDOW);
	s->journal.next_id = 1;
	if (r->scan.window)
		done = run(r);
	else
		fault_set(f, STATUS_TEMPORARY, "spool: no memory");
	past_clock(&s->journal, wall);
	free(r->ranges);
	free(r->scan.window);
	free(r);
	return done;
}
