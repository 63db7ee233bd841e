/* What couriers report. */
#include "base/alarm.h"
#include "base/clock.h"
#include "base/log.h"
#include "relay/inner.h"

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
void heard_refusal(struct relay *r, unsigned route, int login, const char *words)
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
	r->wake = true;			/* others waited for it to be tried */
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
		heard_refusal(r, c->route, c->login, text);
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
		heard_refusal(r, c->route, c->login, words);
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
	r->wake = true;
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

struct courier_calls heard_calls(void)
{
	return (struct courier_calls){
		.ready = on_ready, .done = on_done, .idle = on_idle, .failed = on_failed, .pace = on_pace, .gone = on_gone
	};
}
