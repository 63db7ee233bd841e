#include "net/loop.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>

#include "base/clock.h"

struct loop {
	size_t max, count;
	int64_t now;
	struct watch **watches;		/* count of them; slot is the index */
	struct pollfd *polls;		/* of the same index, during a turn */
};

struct loop *loop_new(size_t max)
{
	struct loop *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->max = max;
	l->now = clock_monotonic();
	l->watches = calloc(max > 0 ? max : 1, sizeof(struct watch *));
	l->polls = calloc(max > 0 ? max : 1, sizeof(*l->polls));
	if (!l->watches || !l->polls) {
		loop_free(l);
		return NULL;
	}
	return l;
}

/* The last one moves into the gap. */
static void remove_at(struct loop *l, size_t i)
{
	struct watch *w = l->watches[i];

	l->watches[i] = l->watches[--l->count];
	l->watches[i]->slot = i;
	w->reap(w);
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	while (l->count > 0) {
		l->watches[l->count - 1]->dead = true;
		remove_at(l, l->count - 1);
	}
	free(l->watches);
	free(l->polls);
	free(l);
}

bool loop_widen(struct loop *l, size_t max)
{
	struct watch **watches = realloc(l->watches, max * sizeof(struct watch *));
	struct pollfd *polls;

	if (!watches)
		return false;
	l->watches = watches;
	polls = realloc(l->polls, max * sizeof(*polls));
	if (!polls)
		return false;
	l->polls = polls;
	l->max = max;
	return true;
}

bool loop_add(struct loop *l, struct watch *w)
{
	if (l->count == l->max)
		return false;
	w->slot = l->count;
	l->watches[l->count++] = w;
	return true;
}

size_t loop_count(const struct loop *l)
{
	return l->count;
}

int64_t loop_now(const struct loop *l)
{
	return l->now;
}

/* Asks the first n watches; returns the earliest deadline, which is now when one is dead already. */
static int64_t ask(struct loop *l, size_t n)
{
	int64_t earliest = NEVER;

	for (size_t i = 0; i < n; i++) {
		struct watch *w = l->watches[i];

		if (!w->dead)
			w->want(w);
		if (w->dead) {
			w->events = 0;
			w->deadline = l->now;
		}
		/* A hung-up fd nobody waits for would end each poll at once. */
		l->polls[i].fd = w->events ? w->fd : -1;
		l->polls[i].events = w->events;
		l->polls[i].revents = 0;
		if (w->deadline < earliest)
			earliest = w->deadline;
	}
	return earliest;
}

static int timeout_until(const struct loop *l, int64_t deadline)
{
	if (deadline == NEVER)
		return -1;
	if (deadline <= l->now)
		return 0;
	return deadline - l->now < INT_MAX ? (int)(deadline - l->now) : INT_MAX;
}

static void tell(struct loop *l, struct watch *w, short events, short revents)
{
	if (w->dead)
		return;
	if (revents & (POLLERR | POLLHUP | POLLNVAL))
		revents |= events;
	if (revents) {
		w->ready(w, revents);
		if (w->dead || w->deadline > l->now)
			return;
		w->want(w);
	}
	if (!w->dead && w->deadline <= l->now)
		w->ready(w, 0);
}

/* A reap may mark others dead, even some that were passed already: until none is found. */
static void bury(struct loop *l)
{
	bool found;

	do {
		found = false;
		for (size_t i = l->count; i-- > 0;) {
			if (!l->watches[i]->dead)
				continue;
			remove_at(l, i);
			found = true;
		}
	} while (found);
}

/* The count is read afresh: this may add watches. */
static void prepare(struct loop *l)
{
	for (size_t i = 0; i < l->count; i++)
		if (l->watches[i]->before && !l->watches[i]->dead)
			l->watches[i]->before(l->watches[i]);
}

int loop_turn(struct loop *l)
{
	prepare(l);

	size_t n = l->count;
	int timeout = timeout_until(l, ask(l, n));
	int status = poll(l->polls, n, timeout) < 0 ? -errno : 0;

	l->now = clock_monotonic();
	for (size_t i = 0; i < n; i++)
		tell(l, l->watches[i], l->polls[i].events, status < 0 ? 0 : l->polls[i].revents);
	bury(l);
	return status == -EINTR ? 0 : status;
}
