/*
 * The segment files. Those in the log are a run of sequence numbers, oldest first; only the oldest is ever
 * taken out (but see store_discard), and taken-out ones are used again oldest first. So what survives
 * a crash is always a suffix of the log, and a DONE outlives its COMMIT.
 *
 * A file taken out may be written again once a flushed MARK says that it is dead (durable_tail): else
 * a crash could find its old COMMITs, with the DONEs after them overwritten.
 */
#ifndef SPOOL_STORE_H
#define SPOOL_STORE_H

#include "spool/files.h"
#include "spool/record.h"

#define SEGMENT_SIZE_MIN	(512u << 10)	/* octets: holds the largest COMMIT (SPOOL_RECORD_MAX and extents) */
#define SEGMENT_SIZE_MAX	(64u << 20)	/* octets: fewer descriptors at large budgets */
#define SEGMENTS_IN_BUDGET	16u		/* finer is less lost to the reserve, coarser is fewer files */
#define SEGMENTS_MIN		8u		/* the reserve, the segment written, and a few to go round */
#define SEGMENTS_MAX		256u
#define SLOTS_MAX		320u		/* files: SEGMENTS_MAX and some left for good, or of another size */

/*
 * How many idle segments must stay behind when a new one is begun for this purpose: mail can't use up
 * the room for outcomes, and those not the room to copy the tail forward, which makes room again.
 */
enum room { ROOM_FORWARD = 0, ROOM_OUTCOME = 1, ROOM_RETURN = 2, ROOM_MAIL = 3 };

struct segment {
	int fd;				/* -1: no such file */
	uint32_t sequence;		/* 0: never written */
	uint32_t size;
	uint32_t written;		/* octets given to the file */
	uint32_t flushed;		/* of these, on stable storage */
	uint32_t filled;		/* octets whose blocks were written before, now or by an earlier generation */
	uint32_t first;			/* list of the messages whose oldest octets are here */
	uint16_t slot;			/* number of the file */
	bool failed;			/* left for good: only read */
};

struct store {
	const struct spool_files *files;
	int dir;
	bool dir_dirty;			/* a new name waits for a flush of the directory */
	uint64_t budget, total;		/* octets; `total` over all files there are */
	uint32_t segment_size;
	uint32_t sequence;		/* of the newest segment */
	uint32_t durable_tail;		/* segments below are dead, and a flushed MARK says so */
	struct segment slots[SLOTS_MAX];
	struct segment *log[SLOTS_MAX], *idle[SLOTS_MAX];
	unsigned log_count, idle_count;
};

/* A place in the log, comparable: sequence and offset. */
static inline uint64_t place_of(uint32_t sequence, uint32_t offset)
{
	return (uint64_t)sequence << 32 | offset;
}

/* Segments that the budget is made of. */
unsigned store_segments(uint64_t budget);
void store_init(struct store *st, const struct spool_files *files, uint64_t budget);
void store_close(struct store *st);
/* Opens file `slot` if it is there: 0, -ENOENT or another -errno. It is neither in the log nor idle yet. */
int store_open(struct store *st, unsigned slot);
/* A segment of the log; NULL when it is not in it (any more). */
struct segment *store_find(const struct store *st, uint32_t sequence);
/* Idle segments that can be written now. */
unsigned store_usable(const struct store *st);
/* Octets that new segments for this purpose could still take, by the budget. */
uint64_t store_room(const struct store *st, enum room purpose);
/* Makes `count` usable segments if the budget and the disk have them; 0 or -errno. */
int store_provide(struct store *st, unsigned count);
/* Appends a segment to the log. -ENOSPC when none is left for this purpose. */
int store_begin(struct store *st, enum room purpose, struct segment **out);
/* Takes the oldest out of the log. */
void store_retire(struct store *st);
/* Deletes log[at], a failed one that no record of worth ever reached: the one exception to the order. */
void store_discard(struct store *st, unsigned at);
/* Adds an opened one that is not in the log to the idle ones; oldest first is the caller's task. */
void store_idle(struct store *st, struct segment *g);
/* Deletes idle files that are of no more use: failed, of another size, above the budget. */
void store_trim(struct store *st);

#endif
