/*
 * What the relay's own files share: relay.c, which decides what goes where and when, and outcome.c, which ends an attempt.
 */
#ifndef RELAY_INNER_H
#define RELAY_INNER_H

#include "relay/courier.h"
#include "relay/relay.h"

struct route_state {
	unsigned couriers;
	unsigned failures;		/* in a row */
	int64_t down_until;		/* monotonic ms; 0: up */
	int64_t last_success, last_failure;	/* wall */
	char last_error[FAULT_MAX];
};

/*
 * A message whose final dot was sent and never answered: the host that may have it is the only one that is tried (lesson 27). In
 * memory only; the oldest gives way.
 */
#define DOUBTS_MAX	32
struct doubt {
	uint64_t id;			/* 0: none */
	char host[HOST_MAX + 1];
};

struct relay {
	struct watch watch;		/* the schedule; has no descriptor */
	struct relay_house house;
	struct keeper *keeper;
	struct relay_settings *settings;
	struct route_state *states;	/* a row a route of settings */
	struct courier *couriers;
	struct attempt *waiting;
	unsigned waiting_count;
	struct attempt *returning;	/* those whose return mail is on its way to the disk */
	unsigned open;			/* couriers */
	bool closing, scheduling, wake;
	int64_t next_sweep;
	int64_t clock_offset;		/* wall less monotonic, s, at the last look */
	int64_t clock_step, clock_stepped_at;	/* s forward, and from which wall time; 0: never */
	struct doubt doubts[DOUBTS_MAX];
	unsigned next_doubt;
	struct relay_counters counters;
};

static inline int64_t relay_now(const struct relay *r)
{
	return loop_now(r->house.loop);
}

/* How long to wait after so many tries; the last of [queue] retry repeats. */
static inline int64_t relay_delay(const struct relay_settings *s, uint32_t tries)
{
	return s->retry[tries < s->retry_count ? tries : s->retry_count - 1];
}

/* outcome.c */

/* The log's lines for the group that has just been tried at `address`. */
void outcome_log(struct relay *r, const struct attempt *a, const char *address);
/* All that were pending have been tried: records it, makes return mail of what failed for good. Ends the attempt. */
void outcome_finish(struct relay *r, struct attempt *a);
/* The message's time is over: the same, with all that is pending failed. */
void outcome_expire(struct relay *r, struct attempt *a);
/* A taken message leaves the queue, unread and untold: removed by hand, or damaged and over its time. 0 or -errno. */
int outcome_drop(struct relay *r, const struct spool_entry *e);
/* Records it as it is. Ends the attempt. */
void outcome_record(struct relay *r, struct attempt *a);

#endif
