#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "relay/inner.h"

/* Attempts that wait in memory for a courier of their route; the others wait in the queue. */
#define WAITING_MAX	32
/* Messages looked at in one turn, so that a full queue doesn't hold up the sessions. */
#define LOADS_PER_TURN	64
/* A message that waits for a busy route, or could not be loaded for want of memory, is looked at again after this. */
#define LATER_MS	1000
/* One that the disk gives back damaged is looked at again: an operator may have repaired the disk. */
#define DAMAGED_MS	(60 * 60 * 1000)
/* Before 2026-01-01 the clock has not been set yet (no battery): ages are not known. */
#define SANE_WALL	1767225600
#define CLOCK_STEP_S	60	/* a jump beyond this is no slewing */
#define SWEEP_MS	60000	/* how often messages are looked through for those that have expired */

/* Where an attempt goes next */

/* `host` empty: any. */
static struct courier *idle_courier(const struct relay *r, unsigned route, const char *host)
{
	for (struct courier *c = r->couriers; c; c = c->next)
		if (c->stage == COURIER_IDLE && c->route == route && c->settings == r->settings && !c->watch.dead &&
		    (!host[0] || slice_equal_fold(slice_of(courier_host(c)), slice_of(host))))
			return c;
	return NULL;
}

/* What is known of an earlier attempt whose end is in doubt. */
static struct doubt *doubt_of(struct relay *r, uint64_t id)
{
	for (unsigned i = 0; i < DOUBTS_MAX; i++)
		if (r->doubts[i].id == id)
			return &r->doubts[i];
	return NULL;
}

/* A row is not taken back by an attempt that didn't get as far as the dot: it says nothing of the one that did. */
static void note_doubt(struct relay *r, const struct attempt *a)
{
	struct doubt *d = doubt_of(r, a->id);

	if (!a->in_doubt)
		return;
	if (!d) {
		d = &r->doubts[r->next_doubt];
		r->next_doubt = (r->next_doubt + 1) % DOUBTS_MAX;
	}
	d->id = a->id;
	slice_copy(slice_of(a->remote), d->host, sizeof(d->host));
}

static bool is_down(const struct relay *r, unsigned route)
{
	return r->states[route].down_until > relay_now(r);
}

static bool has_room(const struct relay *r, unsigned route)
{
	bool free_place = r->states[route].couriers < r->settings->routes[route].connections && r->open < COURIERS_MAX;

	return !is_down(r, route) && (free_place || idle_courier(r, route, ""));
}

static bool start_courier(struct relay *r, unsigned route, struct attempt *a)
{
	struct courier *c;

	if (r->states[route].couriers >= r->settings->routes[route].connections || r->open >= COURIERS_MAX)
		return false;
	c = courier_start(r, &r->house, r->settings, route, a);
	if (!c)
		return false;
	c->next = r->couriers;
	r->couriers = c;
	r->states[route].couriers++;
	r->open++;
	return true;
}

/* To a courier, or into the line for one; false when there is no place in the line either. */
static bool place(struct relay *r, struct attempt *a)
{
	unsigned route = (unsigned)a->route;
	struct courier *c = idle_courier(r, route, a->only_host);

	a->carried = true;
	if (c) {
		courier_carry(c, a);
		return true;
	}
	if (start_courier(r, route, a))
		return true;
	/* One that is bound to a host may need the place of an idle connection to another. */
	c = a->only_host[0] ? idle_courier(r, route, "") : NULL;
	if (c)
		courier_quit(c);
	a->carried = false;
	if (r->waiting_count >= WAITING_MAX)
		return false;
	a->next = r->waiting;
	r->waiting = a;
	r->waiting_count++;
	return true;
}

static void put_off(struct relay *r, struct attempt *a, int64_t until)
{
	spool_untake(r->house.spool, a->id, until);
	attempt_free(a);
}

/* The group can't go now; its turn comes with the message's next attempt. */
static void skip_group(struct attempt *a, const char *why)
{
	attempt_group_verdict(a, 0, slice_of(why), true);
}

static void go_on(struct relay *r, struct attempt *a)
{
	int64_t until = 0;

	for (;;) {
		int route = attempt_group(a, r->settings);

		if (!a->group_count)
			break;
		if (route >= 0 && !is_down(r, (unsigned)route)) {
			if (!place(r, a))
				put_off(r, a, relay_now(r) + LATER_MS);
			return;
		}
		if (route >= 0)
			until = r->states[route].down_until;
		skip_group(a, route < 0 ? "no [relay] section takes this recipient" : r->states[route].last_error);
	}
	if (!a->carried && until)
		put_off(r, a, until);
	else
		outcome_finish(r, a);
}

/*
 * Without a battery the clock is months behind at power-on, and is stepped when NTP answers: what arrived before the step is not
 * so old as it looks. (Known in this run only: after a restart the clock is taken at its word.)
 */
static void watch_clock(struct relay *r)
{
	int64_t wall = clock_wall(), offset = wall - relay_now(r) / 1000, jump = offset - r->clock_offset;

	if (r->clock_offset && jump > CLOCK_STEP_S) {
		r->clock_step = jump;
		r->clock_stepped_at = wall - jump;
		log_line(SEVERITY_NOTICE, "the clock was stepped by %lld s", (long long)jump);
	}
	r->clock_offset = offset;
}

static bool has_expired(const struct relay *r, int64_t arrived)
{
	int64_t wall = clock_wall(), age = wall - arrived;

	if (arrived <= r->clock_stepped_at)
		age -= r->clock_step;
	return arrived > SANE_WALL && wall > SANE_WALL && age * 1000 > r->settings->expire;
}

/* A message that the disk gives back damaged is looked at again until its time is over. */
static void put_off_unreadable(struct relay *r, const struct spool_entry *e, int error)
{
	char text[SPOOL_ID_TEXT];

	spool_id_text(e->id, text);
	log_line(SEVERITY_ERR, "message %s can't be read from the spool: %s", text, strerror(-error));
	if (error != -ENOMEM && has_expired(r, e->arrived)) {
		log_line(SEVERITY_ERR, "dropped id=%s reason=unreadable", text);
		outcome_drop(r, e);
		return;
	}
	spool_untake(r->house.spool, e->id, relay_now(r) + (error == -ENOMEM ? LATER_MS : DAMAGED_MS));
}

static struct attempt *load(struct relay *r, const struct spool_entry *e)
{
	int error;
	struct attempt *a = attempt_new(r->house.spool, e->id, e->attempts, &error);
	const struct doubt *d;

	if (!a) {
		put_off_unreadable(r, e, error);
		return NULL;
	}
	a->relay = r;
	d = doubt_of(r, a->id);
	if (d)
		slice_copy(slice_of(d->host), a->only_host, sizeof(a->only_host));
	return a;
}

/* The schedule */

static bool any_room(const struct relay *r)
{
	for (unsigned i = 0; i < r->settings->route_count; i++)
		if (has_room(r, i))
			return true;
	return false;
}

static void place_waiting(struct relay *r)
{
	struct attempt *a = r->waiting;

	r->waiting = NULL;
	r->waiting_count = 0;
	while (a) {
		struct attempt *next = a->next;

		a->next = NULL;
		go_on(r, a);
		a = next;
	}
}

/* Takes this one: it is made the first of all that are due. NULL when it is being sent. */
static const struct spool_entry *take_by_id(struct relay *r, uint64_t id)
{
	const struct spool_entry *e;

	if (!spool_hasten(r->house.spool, id, INT64_MIN))
		return NULL;
	e = spool_take(r->house.spool, relay_now(r));
	return e && e->id == id ? e : NULL;
}

/* Messages whose time is over are given up even while their relay is down. */
static void sweep(struct relay *r)
{
	uint64_t after = 0;
	const struct spool_entry *e;

	r->next_sweep = relay_now(r) + SWEEP_MS;
	while ((e = spool_next(r->house.spool, after))) {
		struct attempt *a;

		after = e->id;
		if (e->taken || !has_expired(r, e->arrived) || e->next_attempt > relay_now(r))
			continue;
		e = take_by_id(r, e->id);
		a = e ? load(r, e) : NULL;
		if (a)
			outcome_expire(r, a);
	}
}

static void take_due(struct relay *r)
{
	for (unsigned n = 0; n < LOADS_PER_TURN && any_room(r); n++) {
		const struct spool_entry *e = spool_take(r->house.spool, relay_now(r));
		struct attempt *a = e ? load(r, e) : NULL;

		if (!e)
			return;
		if (a && has_expired(r, a->message.envelope.arrived))
			outcome_expire(r, a);
		else if (a)
			go_on(r, a);
	}
	r->wake = any_room(r);
}

static void schedule(struct relay *r)
{
	if (r->scheduling || r->closing || !r->settings) {
		r->wake = true;
		return;
	}
	r->scheduling = true;
	r->wake = false;
	place_waiting(r);
	if (relay_now(r) >= r->next_sweep)
		sweep(r);
	take_due(r);
	r->scheduling = false;
}

static int64_t next_route_up(const struct relay *r)
{
	int64_t at = NEVER;

	for (unsigned i = 0; i < r->settings->route_count; i++)
		if (is_down(r, i) && r->states[i].down_until < at)
			at = r->states[i].down_until;
	return at;
}

static void before(struct watch *w)
{
	struct relay *r = (struct relay *)w;

	watch_clock(r);
	if (r->wake && !r->closing && r->settings)
		schedule(r);
}

static void want(struct watch *w)
{
	const struct relay *r = (const struct relay *)w;
	int64_t due;

	w->fd = -1;
	w->deadline = NEVER;
	if (r->closing || !r->settings)
		return;
	due = any_room(r) ? spool_next_due(r->house.spool) : next_route_up(r);
	if (spool_count(r->house.spool) && r->next_sweep < due)
		due = r->next_sweep;
	w->deadline = r->wake ? relay_now(r) : due;
}

static void ready(struct watch *w, short revents)
{
	(void)revents;
	((struct relay *)w)->wake = true;	/* the next turn's `before` does the work */
}

static void reap(struct watch *w)
{
	(void)w;
}

/* What couriers say */

/* The upstream has said something about the group, be it good or bad: the way to it is open. */
static bool was_heard(const struct attempt *a)
{
	for (unsigned i = 0; i < a->count; i++)
		if (a->recipients[i].in_group && a->recipients[i].code)
			return true;
	return false;
}

static bool is_current(const struct relay *r, const struct courier *c)
{
	return c->settings == r->settings;
}

static void on_done(struct relay *r, struct courier *c, struct attempt *a)
{
	outcome_log(r, a, c->address);
	note_doubt(r, a);
	if (is_current(r, c) && was_heard(a)) {
		struct route_state *state = &r->states[c->route];

		state->failures = 0;
		state->down_until = 0;
		state->last_success = clock_wall();
		state->last_error[0] = '\0';
	}
	go_on(r, a);
}

static void on_idle(struct relay *r, struct courier *c)
{
	if (r->closing || !is_current(r, c))
		courier_quit(c);
	else
		schedule(r);
}

static void mark_down(struct relay *r, unsigned route, const char *words, bool login)
{
	struct route_state *state = &r->states[route];
	int64_t delay = relay_delay(r->settings, state->failures);
	struct record line;

	if (is_down(r, route))
		return;			/* connections that were tried at once fail as one */
	state->failures++;
	state->down_until = relay_now(r) + delay;
	state->last_failure = clock_wall();
	slice_copy(slice_first(slice_of(words), sizeof(state->last_error) - 1), state->last_error,
		   sizeof(state->last_error));
	record_start(&line, "relay-down");
	record_word(&line, "relay", route_name(&r->settings->routes[route]));
	if (login)
		record_word(&line, "alarm", "upstream-login");
	record_seconds(&line, "retry", delay);
	record_text(&line, "error", slice_of(words));
	log_record(login ? SEVERITY_ERR : SEVERITY_WARNING, &line);
}

static void on_failed(struct relay *r, struct courier *c, struct attempt *a, const char *words, bool login)
{
	if (is_current(r, c))
		mark_down(r, c->route, words, login);
	if (!a)
		return;
	attempt_group_verdict(a, 0, slice_of(words), false);
	outcome_log(r, a, c->address);
	if (is_current(r, c))
		a->not_before = r->states[c->route].down_until;
	go_on(r, a);
}

static void on_gone(struct relay *r, struct courier *c)
{
	struct courier **link = &r->couriers;

	while (*link && *link != c)
		link = &(*link)->next;
	if (!*link)
		return;			/* it never began */
	*link = c->next;
	r->open--;
	if (is_current(r, c))
		r->states[c->route].couriers--;
	relay_wake(r);
}

/* The face */

static void woken(void *context)
{
	relay_wake(context);
}

struct relay *relay_new(struct loop *l, struct pool *blocks, struct keeper *k, struct helper *resolver)
{
	struct relay *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->watch = (struct watch){ .before = before, .want = want, .ready = ready, .reap = reap, .fd = -1 };
	r->keeper = k;
	r->house = (struct relay_house){
		.loop = l, .blocks = blocks, .spool = keeper_spool(k), .resolver = resolver,
		.calls = { .done = on_done, .idle = on_idle, .failed = on_failed, .gone = on_gone },
	};
	if (!loop_add(l, &r->watch)) {
		free(r);
		return NULL;
	}
	keeper_on_commit(k, woken, r);
	return r;
}

static void free_all(struct attempt *a)
{
	while (a) {
		struct attempt *next = a->next;

		attempt_free(a);
		a = next;
	}
}

void relay_free(struct relay *r)
{
	if (!r)
		return;
	free_all(r->waiting);
	free_all(r->returning);
	free(r->states);
	free(r);
}

bool relay_apply(struct relay *r, struct relay_settings *settings)
{
	struct route_state *states = calloc(settings->route_count + 1u, sizeof(*states));

	if (!states)
		return false;
	free(r->states);
	r->states = states;
	r->settings = settings;
	for (struct courier *c = r->couriers; c; c = c->next)
		if (!is_current(r, c))
			courier_quit(c);
	relay_wake(r);
	return true;
}

void relay_wake(struct relay *r)
{
	r->wake = true;
}

void relay_retry(struct relay *r)
{
	for (unsigned i = 0; i < relay_route_count(r); i++)
		r->states[i].down_until = 0;
	relay_wake(r);
}

void relay_shutdown(struct relay *r)
{
	r->closing = true;
	for (struct courier *c = r->couriers; c; c = c->next)
		courier_quit(c);
}

bool relay_idle(const struct relay *r)
{
	return !r->open && !r->returning;
}

const struct relay_counters *relay_counters(const struct relay *r)
{
	return &r->counters;
}

unsigned relay_route_count(const struct relay *r)
{
	return r->settings ? r->settings->route_count : 0;
}

void relay_status(const struct relay *r, unsigned route, struct relay_status *out)
{
	const struct route_state *state = &r->states[route];

	*out = (struct relay_status){
		.name = route_name(&r->settings->routes[route]),
		.host = r->settings->routes[route].host[0],
		.connections = state->couriers,
		.last_success = state->last_success,
		.last_failure = state->last_failure,
		.last_error = state->last_error,
		.down_for = is_down(r, route) ? state->down_until - relay_now(r) : 0,
	};
}

int relay_give_up(struct relay *r, uint64_t id, bool return_it)
{
	const struct spool_entry *e = spool_find(r->house.spool, id);
	struct attempt *a;
	char text[SPOOL_ID_TEXT];

	if (!e)
		return -ENOENT;
	e = take_by_id(r, id);
	if (!e)
		return -EBUSY;
	if (!return_it) {
		spool_id_text(id, text);
		log_line(SEVERITY_NOTICE, "removed id=%s", text);
		return outcome_drop(r, e);
	}
	a = load(r, e);
	if (!a)
		return -EIO;
	if (!attempt_returnable(a) || !r->settings->return_from[0]) {
		put_off(r, a, relay_now(r));
		return -EPERM;
	}
	outcome_expire(r, a);
	return 0;
}
