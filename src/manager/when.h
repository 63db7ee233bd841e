/* Times as people write them on a command line. */
#ifndef MANAGER_WHEN_H
#define MANAGER_WHEN_H

#include "base/slice.h"

#define WHEN_FORMS	"2026-11-22, \"2026-11-22 10:00\", 10:00, 2h (or m, s, d) ago, today or yesterday"

/*
 * In local time, as seconds since 1970: a date, with or without a time of day; a time of day, the last that has been; a number with
 * s, m, h or d, so long before `now`; now, today, yesterday. Of a whole day it is the first second, with `end` the last. False: not a time.
 */
bool when_parse(struct slice text, int64_t now, bool end, int64_t *out);

#endif
