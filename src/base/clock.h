/*
 * The two clocks. Timers use the monotonic one only: a router without a clock battery starts
 * in the past and is stepped years ahead when NTP answers.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

/* Milliseconds since some fixed point; never goes back. */
int64_t clock_monotonic(void);
/* Seconds since 1970-01-01 UTC; may step. */
int64_t clock_wall(void);
/* Offset of local time from UTC at `wall`, in minutes east. */
int clock_zone(int64_t wall);

#endif
