/*
 * Alarms that no session and no courier brings up: the clock, certificates of ours that are about to end, mail that waits too long, spool and disk
 * that are nearly full. And the end of those that end by themselves, and mail about all of them ([manager] alarm_to).
 */
#ifndef MANAGER_ALARMS_H
#define MANAGER_ALARMS_H

#include "manager/config.h"
#include "manager/control.h"
#include "manager/notify.h"
#include "net/loop.h"

#define ALARM_DAYS	14	/* before a certificate ends: time for a holiday, and for a CA that asks questions */

struct alarms {
	struct watch watch;		/* first */
	const struct control_house *house;
	struct config *const *config;	/* the one in force */
	const struct config *seen;	/* as of the last look */
	int64_t last_look;		/* ms */
	int64_t next_end;		/* ms: an alarm is over by itself; INT64_MAX */
	struct notify notify;
};

/* Days from `now` to `until`, rounded down: 0 on the last day, negative behind it. Both wall time, s. */
int64_t alarm_days(int64_t now, int64_t until);
/*
 * Whether a certificate that ends at `until` (INT64_MAX: there is none) deserves an alarm now, both wall time, s: from ALARM_DAYS before its
 * end on. A clock that is wrong gives no alarm about certificates.
 */
bool alarm_is_due(int64_t now, int64_t until);
/* The line about the clock, if it is due. `now` is wall time, s. */
void alarm_clock(int64_t now);

/*
 * Looks after them from the next turn of the loop on: each minute while there is mail in the queue or an alarm that time may end, else each
 * hour. False when the loop is full.
 */
bool alarms_start(struct alarms *a, const struct control_house *house, struct config *const *config);
/* Waits for nothing any more; no new mail. */
void alarms_stop(struct alarms *a);

#endif
