/*
 * Makes the return mail of an attempt whose recipients failed for good, or are late, and puts it into the spool (R47-R49).
 */
#ifndef RELAY_RETURNS_H
#define RELAY_RETURNS_H

#include "relay/attempt.h"

/*
 * One report for all recipients that failed in this attempt, or (a->notice) are late. `done` gets &a->keeping once the report is on the disk, or not: only
 * then may the failure be recorded. 0 or -errno (`done` isn't called then).
 */
int returns_make(struct attempt *a, const struct relay_settings *s, struct keeper *k,
		 void (*done)(struct keeping *k, int result));

#endif
