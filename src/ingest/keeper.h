/*
 * Joins the spool to the flushing helper: groups go to disk while the loop goes on, and whoever
 * waits for a group is told when it is safe (R50, R65).
 */
#ifndef INGEST_KEEPER_H
#define INGEST_KEEPER_H

#include "net/helper.h"
#include "spool/spool.h"

struct keeper;

/* A commit under way; writer.owner points at it. */
struct keeping {
	struct spool_writer writer;
	/* 0 or -errno; called from the loop, never from within keeper_commit. NULL: nobody waits any more. */
	void (*done)(struct keeping *k, int result);
};

/* What the flushing helper does, for helper_start; start it before the spool is opened, so that it shares none of its memory. */
size_t keeper_serve(const void *request, size_t len, int fd, void *answer);
/* Spool and helper stay the caller's. NULL without memory. */
struct keeper *keeper_new(struct loop *l, struct helper *flusher, struct spool *s);
void keeper_free(struct keeper *k);
struct spool *keeper_spool(const struct keeper *k);
/* spool_commit, and the flush that it needs. */
int keeper_commit(struct keeper *k, struct keeping *w, struct slice front, struct slice envelope);
/* Something was recorded that should reach the disk soon though nobody waits (outcomes). */
void keeper_note(struct keeper *k);
/* Called after each commit that succeeded, so that the relay looks at the queue. */
void keeper_on_commit(struct keeper *k, void (*call)(void *context), void *context);
/* Nothing is buffered and no flush is under way. */
bool keeper_idle(const struct keeper *k);

#endif
