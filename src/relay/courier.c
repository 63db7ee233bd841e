#include "relay/courier_inner.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "relay/login.h"
#include "relay/prove.h"

#define IDLE_MS		5000	/* an idle connection is kept this long for the next message */
#define LEAVE_MS	2000	/* for the answer to QUIT */

static void turn(struct courier *c);

static void salted(void *context, const void *answer, size_t len)
{
	struct courier *c = context;

	if (c->watch.dead)
		return;
	if (courier_prove(c, answer, len))
		turn(c);
	else
		courier_host_failed(c, "no memory for SCRAM-SHA-256");
}

static bool on_ready(struct courier *c)
{
	if (!c->was_ready)
		c->house->calls.ready(c->relay, c);
	c->was_ready = true;
	if (c->attempt && courier_begin(c))
		return true;
	c->stage = COURIER_IDLE;
	c->deadline = courier_after(c, IDLE_MS);
	if (c->quitting || courier_is_used_up(c))
		courier_quit(c);
	else
		c->house->calls.idle(c->relay, c);	/* may call courier_carry */
	return c->stage != COURIER_IDLE;
}

static void on_failed(struct courier *c, const struct smtp_client_event *e)
{
	char text[SMTP_REPLY_TEXT_MAX + 8];

	if (e->reply->code)
		snprintf(text, sizeof(text), "%u %.*s", e->reply->code, e->reply->len, e->reply->text);
	else
		snprintf(text, sizeof(text), "%.*s", e->reply->len, e->reply->text);
	courier_session_failed(c, e->stage, slice_of(text),
			       e->stage == STAGE_AUTH && (e->reply->code / 100 == 5 || !e->reply->code));
}

/* False ends the turn: nothing more can be done with the input. */
static bool act(struct courier *c, const struct smtp_client_event *e)
{
	switch (e->type) {
	case SMTP_CLIENT_MORE:
		return false;
	case SMTP_CLIENT_ROOM:
		stream_write(&c->stream);
		return !stream_has_output(&c->stream);
	case SMTP_CLIENT_TLS:
		if (stream_input(&c->stream).len > 0)	/* R34: an injection, or a server that nobody can trust in */
			courier_host_failed(c, "the server's 220 to STARTTLS had more behind it, in clear: is somebody on the way?");
		else if (!courier_shake(c))
			courier_host_failed(c, "no memory for TLS");
		return false;
	case SMTP_CLIENT_CHALLENGE:
		if (!courier_respond(c, e->challenge))
			courier_host_failed(c, "no memory for CRAM-MD5");
		return true;
	case SMTP_CLIENT_PROVE:
		if (!prove_ask(c->house->hasher, &c->smtp.scram, c->rules.password, salted, c))
			courier_host_failed(c, "the hashing helper is busy");
		return false;
	case SMTP_CLIENT_READY:
		return on_ready(c);
	case SMTP_CLIENT_RECIPIENT:
		courier_on_recipient(c, e);
		return true;
	case SMTP_CLIENT_CONTENT:
		courier_begin_content(c);
		return false;
	case SMTP_CLIENT_SENT:
		courier_on_sent(c, e);
		return true;
	case SMTP_CLIENT_FAILED:
		on_failed(c, e);
		return false;
	case SMTP_CLIENT_CLOSED:
		c->watch.dead = true;
		return false;
	}
	return false;
}

static bool talks(const struct courier *c)
{
	return !c->watch.dead && c->stage >= COURIER_TALKING && c->stream.state != STREAM_HANDSHAKE;
}

static void converse(struct courier *c)
{
	struct smtp_client_event e;
	struct buffer *out;
	bool more = true;
	size_t used;

	while (more && talks(c)) {
		out = stream_output(&c->stream);
		c->starved = !out;
		if (!out)
			return;
		used = smtp_client_feed(&c->smtp, stream_input(&c->stream), out, &e);
		if (used) {
			stream_consume(&c->stream, used);
			if (c->stage == COURIER_TALKING)
				c->deadline = courier_patience(c);
		}
		more = act(c, &e);
	}
}

/* Writing carries a handshake on as well as reading does. */
static bool has_shaken(const struct courier *c)
{
	return !c->watch.dead && c->stage == COURIER_SHAKING && c->stream.state == STREAM_OPEN;
}

static void turn(struct courier *c)
{
	c->in_turn = true;
	do {
		if (has_shaken(c))
			courier_secured(c);
		converse(c);
		if (!c->watch.dead && c->sending)
			courier_send_content(c);
		if (!c->watch.dead && c->stage > COURIER_DIALLING)
			stream_write(&c->stream);
	} while (has_shaken(c) || (talks(c) && stream_ready(&c->stream) && stream_read(&c->stream)));
	courier_look_for_end(c);
	if (!c->was_ready)
		courier_forget_login(c);
	if (c->stage > COURIER_DIALLING)
		stream_rest(&c->stream);
	c->in_turn = false;
}

static void want(struct watch *w)
{
	struct courier *c = (struct courier *)w;
	bool dialling = c->stage <= COURIER_DIALLING;

	w->fd = dialling ? -1 : c->stream.fd;
	w->events = dialling ? 0 : stream_events(&c->stream, true);
	w->deadline = c->deadline;
	if (!dialling && stream_ready(&c->stream))
		w->deadline = loop_now(c->house->loop);
	else if (c->starved)
		w->deadline = courier_after(c, STREAM_STARVED_MS);
	else if (courier_content_due(c))
		w->deadline = loop_now(c->house->loop);
}

static void on_deadline(struct courier *c)
{
	if (c->held) {
		courier_begin(c);
		turn(c);
	} else if (c->stage == COURIER_IDLE) {
		courier_quit(c);
	} else if (c->stage == COURIER_LEAVING) {
		c->watch.dead = true;
	} else if (c->stage == COURIER_SHAKING) {
		courier_host_failed(c, "time-out in the TLS handshake");
	} else {
		courier_session_failed(c, smtp_client_stage(&c->smtp), SLICE_OF("time-out"), false);
	}
}

static void ready(struct watch *w, short revents)
{
	struct courier *c = (struct courier *)w;

	if (!revents && !courier_content_due(c) && !stream_ready(&c->stream) && loop_now(c->house->loop) >= c->deadline) {
		on_deadline(c);
		return;
	}
	/* Reading first: writing to an upstream that has hung up would lose its "421". */
	if ((revents & ~POLLOUT) || stream_ready(&c->stream))
		stream_read(&c->stream);
	turn(c);
}

static void reap(struct watch *w)
{
	struct courier *c = (struct courier *)w;

	if (c->dial)
		dial_cancel(c->dial);
	helper_forget(c->house->hasher, c);
	if (c->waiter.asked)
		pop_leave(c->pop, &c->waiter);
	pop_release(c->pop);
	stream_close(&c->stream);
	c->house->calls.gone(c->relay, c);
	attempt_free(c->attempt);	/* only when the whole house is torn down; the message stays in the spool */
	c->settings->users--;
	secret_wipe(&c->smtp, sizeof(c->smtp));
	if (c->token)
		secret_wipe(c->token, strlen(c->token));
	free(c->token);
	secret_wipe(&c->own, sizeof(c->own));
	free(c);
}

static struct courier *make(struct relay *r, const struct relay_house *house, struct relay_settings *settings,
			    unsigned route)
{
	struct courier *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->watch = (struct watch){ .want = want, .ready = ready, .reap = reap, .fd = -1 };
	c->relay = r;
	c->house = house;
	c->settings = settings;
	c->route = route;
	c->stream.fd = -1;
	if (!loop_add(house->loop, &c->watch)) {
		free(c);
		return NULL;
	}
	settings->users++;
	return c;
}

struct courier *courier_check(struct relay *r, const struct relay_house *house, struct relay_settings *settings,
			      unsigned route, const struct relay_pair *pair)
{
	struct courier *c = make(r, house, settings, route);

	if (!c)
		return NULL;
	c->checking = true;
	c->login = LOGIN_CHECK;
	c->own = *pair;
	if (courier_dial(c))
		return c;
	c->watch.dead = true;
	return NULL;
}

struct courier *courier_start(struct relay *r, const struct relay_house *house, struct relay_settings *settings,
			      unsigned route, struct pop *pop, struct attempt *a)
{
	struct courier *c = make(r, house, settings, route);

	if (!c)
		return NULL;
	c->login = a->login;
	c->attempt = a;
	if (courier_route(c)->by_client) {
		slice_copy(route_user(courier_route(c), c->login), c->own.user, sizeof(c->own.user));
		slice_copy(route_password(courier_route(c), c->login), c->own.password, sizeof(c->own.password));
	}
	c->pop = pop_hold(pop);
	for (unsigned i = 0; a->only_host[0] && i < courier_route(c)->host_count; i++)
		if (slice_equal_fold(slice_of(courier_route(c)->host[i]), slice_of(a->only_host)))
			c->host = (uint8_t)i;
	if (!courier_dial(c)) {
		c->attempt = NULL;
		c->watch.dead = true;
		return NULL;
	}
	return c;
}

bool courier_bring_token(struct courier *c, struct slice token, unsigned number)
{
	c->token = malloc(token.len + 1);
	c->token_number = number;
	return c->token && slice_copy(token, c->token, token.len + 1);
}

void courier_carry(struct courier *c, struct attempt *a)
{
	c->attempt = a;
	c->begun = false;
	if (courier_begin(c) && !c->in_turn)
		turn(c);
}

void courier_quit(struct courier *c)
{
	c->quitting = true;
	if (c->attempt || c->stage == COURIER_LEAVING)
		return;
	if (c->stage != COURIER_IDLE) {
		c->watch.dead = true;	/* nothing has been said yet that would need a farewell */
		return;
	}
	c->stage = COURIER_LEAVING;
	c->deadline = courier_after(c, LEAVE_MS);
	smtp_client_quit(&c->smtp);
	if (!c->in_turn)
		turn(c);
}
