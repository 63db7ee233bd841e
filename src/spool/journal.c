#include "spool/journal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32.h"

#define AHEAD		(1u << 20)	/* octets zeroed ahead in a new file: some 100 messages */
#define BULK		(AHEAD / 4)	/* octets in one flush that need no haste any more */
#define AHEAD_PIECE	16384u

bool journal_init(struct journal *j, const struct spool_files *files, uint64_t budget)
{
	memset(j, 0, sizeof(*j));
	store_init(&j->store, files, budget);
	j->buffer = malloc(JOURNAL_BUFFER);
	j->cache = malloc(RECORD_HEAD + CHUNK_SIZE);
	return j->buffer && j->cache;
}

void journal_free(struct journal *j)
{
	store_close(&j->store);
	free(j->buffer);
	free(j->cache);
	free(j->lost.octets);
}

static uint32_t end_of(const struct journal *j, const struct segment *g)
{
	return g == j->head ? g->written + j->held : g->written;
}

uint64_t journal_end(const struct journal *j)
{
	return j->head ? place_of(j->head->sequence, end_of(j, j->head)) : 0;
}

uint32_t journal_rest(const struct journal *j)
{
	return j->head ? j->head->size - end_of(j, j->head) : 0;
}

/* Keeps what was not written yet: the state of a message may be in it. */
static void keep_lost(struct journal *j)
{
	uint8_t *fresh = malloc(JOURNAL_BUFFER);

	if (!fresh)
		return;
	free(j->lost.octets);
	j->lost = (struct journal_lost){ .sequence = j->head->sequence, .offset = j->head->written,
		.length = j->held, .octets = j->buffer };
	j->buffer = fresh;
}

/* After a failed flush the page cache can't be trusted, after a failed write the file's end can't. */
static void abandon(struct journal *j, struct segment *g, int error)
{
	g->failed = true;
	j->broken = true;
	j->error = error;
	if (g != j->head)
		return;
	keep_lost(j);
	j->head = NULL;
	j->held = 0;
	j->open_id = 0;
}

/* Completes the record that could still grow. The buffer's free part is not zero: neither is the padding. */
void journal_seal(struct journal *j)
{
	struct record_head h = { RECORD_DATA, j->open_length, j->open_id, 0, j->open_crc };
	uint32_t end;

	if (j->open_id == 0)
		return;
	h.sequence = j->head->sequence;
	record_head_encode(&h, j->buffer + j->open_at);
	end = j->open_at + record_span(j->open_length);
	memset(j->buffer + j->held, 0, end - j->held);
	j->held = end;
	j->open_id = 0;
}

static int write_all(struct journal *j)
{
	struct segment *g = j->head;
	uint32_t done = 0;

	while (done < j->held) {
		ssize_t n = j->store.files->pwrite(g->fd, j->buffer + done, j->held - done,
						   (off_t)g->written + done);
		if (n == -EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? (int)n : -EIO;
		done += (uint32_t)n;
	}
	g->written += done;
	if (g->filled < g->written)
		g->filled = g->written;
	j->appended += done;
	j->held = 0;
	return 0;
}

int journal_write(struct journal *j)
{
	int error;

	if (!j->head || j->held == 0)
		return 0;
	journal_seal(j);
	error = write_all(j);
	if (error < 0)
		abandon(j, j->head, error);
	return error;
}

static void put_segment_head(struct journal *j)
{
	const struct segment_head h = { SPOOL_VERSION, j->head->size, j->head->sequence, j->next_id };

	segment_head_encode(&h, j->buffer);
	j->held = SEGMENT_HEAD;
}

/* Room for `span` octets in the segment, in another one if need be. */
static int make_room(struct journal *j, uint32_t span, enum room purpose)
{
	struct segment *g;
	int error;

	if (span > j->store.segment_size - SEGMENT_HEAD)
		return -EMSGSIZE;
	journal_seal(j);
	if (span <= journal_rest(j))
		return 0;
	error = store_provide(&j->store, (unsigned)purpose + 1);
	if (error < 0)
		return error;
	error = journal_write(j);
	if (error < 0)
		return error;
	error = store_begin(&j->store, purpose, &g);
	if (error < 0)
		return error;
	j->head = g;
	put_segment_head(j);
	return 0;
}

static int put_octets(struct journal *j, struct slice octets)
{
	while (octets.len > 0) {
		uint32_t n = JOURNAL_BUFFER - j->held;
		int error;

		if (n == 0) {
			error = journal_write(j);
			if (error < 0)
				return error;
			continue;
		}
		if (octets.len < n)
			n = (uint32_t)octets.len;
		memcpy(j->buffer + j->held, octets.at, n);
		j->held += n;
		octets = slice_skip(octets, n);
	}
	return 0;
}

static int put_record(struct journal *j, struct record_head *h, const struct slice *pieces, unsigned count)
{
	static const char zeros[RECORD_ALIGN];
	uint32_t padding = record_span(h->length) - RECORD_HEAD - h->length;
	uint8_t head[RECORD_HEAD];
	int error;

	h->sequence = j->head->sequence;
	record_head_encode(h, head);
	error = put_octets(j, slice_bytes((const char *)head, sizeof(head)));
	for (unsigned i = 0; i < count && error == 0; i++)
		error = put_octets(j, pieces[i]);
	return error < 0 ? error : put_octets(j, slice_bytes(zeros, padding));
}

/* A write that fails costs its segment; the record gets one more chance in the next. */
int journal_put(struct journal *j, enum record_type type, uint64_t id, const struct slice *pieces, unsigned count,
		enum room purpose, uint64_t *place)
{
	struct record_head h = { .type = type, .id = id };
	size_t length = 0;
	int error = 0;

	for (unsigned i = 0; i < count; i++) {
		length += pieces[i].len;
		h.crc = crc32c(h.crc, pieces[i]);
	}
	if (length > RECORD_LENGTH_MAX)
		return -EMSGSIZE;
	h.length = (uint32_t)length;
	for (int tries = 0; tries < 2; tries++) {
		error = make_room(j, record_span(h.length), purpose);
		if (error == -ENOSPC || error == -EMSGSIZE)
			break;
		if (error < 0)
			continue;
		*place = place_of(j->head->sequence, end_of(j, j->head));
		error = put_record(j, &h, pieces, count);
		if (error == 0)
			break;
	}
	return error;
}

static bool can_grow(const struct journal *j, uint64_t id, struct slice data)
{
	return j->open_id == id && j->open_length + data.len <= CHUNK_SIZE &&
	       record_span((uint32_t)data.len) <= JOURNAL_BUFFER - j->held &&
	       record_span((uint32_t)data.len) <= journal_rest(j);
}

static int open_record(struct journal *j, uint64_t id, uint32_t span, enum room purpose)
{
	int error = make_room(j, span, purpose);

	if (error == 0 && span > JOURNAL_BUFFER - j->held)
		error = journal_write(j);
	if (error < 0)
		return error;
	j->open_id = id;
	j->open_at = j->held;
	j->open_length = j->open_crc = 0;
	j->held += RECORD_HEAD;
	return 0;
}

int journal_put_data(struct journal *j, uint64_t id, struct slice data, enum room purpose, struct spool_extent *e,
		     bool *grew)
{
	int error;

	if (data.len > CHUNK_SIZE)
		return -EMSGSIZE;
	*grew = can_grow(j, id, data);
	if (!*grew) {
		error = open_record(j, id, record_span((uint32_t)data.len), purpose);
		if (error < 0)
			return error;
	}
	*e = (struct spool_extent){ j->head->sequence, end_of(j, j->head), (uint32_t)data.len };
	memcpy(j->buffer + j->held, data.at, data.len);
	j->held += (uint32_t)data.len;
	j->open_length += (uint32_t)data.len;
	j->open_crc = crc32c(j->open_crc, data);
	return 0;
}

static struct segment *oldest_dirty(const struct journal *j)
{
	for (unsigned i = 0; i < j->store.log_count; i++) {
		struct segment *g = j->store.log[i];

		if (!g->failed && g->flushed < end_of(j, g))
			return g;
	}
	return NULL;
}

uint64_t journal_durable(const struct journal *j)
{
	const struct segment *g = oldest_dirty(j);

	return g ? place_of(g->sequence, g->flushed) : UINT64_MAX;
}

/*
 * A flush of blocks that were allocated but never written waits for the file system's own journal,
 * too (ext4: 1,000 flushes a second instead of 7,000). Zeros written ahead make that one flush in many. Bulk would
 * only be written twice by it, and waits for its own octets anyway. When zeros can't be written nothing is lost.
 */
static void write_ahead(const struct journal *j, struct segment *g)
{
	static uint8_t zeros[AHEAD_PIECE];	/* never written; const, they would take as much of the flash */
	uint32_t to = g->size - g->written < AHEAD ? g->size : g->written + AHEAD;

	if (g->filled > g->written || g->written - g->flushed > BULK)
		return;
	for (uint32_t at = g->written; at < to; at += AHEAD_PIECE) {
		uint32_t n = to - at < AHEAD_PIECE ? to - at : AHEAD_PIECE;

		if (j->store.files->pwrite(g->fd, zeros, n, (off_t)at) < 0)
			break;
	}
	g->filled = to;
}

/* The names of new files first: a flushed file that has no name is lost, too. */
int journal_flush(struct journal *j)
{
	struct segment *g = oldest_dirty(j);

	if (j->store.dir_dirty) {
		j->store.dir_dirty = false;
		j->flushing_dir = j->busy = true;
		return j->store.dir;
	}
	if (!g || g->written == g->flushed)
		return -1;
	if (g == j->head)
		write_ahead(j, g);
	j->flushing = g;
	j->flushing_to = g->written;
	j->busy = true;
	return g->fd;
}

/* Without its name on disk a new segment is as good as lost; which of them are new isn't kept. */
static void abandon_dirty(struct journal *j, int error)
{
	struct segment *g;

	j->store.dir_dirty = true;
	while ((g = oldest_dirty(j)))
		abandon(j, g, error);
}

void journal_flushed(struct journal *j, int result)
{
	struct segment *g = j->flushing;

	if (j->flushing_dir && result < 0)
		abandon_dirty(j, result);
	if (g && !g->failed && result < 0)
		abandon(j, g, result);
	if (g && !g->failed)
		g->flushed = j->flushing_to;
	j->busy = j->flushing_dir = false;
	j->flushing = NULL;
}

bool journal_is_lost(const struct journal *j, uint64_t place)
{
	const struct segment *g = store_find(&j->store, (uint32_t)(place >> 32));

	return !g || (g->failed && (uint32_t)place >= g->flushed);
}

static int read_file(const struct journal *j, const struct segment *g, uint32_t offset, uint8_t *out, size_t len)
{
	while (len > 0) {
		ssize_t n = j->store.files->pread(g->fd, out, len, (off_t)offset);

		if (n == -EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? (int)n : -EILSEQ;
		out += n;
		offset += (uint32_t)n;
		len -= (size_t)n;
	}
	return 0;
}

/* Octets of `from` that begin at `base` of a segment, where they overlap what is wanted. */
static bool read_memory(const uint8_t *from, uint32_t base, uint32_t held, uint32_t offset, uint8_t *out, size_t len)
{
	if (offset < base || offset - base > held || len > held - (offset - base))
		return false;
	memcpy(out, from + (offset - base), len);
	return true;
}

int journal_read(struct journal *j, uint64_t place, void *out, size_t len)
{
	const struct segment *g = store_find(&j->store, (uint32_t)(place >> 32));
	uint32_t offset = (uint32_t)place;
	size_t early;
	int error;

	if (!g)
		return -EILSEQ;
	early = offset >= g->written ? 0 : g->written - offset;
	if (early > len)
		early = len;
	error = read_file(j, g, offset, out, early);
	if (error < 0 || early == len)
		return error;
	offset += (uint32_t)early;
	if (g == j->head)
		return read_memory(j->buffer, g->written, j->held, offset, (uint8_t *)out + early, len - early) ?
		       0 : -EILSEQ;
	if (j->lost.octets && j->lost.sequence == g->sequence &&
	    read_memory(j->lost.octets, j->lost.offset, j->lost.length, offset, (uint8_t *)out + early, len - early))
		return 0;
	return -EILSEQ;
}

int journal_read_record(struct journal *j, uint64_t place, uint8_t *out, size_t room, struct record_head *h)
{
	int error;

	if (room < RECORD_HEAD)
		return -EMSGSIZE;
	error = journal_read(j, place, out, RECORD_HEAD);
	if (error < 0)
		return error;
	if (!record_head_decode(out, h) || h->sequence != (uint32_t)(place >> 32))
		return -EILSEQ;
	if (h->length > room - RECORD_HEAD)
		return -EMSGSIZE;
	error = journal_read(j, place + RECORD_HEAD, out + RECORD_HEAD, h->length);
	if (error < 0)
		return error;
	return record_sound(out, h) ? 0 : -EILSEQ;
}

int journal_read_known(struct journal *j, uint64_t place, uint8_t *out, uint32_t length, struct record_head *h)
{
	int error = journal_read(j, place, out, (size_t)RECORD_HEAD + length);

	if (error < 0)
		return error;
	if (!record_head_decode(out, h) || h->sequence != (uint32_t)(place >> 32) || h->length != length)
		return -EILSEQ;
	return record_sound(out, h) ? 0 : -EILSEQ;
}

static bool is_data_of(const struct record_head *h, uint64_t id, const struct spool_extent *e)
{
	return h->type == RECORD_DATA && h->id == id && h->length == e->length;
}

int journal_read_data(struct journal *j, uint64_t id, const struct spool_extent *e, const uint8_t **out)
{
	uint64_t place = place_of(e->segment, e->offset - RECORD_HEAD);
	struct record_head h;
	int error;

	*out = j->cache + RECORD_HEAD;
	if (e->length > CHUNK_SIZE || e->offset < SEGMENT_HEAD + RECORD_HEAD)
		return -EILSEQ;
	if (!store_find(&j->store, e->segment))
		return -ESTALE;
	if (j->cached == place && record_head_decode(j->cache, &h) && is_data_of(&h, id, e))
		return 0;
	j->cached = 0;
	error = journal_read_known(j, place, j->cache, e->length, &h);
	if (error < 0)
		return error;
	if (!is_data_of(&h, id, e))
		return -EILSEQ;
	j->cached = place;
	return 0;
}
