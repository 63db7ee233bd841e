/* The relay's face, and what couriers report to it. */
#include <errno.h>
#include <stdlib.h>

#include "base/alarm.h"
#include "base/clock.h"
#include "base/log.h"
#include "relay/inner.h"

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

static void go_on(struct relay *r, struct attempt *a)
{
	if (a->direct)
		direct_done(r, a);
	else
		schedule_go_on(r, a);
}

static void note_failure(struct route_state *state, const char *words)
{
	state->last_failure = clock_wall();
	slice_copy(slice_first(slice_of(words), sizeof(state->last_error) - 1), state->last_error,
		   sizeof(state->last_error));
}

static void mark_down(struct relay *r, unsigned route, const char *words)
{
	struct route_state *state = &r->states[route];
	int64_t delay = relay_delay(r->settings, state->failures);
	struct record line;

	if (state->down_until > relay_now(r))
		return;			/* connections that were tried at once fail as one */
	state->failures++;
	state->down_until = relay_now(r) + delay;
	state->login_refused = false;
	note_failure(state, words);
	record_start(&line, "relay-down");
	record_word(&line, "relay", route_name(&r->settings->routes[route]));
	record_seconds(&line, "retry", delay);
	record_reason(&line, "error", slice_of(words));
	log_record(SEVERITY_WARNING, &line);
}

/* Whose login an alarm is about. */
static struct slice login_cause(const struct relay *r, unsigned route, int login, char out[ALARM_CAUSE_MAX + 1])
{
	const char *account = relay_login_name(r, route, login);

	return alarm_cause(out, "relay %s%s%s", route_name(&r->settings->routes[route]), account[0] ? ", account " : "", account);
}

/* The login of an account rests alone; that of all is the relay's. */
static void refuse_login(struct relay *r, unsigned route, int login, const char *words)
{
	struct route_state *state = &r->states[route];
	struct login_state *l = &state->logins[login];
	bool own = r->settings->routes[route].by_sender;
	char cause[ALARM_CAUSE_MAX + 1];
	struct record line;

	if (!login_refused(l, relay_now(r)))
		return;
	if (!own) {
		state->down_until = l->down_until;
		state->login_refused = true;
	}
	note_failure(state, words);
	record_start(&line, own ? "login-down" : "relay-down");
	record_word(&line, "relay", route_name(&r->settings->routes[route]));
	if (login > LOGIN_STORED)
		record_word(&line, "account", relay_login_name(r, route, login));
	record_word(&line, "alarm", "upstream-login");
	record_seconds(&line, "retry", l->down_until - relay_now(r));
	record_reason(&line, "error", slice_of(words));
	log_record(alarm_raise(ALARM_UPSTREAM_LOGIN, login_cause(r, route, login, cause), slice_of(words), relay_now(r)), &line);
	vouch_forget(r, route, login);
}

static void on_ready(struct relay *r, struct courier *c)
{
	char cause[ALARM_CAUSE_MAX + 1];

	if (c->checking)
		vouch_proved(r, c);
	if (!is_current(r, c) || c->watch.dead)
		return;
	login_accepted(&r->states[c->route].logins[c->login]);
	alarm_end(ALARM_UPSTREAM_LOGIN, login_cause(r, c->route, c->login, cause), relay_now(r));
	alarm_end(ALARM_LOOP, login_cause(r, c->route, LOGIN_STORED, cause), relay_now(r));
	if (r->states[c->route].token)
		token_accepted(r->states[c->route].token);
	relay_wake(r);			/* others waited for it to be tried */
}

/* A client's pair is forgotten, so that there is nothing to rest: its mail finds at once that it has to wait. */
static int64_t login_rest(const struct relay *r, const struct courier *c)
{
	int64_t until = r->states[c->route].logins[c->login].down_until;

	return until ? until : relay_now(r);
}

static void on_done(struct relay *r, struct courier *c, struct attempt *a)
{
	char text[FAULT_MAX];
	struct slice words;

	outcome_log(r, a, c->address);
	if (a->in_doubt && !a->direct)
		doubt_note(&r->doubts, a->id, a->remote);
	/* With POP before SMTP such a reply may be about the door: see relay/denial.h. */
	if (is_current(r, c) && r->settings->routes[c->route].pop.use == POP_OFF && attempt_login_refused(a, &words)) {
		slice_copy(slice_first(words, sizeof(text) - 1), text, sizeof(text));
		refuse_login(r, c->route, c->login, text);
		a->not_before = login_rest(r, c);
	} else if (is_current(r, c) && was_heard(a)) {
		struct route_state *state = &r->states[c->route];

		state->failures = 0;
		state->down_until = 0;
		state->login_refused = false;
		state->last_success = clock_wall();
		state->last_error[0] = '\0';
	}
	go_on(r, a);
}

static void on_idle(struct relay *r, struct courier *c)
{
	if (r->closing || !is_current(r, c) || courier_is_outdated(c)) {
		courier_quit(c);
		return;
	}
	vouch_place(r);
	direct_place(r);
	schedule_run(r);
}

/* A token that was good may have ended early: once more with a fresh one, before anybody is told. */
static bool tries_fresh_token(struct relay *r, struct courier *c, struct attempt *a)
{
	struct token *t = r->states[c->route].token;

	if (!t || !token_refused(t, c->token_number) || !a || a->direct)
		return false;
	log_line(SEVERITY_NOTICE, "relay %s: the access token was refused, a fresh one is fetched", a->route_name);
	schedule_go_on(r, a);
	return true;
}

static void on_failed(struct relay *r, struct courier *c, struct attempt *a, const char *words, bool login)
{
	if (c->checking) {
		bool of_pair = smtp_client_stage(&c->smtp) == STAGE_AUTH;

		vouch_failed(r, c, words, login);
		if (of_pair)
			return;
	}
	if (is_current(r, c) && login && tries_fresh_token(r, c, a))
		return;
	if (is_current(r, c) && login)
		refuse_login(r, c->route, c->login, words);
	else if (is_current(r, c))
		mark_down(r, c->route, words);
	if (!a)
		return;
	attempt_group_verdict(a, 0, slice_of(words), false);
	outcome_log(r, a, c->address);
	if (is_current(r, c))
		a->not_before = login ? login_rest(r, c) : r->states[c->route].down_until;
	go_on(r, a);
}

static void on_gone(struct relay *r, struct courier *c)
{
	struct courier **link = &r->couriers;
	struct route_state *state;

	if (c->checking)
		vouch_gone(r, c);
	while (*link && *link != c)
		link = &(*link)->next;
	if (!*link)
		return;			/* it never began */
	*link = c->next;
	r->open--;
	state = relay_state(r, c);
	if (state)
		state->couriers--;
	relay_wake(r);
}

/* 0: a message may begin now; else when to ask again. */
static int64_t on_pace(struct relay *r, struct courier *c)
{
	struct route_state *state = relay_state(r, c);
	unsigned rate = state ? r->settings->routes[state - r->states].rate : 0;

	if (rate && !pace_tokens(&state->pace, rate, relay_now(r)))
		return pace_at(&state->pace, rate, 1);
	if (rate)
		pace_take(&state->pace, rate, relay_now(r));
	return 0;
}

/* The face */

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
		.calls = { .ready = on_ready, .done = on_done, .idle = on_idle, .failed = on_failed, .pace = on_pace,
			   .gone = on_gone },
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

static void free_states(struct route_state *states, unsigned count)
{
	for (unsigned i = 0; states && i < count; i++) {
		token_free(states[i].token);
		free(states[i].logins);
	}
	free(states);
}

static void on_token(void *context, unsigned route, const char *error)
{
	struct relay *r = context;

	if (error)
		refuse_login(r, route, LOGIN_STORED, error);
	relay_wake(r);
}

static bool make_tokens(struct relay *r, const struct relay_settings *settings, struct route_state *states)
{
	for (unsigned i = 0; i < settings->route_count; i++) {
		struct slice line = slice_of(settings->routes[i].token_command);

		if (line.len)
			states[i].token = token_new(r->house.loop, line, on_token, r, i);
		if (line.len && !states[i].token)
			return false;
	}
	return true;
}

static void release_pops(struct route_state *states, unsigned count)
{
	for (unsigned i = 0; states && i < count; i++)
		pop_release(states[i].pop);
}

void relay_free(struct relay *r)
{
	if (!r)
		return;
	free_all(r->waiting);
	free_all(r->returning);
	free_all(r->direct);
	vouch_end(r);
	release_pops(r->states, relay_route_count(r));
	free_states(r->states, relay_route_count(r));
	free(r);
}

/*
 * What a reload must not forget: how fast the route has been fed, and the connections that are still open. That it was down is
 * forgotten: the new settings may be the cure.
 */
static void inherit(const struct relay *r, const struct relay_settings *new, unsigned i, struct route_state *state)
{
	const char *name = new->routes[i].name;
	int before = r->settings ? route_named(r->settings, name) : -1;

	pace_start(&state->pace, new->routes[i].rate, relay_now(r));
	if (before >= 0) {
		const struct route_state *old = &r->states[before];

		if (r->settings->routes[before].rate)
			state->pace = old->pace;
		state->line = old->line;
		state->last_success = old->last_success;
		state->last_failure = old->last_failure;
	}
	for (const struct courier *c = r->couriers; c; c = c->next)
		state->couriers += slice_equal(slice_of(c->settings->routes[c->route].name), slice_of(name));
}

static bool make_logins(const struct relay_settings *settings, struct route_state *states)
{
	for (unsigned i = 0; i < settings->route_count; i++) {
		states[i].logins = calloc(settings->routes[i].login_count + 1u, sizeof(*states[i].logins));
		if (!states[i].logins)
			return false;
	}
	return true;
}

/* POP logins are made afresh: user, host or address may be other ones now. */
static bool make_pops(const struct relay *r, struct relay_settings *settings, struct route_state *states)
{
	for (unsigned i = 0; i < settings->route_count; i++) {
		if (settings->routes[i].pop.use != POP_AGENT)
			continue;
		states[i].pop = pop_new(r->house.loop, r->house.blocks, r->house.resolver, settings, i);
		if (!states[i].pop)
			return false;
	}
	return true;
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

/* It outlives a reload: nobody has to log in again for that. */
static bool share_wallet(struct relay *r, struct relay_settings *settings)
{
	for (unsigned i = 0; i < settings->route_count; i++) {
		if (!settings->routes[i].by_client)
			continue;
		if (!r->wallet)
			r->wallet = wallet_new();
		settings->routes[i].wallet = r->wallet;
		if (!r->wallet)
			return false;
	}
	return true;
}

bool relay_apply(struct relay *r, struct relay_settings *settings)
{
	struct route_state *states = calloc(settings->route_count + 1u, sizeof(*states));

	if (!states || !share_wallet(r, settings) || !make_logins(settings, states) || !make_tokens(r, settings, states) ||
	    !make_pops(r, settings, states)) {
		release_pops(states, settings->route_count);
		free_states(states, settings->route_count);
		return false;
	}
	for (unsigned i = 0; i < settings->route_count; i++)
		inherit(r, settings, i, &states[i]);
	if (waits_for_login(r))
		hasten_all(r);
	/* Whatever is still so is found anew; within its day that is no news. */
	alarm_end_all(ALARM_UPSTREAM_LOGIN, relay_now(r));
	alarm_end_all(ALARM_LOOP, relay_now(r));
	release_pops(r->states, relay_route_count(r));
	free_states(r->states, relay_route_count(r));
	r->states = states;
	r->settings = settings;
	r->sweep_began = r->next_sweep = 0;	/* delay_notice may be another */
	for (struct courier *c = r->couriers; c; c = c->next)
		if (!is_current(r, c))
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
