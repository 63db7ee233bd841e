#include "relay/courier.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alarm.h"
#include "base/base64.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/secret.h"
#include "relay/login.h"
#include "relay/denial.h"
#include "relay/login.h"
#include "relay/prove.h"

#define DIAL_MS		30000	/* name look-up and all addresses of one host */
#define HANDSHAKE_MS	30000
#define IDLE_MS		5000	/* an idle connection is kept this long for the next message */
#define STARVED_MS	20	/* all blocks are lent: look again */
#define LEAVE_MS	2000	/* for the answer to QUIT */
/* RFC 5321 4.5.3.2.6: a client waits 10 minutes for the answer to its final dot; it shall have ours by then. */
#define DIRECT_MS	(9 * 60 * 1000)

static const struct relay_route *route_of(const struct courier *c)
{
	return &c->settings->routes[c->route];
}

const char *courier_host(const struct courier *c)
{
	return route_of(c)->host[c->host];
}

static int64_t after(const struct courier *c, int64_t ms)
{
	return loop_now(c->house->loop) + ms;
}

/* How long each reply may take; RFC 5321 4.5.3.2, bounded by the route's `timeout` where one is set. */
static int64_t patience(const struct courier *c)
{
	int64_t most = smtp_client_in_doubt(&c->smtp) ? 2 * route_of(c)->timeout : route_of(c)->timeout;

	if (c->attempt && c->attempt->direct && most > DIRECT_MS)
		most = DIRECT_MS;
	return after(c, most);
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

static void dialled(void *context, int fd, const char *address, const char *error);

/* R44: from where the POP login came. */
static const char *source(const struct courier *c)
{
	const char *bind = route_of(c)->bind;

	return !bind[0] && c->pop ? pop_source(c->pop) : bind;
}

static bool dial_now(struct courier *c)
{
	const struct relay_route *r = route_of(c);

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
static bool dial(struct courier *c)
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
	if (!c->pop || c->turned || route_of(c)->bind[0] || !dial_blames_source(error))
		return false;
	c->turned = true;
	pop_turn(c->pop, c->pop_login);
	return dial(c);
}

/* Its message may be at this host already: no other one gets it. */
static bool is_bound(const struct courier *c)
{
	return c->attempt && c->attempt->only_host[0];
}

/* The attempt goes back to the relay; the session asks for the next one when it is READY. */
static void group_done(struct courier *c)
{
	struct attempt *a = give_back(c);

	c->messages++;
	a->in_doubt = smtp_client_in_doubt(&c->smtp);
	attempt_group_host(a, courier_host(c));
	c->house->calls.done(c->relay, c, a);
}

/* The next host of the route, as long as nothing has been accepted; else the end. */
static void host_failed(struct courier *c, const char *words)
{
	char text[FAULT_MAX];

	snprintf(text, sizeof(text), "%s: %s", c->address[0] ? c->address : courier_host(c), words);
	stream_close(&c->stream);
	if (!c->was_ready && !is_bound(c) && c->host + 1u < route_of(c)->host_count) {
		log_line(SEVERITY_WARNING, "relay %s: %s; trying the next host", route_name(route_of(c)), text);
		c->host++;
		c->shakes = 0;
		c->address[0] = '\0';
		if (dial(c))
			return;
	}
	if (!is_bound(c)) {
		fail(c, text, false);
		return;
	}
	attempt_group_verdict(c->attempt, 0, slice_of(text), false);
	c->watch.dead = true;		/* this message has to wait; the route's other hosts may be well */
	group_done(c);
}

/* Without randomness there is none, and SCRAM can't be said. */
static struct slice new_nonce(struct courier *c)
{
	uint8_t octets[PROOF_NONCE_LENGTH / 4 * 3];
	struct buffer text;

	buffer_init(&text, c->nonce, sizeof(c->nonce));
	if (secret_random(octets, sizeof(octets)))
		base64_encode(&text, slice_bytes((const char *)octets, sizeof(octets)));
	return buffer_bytes(&text);
}

static void init_session(struct courier *c)
{
	const struct relay_route *r = route_of(c);

	c->rules = (struct smtp_client_settings){
		.helo = slice_of(c->settings->hostname),
		.starttls = r->tls == TLS_USE_STARTTLS,
		.secured = r->tls == TLS_USE_IMPLICIT,
		.mechanisms = r->mechanisms,
		.login_optional = r->login_optional,
		.user = r->by_client ? slice_of(c->own.user) : route_user(r, c->login),
		.password = r->by_client ? slice_of(c->own.password) : route_password(r, c->login),
		.nonce = new_nonce(c),
		.token = slice_of(c->token),
	};
	smtp_client_init(&c->smtp, &c->rules);
	c->stage = COURIER_TALKING;
	c->deadline = patience(c);
}

static bool shake(struct courier *c)
{
	const struct relay_route *r = route_of(c);

	c->stage = COURIER_SHAKING;
	c->deadline = after(c, HANDSHAKE_MS);
	return stream_start_tls(&c->stream, r->context, r->tls_name[0] ? r->tls_name : courier_host(c));
}

/* R51: a host's name has led to ourselves. Its mail waits for somebody to mend that. */
static void refuse_self(struct courier *c)
{
	char cause[ALARM_CAUSE_MAX + 1];
	struct record line;

	record_start(&line, "loop");
	record_word(&line, "relay", route_name(route_of(c)));
	record_word(&line, "host", c->address);
	record_word(&line, "alarm", "loop");
	alarm_cause(cause, "relay %s", route_name(route_of(c)));
	log_record(alarm_raise(ALARM_LOOP, slice_of(cause), slice_of(c->address), loop_now(c->house->loop)), &line);
	host_failed(c, "this is a listener of our own: mail would go round for ever");
}

static void dialled(void *context, int fd, const char *address, const char *error)
{
	struct courier *c = context;

	c->dial = NULL;
	slice_copy(slice_first(slice_of(address), sizeof(c->address) - 1), c->address, sizeof(c->address));
	if (fd < 0) {
		if (!turn_round(c, error))
			host_failed(c, error);
		return;
	}
	if (self_is_peer(&c->settings->self, fd)) {
		close(fd);
		refuse_self(c);
		return;
	}
	stream_open(&c->stream, fd, c->house->blocks);
	init_session(c);
	if (route_of(c)->tls == TLS_USE_IMPLICIT && !shake(c))
		host_failed(c, "no memory for TLS");
}

static void begin_mail(struct courier *c)
{
	struct attempt *a = c->attempt;

	c->mail = (struct smtp_client_mail){
		.sender = attempt_sender(a, c->settings),
		.size = a->message.size,
		.body_8bit = a->message.envelope.body_8bit,
		.recipients = a->group,
		.recipient_count = a->group_count,
	};
	c->sent = 0;
	c->sending = c->denied = false;
	c->begun = true;
	c->mails++;
	smtp_client_mail(&c->smtp, &c->mail);
	c->deadline = patience(c);
}

/* Now, or when the route's rate allows it. */
static void begin_in_turn(struct courier *c)
{
	int64_t at = c->house->calls.pace(c->relay, c);

	c->held = at > loop_now(c->house->loop);
	if (c->held)
		c->deadline = at;
	else
		begin_mail(c);
}

/* `messages_per_connection`: the upstream would refuse one more. */
static bool is_used_up(const struct courier *c)
{
	unsigned most = route_of(c)->messages_per_connection;

	return most && c->mails >= most;
}

/* RFC 1870 6.1: what the upstream has said it won't take isn't offered. */
static bool refuse_too_large(struct courier *c)
{
	if (smtp_client_fits(&c->smtp, c->attempt->message.size))
		return false;
	attempt_group_verdict(c->attempt, 552,
			      SLICE_OF("5.3.4 message is larger than the next server's SIZE allows"), true);
	group_done(c);
	return true;
}

static bool on_ready(struct courier *c)
{
	if (!c->was_ready)
		c->house->calls.ready(c->relay, c);
	c->was_ready = true;
	if (c->attempt && !refuse_too_large(c)) {
		begin_in_turn(c);
		return true;
	}
	c->stage = COURIER_IDLE;
	c->deadline = after(c, IDLE_MS);
	if (c->quitting || is_used_up(c))
		courier_quit(c);
	else
		c->house->calls.idle(c->relay, c);	/* may call courier_carry */
	return c->stage != COURIER_IDLE;
}

/*
 * [return] envelope = auto: an upstream that refuses <> gets the return address instead (R48). Not only MAIL may say so: others look
 * at the sender when RCPT comes, or after the final dot. What is clearly about something else is no reason.
 */
static bool refuses_null(const struct courier *c, enum smtp_client_stage stage, const struct smtp_upstream_reply *reply)
{
	static const char *const senders[] = { "5.0.0", "5.7.", "5.1.7", "5.1.8" };	/* 5.0.0: no status was given */
	const struct attempt *a = c->attempt;
	struct slice status;

	if (reply->code / 100 != 5 || login_is_code(reply->code) || !a->message.envelope.is_return ||
	    attempt_sender(a, c->settings).len || c->settings->return_envelope != RETURN_AUTO || !c->settings->return_from[0])
		return false;
	status = report_status(reply->code, upstream_text(reply));
	for (unsigned i = 0; i < sizeof(senders) / sizeof(senders[0]); i++)
		if (slice_starts(status, slice_of(senders[i])))
			return true;
	return stage == STAGE_MAIL;
}

/* READY follows, and sends it again; over another connection where this one may bear no more. */
static void use_address(struct courier *c)
{
	log_line(SEVERITY_NOTICE, "relay %s: %s refuses <>, the return address is used", route_name(route_of(c)), c->address);
	c->attempt->null_refused = true;
	if (is_used_up(c))
		group_done(c);
}

/*
 * "Relay access denied" where POP before SMTP is in use (R43): no verdict on the mail, but on the door. Once in an attempt a fresh login
 * may open it.
 */
static bool door_is_shut(const struct courier *c, const struct smtp_client_event *e)
{
	return route_of(c)->pop.use != POP_OFF &&
	       denial_is_of_relaying(e->reply->code, slice_bytes(e->reply->text, e->reply->len));
}

static void log_denial(const struct courier *c, const struct smtp_client_event *e)
{
	struct record line;

	record_start(&line, "relay-denied");
	record_word(&line, "id", c->attempt->id_text);
	record_word(&line, "relay", c->attempt->route_name);
	record_word(&line, "host", c->address);
	record_number(&line, "code", e->reply->code);
	record_text(&line, "reply", slice_bytes(e->reply->text, e->reply->len));
	log_record(SEVERITY_NOTICE, &line);
}

/* True: the attempt goes once more. A direct one can't: its client waits; but what is queued of it finds the door open. */
static bool knock_again(struct courier *c, const struct smtp_client_event *e)
{
	if (c->denied)
		return true;
	if (!c->pop || c->attempt->knocked || !pop_denied(c->pop, c->pop_login))
		return false;
	c->attempt->knocked = true;
	c->denied = !c->attempt->direct;
	log_denial(c, e);
	return c->denied;
}

static struct slice denied_words(const struct courier *c, const struct smtp_client_event *e, char text[FAULT_MAX])
{
	snprintf(text, FAULT_MAX, "%s; the server says: %u %.*s",
		 c->pop ? "no relaying after our POP login" : "no relaying: a mail program must fetch mail by POP first",
		 e->reply->code, e->reply->len, e->reply->text);
	return slice_of(text);
}

static void on_recipient(struct courier *c, const struct smtp_client_event *e)
{
	char text[FAULT_MAX];

	if (door_is_shut(c, e) && knock_again(c, e))
		attempt_recipient_again(c->attempt, e->recipient);
	else if (door_is_shut(c, e))
		attempt_recipient_reply(c->attempt, e->recipient, 0, denied_words(c, e, text));
	else if (!refuses_null(c, STAGE_RCPT, e->reply))
		attempt_recipient_reply(c->attempt, e->recipient, e->reply->code, upstream_text(e->reply));
}

/* MAIL was refused, and no recipient asked. */
static bool on_sender_denied(struct courier *c, const struct smtp_client_event *e)
{
	char text[FAULT_MAX];

	if (e->stage != STAGE_MAIL || !door_is_shut(c, e))
		return false;
	if (!knock_again(c, e))
		attempt_group_verdict(c->attempt, 0, denied_words(c, e, text), true);
	group_done(c);
	return true;
}

static void on_sent(struct courier *c, const struct smtp_client_event *e)
{
	if (!door_is_shut(c, e) && refuses_null(c, e->stage, e->reply)) {
		use_address(c);
		return;
	}
	if (on_sender_denied(c, e))
		return;
	if (e->stage != STAGE_RCPT)
		attempt_group_verdict(c->attempt, e->reply->code, upstream_text(e->reply), e->stage == STAGE_MAIL);
	group_done(c);
}

static void respond(struct courier *c, struct slice challenge)
{
	uint8_t digest[DIGEST_MD5_SIZE];
	char hex[2 * DIGEST_MD5_SIZE + 1];
	struct buffer *out = stream_output(&c->stream);

	if (!out || !digest_hmac(DIGEST_MD5, c->rules.password, challenge, digest)) {
		host_failed(c, "no memory for CRAM-MD5");
		return;
	}
	for (unsigned i = 0; i < sizeof(digest); i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	smtp_client_respond(&c->smtp, out, slice_of(hex));
}

static void turn(struct courier *c);

static void salted(void *context, const void *answer, size_t len)
{
	struct courier *c = context;
	uint8_t proof[PROOF_KEY_SIZE], signature[PROOF_KEY_SIZE];
	struct buffer *out = c->watch.dead ? NULL : stream_output(&c->stream);

	if (c->watch.dead)
		return;
	if (!out || !prove_finish(&c->smtp.scram, answer, len, proof, signature)) {
		host_failed(c, "no memory for SCRAM-SHA-256");
		return;
	}
	smtp_client_prove(&c->smtp, out, proof, signature);
	turn(c);
}

static void prove(struct courier *c)
{
	if (!prove_ask(c->house->hasher, &c->smtp.scram, c->rules.password, salted, c))
		host_failed(c, "the hashing helper is busy");
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
	return dial(c);
}

/* The session is over before the attempt was: what is known of it stands, the rest is tried again. */
static void session_failed(struct courier *c, enum smtp_client_stage stage, struct slice why, bool login_refused)
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
		host_failed(c, words);
	} else {
		c->watch.dead = true;
		if (!c->attempt)
			return;
		attempt_group_verdict(c->attempt, 0, slice_of(words), false);
		group_done(c);
	}
}

static void on_failed(struct courier *c, const struct smtp_client_event *e)
{
	char text[SMTP_REPLY_TEXT_MAX + 8];

	if (e->reply->code)
		snprintf(text, sizeof(text), "%u %.*s", e->reply->code, e->reply->len, e->reply->text);
	else
		snprintf(text, sizeof(text), "%.*s", e->reply->len, e->reply->text);
	session_failed(c, e->stage, slice_of(text),
		       e->stage == STAGE_AUTH && (e->reply->code / 100 == 5 || !e->reply->code));
}

/*
 * A direct message goes to all its recipients or into the queue: it can't wait for the one who was put off. Closing instead of
 * sending anything is what RFC 5321 4.1.1.4 leaves to take a 354 back.
 */
static bool begin_content(struct courier *c)
{
	struct attempt *a = c->attempt;

	if (a->direct && attempt_was_deferred(a)) {
		attempt_group_verdict(a, 0, SLICE_OF("not sent: another recipient was put off"), false);
		c->watch.dead = true;
		group_done(c);
		return false;
	}
	if (a->passage) {
		a->flowing = true;
		a->passage->state = PASSAGE_FLOWING;
	}
	c->sending = true;
	return false;
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
			host_failed(c, "the server's 220 to STARTTLS had more behind it, in clear: is somebody on the way?");
		else if (!shake(c))
			host_failed(c, "no memory for TLS");
		return false;
	case SMTP_CLIENT_CHALLENGE:
		respond(c, e->challenge);
		return true;
	case SMTP_CLIENT_PROVE:
		prove(c);
		return false;
	case SMTP_CLIENT_READY:
		return on_ready(c);
	case SMTP_CLIENT_RECIPIENT:
		on_recipient(c, e);
		return true;
	case SMTP_CLIENT_CONTENT:
		return begin_content(c);
	case SMTP_CLIENT_SENT:
		on_sent(c, e);
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
				c->deadline = patience(c);
		}
		more = act(c, &e);
	}
}

static void content_failed(struct courier *c, ssize_t error)
{
	char words[FAULT_MAX];

	snprintf(words, sizeof(words), "reading the spool: %s", strerror((int)-error));
	log_line(SEVERITY_ERR, "message %s: %s", c->attempt->id_text, words);
	attempt_group_verdict(c->attempt, 0, slice_of(words), false);
	c->watch.dead = true;		/* half a message is on the wire: only closing is left */
	group_done(c);
}

/* Likewise, as far as the client has brought it. */
static ssize_t fill_direct(struct courier *c, struct buffer *out)
{
	struct passage *p = c->attempt->passage;
	size_t moved = passage_take(p, out);

	if (p->complete && passage_drained(p) && smtp_client_content_end(&c->smtp, out, true))
		c->sending = false;
	return (ssize_t)moved;
}

/* Fills the output from the spool; the dot once all is there. Octets put, or -errno. */
static ssize_t fill_spooled(struct courier *c, struct buffer *out)
{
	const struct spool_message *m = &c->attempt->message;
	ssize_t total = 0, got;
	size_t room;
	char *at;

	while (c->sent < m->size) {
		at = buffer_reserve(out, &room);
		if (!room)
			return total;
		got = spool_read(c->house->spool, m, c->sent, at, room);
		if (got <= 0)
			return got ? got : -EIO;
		buffer_added(out, (size_t)got);
		c->sent += (uint64_t)got;
		total += got;
	}
	if (smtp_client_content_end(&c->smtp, out, m->envelope.ends_in_crlf))
		c->sending = false;
	return total;
}

static ssize_t fill(struct courier *c, struct buffer *out)
{
	return c->attempt->direct ? fill_direct(c, out) : fill_spooled(c, out);
}

/* There is nothing to be sent because the client has not brought it yet: that time is the client's. */
static bool waits_for_client(const struct courier *c)
{
	const struct passage *p = c->attempt ? c->attempt->passage : NULL;

	return c->sending && p && passage_drained(p) && !p->complete && !stream_has_output(&c->stream);
}

/* The client has brought more while the socket was idle. */
static bool content_due(const struct courier *c)
{
	const struct passage *p = c->attempt ? c->attempt->passage : NULL;

	return c->sending && p && (p->complete || !passage_drained(p)) && !stream_has_output(&c->stream);
}

static void send_content(struct courier *c)
{
	struct buffer *out;
	ssize_t put;

	while (c->sending && (out = stream_output(&c->stream))) {
		put = fill(c, out);
		if (put < 0) {
			content_failed(c, put);
			return;
		}
		if (put || !c->sending)
			c->deadline = patience(c);
		stream_write(&c->stream);
		if (stream_has_output(&c->stream) || c->stream.state != STREAM_OPEN)
			return;
		if (waits_for_client(c)) {
			c->deadline = NEVER;
			return;
		}
	}
}

static const char *lost_words(const struct courier *c)
{
	return stream_error(&c->stream)[0] ? stream_error(&c->stream) : "connection closed";
}

static bool shake_again(struct courier *c)
{
	if (c->shakes == TLS_RETRIES_MAX || !c->stream.tls || !tls_prepare_retry(c->stream.tls))
		return false;
	c->shakes++;
	stream_close(&c->stream);
	return dial(c);
}

static void look_for_end(struct courier *c)
{
	if (c->watch.dead || c->stage <= COURIER_DIALLING ||
	    (c->stream.state != STREAM_FAILED && c->stream.state != STREAM_ENDED))
		return;
	if (c->stage == COURIER_SHAKING) {
		if (!shake_again(c))
			host_failed(c, lost_words(c));
	} else if (!c->attempt && (c->stage == COURIER_IDLE || c->stage == COURIER_LEAVING)) {
		c->watch.dead = true;
	} else {
		session_failed(c, smtp_client_stage(&c->smtp), slice_of(lost_words(c)), false);
	}
}

/* Writing carries a handshake on as well as reading does. */
static bool has_shaken(const struct courier *c)
{
	return !c->watch.dead && c->stage == COURIER_SHAKING && c->stream.state == STREAM_OPEN;
}

static void end_handshake(struct courier *c)
{
	smtp_client_secured(&c->smtp);
	c->stage = COURIER_TALKING;
	c->deadline = patience(c);
}

/* The AUTH line has gone out: our password doesn't stay in a block that goes to somebody else (R63). */
static void forget_login(struct courier *c)
{
	if (c->stream.out.at && !stream_has_output(&c->stream))
		secret_wipe(c->stream.out.at, SMTP_COMMAND_MAX);
}

static void turn(struct courier *c)
{
	c->in_turn = true;
	do {
		if (has_shaken(c))
			end_handshake(c);
		converse(c);
		if (!c->watch.dead && c->sending)
			send_content(c);
		if (!c->watch.dead && c->stage > COURIER_DIALLING)
			stream_write(&c->stream);
	} while (has_shaken(c) || (talks(c) && stream_ready(&c->stream) && stream_read(&c->stream)));
	look_for_end(c);
	if (!c->was_ready)
		forget_login(c);
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
		w->deadline = after(c, STARVED_MS);
	else if (content_due(c))
		w->deadline = loop_now(c->house->loop);
}

static void on_deadline(struct courier *c)
{
	if (c->held) {
		begin_in_turn(c);
		turn(c);
	} else if (c->stage == COURIER_IDLE) {
		courier_quit(c);
	} else if (c->stage == COURIER_LEAVING) {
		c->watch.dead = true;
	} else if (c->stage == COURIER_SHAKING) {
		host_failed(c, "time-out in the TLS handshake");
	} else {
		session_failed(c, smtp_client_stage(&c->smtp), SLICE_OF("time-out"), false);
	}
}

static void ready(struct watch *w, short revents)
{
	struct courier *c = (struct courier *)w;

	if (!revents && !content_due(c) && !stream_ready(&c->stream) && loop_now(c->house->loop) >= c->deadline) {
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
	if (dial(c))
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
	if (route_of(c)->by_client) {
		slice_copy(route_user(route_of(c), c->login), c->own.user, sizeof(c->own.user));
		slice_copy(route_password(route_of(c), c->login), c->own.password, sizeof(c->own.password));
	}
	c->pop = pop_hold(pop);
	for (unsigned i = 0; a->only_host[0] && i < route_of(c)->host_count; i++)
		if (slice_equal_fold(slice_of(route_of(c)->host[i]), slice_of(a->only_host)))
			c->host = (uint8_t)i;
	if (!dial(c)) {
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
	if (refuse_too_large(c))
		return;
	c->stage = COURIER_TALKING;
	begin_in_turn(c);
	if (!c->in_turn)
		turn(c);
}

void courier_abandon(struct courier *c)
{
	give_back(c);
	c->watch.dead = true;
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
	c->deadline = after(c, LEAVE_MS);
	smtp_client_quit(&c->smtp);
	if (!c->in_turn)
		turn(c);
}
