/*
 * The log's octets: segment headers and records, encoded and decoded, pure. Little-endian by
 * shifts, so that every machine writes and reads the same spool.
 *
 * A segment begins with a header of 64 octets, of which the first 16 and the CRC keep their place in all
 * versions of the format:
 *
 *	 0 "SEKIMORI"   8 byte order mark   12 version   16 size   20 sequence   24 next id (8)   60 CRC
 *
 * Records follow at multiples of 8, padded with zeros. The CRC-32C covers the payload, then the
 * first 20 octets of the header:
 *
 *	 0 type (2)   2 mark (2)   4 payload length   8 message id (8)   16 sequence of the segment   20 CRC
 */
#ifndef SPOOL_RECORD_H
#define SPOOL_RECORD_H

#include "base/slice.h"

struct spool_extent;			/* spool/spool.h */

#define SEGMENT_HEAD	64
#define RECORD_HEAD	24
#define RECORD_ALIGN	8
#define EXTENT_LENGTH	12		/* octets of an extent on disk */
#define COMMIT_HEAD	48		/* octets of a COMMIT's payload before its extents */
#define OUTCOME_HEAD	24		/* octets of an OUTCOME's payload before its states */
#define MARK_LENGTH	16
/*
 * Octets of a payload. Below 2^24, so that a record's header always holds a NUL, which no mail
 * may hold (RFC 5321 4.5.2 and our own check): a mail can't carry a forged record for the search
 * after a damaged one to find.
 */
#define RECORD_LENGTH_MAX	0x00ffffffu
#define SPOOL_VERSION	1

enum record_type {
	RECORD_DATA = 1,		/* octets of a message */
	RECORD_COMMIT,			/* makes it a message; a second one of the same id replaces the first */
	RECORD_OUTCOME,			/* the whole state after an attempt; replaces what was before */
	RECORD_DONE,			/* the message is no more */
	RECORD_MARK			/* id 0: what of the log is alive, and what was flushed */
};

struct record_head {
	enum record_type type;
	uint32_t length;		/* of the payload */
	uint64_t id;
	uint32_t sequence;
	uint32_t crc;
};

enum segment_verdict { SEGMENT_GOOD, SEGMENT_DAMAGED, SEGMENT_NEWER, SEGMENT_FOREIGN };

struct segment_head {
	uint32_t version, size, sequence;
	uint64_t next_id;
};

void segment_head_encode(const struct segment_head *h, uint8_t out[SEGMENT_HEAD]);
enum segment_verdict segment_head_decode(const uint8_t in[SEGMENT_HEAD], struct segment_head *h);

/* Octets a record takes in its segment: header, payload, padding. */
static inline uint32_t record_span(uint32_t length)
{
	return (RECORD_HEAD + length + RECORD_ALIGN - 1) & ~(uint32_t)(RECORD_ALIGN - 1);
}

/* h->crc is taken as the CRC of the payload and completed here. */
void record_head_encode(const struct record_head *h, uint8_t out[RECORD_HEAD]);
/* False when this is no record of ours; says nothing of its payload. */
bool record_head_decode(const uint8_t in[RECORD_HEAD], struct record_head *h);
/* Bears the mark of a record: for a quick look at many places. */
bool record_is_marked(const uint8_t in[RECORD_HEAD]);
/* Header and payload (h->length octets behind it) are as they were written. */
bool record_sound(const uint8_t *at, const struct record_head *h);

/* What a COMMIT says; the slices point into its payload. */
struct commit {
	uint64_t size;			/* octets of all extents */
	int64_t arrived;		/* wall, seconds */
	int64_t next_wall;		/* of the next attempt, seconds; 0: at once */
	uint32_t attempts;
	uint32_t recipients;
	uint32_t extent_count;
	struct slice extents;		/* EXTENT_LENGTH octets each */
	struct slice envelope;
	struct slice states;		/* `recipients` octets, or empty: all pending */
	struct slice reply;
};

void commit_encode(const struct commit *c, uint8_t out[COMMIT_HEAD]);
bool commit_decode(struct slice payload, struct commit *c);

/* What an OUTCOME says. */
struct outcome {
	int64_t next_wall;
	uint32_t attempts;
	struct slice states, reply;
};

void outcome_encode(const struct outcome *o, uint8_t out[OUTCOME_HEAD]);
bool outcome_decode(struct slice payload, struct outcome *o);

/* What a MARK says: all before `flushed` was on stable storage, and nothing before segment `tail` is alive. */
struct mark {
	uint32_t tail;
	uint64_t flushed;		/* sequence << 32 | offset */
};

void mark_encode(const struct mark *m, uint8_t out[MARK_LENGTH]);
bool mark_decode(struct slice payload, struct mark *m);

void extent_encode(const struct spool_extent *e, uint8_t out[EXTENT_LENGTH]);
void extent_decode(const uint8_t in[EXTENT_LENGTH], struct spool_extent *e);

#endif
