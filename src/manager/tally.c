#include "manager/tally.h"

#include <string.h>

#define MINUTE_MS	60000
#define ROWS		(TALLY_MINUTES + 1)

static uint64_t *row_of(struct tally *t, int64_t minute)
{
	return t->sums[(uint64_t)minute % ROWS];
}

/* Minutes in which nobody looked were empty. */
static void move_on(struct tally *t, int64_t minute)
{
	int64_t gone = minute - t->minute;

	for (int64_t i = 1; i <= gone && i <= ROWS; i++)
		memset(row_of(t, t->minute + i), 0, sizeof(t->sums[0]));
	if (gone > 0)
		t->minute = minute;
}

void tally_take(struct tally *t, const uint64_t totals[TALLY_COUNTERS], int64_t now)
{
	uint64_t *row;

	move_on(t, now / MINUTE_MS);
	row = row_of(t, t->minute);
	for (size_t i = 0; i < TALLY_COUNTERS; i++) {
		row[i] += totals[i] - t->seen[i];
		t->seen[i] = totals[i];
	}
}

uint64_t tally_sum(const struct tally *t, size_t counter, unsigned minutes)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i <= minutes && i < ROWS && i <= (uint64_t)t->minute; i++)
		sum += t->sums[((uint64_t)t->minute - i) % ROWS][counter];
	return sum;
}
