#include "spool/record.h"

#include <string.h>

#include "base/crc32.h"
#include "spool/spool.h"

#define ORDER		0x01020304u
#define ORDER_FOREIGN	0x04030201u
#define RECORD_MARKED	0x6b53u		/* "Sk": tells a header from zeros and from text */

static const char magic[8] = { 'S', 'E', 'K', 'I', 'M', 'O', 'R', 'I' };

static void put16(uint8_t *out, uint32_t value)
{
	out[0] = (uint8_t)value;
	out[1] = (uint8_t)(value >> 8);
}

static void put32(uint8_t *out, uint32_t value)
{
	put16(out, value);
	put16(out + 2, value >> 16);
}

static void put64(uint8_t *out, uint64_t value)
{
	put32(out, (uint32_t)value);
	put32(out + 4, (uint32_t)(value >> 32));
}

static uint32_t get16(const uint8_t *in)
{
	return in[0] | (uint32_t)in[1] << 8;
}

static uint32_t get32(const uint8_t *in)
{
	return get16(in) | get16(in + 2) << 16;
}

static uint64_t get64(const uint8_t *in)
{
	return get32(in) | (uint64_t)get32(in + 4) << 32;
}

static struct slice octets(const uint8_t *at, size_t len)
{
	return slice_bytes((const char *)at, len);
}

void segment_head_encode(const struct segment_head *h, uint8_t out[SEGMENT_HEAD])
{
	memset(out, 0, SEGMENT_HEAD);
	memcpy(out, magic, sizeof(magic));
	put32(out + 8, ORDER);
	put32(out + 12, h->version);
	put32(out + 16, h->size);
	put32(out + 20, h->sequence);
	put64(out + 24, h->next_id);
	put32(out + 60, crc32c(0, octets(out, 60)));
}

/* A changed octet must not pass for another version: the CRC comes before the version. */
enum segment_verdict segment_head_decode(const uint8_t in[SEGMENT_HEAD], struct segment_head *h)
{
	if (memcmp(in, magic, sizeof(magic)) != 0)
		return SEGMENT_DAMAGED;
	if (get32(in + 8) == ORDER_FOREIGN)
		return SEGMENT_FOREIGN;
	if (get32(in + 60) != crc32c(0, octets(in, 60)) || get32(in + 8) != ORDER)
		return SEGMENT_DAMAGED;
	h->version = get32(in + 12);
	h->size = get32(in + 16);
	h->sequence = get32(in + 20);
	h->next_id = get64(in + 24);
	return h->version == SPOOL_VERSION ? SEGMENT_GOOD : SEGMENT_NEWER;
}

void record_head_encode(const struct record_head *h, uint8_t out[RECORD_HEAD])
{
	put16(out, h->type);
	put16(out + 2, RECORD_MARKED);
	put32(out + 4, h->length);
	put64(out + 8, h->id);
	put32(out + 16, h->sequence);
	put32(out + 20, crc32c(h->crc, octets(out, 20)));
}

bool record_is_marked(const uint8_t in[RECORD_HEAD])
{
	return get16(in + 2) == RECORD_MARKED;
}

bool record_head_decode(const uint8_t in[RECORD_HEAD], struct record_head *h)
{
	uint32_t type = get16(in);

	if (get16(in + 2) != RECORD_MARKED || type < RECORD_DATA || type > RECORD_MARK)
		return false;
	h->type = (enum record_type)type;
	h->length = get32(in + 4);
	h->id = get64(in + 8);
	h->sequence = get32(in + 16);
	h->crc = get32(in + 20);
	return h->length <= RECORD_LENGTH_MAX;
}

bool record_sound(const uint8_t *at, const struct record_head *h)
{
	uint32_t crc = crc32c(0, octets(at + RECORD_HEAD, h->length));

	return crc32c(crc, octets(at, 20)) == h->crc;
}

void commit_encode(const struct commit *c, uint8_t out[COMMIT_HEAD])
{
	put64(out, c->size);
	put64(out + 8, (uint64_t)c->arrived);
	put64(out + 16, (uint64_t)c->next_wall);
	put32(out + 24, c->attempts);
	put32(out + 28, c->extent_count);
	put32(out + 32, (uint32_t)c->envelope.len);
	put32(out + 36, c->recipients);
	put32(out + 40, (uint32_t)c->states.len);
	put32(out + 44, (uint32_t)c->reply.len);
}

/* The next n octets off *rest; false when there are fewer. */
static bool take(struct slice *rest, uint64_t n, struct slice *out)
{
	if (n > rest->len)
		return false;
	*out = slice_first(*rest, (size_t)n);
	*rest = slice_skip(*rest, (size_t)n);
	return true;
}

bool commit_decode(struct slice payload, struct commit *c)
{
	const uint8_t *in = (const uint8_t *)payload.at;
	struct slice rest = slice_skip(payload, COMMIT_HEAD);

	if (payload.len < COMMIT_HEAD)
		return false;
	c->size = get64(in);
	c->arrived = (int64_t)get64(in + 8);
	c->next_wall = (int64_t)get64(in + 16);
	c->attempts = get32(in + 24);
	c->extent_count = get32(in + 28);
	c->recipients = get32(in + 36);
	return take(&rest, (uint64_t)c->extent_count * EXTENT_LENGTH, &c->extents) &&
	       take(&rest, get32(in + 32), &c->envelope) &&
	       take(&rest, get32(in + 40), &c->states) &&
	       take(&rest, get32(in + 44), &c->reply) && rest.len == 0 &&
	       (c->states.len == 0 || c->states.len == c->recipients);
}

void outcome_encode(const struct outcome *o, uint8_t out[OUTCOME_HEAD])
{
	put64(out, (uint64_t)o->next_wall);
	put32(out + 8, o->attempts);
	put32(out + 12, (uint32_t)o->states.len);
	put32(out + 16, (uint32_t)o->reply.len);
	put32(out + 20, 0);
}

bool outcome_decode(struct slice payload, struct outcome *o)
{
	const uint8_t *in = (const uint8_t *)payload.at;
	struct slice rest = slice_skip(payload, OUTCOME_HEAD);

	if (payload.len < OUTCOME_HEAD)
		return false;
	o->next_wall = (int64_t)get64(in);
	o->attempts = get32(in + 8);
	return take(&rest, get32(in + 12), &o->states) && take(&rest, get32(in + 16), &o->reply) &&
	       rest.len == 0;
}

void mark_encode(const struct mark *m, uint8_t out[MARK_LENGTH])
{
	put32(out, m->tail);
	put32(out + 4, 0);
	put64(out + 8, m->flushed);
}

bool mark_decode(struct slice payload, struct mark *m)
{
	const uint8_t *in = (const uint8_t *)payload.at;

	if (payload.len != MARK_LENGTH)
		return false;
	m->tail = get32(in);
	m->flushed = get64(in + 8);
	return true;
}

void extent_encode(const struct spool_extent *e, uint8_t out[EXTENT_LENGTH])
{
	put32(out, e->segment);
	put32(out + 4, e->offset);
	put32(out + 8, e->length);
}

void extent_decode(const uint8_t in[EXTENT_LENGTH], struct spool_extent *e)
{
	e->segment = get32(in);
	e->offset = get32(in + 4);
	e->length = get32(in + 8);
}
