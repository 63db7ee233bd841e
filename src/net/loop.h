/*
 * The poll(2) loop. Whoever wants to be woken holds a watch. Before each poll the loop asks every
 * watch what it waits for now (`want`), so interest is derived from state and there is no registration to
 * forget; afterwards it calls `ready` of those that have something. Nothing is freed inside a turn: a watch is marked dead and
 * reaped when the turn is over, so that no callback pulls the ground from under its caller.
 */
#ifndef NET_LOOP_H
#define NET_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NEVER INT64_MAX

struct watch {
	/*
	 * NULL, or: work to be done once a turn before anybody is asked what it wants, since it may change what others want
	 * (the flush that all commits of a turn share, the schedule).
	 */
	void (*before)(struct watch *w);
	/*
	 * Sets fd (-1: none), events (POLLIN, POLLOUT) and deadline (monotonic ms, NEVER) from the owner's state, and changes
	 * nothing else: it may be asked more than once a turn. Events 0: the fd is not looked at, not even for its end.
	 */
	void (*want)(struct watch *w);
	/*
	 * revents as poll says, with all of `events` set on an error, so that the attempt shows it; 0: the deadline has passed. One
	 * that is still past after `ready` had revents is told in the same turn: octets that drip can't put it off.
	 */
	void (*ready)(struct watch *w, short revents);
	/* The last call: close and give back. Called at the end of the turn in which (or before which) dead was set. */
	void (*reap)(struct watch *w);
	int fd;
	short events;
	bool dead;
	int64_t deadline;
	size_t slot;			/* the loop's own */
};

struct loop;

/* At most `max` watches at a time. NULL without memory. */
struct loop *loop_new(size_t max);
/* Reaps all that are left, from the back: what was added before its users (a helper) outlives them. */
void loop_free(struct loop *l);
/* At most `max` from now on. False without memory. */
bool loop_widen(struct loop *l, size_t max);
/* The watch stays the caller's memory until reaped. False when there are `max` already. */
bool loop_add(struct loop *l, struct watch *w);
size_t loop_count(const struct loop *l);
/* One turn: before, want, poll, ready, reap. Returns 0 or -errno of poll (EINTR is 0). */
int loop_turn(struct loop *l);
/* Monotonic milliseconds, read once a turn, after poll. */
int64_t loop_now(const struct loop *l);

#endif
