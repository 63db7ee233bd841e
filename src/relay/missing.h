/*
 * credentials = client: mail that waits for its account to log in, since its pair is in nobody's memory any more. Remembered here by id, so that it
 * goes at once when the account comes; a mail that found no place is looked at again after a while.
 */
#ifndef RELAY_MISSING_H
#define RELAY_MISSING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"
#include "base/slice.h"

struct missing {
	unsigned next;
	struct {
		uint64_t id;		/* 0: none */
		uint32_t account;	/* a digest: a wrong guess costs a look at the mail */
	} rows[MISSING_MAX];
};

#if CONFIG_CREDENTIALS_CLIENT
/* True: it is the first of its account, so that the log is told once. */
bool missing_note(struct missing *m, struct slice account, uint64_t id);
/* The next mail of the account, and out of the table with it; 0: no more. */
uint64_t missing_next(struct missing *m, struct slice account);
#else
static inline bool missing_note(struct missing *m, struct slice account, uint64_t id)
{
	(void)m, (void)account, (void)id;
	return false;
}

static inline uint64_t missing_next(struct missing *m, struct slice account)
{
	(void)m, (void)account;
	return 0;
}
#endif

#endif
