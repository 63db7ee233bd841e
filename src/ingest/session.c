#include "ingest/session.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "ingest/audit.h"
#include "ingest/direct.h"
#include "ingest/fate.h"
#include "ingest/login.h"
#include "ingest/message.h"
#include "ingest/window.h"
#include "trust/accounts.h"

#define HANDSHAKE_PRESSED_MS 5000	/* what a handshake may take when others wait for its place */
/* A step of a handshake is up to 6 ms of work on a PC and 300 on a router: beyond this, the other ones wait for the next turn. */
#define TURN_MS		10
#define FULL_TOLD_MS	60000	/* between lines about too many handshakes */
/* After our last word we read on this long, so that the peer gets it before the kernel's RST for what it still sends. */
#define LINGER_MS	2000

static struct session *session_of(struct watch *w)
{
	return (struct session *)w;
}

static void await_tls(struct session *s)
{
	s->stage = STAGE_TLS_DUE;
	s->deadline = loop_now(s->house->loop) + STREAM_HANDSHAKE_MS;
}

static void on_reset(struct session *s, const struct smtp_server_event *e)
{
	(void)e;
	fate_drop(s);
}

static void on_tls(struct session *s, const struct smtp_server_event *e)
{
	(void)e;
	fate_drop(s);
	await_tls(s);
}

/* Why the protocol ended it, by its last reply. */
static const char *const ends[REPLY_COUNT] = {
	[REPLY_BYE] = "quit",
	[REPLY_LINE_TOO_LONG] = "line-too-long",
	[REPLY_BAD_LINE_END] = "bad-line-end",
	[REPLY_NOT_IMPLEMENTED] = "bdat",
	[REPLY_AUTH_TOO_MANY] = "auth-failures",
	[REPLY_TOO_MANY_ERRORS] = "errors",
	[REPLY_TOO_BUSY] = "busy",
};

static void on_close(struct session *s, const struct smtp_server_event *e)
{
	(void)e;
	fate_drop(s);
	s->stage = STAGE_LEAVING;
	if (!s->end)
		s->end = ends[s->smtp.last_reply] ? ends[s->smtp.last_reply] : "early-talk";
}

static void (*const handlers[])(struct session *, const struct smtp_server_event *) = {
	[SMTP_SERVER_LOGIN] = login_begin,
	[SMTP_SERVER_MAIL] = message_mail,
	[SMTP_SERVER_RCPT] = message_rcpt,
	[SMTP_SERVER_DATA] = message_data,
	[SMTP_SERVER_CONTENT] = message_content,
	[SMTP_SERVER_END] = message_end,
	[SMTP_SERVER_RESET] = on_reset,
	[SMTP_SERVER_TLS] = on_tls,
	[SMTP_SERVER_CLOSE] = on_close,
};

/* A command may hold a password: none stays behind in a block that goes to somebody else (R63). */
static void consume(struct session *s, size_t used, bool is_content)
{
	if (!is_content && s->stream.in.at)
		secret_wipe(s->stream.in.at + s->stream.in.head, used);
	stream_consume(&s->stream, used);
}

/* MAIL and RCPT that never became an event, since the protocol refused them (R18). */
static void note_refusal(struct session *s, const struct smtp_server_event *e, struct slice line, unsigned errors)
{
	if (s->smtp.errors == errors || e->type == SMTP_SERVER_MAIL || e->type == SMTP_SERVER_RCPT)
		return;
	if (!slice_starts_fold(line, SLICE_OF("mail")) && !slice_starts_fold(line, SLICE_OF("rcpt")))
		return;
	s->refused++;
	while (line.len && ascii_is_control(line.at[line.len - 1]))
		line.len--;
	audit_refused_line(s, line);
}

/* Lets the protocol look at the input until it wants more, waits for an answer, or has no room to reply. */
static void talk(struct session *s)
{
	struct smtp_server_event e;
	struct buffer *out;
	unsigned errors;
	size_t used;

	while (s->stage == STAGE_TALK && !s->smtp.waiting && !direct_holds(s) && !s->watch.dead) {
		out = stream_output(&s->stream);
		s->starved = !out;
		if (!out)
			return;
		errors = s->smtp.errors;
		used = smtp_server_feed(&s->smtp, stream_input(&s->stream), out, &e);
		note_refusal(s, &e, slice_first(stream_input(&s->stream), used), errors);
		if (handlers[e.type])
			handlers[e.type](s, &e);
		consume(s, used, e.type == SMTP_SERVER_CONTENT);
		if (used && s->stage == STAGE_TALK && s->smtp.phase != PHASE_DATA)
			s->deadline = loop_now(s->house->loop) + s->settings->command_timeout;
		if (e.type == SMTP_SERVER_ROOM)
			stream_write(&s->stream);
		if (e.type == SMTP_SERVER_MORE || (e.type == SMTP_SERVER_ROOM && stream_has_output(&s->stream)))
			return;
	}
}

static bool has_place(const struct session *s)
{
	return s->house->shaking < TLS_HANDSHAKES_MAX;
}

static void take_place(struct session *s)
{
	struct session_house *h = s->house;
	int64_t now = loop_now(h->loop);

	s->shaking = true;
	s->shaking_since = now;
	if (++h->shaking < TLS_HANDSHAKES_MAX || (h->full_told && now - h->full_told < FULL_TOLD_MS))
		return;
	h->full_told = now;
	log_line(SEVERITY_WARNING, "%u TLS handshakes are under way, which is the most: others wait", h->shaking);
}

static void leave_place(struct session *s)
{
	s->house->shaking -= s->shaking;
	s->shaking = false;
}

/*
 * TLS takes 40 KiB from here on, so not before the client has said something, and for so many at a time only: a flood of handshakes
 * that nobody means to finish must not cost the others their memory.
 */
static void begin_tls(struct session *s)
{
	if (!stream_start_tls(&s->stream, s->settings->tls, NULL)) {
		s->end = "no-memory";
		s->watch.dead = true;
		return;
	}
	take_place(s);
	s->stage = STAGE_SHAKING;
	s->deadline = loop_now(s->house->loop) + STREAM_HANDSHAKE_MS;
}

static void greet(struct session *s)
{
	struct buffer *out = stream_output(&s->stream);

	s->stage = STAGE_TALK;
	s->deadline = loop_now(s->house->loop) + s->settings->command_timeout;
	if (!out)
		s->watch.dead = true;
	else
		smtp_server_greet(&s->smtp, out);
}

static void end_handshake(struct session *s)
{
	bool implicit = s->listen->tls == TLS_USE_IMPLICIT;

	leave_place(s);
	smtp_server_secured(&s->smtp);
	if (implicit)
		greet(s);
	s->stage = STAGE_TALK;
	s->deadline = loop_now(s->house->loop) + s->settings->command_timeout;
}

/* What the end of output means in each stage. */
static void after_output(struct session *s)
{
	if (stream_has_output(&s->stream))
		return;
	if (s->stage == STAGE_LEAVING && s->smtp.last_reply == REPLY_BYE) {
		s->watch.dead = true;	/* it said so itself: nothing is on its way that could undo our reply */
	} else if (s->stage == STAGE_LEAVING) {
		stream_finish(&s->stream);
		s->stage = STAGE_LINGER;
		s->deadline = loop_now(s->house->loop) + LINGER_MS;
	}
}

static void look_for_end(struct session *s)
{
	if (s->stream.state == STREAM_FAILED ||
	    (s->stream.state == STREAM_ENDED && !s->smtp.waiting && !stream_has_output(&s->stream))) {
		if (!s->end)
			s->end = s->stream.state == STREAM_FAILED ? "error" : "disconnect";
		s->watch.dead = true;
	}
}

/* Writing carries a handshake on as well as reading does. */
static bool has_shaken(const struct session *s)
{
	return s->stage == STAGE_SHAKING && s->stream.state == STREAM_OPEN;
}

static bool reads_more(struct session *s)
{
	return s->stage == STAGE_TALK && !s->smtp.waiting && !direct_holds(s) && stream_ready(&s->stream) &&
	       stream_read(&s->stream);
}

void session_turn(struct session *s)
{
	do {
		if (has_shaken(s))
			end_handshake(s);
		login_turn(s);
		direct_turn(s);
		if (s->stage == STAGE_LINGER)
			stream_consume(&s->stream, stream_input(&s->stream).len);
		else
			talk(s);
		stream_write(&s->stream);
		after_output(s);
	} while (!s->watch.dead && (has_shaken(s) || reads_more(s)));
	direct_rest(s);
	stream_rest(&s->stream);
	look_for_end(s);
}

/* Somebody has brought what it waited for. */
static bool is_due(const struct session *s)
{
	return direct_due(s) || login_due(s);
}

static bool wants_input(const struct session *s)
{
	if (s->stage == STAGE_TALK)
		return !s->smtp.waiting && !direct_holds(s) && !stream_has_output(&s->stream);
	if (s->stage == STAGE_TLS_DUE)
		return !stream_has_output(&s->stream) && has_place(s);
	return s->stage == STAGE_SHAKING || s->stage == STAGE_LINGER;
}

/* While it is we who owe something, a login or a commit, the client's time doesn't run. */
static int64_t deadline_of(const struct session *s)
{
	if (s->stage == STAGE_TALK && (s->smtp.waiting || direct_holds(s)))
		return NEVER;
	if (s->stage == STAGE_SHAKING && !has_place(s))
		return s->shaking_since + HANDSHAKE_PRESSED_MS;
	return s->deadline;
}

static void want(struct watch *w)
{
	struct session *s = session_of(w);

	w->fd = s->stream.fd;
	w->events = stream_events(&s->stream, wants_input(s));
	w->deadline = deadline_of(s);
	if (is_due(s) || (wants_input(s) && stream_ready(&s->stream)))
		w->deadline = loop_now(s->house->loop);
	else if (s->starved)
		w->deadline = loop_now(s->house->loop) + STREAM_STARVED_MS;
}

static void end_with(struct session *s, enum reply reply, const char *why)
{
	struct buffer *out = stream_output(&s->stream);

	s->end = why;
	login_drop(s);
	fate_drop(s);
	if (s->stage != STAGE_TALK || !out) {
		leave_place(s);
		s->watch.dead = true;
		return;
	}
	smtp_server_end(&s->smtp, out, reply);
	s->stage = STAGE_LEAVING;
	s->deadline = loop_now(s->house->loop) + LINGER_MS;
	session_turn(s);
}

static void on_deadline(struct session *s)
{
	if (s->smtp.phase == PHASE_DATA && s->stage == STAGE_TALK && !window_was_slow(s))
		window_open(s);
	else if (s->smtp.phase == PHASE_DATA)
		end_with(s, REPLY_TOO_SLOW, "too-slow");
	else
		end_with(s, REPLY_TIMEOUT, s->stage == STAGE_LINGER ? s->end : "timeout");
}

/* Handshakes are work: when this turn has been long already, they wait for the next one. */
static bool may_shake(const struct session *s)
{
	return clock_monotonic() - loop_now(s->house->loop) < TURN_MS;
}

static void ready(struct watch *w, short revents)
{
	struct session *s = session_of(w);
	bool due = s->stage == STAGE_TLS_DUE && !stream_has_output(&s->stream);

	if (!revents && !is_due(s) && !stream_ready(&s->stream) && loop_now(s->house->loop) >= deadline_of(s)) {
		on_deadline(s);
		return;
	}
	if ((due && !has_place(s)) || ((due || s->stage == STAGE_SHAKING) && !may_shake(s)))
		return;
	if (due && revents)
		begin_tls(s);
	/* Reading first: writing to a peer that has hung up would lose what it said last. */
	else if ((revents & ~POLLOUT) || stream_ready(&s->stream))
		stream_read(&s->stream);
	if (!s->watch.dead)
		session_turn(s);
}

static void reap(struct watch *w)
{
	struct session *s = session_of(w);

	leave_place(s);
	login_drop(s);
	fate_drop(s);
	audit_session(s);
	stream_close(&s->stream);
	secret_wipe(&s->smtp, sizeof(s->smtp));
	s->settings->users--;
	s->house->counters.open_sessions--;
	s->house->closed(s->house->context, s);
}

static bool make_nonce(char out[17])
{
	uint8_t bytes[8];

	if (!secret_random(bytes, sizeof(bytes)))
		return false;
	ascii_hex(bytes, sizeof(bytes), out);
	return true;
}

static unsigned usable_mechanisms(const struct trust *t)
{
	if (!accounts_any_login(t))
		return 0;
	return SASL_PLAIN | SASL_LOGIN | (accounts_all_cram(t) ? SASL_CRAM_MD5 : 0u);
}

static void make_rules(struct session *s)
{
	const struct ingest_settings *set = s->settings;
	bool known = s->principal.kind != PRINCIPAL_NOBODY;
	const struct trust_device *user = s->listen->is_local && known ? s->principal.device : NULL;

	s->rules = (struct smtp_server_settings){
		.hostname = slice_of(set->hostname),
		.client = slice_of(s->client_text),
		.enhanced_codes = set->enhanced_codes,
		.starttls = s->listen->tls == TLS_USE_STARTTLS,
		.mechanisms = s->listen->is_local ? 0 : usable_mechanisms(set->trust),
		.plaintext_auth = network_list_match(&s->listen->plaintext_auth, &s->client) >= 0,
		.auth_required = s->listen->auth_required || !known,
		.sender = slice_of(user ? user->address : ""),
		.mailbox = slice_of(user ? user->owner : ""),
		.auth_failures = set->auth_failures,
		.max_message_size = set->max_message_size,
	};
}

void session_client_text(const struct caller *caller, char out[CLIENT_TEXT_MAX])
{
	char ip[48];

	if (caller->is_user) {
		snprintf(out, CLIENT_TEXT_MAX, "[uid:%" PRIu32 "]", caller->uid);
		return;
	}
	ip_text(&caller->client, ip, sizeof(ip));
	snprintf(out, CLIENT_TEXT_MAX, caller->client.v6 ? "[IPv6:%s]" : "[%s]", ip);
}

bool session_open(struct session *s, struct session_house *house, struct ingest_settings *settings,
		  const struct ingest_listen *listen, int fd, const struct caller *caller)
{
	char nonce[17];

	*s = (struct session){ .house = house, .settings = settings, .listen = listen, .client = caller->client };
	s->watch.want = want;
	s->watch.ready = ready;
	s->watch.reap = reap;
	session_client_text(caller, s->client_text);
	stream_open(&s->stream, fd, house->blocks);
	s->started = loop_now(house->loop);
	if (caller->is_user)
		trust_by_user(settings->trust, caller->uid, &s->principal);
	else
		trust_by_address(settings->trust, &caller->client, &s->principal);
	make_rules(s);
	if (!make_nonce(nonce) || !loop_add(house->loop, &s->watch)) {
		stream_close(&s->stream);
		return false;
	}
	settings->users++;
	house->counters.sessions++;
	house->counters.open_sessions++;
	smtp_server_init(&s->smtp, &s->rules, nonce);
	if (listen->tls == TLS_USE_IMPLICIT)
		await_tls(s);
	else
		greet(s);
	session_turn(s);
	return true;
}

void session_shutdown(struct session *s)
{
	if (!s->watch.dead && !direct_waits(s) && !(s->transaction && s->transaction->committing))
		end_with(s, REPLY_SHUTDOWN, "shutdown");
}
