/*
 * The audit file (R18): each record of the trail becomes a line of [manager] audit, chained to the one before (manager/chain.h), in files
 * rotated by size. A line has left the process before the mail it is about is answered; the disk is asked to keep it within
 * AUDIT_FLUSH_MS, by a helper. Mail never waits for it: when it can't be written, one line with alarm=audit goes to the log, records are
 * counted, and the file says how many are missing once it can be written again.
 */
#ifndef MANAGER_AUDIT_H
#define MANAGER_AUDIT_H

#include "manager/chain.h"
#include "net/helper.h"

#define AUDIT_FLUSH_MS	5000	/* what a power cut may take; each flush holds up the spool's for as long as it takes */

struct audit;

struct audit_settings {
	const char *path;		/* "none": no file. Copied. */
	uint64_t size;			/* octets: a file that would become larger is rotated */
	unsigned keep;			/* older files */
	const struct keyring *ring;	/* of the stamp, whose first key is taken; NULL: none. Copied. */
};

struct audit_status {
	bool on;			/* there is to be a file */
	char path[256];
	char key[STAMP_KEY_ID_MAX + 1];	/* "none" */
	unsigned keep;			/* older files */
	uint64_t number;		/* of the last record written; 0: none */
	char link[CHAIN_LINK_SIZE + 1];
	uint64_t lost;			/* records since the start that could not be written */
	char error[FAULT_MAX];		/* why it can't be written now; empty: it can */
};

#if CONFIG_AUDIT

/* `flusher` serves keeper_serve. Nothing is opened yet. NULL without memory or room in the loop. */
struct audit *audit_new(struct loop *l, struct helper *flusher);
/* Opens the file and goes on where it ends; a file under another key is rotated first. What goes wrong is logged. */
void audit_apply(struct audit *a, const struct audit_settings *s);
/*
 * A record, written as it happened at `wall`; chain_is_record says what it may be. Of another machine's too. False: it is not in the
 * file, and counted as missing.
 */
bool audit_put(struct audit *a, int64_t wall, struct slice record);
void audit_state(const struct audit *a, struct audit_status *out);
/* The number up to which the file is on disk; it stays behind what a flush that failed was about, until that is written anew. */
uint64_t audit_kept(const struct audit *a);
/* Counts the times that lines behind audit_kept were lost: the files alone say which. */
uint64_t audit_losses(const struct audit *a);
/* The flush is not put off any more: somebody waits for audit_kept. */
void audit_hurry(struct audit *a);
/* Before loop_free, which frees it. NULL is ignored. */
void audit_end(struct audit *a);

#else

static inline struct audit *audit_new(struct loop *l, struct helper *flusher)
{
	(void)l, (void)flusher;
	return NULL;
}

static inline void audit_apply(struct audit *a, const struct audit_settings *s)
{
	(void)a, (void)s;
}

static inline bool audit_put(struct audit *a, int64_t wall, struct slice record)
{
	(void)a, (void)wall, (void)record;
	return false;
}

static inline uint64_t audit_kept(const struct audit *a)
{
	(void)a;
	return 0;
}

static inline uint64_t audit_losses(const struct audit *a)
{
	(void)a;
	return 0;
}

static inline void audit_hurry(struct audit *a)
{
	(void)a;
}

static inline void audit_state(const struct audit *a, struct audit_status *out)
{
	(void)a;
	*out = (struct audit_status){ .on = false };
}

static inline void audit_end(struct audit *a)
{
	(void)a;
}

#endif

#endif
