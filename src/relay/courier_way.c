/* The way to the upstream: POP's door, the route's hosts, TLS; and what is left of the attempt when it ends. */
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include "base/alarm.h"
#include "base/log.h"
#include "relay/courier_inner.h"

/* RFC 5321 4.5.3.2.6: a client waits 10 minutes for the answer to its final dot; it shall have ours by then. */
#define DIRECT_MS	(9 * 60 * 1000)

const char *courier_host(const struct courier *c)
{
	return courier_route(c)->host[c->host];
}

/* How long a reply may take is the route's `timeout`, and twice that where it says whether a message got through. */
int64_t courier_patience(const struct courier *c)
{
	int64_t most = smtp_client_in_doubt(&c->smtp) ? 2 * courier_route(c)->timeout : courier_route(c)->timeout;

	if (c->attempt && c->attempt->direct && most > DIRECT_MS)
		most = DIRECT_MS;
	return courier_after(c, most);
}

static struct attempt *give_back(struct courier *c)
{
	struct attempt *a = c->attempt;

	c->attempt = NULL;
	c->sending = c->held = false;
	return a;
}

static void fail(struct courier *c, const char *words, bool login)
{
	struct attempt *a = give_back(c);

	c->watch.dead = true;
	c->house->calls.failed(c->relay, c, a, words, login);
}

void courier_group_done(struct courier *c)
{
	struct attempt *a = give_back(c);

	c->messages++;
	a->in_doubt = smtp_client_in_doubt(&c->smtp);
	attempt_group_host(a, courier_host(c));
	c->house->calls.done(c->relay, c, a);
}

static void dialled(void *context, int fd, const char *address, const char *error);

/* R44: from where the POP login came. */
static const char *source(const struct courier *c)
{
	const char *bind = courier_route(c)->bind;

	return !bind[0] && c->pop ? pop_source(c->pop) : bind;
}

static bool dial_now(struct courier *c)
{
	const struct relay_route *r = courier_route(c);

	if (c->pop)
		c->pop_login = pop_number(c->pop);
	c->stage = COURIER_DIALLING;
	c->deadline = NEVER;
	c->mails = 0;
	c->dial = dial_start(c->house->loop, c->house->resolver, courier_host(c), r->port, source(c), DIAL_MS, dialled, c);
	return c->dial;
}

static void let_in(struct pop_waiter *w, const char *error)
{
	struct courier *c = (struct courier *)(void *)((char *)w - offsetof(struct courier, waiter));

	if (error)
		fail(c, error, false);
	else if (!dial_now(c))
		fail(c, "no memory", false);
}

/* Where POP before SMTP opens the door, that comes first. */
bool courier_dial(struct courier *c)
{
	helper_forget(c->house->hasher, c);	/* an answer for the session before is none for this one */
	if (!c->pop || pop_is_open(c->pop))
		return dial_now(c);
	c->stage = COURIER_KNOCKING;
	c->deadline = NEVER;
	c->waiter.done = let_in;
	pop_ask(c->pop, &c->waiter);
	return true;
}

bool courier_is_outdated(const struct courier *c)
{
	return c->pop && (!pop_is_open(c->pop) || c->pop_login != pop_number(c->pop));
}

/*
 * The next hop has no address of the family that POP went over, or that address is gone: once more, with a POP login over the other family
 * first (R44).
 */
static bool turn_round(struct courier *c, const char *error)
{
	if (!c->pop || c->turned || courier_route(c)->bind[0] || !dial_blames_source(error))
		return false;
	c->turned = true;
	pop_turn(c->pop, c->pop_login);
	return courier_dial(c);
}

/* Its message may be at this host already: no other one gets it. */
static bool is_bound(const struct courier *c)
{
	return c->attempt && c->attempt->only_host[0];
}

void courier_host_failed(struct courier *c, const char *words)
{
	char text[FAULT_MAX];

	snprintf(text, sizeof(text), "%s: %s", c->address[0] ? c->address : courier_host(c), words);
	stream_close(&c->stream);
	if (!c->was_ready && !is_bound(c) && c->host + 1u < courier_route(c)->host_count) {
		log_line(SEVERITY_WARNING, "relay %s: %s; trying the next host", route_name(courier_route(c)), text);
		c->host++;
		c->shakes = 0;
		c->address[0] = '\0';
		if (courier_dial(c))
			return;
	}
	if (!is_bound(c)) {
		fail(c, text, false);
		return;
	}
	attempt_group_verdict(c->attempt, 0, slice_of(text), false);
	c->watch.dead = true;		/* this message has to wait; the route's other hosts may be well */
	courier_group_done(c);
}

static void init_session(struct courier *c)
{
	const struct relay_route *r = courier_route(c);

	c->rules = (struct smtp_client_settings){
		.helo = slice_of(c->settings->hostname),
		.starttls = r->tls == TLS_USE_STARTTLS,
		.secured = r->tls == TLS_USE_IMPLICIT,
		.mechanisms = r->mechanisms,
		.login_optional = r->login_optional,
		.user = r->by_client ? slice_of(c->own.user) : route_user(r, c->login),
		.password = r->by_client ? slice_of(c->own.password) : route_password(r, c->login),
		.nonce = courier_nonce(c),
		.token = slice_of(c->token),
	};
	smtp_client_init(&c->smtp, &c->rules);
	c->stage = COURIER_TALKING;
	c->deadline = courier_patience(c);
}

bool courier_shake(struct courier *c)
{
	const struct relay_route *r = courier_route(c);

	c->stage = COURIER_SHAKING;
	c->deadline = courier_after(c, STREAM_HANDSHAKE_MS);
	return stream_start_tls(&c->stream, r->context, r->tls_name[0] ? r->tls_name : courier_host(c));
}

void courier_secured(struct courier *c)
{
	smtp_client_secured(&c->smtp);
	c->stage = COURIER_TALKING;
	c->deadline = courier_patience(c);
}

/* R51: a host's name has led to ourselves. Its mail waits for somebody to mend that. */
static void refuse_self(struct courier *c)
{
	char cause[ALARM_CAUSE_MAX + 1];
	struct record line;

	record_start(&line, "loop");
	record_word(&line, "relay", route_name(courier_route(c)));
	record_word(&line, "host", c->address);
	record_word(&line, "alarm", "loop");
	alarm_cause(cause, "relay %s", route_name(courier_route(c)));
	log_record(alarm_raise(ALARM_LOOP, slice_of(cause), slice_of(c->address), loop_now(c->house->loop)), &line);
	courier_host_failed(c, "this is a listener of our own: mail would go round for ever");
}

static void dialled(void *context, int fd, const char *address, const char *error)
{
	struct courier *c = context;

	c->dial = NULL;
	slice_copy(slice_first(slice_of(address), sizeof(c->address) - 1), c->address, sizeof(c->address));
	if (fd < 0) {
		if (!turn_round(c, error))
			courier_host_failed(c, error);
		return;
	}
	if (self_is_peer(&c->settings->self, fd)) {
		close(fd);
		refuse_self(c);
		return;
	}
	stream_open(&c->stream, fd, c->house->blocks);
	init_session(c);
	if (courier_route(c)->tls == TLS_USE_IMPLICIT && !courier_shake(c))
		courier_host_failed(c, "no memory for TLS");
}

/* A kept connection that the upstream has closed meanwhile is no failure: once again, on a fresh one. */
static bool redial(struct courier *c)
{
	if (!c->messages || !c->attempt || c->attempt->redialled || smtp_client_in_doubt(&c->smtp) ||
	    smtp_client_stage(&c->smtp) != STAGE_MAIL)
		return false;
	c->attempt->redialled = true;
	c->messages = 0;
	c->held = false;
	stream_close(&c->stream);
	return courier_dial(c);
}

void courier_session_failed(struct courier *c, enum smtp_client_stage stage, struct slice why, bool login_refused)
{
	bool doubt = smtp_client_in_doubt(&c->smtp);
	char words[FAULT_MAX];

	snprintf(words, sizeof(words), "%s: %.*s%s", smtp_client_stage_name(stage), SLICE_ARGS(why),
		 doubt ? " (not known whether the mail got through)" : "");
	if (redial(c))
		return;
	if (login_refused) {
		fail(c, words, true);	/* another host of theirs would refuse it as well, and count it */
	} else if (!c->was_ready) {
		courier_host_failed(c, words);
	} else {
		c->watch.dead = true;
		if (!c->attempt)
			return;
		attempt_group_verdict(c->attempt, 0, slice_of(words), false);
		courier_group_done(c);
	}
}

static bool shake_again(struct courier *c)
{
	return stream_retry_tls(&c->stream, &c->shakes) && courier_dial(c);
}

void courier_look_for_end(struct courier *c)
{
	if (c->watch.dead || c->stage <= COURIER_DIALLING ||
	    (c->stream.state != STREAM_FAILED && c->stream.state != STREAM_ENDED))
		return;
	if (c->stage == COURIER_SHAKING) {
		if (!shake_again(c))
			courier_host_failed(c, stream_lost(&c->stream));
	} else if (!c->attempt && (c->stage == COURIER_IDLE || c->stage == COURIER_LEAVING)) {
		c->watch.dead = true;
	} else {
		courier_session_failed(c, smtp_client_stage(&c->smtp), slice_of(stream_lost(&c->stream)), false);
	}
}

void courier_abandon(struct courier *c)
{
	give_back(c);
	c->watch.dead = true;
}
