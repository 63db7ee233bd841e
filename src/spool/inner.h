/*
 * What the files of this room share: the spool itself. Messages are entries of the queue from
 * spool_begin on; the journal knows octets only.
 */
#ifndef SPOOL_INNER_H
#define SPOOL_INNER_H

#include "spool/journal.h"
#include "spool/queue.h"

#define DONES_MAX	4096u		/* finished messages whose DONE is not flushed yet; 64 KiB */
#define MOVES_MAX	64u		/* messages copied forward between two flushes */
#define MESSAGE_COST	512u		/* octets on disk of a message besides its own, reckoned */

enum writer_stage { WRITER_IDLE, WRITER_OPEN, WRITER_WAITING, WRITER_FAILED };

struct done {
	uint64_t id;
	uint64_t end;			/* place after its record; 0: must be written (again) */
};

/* A message copied forward; becomes its place once that is flushed. */
struct move {
	uint64_t id;
	uint64_t commit;
	uint32_t entry, commit_length, oldest;
};

struct writer_list {
	struct spool_writer *first, *last;
};

struct spool {
	struct journal journal;
	struct queue queue;
	void (*report)(void *context, const char *line);
	void *context;
	int lock;
	int64_t mono;			/* the latest the caller told */
	uint64_t live;			/* octets of all messages, reckoned */
	uint64_t wanted;		/* a flush of all before this place is asked for */
	uint32_t marked_tail;		/* what the newest MARK says */
	uint64_t mark_end;		/* place after it */
	struct spool_writer *open;	/* being written */
	struct writer_list waiting, decided;
	struct done *dones;
	unsigned done_count;
	bool repair;			/* outcomes and DONEs in a failed segment are to be written again */
	bool push;			/* room is wanted: flush, and copy forward with it */
	unsigned failures;		/* writes and flushes that failed in a row */
	bool stalled;			/* that was tried, and failed or found no segment */
	struct move moves[MOVES_MAX];
	unsigned move_count;
	uint64_t moves_end;
	unsigned unreadable;		/* reads that failed since one was moved */
	uint64_t moved_at;		/* octets written when the last step was made */
	uint64_t step_left;		/* octets that the step under way may still copy */
	uint8_t *scratch, *extra;	/* a COMMIT read; extents encoded */
	size_t scratch_size, extra_size;
};

static inline uint64_t spool_cost(const struct queue_entry *e)
{
	return e->face.size + e->commit_length + MESSAGE_COST;
}

/* spool.c, on which the others stand */
void spool_report(struct spool *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Makes *memory at least `size` octets. */
bool spool_grow(uint8_t **memory, size_t *have, size_t size);
void writer_list_add(struct writer_list *l, struct spool_writer *w);
struct spool_writer *writer_list_take(struct writer_list *l);
/* Some of its data was in a failed segment. */
bool spool_lost_data(const struct spool *s, const struct spool_writer *w);
/* A writer's table of extents, where it has outgrown the writer. */
void spool_drop_extents(struct spool_writer *w);
/* Binds the entry to the oldest segment it needs; to none when that isn't in the log. */
void spool_bind(struct spool *s, uint32_t number, uint32_t oldest);
/* Out of the queue; what it pinned may become free. */
void spool_forget(struct spool *s, uint32_t number);
/* Takes segments out of the log that nothing needs. */
void spool_reclaim(struct spool *s);
/* Appends a record that wants to be flushed. */
int spool_put(struct spool *s, enum record_type type, uint64_t id, const struct slice *pieces, unsigned count,
	      enum room purpose, uint64_t *place);
/* Appends a COMMIT; c->extents is made of `extents`. */
int spool_put_commit(struct spool *s, uint64_t id, struct commit *c, const struct spool_extent *extents,
		     enum room purpose, uint64_t *place, uint32_t *length);
/* Writes a DONE and remembers it until it is flushed. */
void spool_done(struct spool *s, uint64_t id);
/* Looks after writers whose records a failed segment lost. To be called after anything that appends. */
void spool_settle(struct spool *s);

/* message.c */
uint16_t spool_count_pending(struct slice states);
/* Reads a COMMIT into s->scratch. */
int spool_read_commit(struct spool *s, const struct queue_entry *e, struct commit *c);
/* The state after the last attempt into `memory` of OUTCOME_RECORD_MAX octets; -ENOENT when there was none. */
#define OUTCOME_RECORD_MAX	(RECORD_HEAD + OUTCOME_HEAD + RECIPIENTS_CEILING + SMTP_REPLY_TEXT_MAX)
int spool_read_outcome(struct spool *s, const struct queue_entry *e, uint8_t *memory, struct outcome *o);

/* forward.c */
/* Room is short, and enough of the log is dead to make some. */
bool forward_helps(const struct spool *s);
/* Copies a little of what is alive in the oldest segment to the log's end, when room is short. */
void forward_step(struct spool *s);
/* Takes over what was flushed. */
void forward_settle(struct spool *s);

/* recovery.c */
bool recovery_run(struct spool *s, int64_t wall, int64_t mono, struct fault *f);

#endif
