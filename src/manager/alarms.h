/*
 * Alarms that no mail brings up: a clock that can't be right at start, and certificates of ours that are about to end. A line
 * with alarm= each, of severity err: somebody must act.
 */
#ifndef MANAGER_ALARMS_H
#define MANAGER_ALARMS_H

#include "manager/config.h"
#include "net/loop.h"

#define ALARM_DAYS	14	/* before a certificate ends: time for a holiday, and for a CA that asks questions */

struct alarms {
	struct watch watch;		/* first */
	struct loop *loop;
	struct config *const *config;	/* the one in force */
	const struct config *seen;	/* what `last` is about; another one begins anew */
	int64_t last[1 + ROUTES_MAX];	/* wall s of the last line: our own certificate, those of the relays; 0: none */
	int64_t next_look;		/* ms */
};

/* Days from `now` to `until`, rounded down: 0 on the last day, negative behind it. Both wall time, s. */
int64_t alarm_days(int64_t now, int64_t until);
/*
 * Whether a certificate that ends at `until` (INT64_MAX: there is none) deserves a line now, the last one having been at `last` (0:
 * never): from ALARM_DAYS before its end, once a day. A clock that is wrong gives no alarm about certificates.
 */
bool alarm_is_due(int64_t now, int64_t until, int64_t last);
/* The line about the clock, if it is due. */
void alarm_clock(int64_t now);

/* Looks after the certificates of *config, each hour, from the next turn of the loop on. False when the loop is full. */
bool alarms_start(struct alarms *a, struct loop *l, struct config *const *config);

#endif
