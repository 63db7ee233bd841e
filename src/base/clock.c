#include "base/clock.h"

#include <stdio.h>
#include <time.h>

int64_t clock_monotonic(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t clock_wall(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec;
}

/* Without a sign: else 32-bit machines carry the compiler's division of 64 bits with one as well, and the remainders of both. */
static int64_t whole(int64_t value, unsigned unit)
{
	uint64_t size = (value < 0 ? -(uint64_t)value : (uint64_t)value) / unit;

	return value < 0 ? -(int64_t)size : (int64_t)size;
}

int64_t clock_seconds(int64_t ms)
{
	return whole(ms, 1000);
}

int64_t clock_days(int64_t seconds)
{
	return whole(seconds, 86400);
}

int clock_zone(int64_t wall)
{
	time_t t = (time_t)wall;
	struct tm local;

	if (!localtime_r(&t, &local))
		return 0;
	return (int)(local.tm_gmtoff / 60);
}

const char *clock_date(int64_t wall, char out[CLOCK_DATE_SIZE])
{
	time_t t = (time_t)wall;
	struct tm tm;

	if (!gmtime_r(&t, &tm) || strftime(out, CLOCK_DATE_SIZE, "%Y-%m-%d", &tm) == 0)
		snprintf(out, CLOCK_DATE_SIZE, "a strange date");
	return out;
}
