/*
 * What has been counted in the last minutes: sums a minute in a ring. Lazy: whoever looks, or counts on, brings it up to date, so that an idle
 * gate isn't woken for it. Pure.
 */
#ifndef MANAGER_TALLY_H
#define MANAGER_TALLY_H

#include <stddef.h>
#include <stdint.h>

#define TALLY_COUNTERS	13	/* rows of counters.c */
#define TALLY_MINUTES	60	/* whole ones that are kept, beside the one that has begun */

/* All zero at the start. */
struct tally {
	uint32_t minute;				/* the one that has begun; monotonic */
	uint64_t seen[TALLY_COUNTERS];			/* totals at the last look */
	uint64_t sums[TALLY_MINUTES + 1][TALLY_COUNTERS];	/* minute modulo the rows */
};

/* What `totals` have grown by since the last call belongs to the minute of `now` (monotonic ms). */
void tally_take(struct tally *t, const uint64_t totals[TALLY_COUNTERS], int64_t now);
/* The sum of so many whole minutes and of the one that has begun, as of the last tally_take. */
uint64_t tally_sum(const struct tally *t, size_t counter, unsigned minutes);

#endif
