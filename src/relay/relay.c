/* The relay's face. */
#include <errno.h>
#include <stdlib.h>

#include "base/alarm.h"
#include "base/log.h"
#include "relay/inner.h"

/* A client waits for those: they go before the queue. */
static void before(struct watch *w)
{
	struct relay *r = (struct relay *)w;

	direct_expire(r);
	vouch_expire(r);
	vouch_place(r);
	direct_place(r);
	schedule_before(w);
}

static void want(struct watch *w)
{
	const struct relay *r = (const struct relay *)w;
	int64_t direct = direct_deadline(r), vouch = vouch_deadline(r);

	schedule_want(w);
	if (direct < w->deadline)
		w->deadline = direct;
	if (vouch < w->deadline)
		w->deadline = vouch;
}

static void reap(struct watch *w)
{
	(void)w;
}

static void woken(void *context)
{
	relay_wake(context);
}

struct relay *relay_new(struct loop *l, struct pool *blocks, struct keeper *k, struct helper *resolver,
			struct helper *hasher)
{
	struct relay *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->watch = (struct watch){ .before = before, .want = want, .ready = schedule_ready, .reap = reap, .fd = -1 };
	r->keeper = k;
	r->house = (struct relay_house){
		.loop = l, .blocks = blocks, .spool = keeper_spool(k), .resolver = resolver,
		.hasher = hasher,
		.calls = heard_calls(),
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
	free_all(r->direct);
	vouch_end(r);
	states_free(r->states, relay_route_count(r));
	free(r);
}

/* Some login is refused, or missing. */
static bool waits_for_login(const struct relay *r)
{
	for (unsigned i = 0; i < relay_route_count(r); i++) {
		if (r->states[i].missing_told)
			return true;
		for (unsigned l = 0; l <= r->settings->routes[i].login_count; l++)
			if (r->states[i].logins[l].refusals)
				return true;
	}
	return false;
}

/* Mail that waits for a login may wait for an hour; the new settings are most likely what it waited for. */
static void hasten_all(struct relay *r)
{
	const struct spool_entry *e;

	for (uint64_t after = 0; (e = spool_next(r->house.spool, after));) {
		after = e->id;
		if (!e->taken && e->next_attempt > relay_now(r))
			spool_hasten(r->house.spool, after, relay_now(r));
	}
}

bool relay_apply(struct relay *r, struct relay_settings *settings)
{
	struct route_state *states = states_make(r, settings);

	if (!states)
		return false;
	if (waits_for_login(r))
		hasten_all(r);
	/* Whatever is still so is found anew; within its day that is no news. */
	alarm_end_all(ALARM_UPSTREAM_LOGIN, relay_now(r));
	alarm_end_all(ALARM_LOOP, relay_now(r));
	states_free(r->states, relay_route_count(r));
	r->states = states;
	r->settings = settings;
	r->sweep_began = r->next_sweep = 0;	/* delay_notice may be another */
	for (struct courier *c = r->couriers; c; c = c->next)
		if (c->settings != settings)
			courier_quit(c);
	direct_regroup(r);
	relay_wake(r);
	return true;
}

void relay_wake(struct relay *r)
{
	r->wake = true;
}

void relay_retry(struct relay *r)
{
	for (unsigned i = 0; i < relay_route_count(r); i++) {
		r->states[i].down_until = r->states[i].line = 0;
		for (unsigned l = 0; l <= r->settings->routes[i].login_count; l++)
			r->states[i].logins[l].down_until = 0;
		if (r->states[i].pop)
			pop_retry(r->states[i].pop);
	}
	relay_wake(r);
}

void relay_shutdown(struct relay *r)
{
	r->closing = true;
	schedule_end_waiting(r);
	for (struct courier *c = r->couriers; c; c = c->next)
		courier_quit(c);
}

bool relay_idle(const struct relay *r)
{
	return !r->open && !r->returning;
}

int64_t relay_age(const struct relay *r, int64_t arrived)
{
	return age_of(r, arrived);
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
		.down_for = state->down_until > relay_now(r) ? state->down_until - relay_now(r) : 0,
		.by_pop = state->pop,
		.pop_age = state->pop ? pop_age(state->pop) : -1,
		.rate = r->settings->routes[route].rate,
		.wait = schedule_wait(r, route),
	};
}

const char *relay_wait_name(enum relay_wait wait)
{
	static const char *const names[] = {
		[WAIT_NOT] = "", [WAIT_CONNECTION] = "connection", [WAIT_RATE] = "rate", [WAIT_DOWN] = "relay-down",
		[WAIT_LOGIN] = "login",
	};

	return names[wait];
}

static int first_route(const struct relay *r, const struct spool_message *m)
{
	struct slice rest = m->envelope.recipients, to;
	int route = -1;

	for (size_t i = 0; route < 0 && envelope_next(&rest, &to) && i < m->states.len; i++)
		if (recipient_is_pending(m->states.at[i]))
			route = route_find(r->settings, m->envelope.sender, to);
	return route;
}

enum relay_wait relay_waits_for(const struct relay *r, const struct spool_entry *e, const struct spool_message *m)
{
	int route = e->taken || !r->settings ? -1 : first_route(r, m);
	enum relay_wait wait = route < 0 ? WAIT_NOT : schedule_wait(r, (unsigned)route);

	if (route >= 0 && r->settings->routes[route].by_client &&
	    route_login(&r->settings->routes[route], m->envelope.account) == LOGIN_MISSING)
		return WAIT_LOGIN;
	/* In the line for the rate it is due when its turn is expected. */
	if (e->next_attempt > relay_now(r) && (wait != WAIT_RATE || e->next_attempt > r->states[route].line))
		return WAIT_NOT;
	return wait;
}

bool relay_is_parked(const struct spool_message *m)
{
	return slice_starts(m->last_reply, SLICE_OF(PARKED_WORDS));
}

const struct relay_settings *relay_settings_now(const struct relay *r)
{
	return r->settings;
}

int relay_give_up(struct relay *r, uint64_t id, bool return_it)
{
	const struct spool_entry *e = spool_find(r->house.spool, id);
	struct attempt *a;
	char text[SPOOL_ID_TEXT];

	if (!e)
		return -ENOENT;
	e = schedule_take(r, id);
	if (!e)
		return -EBUSY;
	if (!return_it) {
		spool_id_text(id, text);
		log_line(SEVERITY_NOTICE, "removed id=%s", text);
		return outcome_drop(r, e, "removed");
	}
	a = schedule_load(r, e);
	if (!a)
		return -EIO;
	if (!attempt_returnable(a) || !r->settings->return_from[0]) {
		schedule_put_off(r, a, relay_now(r));
		return -EPERM;
	}
	outcome_expire(r, a, true);
	return 0;
}
