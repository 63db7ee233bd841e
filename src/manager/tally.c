#include "manager/tally.h"

#include <string.h>

#include "base/clock.h"

#define ROWS		(TALLY_MINUTES + 1)

static uint64_t *row_of(struct tally *t, uint32_t minute)
{
	return t->sums[minute % ROWS];
}

/* Minutes in which nobody looked were empty. */
static void move_on(struct tally *t, uint32_t minute)
{
	uint32_t gone = minute > t->minute ? minute - t->minute : 0;

	for (uint32_t i = 1; i <= gone && i <= ROWS; i++)
		memset(row_of(t, t->minute + i), 0, sizeof(t->sums[0]));
	t->minute += gone;
}

void tally_take(struct tally *t, const uint64_t totals[TALLY_COUNTERS], int64_t now)
{
	uint64_t *row;

	move_on(t, (uint32_t)clock_seconds(now) / 60);
	row = row_of(t, t->minute);
	for (size_t i = 0; i < TALLY_COUNTERS; i++) {
		row[i] += totals[i] - t->seen[i];
		t->seen[i] = totals[i];
	}
}

uint64_t tally_sum(const struct tally *t, size_t counter, unsigned minutes)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i <= minutes && i < ROWS && i <= t->minute; i++)
		sum += t->sums[(t->minute - i) % ROWS][counter];
	return sum;
}
