/* Which message goes where and when: routes that have room, those that wait, and those whose time is over. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/alarm.h"
#include "base/clock.h"
#include "base/log.h"
#include "relay/inner.h"

/* Attempts that wait in memory for a courier of their route; the others wait in the queue. */
#define WAITING_MAX	32
#define WAITING_PER_ROUTE	12	/* so that a slow relay leaves places to the others */
/* Messages looked at in one turn, so that a full queue doesn't hold up the sessions. */
#define LOADS_PER_TURN	64
/* A message that waits for a busy route, or could not be loaded for want of memory, is looked at again after this. */
#define LATER_MS	1000
/* One that the disk gives back damaged is looked at again: an operator may have repaired the disk. */
#define DAMAGED_MS	(60 * 60 * 1000)
#define MISSING_MS	(10 * 60 * 1000)	/* mail that waits for its account's login is looked at again, should nobody remember it */
#define MISSING_TOLD_MS	(60 * 60 * 1000)	/* from one alarm about accounts without a login to the next, a route */
#define SWEEP_MS	60000	/* how often messages are looked through for those that have expired or are late */
#define LOADS_PER_SWEEP	16
#define SWEEP_STEP_MS	20	/* and then the next so many */

/* Routes */

/* `login` LOGIN_MISSING, `host` empty: any. */
static struct courier *idle_courier(const struct relay *r, unsigned route, int login, const char *host)
{
	for (struct courier *c = r->couriers; c; c = c->next)
		if (c->stage == COURIER_IDLE && c->route == route && c->settings == r->settings && !c->watch.dead &&
		    !courier_is_outdated(c) && (login == LOGIN_MISSING || c->login == login) &&
		    (!host[0] || slice_equal_fold(slice_of(courier_host(c)), slice_of(host))))
			return c;
	return NULL;
}

static bool is_down(const struct relay *r, unsigned route)
{
	return r->states[route].down_until > relay_now(r);
}

static bool has_place(const struct relay *r, unsigned route)
{
	return r->states[route].couriers < r->settings->routes[route].connections && r->open < COURIERS_MAX;
}

/* Couriers that have been given a message which they have not begun: the next tokens are theirs. */
static unsigned promised(const struct relay *r, unsigned route)
{
	unsigned n = 0;

	for (const struct courier *c = r->couriers; c; c = c->next)
		n += c->attempt && !c->begun && !c->watch.dead && relay_state(r, c) == &r->states[route];
	return n;
}

static bool is_paced(const struct relay *r, unsigned route)
{
	unsigned rate = r->settings->routes[route].rate;

	return rate && pace_tokens(&r->states[route].pace, rate, relay_now(r)) <= promised(r, route);
}

/* When a token will be there that nobody has been promised; NEVER: not before a courier has begun. */
static int64_t next_token(const struct relay *r, unsigned route)
{
	unsigned rate = r->settings->routes[route].rate, taken = promised(r, route);

	return taken < pace_burst(rate) ? pace_at(&r->states[route].pace, rate, taken + 1) : NEVER;
}

enum relay_wait schedule_wait(const struct relay *r, unsigned route)
{
	if (is_down(r, route))
		return WAIT_DOWN;
	if (is_paced(r, route))
		return WAIT_RATE;
	return has_place(r, route) || idle_courier(r, route, LOGIN_MISSING, "") ? WAIT_NOT : WAIT_CONNECTION;
}

static bool any_room(const struct relay *r)
{
	for (unsigned i = 0; i < r->settings->route_count; i++)
		if (schedule_wait(r, i) == WAIT_NOT)
			return true;
	return false;
}

/* When a route that has no room now will have some by itself. */
static int64_t next_room(const struct relay *r)
{
	int64_t at = NEVER;

	for (unsigned i = 0; i < r->settings->route_count; i++) {
		enum relay_wait wait = schedule_wait(r, i);
		int64_t then = wait == WAIT_DOWN ? r->states[i].down_until : wait == WAIT_RATE ? next_token(r, i) : NEVER;

		if (then < at)
			at = then;
	}
	return at;
}

/*
 * A message that waits for the rate is due again when its turn will come, so that a long queue of them is not read from the disk
 * over and over while other routes have room.
 */
static int64_t line_up(struct relay *r, unsigned route)
{
	struct route_state *s = &r->states[route];
	int64_t now = relay_now(r), first = next_token(r, route);

	if (first == NEVER || first < now)
		first = now + LATER_MS;
	s->line += pace_interval(r->settings->routes[route].rate);
	if (s->line < first)
		s->line = first;
	return s->line;
}

/* Where an attempt goes next */

/* Until a login has been good, one connection tries it: a wrong password is one guess, not one a connection. */
static bool login_has_place(const struct relay *r, unsigned route, int login)
{
	if (!r->settings->routes[route].mechanisms || r->states[route].logins[login].proved)
		return true;
	for (const struct courier *c = r->couriers; c; c = c->next)
		if (c->settings == r->settings && c->route == route && c->login == login && !c->watch.dead)
			return false;
	return true;
}

static void take_in(struct relay *r, unsigned route, struct courier *c)
{
	c->next = r->couriers;
	r->couriers = c;
	r->states[route].couriers++;
	r->open++;
}

static bool start_courier(struct relay *r, unsigned route, struct attempt *a)
{
	struct token *t = r->states[route].token;
	struct slice token = slice_bytes("", 0);
	struct courier *c;

	if (!has_place(r, route) || !login_has_place(r, route, a->login))
		return false;
	if (t)
		token = token_get(t);
	if (t && !token.len)
		return false;		/* it is being fetched */
	c = courier_start(r, &r->house, r->settings, route, r->states[route].pop, a);
	if (!c)
		return false;
	/* Without memory it finds at AUTH that it has none, and fails there. */
	if (t)
		courier_bring_token(c, token, token_number(t));
	take_in(r, route, c);
	return true;
}

struct courier *schedule_check(struct relay *r, unsigned route, const struct relay_pair *pair)
{
	struct courier *c;

	if (!has_place(r, route)) {
		c = idle_courier(r, route, LOGIN_MISSING, "");
		if (c)
			courier_quit(c);
		return NULL;
	}
	c = courier_check(r, &r->house, r->settings, route, pair);
	if (c)
		take_in(r, route, c);
	return c;
}

bool schedule_carry(struct relay *r, struct attempt *a)
{
	unsigned route = (unsigned)a->route;
	struct courier *c = idle_courier(r, route, a->login, a->only_host);

	if (is_paced(r, route))
		return false;
	if (c) {
		courier_carry(c, a);
		return true;
	}
	if (start_courier(r, route, a))
		return true;
	/* One that is bound to a host, or to a login, may need the place of an idle connection of another. */
	c = idle_courier(r, route, LOGIN_MISSING, "");
	if (c && !has_place(r, route))
		courier_quit(c);
	return false;
}

static bool wait_in_memory(struct relay *r, struct attempt *a)
{
	struct attempt **link = &r->waiting;
	unsigned all = 0, here = 0;

	for (; *link; link = &(*link)->next) {
		all++;
		here += (*link)->route == a->route;
	}
	if (all >= WAITING_MAX || here >= WAITING_PER_ROUTE)
		return false;
	a->next = NULL;
	*link = a;			/* first come, first served */
	return true;
}

/* To a courier, or into the line for one; false when there is no place in the line either. */
static bool place(struct relay *r, struct attempt *a)
{
	unsigned route = (unsigned)a->route;
	bool carried = a->carried;

	if (is_paced(r, route))
		return wait_in_memory(r, a);
	a->carried = true;
	if (schedule_carry(r, a))
		return true;
	a->carried = carried;
	return wait_in_memory(r, a);
}

void schedule_put_off(struct relay *r, struct attempt *a, int64_t until)
{
	spool_untake(r->house.spool, a->id, until);
	attempt_free(a);
}

/*
 * What is left of it has to wait until then; 0: as [queue] retry says. What a courier has achieved is recorded, else delivered
 * mail would be sent again.
 */
static void rest(struct relay *r, struct attempt *a, int64_t until)
{
	if (!a->carried && until) {
		schedule_put_off(r, a, until);
		return;
	}
	if (until > a->not_before && !attempt_was_deferred(a))
		a->not_before = until;
	outcome_finish(r, a);
}

static void sooner(int64_t *until, int64_t at)
{
	if (!*until || at < *until)
		*until = at;
}

/*
 * Why the group can't go now: its turn comes with the message's next attempt. NULL: it can go, or wait in memory, where one that
 * has `waited` keeps its place.
 */
static const char *why_not(struct relay *r, int route, int login, bool waited, int64_t *until)
{
	if (route < 0)
		return "no [relay] section takes this recipient";
	if (login_is_down(&r->states[route].logins[login], relay_now(r))) {
		sooner(until, r->states[route].logins[login].down_until);
		return login == LOGIN_STORED ? r->states[route].last_error : "the next hop refuses the login of this account";
	}
	switch (schedule_wait(r, (unsigned)route)) {
	case WAIT_DOWN:
		sooner(until, r->states[route].down_until);
		return r->states[route].last_error;
	case WAIT_RATE:
		if (waited)
			return NULL;
		sooner(until, line_up(r, (unsigned)route));
		return "waits for the relay's rate";
	case WAIT_CONNECTION:
	case WAIT_LOGIN:		/* not a route's */
	case WAIT_NOT:
		break;
	}
	return NULL;
}

/* credentials = sender, and nothing is known of this one: told to the operator, and tried again, since a reload may bring it. */
static void miss_login(struct relay *r, struct attempt *a)
{
	struct route_state *state = &r->states[a->route];
	struct slice account = attempt_account(a, r->settings);
	char words[FAULT_MAX], cause[ALARM_CAUSE_MAX + 1];
	struct record line;

	snprintf(words, sizeof(words), "no upstream login for %.*s in %s", SLICE_ARGS(account),
		 r->settings->routes[a->route].logins_path);
	if (!state->missing_told || relay_now(r) - state->missing_told >= MISSING_TOLD_MS) {
		state->missing_told = relay_now(r);
		record_start(&line, "login-down");
		record_word(&line, "relay", a->route_name);
		record_text(&line, "account", account);
		record_word(&line, "alarm", "upstream-login");
		record_text(&line, "error", slice_of(words));
		alarm_cause(cause, "relay %s, account %.*s", a->route_name, SLICE_ARGS(account));
		log_record(alarm_raise(ALARM_UPSTREAM_LOGIN, slice_of(cause), slice_of(words), relay_now(r)), &line);
	}
	attempt_group_verdict(a, 0, slice_of(words), true);
	outcome_log(r, a, "");
}

/* credentials = client: its pair is gone with the last restart, or since the next hop refuses it. */
static bool is_clients(const struct relay *r, const struct attempt *a)
{
	return route_is_clients(&r->settings->routes[a->route], attempt_account(a, r->settings));
}

static void await_login(struct relay *r, struct attempt *a)
{
	struct slice account = attempt_account(a, r->settings);
	struct record line;

	attempt_skip_group(a, SLICE_OF("waits for its account to log in again"));
	if (!missing_note(&r->missing, account, a->id))
		return;
	record_start(&line, "login-down");
	record_word(&line, "relay", a->route_name);
	record_text(&line, "account", account);
	record_text(&line, "error", SLICE_OF("its mail waits for it to log in again"));
	log_record(SEVERITY_NOTICE, &line);
}

void schedule_came(struct relay *r, struct slice account)
{
	uint64_t id;

	while ((id = missing_next(&r->missing, account)))
		spool_hasten(r->house.spool, id, relay_now(r));
	r->wake = true;
}

static void go_on(struct relay *r, struct attempt *a, bool waited)
{
	int64_t until = 0;

	for (;;) {
		int route = attempt_group(a, r->settings);
		const char *why;

		if (!a->group_count)
			break;
		if (a->login == LOGIN_MISSING && is_clients(r, a)) {
			sooner(&until, relay_now(r) + MISSING_MS);
			await_login(r, a);
			continue;
		}
		if (a->login == LOGIN_MISSING) {
			a->carried = true;	/* an attempt, though nobody set out */
			miss_login(r, a);
			continue;
		}
		why = why_not(r, route, a->login, waited, &until);
		if (!why && place(r, a))
			return;
		if (!why) {
			sooner(&until, relay_now(r) + LATER_MS);
			break;
		}
		attempt_skip_group(a, slice_of(why));
	}
	rest(r, a, until);
}

void schedule_go_on(struct relay *r, struct attempt *a)
{
	go_on(r, a, false);
}

void schedule_end_waiting(struct relay *r)
{
	while (r->waiting) {
		struct attempt *a = r->waiting;

		r->waiting = a->next;
		rest(r, a, relay_now(r));
	}
}

/* A message that the disk gives back damaged is looked at again until its time is over. */
static void put_off_unreadable(struct relay *r, const struct spool_entry *e, int error)
{
	char text[SPOOL_ID_TEXT];

	spool_id_text(e->id, text);
	log_line(SEVERITY_ERR, "message %s can't be read from the spool: %s", text, strerror(-error));
	if (error != -ENOMEM && age_is_over(r, e->arrived)) {
		log_line(SEVERITY_ERR, "dropped id=%s reason=unreadable", text);
		outcome_drop(r, e, "unreadable");
		return;
	}
	spool_untake(r->house.spool, e->id, relay_now(r) + (error == -ENOMEM ? LATER_MS : DAMAGED_MS));
}

struct attempt *schedule_load(struct relay *r, const struct spool_entry *e)
{
	int error;
	struct attempt *a = attempt_new(r->house.spool, e->id, e->attempts, &error);
	const char *host;

	if (!a) {
		put_off_unreadable(r, e, error);
		return NULL;
	}
	a->relay = r;
	host = doubt_host(&r->doubts, a->id);
	if (host)
		slice_copy(slice_of(host), a->only_host, sizeof(a->only_host));
	return a;
}

/* The schedule */

static void place_waiting(struct relay *r)
{
	struct attempt *a = r->waiting;

	r->waiting = NULL;
	while (a) {
		struct attempt *next = a->next;

		go_on(r, a, true);
		a = next;
	}
}

/* Takes this one: it is made the first of all that are due. NULL when it is being sent. */
const struct spool_entry *schedule_take(struct relay *r, uint64_t id)
{
	const struct spool_entry *e;

	if (!spool_hasten(r->house.spool, id, INT64_MIN))
		return NULL;
	e = spool_take(r->house.spool, relay_now(r));
	return e && e->id == id ? e : NULL;
}

/* Its age has passed [return] delay_notice since the last sweep. (The first one after a start looks at all that are late.) */
static bool is_newly_late(const struct relay *r, int64_t arrived)
{
	int64_t late = clock_seconds(r->settings->delay_notice), age = age_of(r, arrived);

	return late && age >= late && (!r->sweep_before || age - clock_seconds(relay_now(r) - r->sweep_before) <= late);
}

/* True when the message had to be read. */
static bool sweep_one(struct relay *r, const struct spool_entry *e)
{
	int64_t next = e->next_attempt;
	bool over = next <= relay_now(r) && age_is_over(r, e->arrived);
	struct attempt *a;

	if (e->taken || (!over && !is_newly_late(r, e->arrived)))
		return false;
	e = schedule_take(r, e->id);
	a = e ? schedule_load(r, e) : NULL;
	if (!a)
		return true;
	if (over) {
		outcome_expire(r, a, false);
	} else if (!outcome_is_late(r, a)) {
		schedule_put_off(r, a, next);	/* told already, or nobody to tell */
	} else {
		a->not_before = next;
		outcome_finish(r, a);
	}
	return true;
}

/*
 * Messages whose time is over are given up even while their relay is down, and the senders of late ones are told. A few at a time, so
 * that an outage of a whole office's mail doesn't hold up the sessions.
 */
static void sweep(struct relay *r)
{
	const struct spool_entry *e;
	unsigned n = 0;

	if (!r->swept) {
		r->sweep_before = r->sweep_began;
		r->sweep_began = relay_now(r);
	}
	while (n < LOADS_PER_SWEEP && (e = spool_next(r->house.spool, r->swept))) {
		r->swept = e->id;
		n += sweep_one(r, e);
	}
	r->next_sweep = relay_now(r) + (n < LOADS_PER_SWEEP ? SWEEP_MS : SWEEP_STEP_MS);
	if (n < LOADS_PER_SWEEP)
		r->swept = 0;
}

static void take_due(struct relay *r)
{
	for (unsigned n = 0; n < LOADS_PER_TURN && any_room(r); n++) {
		const struct spool_entry *e = spool_take(r->house.spool, relay_now(r));
		struct attempt *a = e ? schedule_load(r, e) : NULL;

		if (!e)
			return;
		if (a && age_is_over(r, a->message.envelope.arrived))
			outcome_expire(r, a, false);
		else if (a)
			schedule_go_on(r, a);
	}
	r->wake = any_room(r);
}

void schedule_run(struct relay *r)
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

void schedule_before(struct watch *w)
{
	struct relay *r = (struct relay *)w;

	age_watch(r);
	if (r->wake && !r->closing && r->settings)
		schedule_run(r);
}

void schedule_want(struct watch *w)
{
	const struct relay *r = (const struct relay *)w;
	int64_t due, room;

	w->fd = -1;
	w->deadline = NEVER;
	if (r->closing || !r->settings)
		return;
	due = spool_next_due(r->house.spool);
	room = next_room(r);
	if (due < room && !any_room(r))
		due = room;
	if (r->waiting && room < due)
		due = room;
	if (spool_count(r->house.spool) && r->next_sweep < due)
		due = r->next_sweep;
	w->deadline = r->wake ? relay_now(r) : due;
}

void schedule_ready(struct watch *w, short revents)
{
	(void)revents;
	((struct relay *)w)->wake = true;	/* the next turn's `before` does the work */
}
