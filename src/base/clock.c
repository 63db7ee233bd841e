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
