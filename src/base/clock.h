/*
 * The two clocks. Timers use the monotonic one only: a router without a clock battery starts
 * in the past and is stepped years ahead when NTP answers.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/*
 * 2026-11-01 in seconds since 1970: this source was not there before, so a clock that says so is wrong. Raised with each
 * release; SOURCE_DATE_EPOCH takes its place where a packager sets it. A constant, so that two builds are alike.
 */
#ifndef CLOCK_FLOOR
#define CLOCK_FLOOR	INT64_C(1793491200)
#endif
/* Seconds, 20 years: nobody runs so old a program; a clock that lost its battery may start in 2099 as well as in 1970. */
#define CLOCK_SPAN	INT64_C(631152000)

/* Milliseconds since some fixed point; never goes back. */
int64_t clock_monotonic(void);
/* Seconds since 1970-01-01 UTC; may step. */
int64_t clock_wall(void);
static inline bool clock_is_sane(int64_t wall)
{
	return wall >= CLOCK_FLOOR && wall < CLOCK_FLOOR + CLOCK_SPAN;
}
/* Whole seconds of so many ms; the rest is dropped. */
int64_t clock_seconds(int64_t ms);
/* Whole days of so many seconds. */
int64_t clock_days(int64_t seconds);
/* Offset of local time from UTC at `wall`, in minutes east. */
int clock_zone(int64_t wall);
#define CLOCK_DATE_SIZE	16
/* "2026-11-22", for a person, of UTC; out. */
const char *clock_date(int64_t wall, char out[CLOCK_DATE_SIZE]);

#endif
