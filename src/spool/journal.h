/*
 * The written end of the log: one buffer that collects the records of all sessions, the segment it
 * goes to, and which of it all is on stable storage. Knows nothing of messages.
 *
 * A segment whose write or flush failed is left for good. The octets of it that were not on stable
 * storage are lost (journal_is_lost), `broken` tells the owner to see to that, and the log goes on
 * in another segment.
 */
#ifndef SPOOL_JOURNAL_H
#define SPOOL_JOURNAL_H

#include "base/limits.h"
#include "spool/spool.h"
#include "spool/store.h"

#define JOURNAL_BUFFER	(256u << 10)	/* octets collected for one write */

struct journal_lost {			/* octets that never reached a failed segment's file */
	uint32_t sequence, offset, length;
	uint8_t *octets;
};

struct journal {
	struct store store;
	uint64_t next_id;		/* written into the head of each new segment */
	struct segment *head;		/* written to; NULL: the next record begins another */
	uint8_t *buffer;		/* what follows head->written */
	uint32_t held;
	uint64_t open_id;		/* whose DATA record at the buffer's end can still grow; 0: none */
	uint32_t open_at, open_length, open_crc;
	struct segment *flushing;	/* what spool_flush_begin gave out */
	bool flushing_dir, busy;
	uint32_t flushing_to;
	bool broken;
	int error;			/* of the last failure */
	uint64_t appended;		/* octets written since the start */
	struct journal_lost lost;
	uint64_t cached;		/* place of the record in `cache`; 0: none */
	uint8_t *cache;
};

/* Octets of `budget` for all segments. False without memory. */
bool journal_init(struct journal *j, const struct spool_files *files, uint64_t budget);
void journal_free(struct journal *j);

/* Place where the next record goes; 0 when it begins a segment. */
uint64_t journal_end(const struct journal *j);
/* Octets that the segment written to still takes. */
uint32_t journal_rest(const struct journal *j);
/* Appends one record; *place is where its header begins. */
int journal_put(struct journal *j, enum record_type type, uint64_t id, const struct slice *pieces, unsigned count,
		enum room purpose, uint64_t *place);
/*
 * Appends a message's data; *e says where it is. *grew: not a new extent, but the
 * last one of this id is longer by it.
 */
int journal_put_data(struct journal *j, uint64_t id, struct slice data, enum room purpose, struct spool_extent *e,
		     bool *grew);
/* The next data begins an extent of its own. */
void journal_seal(struct journal *j);
/* Writes the buffer to its segment. */
int journal_write(struct journal *j);

/* Everything before this place is on stable storage, or in a failed segment. UINT64_MAX: all. */
uint64_t journal_durable(const struct journal *j);
/* The next descriptor to flush, or -1; journal_flushed tells the outcome. */
int journal_flush(struct journal *j);
void journal_flushed(struct journal *j, int result);
/* This octet was in a failed segment and not on stable storage, or its segment was discarded. */
bool journal_is_lost(const struct journal *j, uint64_t place);

/* Reads octets of the log, also such as were not written yet. -EILSEQ: not there any more. */
int journal_read(struct journal *j, uint64_t place, void *out, size_t len);
/*
 * Reads the record whose header is at `place` into out (RECORD_HEAD octets more than its payload; padding is not
 * read) and checks it. -EILSEQ: damaged or not there; -EMSGSIZE: longer than `room`.
 */
int journal_read_record(struct journal *j, uint64_t place, uint8_t *out, size_t room, struct record_head *h);
/* The same when the length of its payload is known: one read. -EILSEQ also when it is another. */
int journal_read_known(struct journal *j, uint64_t place, uint8_t *out, uint32_t length, struct record_head *h);
/* Payload of a DATA record, from a cache of one record. -ESTALE: its segment is not in the log any more. */
int journal_read_data(struct journal *j, uint64_t id, const struct spool_extent *e, const uint8_t **out);

#endif
