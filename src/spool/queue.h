/*
 * What is queued, in memory: entries found and walked by id (a treap), a heap by next attempt, and
 * per segment a list of those whose oldest octets are in it. Some 100 octets a message. Entries
 * are named by number and don't move.
 */
#ifndef SPOOL_QUEUE_H
#define SPOOL_QUEUE_H

#include "spool/spool.h"

#define QUEUE_NONE	UINT32_MAX

struct queue_entry {
	struct spool_entry face;	/* what the caller sees */
	uint64_t commit;		/* place of the COMMIT record; 0 while the message is written */
	uint64_t outcome;		/* place of the newest OUTCOME after it, or 0 */
	uint32_t commit_length;		/* of its payload */
	uint32_t oldest;		/* sequence of the first segment it needs; 0: none yet */
	uint32_t before, after;		/* in that segment's list; `after` chains what is free, too */
	uint32_t left, right;		/* the treap; only of what is shown */
	uint32_t heap;			/* place in the heap, or QUEUE_NONE */
	bool shown;			/* committed for good */
	bool damaged;			/* recovery: an extent is missing */
};

struct queue {
	struct queue_entry **slabs;
	size_t slab_count;
	uint32_t unused;		/* first free entry */
	uint32_t root;
	uint32_t *heap;
	size_t heap_count, heap_room;
	size_t used;			/* entries not free */
	size_t shown;
};

void queue_init(struct queue *q);
void queue_free(struct queue *q);

struct queue_entry *queue_at(const struct queue *q, uint32_t number);
/* A new entry, not shown yet; QUEUE_NONE without memory. Showing and scheduling it can't fail then. */
uint32_t queue_new(struct queue *q, uint64_t id);
/* Takes it out of everything but a segment's list, and frees it. */
void queue_drop(struct queue *q, uint32_t number);
void queue_show(struct queue *q, uint32_t number);
uint32_t queue_find(const struct queue *q, uint64_t id);
/* The smallest id above `id`. */
uint32_t queue_above(const struct queue *q, uint64_t id);

/* Due at `mono`; also when it was scheduled already. */
void queue_schedule(struct queue *q, uint32_t number, int64_t mono);
void queue_unschedule(struct queue *q, uint32_t number);
/* The one due first. */
uint32_t queue_first(const struct queue *q);

/* In and out of the list that begins at *first. */
void queue_pin(struct queue *q, uint32_t *first, uint32_t number);
void queue_unpin(struct queue *q, uint32_t *first, uint32_t number);

#endif
