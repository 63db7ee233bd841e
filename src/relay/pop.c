#include "relay/pop.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alarm.h"
#include "base/log.h"
#include "base/record.h"
#include "base/secret.h"
#include "net/dial.h"
#include "net/stream.h"
#include "relay/respond.h"
#include "smtp/pop3.h"

#define REPLY_MS	60000	/* for each reply, or the route's `timeout` where that is less */
#define SESSION_MS	180000	/* for all of it, however the server drips */
#define LEAVE_MS	2000	/* for the answer to QUIT: the login stands already */
#define FRESH_MS	60000	/* a denial so soon after a login that was made for a denial causes no other one */

enum stage { POP_RESTING, POP_DIALLING, POP_SHAKING, POP_TALKING, POP_WAITING, POP_HELD };

struct pop {
	struct watch watch;		/* first */
	struct loop *loop;
	struct pool *blocks;
	struct helper *resolver;
	struct relay_settings *settings;	/* its `users` counts us */
	unsigned route;
	unsigned users;			/* it is freed when there are none and it has left the loop */
	bool reaped;
	uint8_t stage;			/* enum stage */
	uint8_t shakes;			/* handshakes that were tried again at once: stream_retry_tls */
	bool starved;
	bool shut;			/* the last login doesn't open the door */
	bool wants_fresh, fresh;	/* the next one is, or the last one was, made because of a denial */
	int prefer;			/* address family of the next login; AF_UNSPEC: any */
	struct dial *dial;
	struct stream stream;
	struct pop3 session;
	struct pop3_settings rules;
	int64_t deadline, give_up;	/* ms: of what is under way; of the session */
	bool opened;			/* the session under way has logged in */
	unsigned number;
	int64_t logged_in;		/* monotonic ms; with number */
	unsigned refusals;		/* in a row */
	int64_t held_until;		/* monotonic ms: after a refusal no login before */
	struct pop_waiter *waiters;
	char error[FAULT_MAX];		/* of the last failure */
	char address[80];		/* "192.0.2.1:110" */
	char source[INET6_ADDRSTRLEN];
};

static const struct relay_route *route_of(const struct pop *p)
{
	return &p->settings->routes[p->route];
}

static const struct relay_pop *pop_of(const struct pop *p)
{
	return &route_of(p)->pop;
}

static int64_t now(const struct pop *p)
{
	return loop_now(p->loop);
}

/* The end of a login */

static void rest(struct pop *p)
{
	if (p->stream.out.at)
		secret_wipe(p->stream.out.at, POP3_COMMAND_MAX);	/* what was not sent any more */
	stream_close(&p->stream);
	secret_wipe(&p->session, sizeof(p->session));
	p->stage = POP_RESTING;
	p->deadline = NEVER;
}

static void tell(struct pop *p, const char *error)
{
	struct pop_waiter *w = p->waiters;

	p->waiters = NULL;
	while (w) {
		struct pop_waiter *next = w->next;

		w->next = NULL;
		w->asked = false;
		w->done(w, error);
		w = next;
	}
}

static void fail(struct pop *p, const char *words)
{
	snprintf(p->error, sizeof(p->error), "POP login at %s: %s", p->address[0] ? p->address : pop_of(p)->host, words);
	rest(p);
	tell(p, p->error);
}

static struct slice cause_of(const struct pop *p, char out[ALARM_CAUSE_MAX + 1])
{
	return alarm_cause(out, "relay %s, POP", route_name(route_of(p)));
}

/* User or password are wrong, or a person has to act: two tries in the first half hour, then one an hour. */
static void refuse(struct pop *p, const char *words)
{
	static const int64_t pauses[] = { 15 * 60000, 30 * 60000, 60 * 60000 };	/* ms */
	int64_t pause = pauses[p->refusals < 2 ? p->refusals : 2];
	char cause[ALARM_CAUSE_MAX + 1];
	struct record line;

	p->refusals++;
	p->held_until = now(p) + pause;
	record_start(&line, "pop-refused");
	record_word(&line, "relay", route_name(route_of(p)));
	record_word(&line, "host", p->address);
	record_word(&line, "alarm", "upstream-login");
	record_seconds(&line, "retry", pause);
	record_text(&line, "login", slice_of(pop_of(p)->user));
	record_text(&line, "error", slice_of(words));
	log_record(alarm_raise(ALARM_UPSTREAM_LOGIN, cause_of(p, cause), slice_of(words), now(p)), &line);
	fail(p, words);
}

/* The door opens a little later at some providers. */
static void succeed(struct pop *p)
{
	char cause[ALARM_CAUSE_MAX + 1];

	alarm_end(ALARM_UPSTREAM_LOGIN, cause_of(p, cause), now(p));
	rest(p);
	p->stage = POP_WAITING;
	p->deadline = now(p) + pop_of(p)->wait;
}

static void log_login(const struct pop *p, const struct pop3_reply *reply)
{
	struct record line;

	record_start(&line, "pop-login");
	record_word(&line, "relay", route_name(route_of(p)));
	record_word(&line, "host", p->address);
	record_word(&line, "mechanism", p->session.by_apop ? "apop" : "user");
	if (p->stream.tls)
		record_word(&line, "tls", tls_version(p->stream.tls));
	record_text(&line, "login", slice_of(pop_of(p)->user));
	if (p->source[0])
		record_word(&line, "source", p->source);
	record_text(&line, "reply", slice_bytes(reply->text, reply->len));
	log_record(SEVERITY_INFO, &line);
}

/* Set out */

static void dialled(void *context, int fd, const char *address, const char *error);

static bool dial(struct pop *p)
{
	static const char any_v4[] = "0.0.0.0", any_v6[] = "::";
	const char *from = route_of(p)->bind;

	if (!from[0] && p->prefer != AF_UNSPEC)
		from = p->prefer == AF_INET ? any_v4 : any_v6;
	p->stage = POP_DIALLING;
	p->deadline = NEVER;
	p->dial = dial_start(p->loop, p->resolver, pop_of(p)->host, pop_of(p)->port, from, DIAL_MS, dialled, p);
	return p->dial;
}

static void start(struct pop *p)
{
	p->shakes = 0;
	p->opened = false;
	p->give_up = now(p) + SESSION_MS;
	if (p->held_until <= now(p) && dial(p))
		return;
	p->stage = POP_HELD;		/* told in the next turn */
	p->deadline = now(p);
}

/*
 * What SMTP is to leave from (R44). A link-local address says nothing without its interface, and isn't one that a provider
 * is reached from.
 */
static void note_source(struct pop *p, int fd)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} own;
	socklen_t len = sizeof(own);

	p->source[0] = '\0';
	if (route_of(p)->bind[0] || getsockname(fd, &own.any, &len) < 0)
		return;
	if (own.any.sa_family == AF_INET)
		inet_ntop(AF_INET, &own.v4.sin_addr, p->source, sizeof(p->source));
	else if (own.any.sa_family == AF_INET6 && !IN6_IS_ADDR_LINKLOCAL(&own.v6.sin6_addr))
		inet_ntop(AF_INET6, &own.v6.sin6_addr, p->source, sizeof(p->source));
}

static int64_t patience(const struct pop *p)
{
	int64_t timeout = route_of(p)->timeout;
	int64_t until = now(p) + (p->opened ? LEAVE_MS : timeout < REPLY_MS ? timeout : REPLY_MS);

	return until < p->give_up ? until : p->give_up;
}

static void init_session(struct pop *p)
{
	const struct relay_pop *o = pop_of(p);

	p->rules = (struct pop3_settings){
		.starttls = o->tls == TLS_USE_STARTTLS, .secured = o->tls == TLS_USE_IMPLICIT, .login = o->login,
		.user = slice_of(o->user), .password = slice_of(o->password),
	};
	pop3_init(&p->session, &p->rules);
	p->stage = POP_TALKING;
	p->deadline = patience(p);
}

static void shake(struct pop *p)
{
	const struct relay_pop *o = pop_of(p);

	p->stage = POP_SHAKING;
	p->deadline = now(p) + STREAM_HANDSHAKE_MS;
	if (!stream_start_tls(&p->stream, o->context, o->tls_name[0] ? o->tls_name : o->host))
		fail(p, "no memory for TLS");
}

static void dialled(void *context, int fd, const char *address, const char *error)
{
	struct pop *p = context;
	bool preferred = p->prefer != AF_UNSPEC;

	p->dial = NULL;
	slice_copy(slice_first(slice_of(address), sizeof(p->address) - 1), p->address, sizeof(p->address));
	if (fd < 0) {
		p->prefer = AF_UNSPEC;
		if (!preferred || !dial(p))
			fail(p, error);
		return;
	}
	note_source(p, fd);
	stream_open(&p->stream, fd, p->blocks);
	init_session(p);
	if (pop_of(p)->tls == TLS_USE_IMPLICIT)
		shake(p);
}

/* Talk */

static void respond(struct pop *p, struct slice timestamp)
{
	struct buffer *out = stream_output(&p->stream);
	char hex[RESPOND_SIZE];

	if (out && respond_apop(p->rules.password, timestamp, hex))
		pop3_respond(&p->session, out, slice_of(hex));
	else
		fail(p, "no memory for APOP");
}

static void on_open(struct pop *p, const struct pop3_reply *reply)
{
	p->opened = true;
	p->shut = false;
	p->refusals = 0;
	p->fresh = p->wants_fresh;
	p->wants_fresh = false;
	p->number++;
	p->logged_in = now(p);
	p->deadline = patience(p);
	log_login(p, reply);
}

/* The session is over; once it has logged in that is all that was wanted of it. */
static void session_ended(struct pop *p, const char *why)
{
	char words[FAULT_MAX];

	if (p->opened) {
		succeed(p);
		return;
	}
	snprintf(words, sizeof(words), "%s: %s", pop3_stage_name(pop3_stage(&p->session)), why);
	if (pop3_temporary(&p->session))
		fail(p, words);
	else
		refuse(p, words);
}

static void on_failed(struct pop *p, const struct pop3_event *e)
{
	char words[SMTP_REPLY_TEXT_MAX + 1];

	slice_copy(slice_bytes(e->reply->text, e->reply->len), words, sizeof(words));
	session_ended(p, words);
}

/* False ends the turn: nothing more can be done with the input. */
static bool act(struct pop *p, const struct pop3_event *e)
{
	switch (e->type) {
	case POP3_MORE:
		return false;
	case POP3_ROOM:
		stream_write(&p->stream);
		return !stream_has_output(&p->stream);
	case POP3_TLS:
		if (stream_input(&p->stream).len > 0)	/* R34, as with SMTP */
			fail(p, "the server's +OK to STLS had more behind it, in clear: is somebody on the way?");
		else
			shake(p);
		return false;
	case POP3_TIMESTAMP:
		respond(p, e->timestamp);
		return true;
	case POP3_OPEN:
		on_open(p, e->reply);
		return true;
	case POP3_CLOSED:
		succeed(p);
		return false;
	case POP3_FAILED:
		on_failed(p, e);
		return false;
	}
	return false;
}

static void converse(struct pop *p)
{
	struct pop3_event e;
	struct buffer *out;
	bool more = true;
	size_t used;

	while (more && p->stage == POP_TALKING) {
		out = stream_output(&p->stream);
		p->starved = !out;
		if (!out)
			return;
		used = pop3_feed(&p->session, stream_input(&p->stream), out, &e);
		if (used) {
			stream_consume(&p->stream, used);
			p->deadline = patience(p);
		}
		more = act(p, &e);
	}
}

static bool is_connected(const struct pop *p)
{
	return p->stage == POP_SHAKING || p->stage == POP_TALKING;
}

static bool has_shaken(const struct pop *p)
{
	return p->stage == POP_SHAKING && p->stream.state == STREAM_OPEN;
}

static bool shake_again(struct pop *p)
{
	return stream_retry_tls(&p->stream, &p->shakes) && dial(p);
}

static void look_for_end(struct pop *p)
{
	char words[FAULT_MAX];

	if (!is_connected(p) || (p->stream.state != STREAM_FAILED && p->stream.state != STREAM_ENDED))
		return;
	slice_copy(slice_first(slice_of(stream_lost(&p->stream)), sizeof(words) - 1), words, sizeof(words));
	if (p->stage == POP_TALKING)
		session_ended(p, words);
	else if (!shake_again(p))
		fail(p, words);
}

static void turn(struct pop *p)
{
	do {
		if (has_shaken(p)) {
			pop3_secured(&p->session);
			p->stage = POP_TALKING;
			p->deadline = patience(p);
		}
		converse(p);
		if (is_connected(p))
			stream_write(&p->stream);
	} while (has_shaken(p) || (p->stage == POP_TALKING && stream_ready(&p->stream) && stream_read(&p->stream)));
	look_for_end(p);
	if (!is_connected(p))
		return;
	/* The password has gone out: it doesn't stay in a block that goes to somebody else (R63). */
	if (p->stream.out.at && !stream_has_output(&p->stream))
		secret_wipe(p->stream.out.at, POP3_COMMAND_MAX);
	stream_rest(&p->stream);
}

/* The watch */

static void want(struct watch *w)
{
	struct pop *p = (struct pop *)w;

	w->fd = is_connected(p) ? p->stream.fd : -1;
	w->events = is_connected(p) ? stream_events(&p->stream, true) : 0;
	w->deadline = p->deadline;
	if (is_connected(p) && stream_ready(&p->stream))
		w->deadline = now(p);
	else if (p->stage == POP_TALKING && p->starved)
		w->deadline = now(p) + STREAM_STARVED_MS;
}

static void tell_held(struct pop *p)
{
	rest(p);
	tell(p, p->held_until > now(p) ? p->error : "no memory for the POP login");
}

static void on_deadline(struct pop *p)
{
	if (p->stage == POP_HELD)
		tell_held(p);
	else if (p->stage == POP_SHAKING)
		fail(p, "time-out in the TLS handshake");
	else if (p->stage == POP_TALKING)
		session_ended(p, "time-out");
	else if (p->stage == POP_WAITING) {
		rest(p);
		tell(p, NULL);
	}
}

static void ready(struct watch *w, short revents)
{
	struct pop *p = (struct pop *)w;

	if (!revents && !(is_connected(p) && stream_ready(&p->stream)) && now(p) >= p->deadline) {
		on_deadline(p);
		return;
	}
	if (!is_connected(p))
		return;
	if ((revents & ~POLLOUT) || stream_ready(&p->stream))
		stream_read(&p->stream);
	turn(p);
}

/* Nobody asks any more, so nothing is said any more; the settings may go at once. */
static void end(struct pop *p)
{
	if (p->dial)
		dial_cancel(p->dial);
	p->dial = NULL;
	rest(p);
	if (p->settings)
		p->settings->users--;
	p->settings = NULL;
}

static void reap(struct watch *w)
{
	struct pop *p = (struct pop *)w;

	end(p);
	p->reaped = true;
	if (!p->users)
		free(p);
}

/* The face */

struct pop *pop_new(struct loop *l, struct pool *blocks, struct helper *resolver, struct relay_settings *settings,
		    unsigned route)
{
	struct pop *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->watch = (struct watch){ .want = want, .ready = ready, .reap = reap, .fd = -1 };
	p->loop = l;
	p->blocks = blocks;
	p->resolver = resolver;
	p->settings = settings;
	p->route = route;
	p->users = 1;
	p->stream.fd = -1;
	p->prefer = AF_UNSPEC;
	p->deadline = NEVER;
	if (!loop_add(l, &p->watch)) {
		free(p);
		return NULL;
	}
	settings->users++;
	return p;
}

struct pop *pop_hold(struct pop *p)
{
	if (p)
		p->users++;
	return p;
}

void pop_release(struct pop *p)
{
	if (!p || --p->users)
		return;
	end(p);
	p->watch.dead = true;
	if (p->reaped)			/* the whole loop is torn down */
		free(p);
}

bool pop_is_open(const struct pop *p)
{
	return p->stage == POP_RESTING && p->number && !p->shut && now(p) - p->logged_in < route_pop_open(pop_of(p));
}

void pop_ask(struct pop *p, struct pop_waiter *w)
{
	w->next = p->waiters;
	w->asked = true;
	p->waiters = w;
	if (p->stage == POP_RESTING)
		start(p);
}

void pop_leave(struct pop *p, struct pop_waiter *w)
{
	struct pop_waiter **link = &p->waiters;

	while (*link && *link != w)
		link = &(*link)->next;
	if (*link)
		*link = w->next;
	w->asked = false;
}

unsigned pop_number(const struct pop *p)
{
	return p->number;
}

const char *pop_source(const struct pop *p)
{
	return p->source;
}

void pop_turn(struct pop *p, unsigned number)
{
	if (p->number != number || p->shut)
		return;
	p->shut = true;
	p->prefer = strchr(p->source, ':') ? AF_INET : AF_INET6;
}

bool pop_denied(struct pop *p, unsigned number)
{
	if (p->number != number || p->shut)
		return true;
	if (p->fresh && now(p) - p->logged_in < FRESH_MS)
		return false;
	p->shut = true;
	p->wants_fresh = true;
	return true;
}

void pop_retry(struct pop *p)
{
	p->fresh = false;
	p->held_until = 0;
}

int64_t pop_age(const struct pop *p)
{
	return p->number ? now(p) - p->logged_in : -1;
}
