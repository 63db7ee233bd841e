/*
 * Mail about alarms: one for all that have come up since the last one, each cause once a day, to [manager] alarm_to. Made as return mail is, from
 * [return] from, through spool and relay: it waits there while the next hop is what has failed. It never comes back, and no alarm is about it.
 */
#ifndef MANAGER_NOTIFY_H
#define MANAGER_NOTIFY_H

#include "ingest/keeper.h"
#include "relay/route.h"

/* Of its envelope. */
#define NOTIFY_TRUST	"alarm"

struct notify {
	struct keeping keeping;		/* first: of the mail that is on its way to the disk */
	struct loop *loop;
	struct keeper *keeper;
	bool busy, stopped;
	int64_t at;			/* ms: the next mail; 0: nothing is due */
	int64_t last, made;		/* ms: the last mail, 0: none yet; what was told by then is in it */
};

#if CONFIG_ALARM_MAIL
void notify_start(struct notify *n, struct loop *l, struct keeper *k);
/* Once a turn. `to` empty: nobody wants any. */
void notify_turn(struct notify *n, const struct relay_settings *s, const char *to);
/* Monotonic ms. */
int64_t notify_deadline(const struct notify *n);
/* No more. */
void notify_stop(struct notify *n);
#else
static inline void notify_start(struct notify *n, struct loop *l, struct keeper *k)
{
	(void)n, (void)l, (void)k;
}

static inline void notify_turn(struct notify *n, const struct relay_settings *s, const char *to)
{
	(void)n, (void)s, (void)to;
}

static inline int64_t notify_deadline(const struct notify *n)
{
	(void)n;
	return INT64_MAX;
}

static inline void notify_stop(struct notify *n)
{
	(void)n;
}
#endif

#endif
