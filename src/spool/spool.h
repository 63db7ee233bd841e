/*
 * The durable queue: a log in segment files of a fixed size (architecture.md, "The spool"). A message's data is
 * appended as it arrives; its commit record makes it a message; outcomes are records, too. 250 only after the flush
 * that covers the commit record (R50). Knows neither sockets nor processes: the flush itself (fdatasync) is done by whoever
 * drives the spool, on the descriptor that spool_flush_begin gives. All file calls go through one table (spool/files.h), so that tests
 * let any of them fail. Returns 0 or -errno where not said otherwise.
 */
#ifndef SPOOL_SPOOL_H
#define SPOOL_SPOOL_H

#include <sys/types.h>

#include "base/buffer.h"
#include "base/fault.h"

struct spool_files;			/* spool/files.h */

struct spool_settings {
	const char *path;		/* directory, must exist */
	uint64_t size;			/* octets: the disk budget over all segments */
	const struct spool_files *files;	/* NULL: the system's */
	/*
	 * Told of what recovery finds, one line each ("segment 3: damaged record at 8192 skipped"); may be NULL.
	 */
	void (*report)(void *context, const char *line);
	void *context;
};

struct spool;

/* Descriptors that a spool of this size needs: a file for each segment, the directory, the lock. */
unsigned spool_descriptors(uint64_t size);

/*
 * Opens or creates, locks against a second process, replays. `wall` (seconds) and `mono` (milliseconds) are now. Faults: not writable (77), locked by another
 * (75), written by a newer format or the other byte order (78), no such directory or size out of range (78), disk full
 * or not readable (75).
 */
int spool_open(const struct spool_settings *settings, int64_t wall, int64_t mono, struct spool **out, struct fault *f);
/* Writes what is buffered (no flush) and frees. NULL is ignored. */
void spool_close(struct spool *s);

/* Queue ids: 50 bits, ever-growing; in text `B` and ten characters of [0-9A-V] (base 32 hex). */
#define SPOOL_ID_TEXT 12
void spool_id_text(uint64_t id, char out[SPOOL_ID_TEXT]);
bool spool_id_parse(struct slice text, uint64_t *id);

/*
 * Writing a message. A writer is the caller's memory, zeroed before first use, and lives from begin to commit's completion or abort.
 */
struct spool_extent {
	uint32_t segment;		/* sequence number of the segment */
	uint32_t offset;		/* of the data in it */
	uint32_t length;
};
struct spool_writer {
	uint64_t id;			/* 0: not in use */
	uint64_t size;			/* data octets so far */
	uint32_t extent_count, extent_room;
	struct spool_extent *extents;	/* own memory after the first few */
	struct spool_extent few[4];
	struct spool_writer *next;	/* in the group that waits for a flush */
	int result;			/* 0 or -errno once finished */
	void *owner;			/* the caller's */
	bool is_return;			/* the caller's, set before begin: return mail may use the reserve */
	/* The spool's own: */
	uint8_t stage;
	uint32_t entry;
	uint64_t end;			/* place in the log right after its commit record */
	struct spool_writer *before;
};

/* A queue id for a message that is passed on without being kept. */
uint64_t spool_new_id(struct spool *s);
/*
 * -ENOSPC when the budget or the disk has no room for `expect` octets more (0: unknown) above the reserve. The writer
 * must not move from here until it is committed or aborted.
 */
int spool_begin(struct spool *s, struct spool_writer *w, uint64_t expect);
/*
 * Appends at most CHUNK_SIZE octets. After an error only spool_abort is allowed. Each call that another session's came
 * between costs an extent, of which a message has at most SPOOL_EXTENTS_MAX (-EFBIG): append full chunks,
 * not what one read gave.
 */
#define SPOOL_EXTENTS_MAX	12288	/* 384 MiB in full chunks; octets on disk: 12 each */
int spool_append(struct spool *s, struct spool_writer *w, struct slice data);
/*
 * The message is complete: `front` is put before its data when it is read (Received and the like; may be empty), `envelope` as from
 * envelope_write. 0: the writer waits in the next group; it comes back by spool_committed.
 */
int spool_commit(struct spool *s, struct spool_writer *w, struct slice front, struct slice envelope);
/* Forgets a message that was begun, at any time before commit. Safe on a zeroed writer. */
void spool_abort(struct spool *s, struct spool_writer *w);

/*
 * Group commit. spool_flush_begin: when something waits and no flush is under way, writes all that is buffered and returns
 * a descriptor to fdatasync (>= 0, stays the spool's), else -1. spool_flush_end tells the outcome (0 or -errno). Then spool_committed
 * returns the writers whose commit is now decided, one a call, writer->result 0 or -errno; NULL when no more. After a failed flush
 * or write the segment is left for good. A write can fail in any call that appends: ask spool_committed once a turn, not
 * only after a flush.
 */
int spool_flush_begin(struct spool *s);
void spool_flush_end(struct spool *s, int result);
struct spool_writer *spool_committed(struct spool *s);
/* Something waits for a flush and none is under way. */
bool spool_flush_due(const struct spool *s);

/*
 * The envelope of a message, a value in memory. Slices point into the text it was read from or built of.
 */
struct envelope {
	int64_t arrived;		/* wall clock, seconds */
	struct slice sender;		/* without brackets, empty for <> */
	struct slice account;		/* canonical name of who sent it, or empty */
	struct slice trust;		/* "account", "device", "peer", "return" */
	bool body_8bit;
	bool is_return;			/* our own return mail: never returned again */
	bool ends_in_crlf;		/* the data's last octets are CRLF (or there is no data) */
	bool no_return;			/* Auto-Submitted: never returned (R49) */
	struct slice message_id;	/* for the log, may be empty */
	unsigned recipient_count;
	struct slice recipients;	/* recipient_count addresses, each ended by LF */
};
bool envelope_write(struct buffer *out, const struct envelope *e);
/* False when damaged. */
bool envelope_read(struct slice text, struct envelope *e);
/* Next recipient off e->recipients-like *rest; false at the end. */
bool envelope_next(struct slice *rest, struct slice *recipient);

/* States of a recipient, one octet each. TOLD is pending as well: the sender knows that it is late. */
enum recipient_state {
	RECIPIENT_PENDING = 'P', RECIPIENT_TOLD = 'T', RECIPIENT_DELIVERED = 'D', RECIPIENT_FAILED = 'F'
};
static inline bool recipient_is_pending(char state)
{
	return state == RECIPIENT_PENDING || state == RECIPIENT_TOLD;
}

/*
 * A queued message, as the queue knows it without reading the disk. Valid until the next call that may remove it.
 */
struct spool_entry {
	uint64_t id;
	uint64_t size;			/* octets of front and data */
	int64_t arrived;		/* wall, seconds */
	int64_t next_attempt;		/* monotonic, milliseconds; INT64_MAX while taken */
	uint32_t attempts;
	uint16_t recipients, pending;	/* all, and those still to be served */
	bool taken;
};

size_t spool_count(const struct spool *s);
/* Octets of the budget in use, and the budget. */
void spool_usage(const struct spool *s, uint64_t *used, uint64_t *budget);
/* Octets of mail that MAIL may still bring until the reserve is reached, and how many an empty spool takes. */
void spool_room(const struct spool *s, uint64_t *left, uint64_t *most);
/* By id; NULL when not queued. */
const struct spool_entry *spool_find(const struct spool *s, uint64_t id);
/* Iterates in order of id: the entry with the smallest id above `after` (0 to begin); NULL at the end. */
const struct spool_entry *spool_next(const struct spool *s, uint64_t after);

/* The earliest next_attempt of all that are not taken; INT64_MAX when there is none. */
int64_t spool_next_due(const struct spool *s);
/* Takes the message that is due longest out of the schedule; NULL when none is due at `mono`. */
const struct spool_entry *spool_take(struct spool *s, int64_t mono);
/* Gives it back unchanged, to be due at `mono`. */
void spool_untake(struct spool *s, uint64_t id, int64_t mono);

/*
 * Reads a queued message. The state text is recipient_count octets of enum recipient_state. Slices in out point into
 * `memory` of the caller's; -EMSGSIZE when it is too small (SPOOL_RECORD_MAX is enough).
 */
#define SPOOL_RECORD_MAX	(288u << 10)	/* octets: an envelope of RECIPIENTS_CEILING of ADDRESS_MAX, states, reply */
struct spool_message {
	uint64_t id;
	struct envelope envelope;
	struct slice states;
	struct slice last_reply;	/* of the last attempt that deferred; may be empty */
	uint64_t size;			/* octets of front and data */
	struct spool_extent extents_few[4];
	struct spool_extent *extents;	/* freed by spool_message_end */
	uint32_t extent_count;
};
int spool_load(struct spool *s, uint64_t id, struct buffer *memory, struct spool_message *out);
/*
 * Front and data as one run of octets, wire form; returns octets read, 0 at the end, -errno (-EILSEQ: damaged; -ESTALE: it has left
 * the queue). A message that was moved in the log meanwhile is followed to its new place.
 */
ssize_t spool_read(struct spool *s, struct spool_message *m, uint64_t offset, void *out, size_t size);
void spool_message_end(struct spool_message *m);

/*
 * Records the outcome of an attempt: the states of all recipients, when to try again (wall seconds and monotonic ms), and the last words. When
 * no recipient is pending the message is done and leaves the queue. Is on disk with the next flush.
 */
int spool_outcome(struct spool *s, uint64_t id, struct slice states, int64_t next_wall, int64_t next_mono,
		  struct slice last_reply);
/* Due at once (queue retry). False when unknown or taken. */
bool spool_hasten(struct spool *s, uint64_t id, int64_t mono);

#endif
