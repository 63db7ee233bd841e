#include "smtp/client.h"

#include <string.h>

#include "base/secret.h"
#include "smtp/client_lines.h"
#include "smtp/echo.h"
#include "smtp/sending.h"

enum state {
	AT_GREETING, AT_EHLO, AT_HELO, AT_STARTTLS, AT_TLS,
	AT_PLAIN, AT_PLAIN_RESPONSE, AT_LOGIN, AT_LOGIN_USER, AT_LOGIN_PASSWORD,
	AT_CRAM, AT_CHALLENGED, AT_CRAM_RESPONSE,
	AT_SCRAM, AT_SCRAM_FIRST, AT_PROVING, AT_SCRAM_LAST, AT_SCRAM_END,
	AT_TOKEN, AT_TOKEN_RESPONSE, AT_TOKEN_REFUSED,
	AT_DONE,	/* READY is to be told */
	AT_READY, AT_RSET,
	AT_MAIL, AT_RCPT, AT_DATA,	/* in this order: the replies of a transaction */
	AT_UNWANTED,	/* no recipient is left, or none is to get anything: SENT is to be told */
	AT_DRAIN,	/* the verdict is told, replies to pipelined commands are still to come */
	AT_LONE_DOT,	/* 354 came for a message nobody wants: RFC 2920 3.1 */
	AT_UNDO,	/* RSET behind a rehearsal */
	AT_CONTENT, AT_END, AT_QUIT, AT_CLOSED, AT_FAILED
};

static const char unsendable[] = "a command of ours can't be put into a line";

/* What a reply does: calls act, or without one moves on to next. */
struct step {
	void (*act)(struct smtp_client *c, struct slice text, struct smtp_client_event *event);
	enum state next;
};

struct row {
	enum smtp_client_stage stage;
	/* What is sent on entering the state: a fixed part, then what put_rest adds; then CRLF. */
	const char *command;
	void (*put_rest)(const struct smtp_client *c, struct buffer *line);
	/* By the first digit, 2 to 5; `text` is the last line's. All zero: nothing is read. */
	struct step on[4];
	/* What is told on entering the state, in place of sending and reading. */
	void (*enter)(struct smtp_client *c, struct smtp_client_event *event);
};
static const struct row rows[AT_FAILED + 1];

const char *smtp_client_stage_name(enum smtp_client_stage stage)
{
	static const char *const names[] = {
		[STAGE_GREETING] = "greeting", [STAGE_EHLO] = "ehlo",
		[STAGE_STARTTLS] = "starttls", [STAGE_AUTH] = "auth",
		[STAGE_MAIL] = "mail", [STAGE_RCPT] = "rcpt", [STAGE_DATA] = "data",
		[STAGE_CONTENT] = "content", [STAGE_END] = "end",
		[STAGE_RSET] = "rset", [STAGE_QUIT] = "quit",
		[STAGE_PROTOCOL] = "protocol",
	};

	return names[stage];
}

static void go(struct smtp_client *c, enum state state)
{
	c->state = (uint8_t)state;
	c->waiting = false;
}

/* The reply that is there tells why. */
static void fail(struct smtp_client *c, enum smtp_client_stage stage)
{
	c->failed = (uint8_t)stage;
	go(c, AT_FAILED);
}

static void fail_because(struct smtp_client *c, enum smtp_client_stage stage, const char *reason)
{
	upstream_explain(&c->upstream, reason);
	fail(c, stage);
}

static void forget(struct smtp_client *c)
{
	c->extensions = 0;
	c->mechanisms = 0;
	c->size_limit = 0;
}

/* Sending */

/* Lines pass through memory of their own, so that a line is in `out` whole or not at all. */
static enum sending send_command(const struct smtp_client *c, enum state state, struct buffer *out)
{
	const struct row *row = &rows[state];
	char text[SMTP_COMMAND_MAX];
	struct buffer line;
	enum sending sent;

	buffer_init(&line, text, sizeof(text));
	buffer_put_text(&line, row->command);
	if (row->put_rest)
		row->put_rest(c, &line);
	sent = sending_put(out, &line);
	secret_wipe(text, sizeof(text));
	return sent;
}

static enum state state_of_command(const struct smtp_client *c, unsigned command)
{
	if (command == 0)
		return AT_MAIL;
	return command <= c->transaction.mail->recipient_count ? AT_RCPT : AT_DATA;
}

static bool in_transaction(const struct smtp_client *c)
{
	return c->state >= AT_MAIL && c->state <= AT_DATA;
}

/* As many commands as there is room for when the upstream takes groups (RFC 2920), else one. */
static enum sending send_transaction(struct smtp_client *c, struct buffer *out)
{
	struct smtp_client_transaction *t = &c->transaction;
	bool group = c->extensions & EXT_PIPELINING;
	enum sending sent = SENDING_DONE;

	while (t->next_command <= t->last_command && (group || t->next_command == t->next_reply)) {
		sent = send_command(c, state_of_command(c, t->next_command), out);
		if (sent != SENDING_DONE)
			break;
		t->next_command++;
	}
	c->waiting = t->next_reply < t->next_command;
	return sent;
}

static enum sending send_due(struct smtp_client *c, struct buffer *out)
{
	enum sending sent;

	if (in_transaction(c))
		return send_transaction(c, out);
	if (c->waiting || !rows[c->state].command)
		return SENDING_DONE;
	sent = send_command(c, c->state, out);
	c->waiting = sent == SENDING_DONE;
	return sent;
}

/* What is told on entering a state */

static void enter_tls(struct smtp_client *c, struct smtp_client_event *event)
{
	(void)c;
	event->type = SMTP_CLIENT_TLS;
}

static void enter_done(struct smtp_client *c, struct smtp_client_event *event)
{
	c->transaction = (struct smtp_client_transaction){ .mail = NULL };
	go(c, AT_READY);
	event->type = SMTP_CLIENT_READY;
}

static void enter_closed(struct smtp_client *c, struct smtp_client_event *event)
{
	(void)c;
	event->type = SMTP_CLIENT_CLOSED;
}

static void enter_failed(struct smtp_client *c, struct smtp_client_event *event)
{
	event->type = SMTP_CLIENT_FAILED;
	event->stage = c->failed;
}

static void leave_transaction(struct smtp_client *c)
{
	go(c, c->transaction.mail->rehearsal ? AT_UNDO : AT_DONE);
}

/* The message has its verdict; what was pipelined behind it is still answered. */
static void settle(struct smtp_client *c)
{
	const struct smtp_client_transaction *t = &c->transaction;

	c->rset_due = true;
	if (t->next_reply < t->next_command)
		go(c, AT_DRAIN);
	else
		leave_transaction(c);
}

static void tell_sent(struct smtp_client *c, struct smtp_client_event *event)
{
	event->type = SMTP_CLIENT_SENT;
	event->stage = rows[c->state].stage;
}

static void enter_unwanted(struct smtp_client *c, struct smtp_client_event *event)
{
	tell_sent(c, event);
	settle(c);
}

/* Replies */

static void refused(struct smtp_client *c, struct slice text, struct smtp_client_event *event)
{
	(void)text, (void)event;
	fail(c, rows[c->state].stage);
}

static void nonsense(struct smtp_client *c, struct slice text, struct smtp_client_event *event)
{
	(void)text, (void)event;
	fail(c, STAGE_PROTOCOL);
}

static bool is_ascii(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!ascii_is_print(s.at[i]))
			return false;
	return true;
}

/*
 * What is offered and allowed. SCRAM wants user and password prepared by the rules of Unicode (RFC 4013), which ASCII
 * passes unchanged: others log in by something else where they can.
 */
static unsigned usable_mechanisms(const struct smtp_client *c)
{
	unsigned usable = c->mechanisms & c->settings->mechanisms;
	unsigned others = usable & ~(unsigned)SASL_SCRAM_SHA_256;

	if (others && !(is_ascii(c->settings->user) && is_ascii(c->settings->password)))
		return others;
	return usable;
}

/* The best of them; AT_FAILED when there is nothing. R42 */
static enum state choose_mechanism(const struct smtp_client *c, enum smtp_mechanism *chosen)
{
	static const struct mechanism {
		enum smtp_mechanism bit;
		enum state state;
	} clear[] = {
		{ SASL_SCRAM_SHA_256, AT_SCRAM }, { SASL_CRAM_MD5, AT_CRAM },
		{ SASL_PLAIN, AT_PLAIN }, { SASL_LOGIN, AT_LOGIN },
	}, tls[] = {
		{ SASL_XOAUTH2, AT_TOKEN }, { SASL_SCRAM_SHA_256, AT_SCRAM },
		{ SASL_PLAIN, AT_PLAIN }, { SASL_LOGIN, AT_LOGIN }, { SASL_CRAM_MD5, AT_CRAM },
	};
	const struct mechanism *order = c->secured ? tls : clear;
	size_t count = c->secured ? sizeof(tls) / sizeof(*tls) : sizeof(clear) / sizeof(*clear);
	unsigned usable = usable_mechanisms(c);
	size_t i;

	for (i = 0; i < count; i++) {
		if (!(usable & order[i].bit))
			continue;
		*chosen = order[i].bit;
		return order[i].state;
	}
	return AT_FAILED;
}

static bool tls_due(const struct smtp_client *c)
{
	return c->settings->starttls && !c->secured;
}

static bool login_due(const struct smtp_client *c)
{
	return c->settings->mechanisms && (!c->settings->login_optional || (c->extensions & EXT_AUTH));
}

static void start_tls(struct smtp_client *c)
{
	if (c->extensions & EXT_STARTTLS)
		go(c, AT_STARTTLS);
	else
		fail_because(c, STAGE_STARTTLS, "STARTTLS is not offered");
}

static void start_login(struct smtp_client *c)
{
	enum smtp_mechanism chosen = 0;
	enum state state = choose_mechanism(c, &chosen);

	c->mechanism = (uint8_t)chosen;
	if (state == AT_SCRAM)
		proof_scram_begin(&c->scram, c->settings->user, c->settings->nonce);
	if (state == AT_FAILED)
		fail_because(c, STAGE_AUTH, "no AUTH mechanism is offered that is allowed");
	else
		go(c, state);
}

static void on_hello(struct smtp_client *c, struct slice text, struct smtp_client_event *event)
{
	(void)text, (void)event;
	if (tls_due(c))
		start_tls(c);
	else if (login_due(c))
		start_login(c);
	else
		go(c, AT_DONE);
}

/* HELO offers nothing, so it is no way out where TLS or a login is demanded. */
static void on_no_ehlo(struct smtp_client *c, struct slice text, struct smtp_client_event *event)
{
	if (tls_due(c) || login_due(c))
		refused(c, text, event);
	else
		go(c, AT_HELO);
}

static void on_cram(struct smtp_client *c, struct slice text, struct smtp_client_event *event)
{
	size_t len;

	if (!base64_decode(slice_trim(text), c->challenge, sizeof(c->challenge), &len)) {
		nonsense(c, text, event);
		return;
	}
	event->type = SMTP_CLIENT_CHALLENGE;
	event->challenge = slice_bytes(c->challenge, len);
	go(c, AT_CHALLENGED);
}

/* A server that takes no initial response asks with an empty challenge. */
static void on_scram(struct smtp_client *c, struct slice text, struct smtp_client_event *event)
{
	const char *wrong;
	size_t len;

	text = slice_trim(text);
	if (text.len == 0 && c->state == AT_SCRAM) {
		go(c, AT_SCRAM_FIRST);
		return;
	}
	if (!base64_decode(text, c->challenge, sizeof(c->challenge), &len)) {
		nonsense(c, text, event);
		return;
	}
	wrong = proof_scram_challenged(&c->scram, slice_bytes(c->challenge, len), c->settings->nonce);
	if (wrong) {
		fail_because(c, STAGE_AUTH, wrong);
		return;
	}
	event->type = SMTP_CLIENT_PROVE;
	event->scram = &c->scram;
	go(c, AT_PROVING);
}

static void on_signature(struct smtp_client *c, struct slice text, struct smtp_client_event *event)
{
	const char *wrong;
	size_t len;

	(void)event;
	if (!base64_decode(slice_trim(text), c->challenge, sizeof(c->challenge), &len))
		len = 0;
	wrong = proof_scram_signed(&c->scram, slice_bytes(c->challenge, len));
	if (wrong)
		fail_because(c, STAGE_AUTH, wrong);
	else
		go(c, AT_SCRAM_END);
}

/* A 235 that came without it is worth nothing: anybody can say that. */
static void on_unproved(struct smtp_client *c, struct slice text, struct smtp_client_event *event)
{
	(void)text, (void)event;
	fail_because(c, STAGE_AUTH, "the server did not prove that it knows our password");
}

/*
 * 504 and 534 are about the mechanism: some servers offer what their accounts can't do. In TLS the next one is tried, once; in
 * clear somebody on the way could have said so to be told the password. 535 is about the password, and a
 * second try would be counted as a second guess.
 */
static void on_scram_refused(struct smtp_client *c, struct slice text, struct smtp_client_event *event)
{
	bool mechanism = c->upstream.reply.code == 504 || c->upstream.reply.code == 534;
	enum smtp_mechanism next = 0;

	c->mechanisms &= ~(unsigned)SASL_SCRAM_SHA_256;
	if (mechanism && c->secured && choose_mechanism(c, &next) != AT_FAILED)
		start_login(c);
	else
		refused(c, text, event);
}

/*
 * What stands in the 334 that comes in answer to a token says why it is refused; the empty line then fetches the 535.
 * A token that has not been sent yet is asked for.
 */
static void on_token(struct smtp_client *c, struct slice text, struct smtp_client_event *event)
{
	static const struct slice command = SLICE("AUTH XOAUTH2");
	const struct buffer line = { .tail = command.len, .size = command.len };
	bool said = lines_holds_token(c, &line) && slice_trim(text).len > 0;

	(void)event;
	go(c, said ? AT_TOKEN_REFUSED : AT_TOKEN_RESPONSE);
}

static void advance(struct smtp_client *c)
{
	struct smtp_client_transaction *t = &c->transaction;

	t->next_reply++;
	if (t->next_reply > t->last_command || (t->next_reply > t->mail->recipient_count && t->accepted == 0))
		go(c, AT_UNWANTED);
	else
		go(c, state_of_command(c, t->next_reply));
}

static void on_mail(struct smtp_client *c, struct slice text, struct smtp_client_event *event)
{
	(void)text, (void)event;
	advance(c);
}

/* MAIL or DATA is refused. */
static void on_message_refused(struct smtp_client *c, struct slice text,
			       struct smtp_client_event *event)
{
	(void)text;
	tell_sent(c, event);
	c->transaction.next_reply++;
	settle(c);
}

static void on_rcpt(struct smtp_client *c, struct slice text, struct smtp_client_event *event)
{
	struct smtp_client_transaction *t = &c->transaction;

	(void)text;
	event->type = SMTP_CLIENT_RECIPIENT;
	event->recipient = t->next_reply - 1;
	t->accepted += c->upstream.reply.code < 300;
	advance(c);
}

static void on_data(struct smtp_client *c, struct slice text, struct smtp_client_event *event)
{
	if (c->upstream.reply.code != 354) {
		nonsense(c, text, event);
		return;
	}
	c->transaction.next_reply++;
	event->type = SMTP_CLIENT_CONTENT;
	go(c, AT_CONTENT);
}

static void on_drain(struct smtp_client *c, struct slice text, struct smtp_client_event *event)
{
	struct smtp_client_transaction *t = &c->transaction;
	bool data = t->next_reply > t->mail->recipient_count;
	unsigned digit = c->upstream.reply.code / 100;

	if (data ? digit == 2 : digit == 3) {
		nonsense(c, text, event);
		return;
	}
	t->next_reply++;
	if (digit == 3)
		go(c, AT_LONE_DOT);
	else if (t->next_reply == t->next_command)
		leave_transaction(c);
}

static void on_undone(struct smtp_client *c, struct slice text, struct smtp_client_event *event)
{
	(void)text, (void)event;
	c->rset_due = false;
	go(c, AT_DONE);
}

static void on_end(struct smtp_client *c, struct slice text, struct smtp_client_event *event)
{
	(void)text;
	tell_sent(c, event);
	c->rset_due = c->upstream.reply.code >= 300;
	go(c, AT_DONE);
}

#define DO(act)		{ act, AT_FAILED }
#define TO(state)	{ NULL, state }
#define NONSENSE	DO(nonsense)
#define REFUSED		DO(refused)

/*
 * PLAIN may be asked again after its initial response: some servers do, with an empty challenge.
 * The words of LOGIN's challenges are not looked at: servers write them as they like, the order is
 * fixed.
 */
static const struct row rows[AT_FAILED + 1] = {
	[AT_GREETING] = { .stage = STAGE_GREETING,
		.on = { TO(AT_EHLO), NONSENSE, REFUSED, REFUSED } },
	[AT_EHLO] = { .stage = STAGE_EHLO, .command = "EHLO ", .put_rest = lines_put_helo,
		.on = { DO(on_hello), NONSENSE, REFUSED, DO(on_no_ehlo) } },
	[AT_HELO] = { .stage = STAGE_EHLO, .command = "HELO ", .put_rest = lines_put_helo,
		.on = { DO(on_hello), NONSENSE, REFUSED, REFUSED } },
	[AT_STARTTLS] = { .stage = STAGE_STARTTLS, .command = "STARTTLS",
		.on = { TO(AT_TLS), NONSENSE, REFUSED, REFUSED } },
	[AT_TLS] = { .stage = STAGE_STARTTLS, .enter = enter_tls },

	[AT_PLAIN] = { .stage = STAGE_AUTH, .command = "AUTH PLAIN",
		.put_rest = lines_put_initial_plain,
		.on = { TO(AT_DONE), TO(AT_PLAIN_RESPONSE), REFUSED, REFUSED } },
	[AT_PLAIN_RESPONSE] = { .stage = STAGE_AUTH, .command = "", .put_rest = lines_put_plain,
		.on = { TO(AT_DONE), NONSENSE, REFUSED, REFUSED } },
	[AT_LOGIN] = { .stage = STAGE_AUTH, .command = "AUTH LOGIN",
		.on = { NONSENSE, TO(AT_LOGIN_USER), REFUSED, REFUSED } },
	[AT_LOGIN_USER] = { .stage = STAGE_AUTH, .command = "", .put_rest = lines_put_user,
		.on = { NONSENSE, TO(AT_LOGIN_PASSWORD), REFUSED, REFUSED } },
	[AT_LOGIN_PASSWORD] = { .stage = STAGE_AUTH, .command = "", .put_rest = lines_put_password,
		.on = { TO(AT_DONE), NONSENSE, REFUSED, REFUSED } },
	[AT_CRAM] = { .stage = STAGE_AUTH, .command = "AUTH CRAM-MD5",
		.on = { NONSENSE, DO(on_cram), REFUSED, REFUSED } },
	[AT_CHALLENGED] = { .stage = STAGE_AUTH },
	[AT_CRAM_RESPONSE] = { .stage = STAGE_AUTH,
		.on = { TO(AT_DONE), NONSENSE, REFUSED, REFUSED } },
	[AT_SCRAM] = { .stage = STAGE_AUTH, .command = "AUTH SCRAM-SHA-256",
		.put_rest = lines_put_initial_scram,
		.on = { DO(on_unproved), DO(on_scram), REFUSED, DO(on_scram_refused) } },
	[AT_SCRAM_FIRST] = { .stage = STAGE_AUTH, .command = "", .put_rest = lines_put_scram,
		.on = { DO(on_unproved), DO(on_scram), REFUSED, DO(on_scram_refused) } },
	[AT_PROVING] = { .stage = STAGE_AUTH },
	[AT_SCRAM_LAST] = { .stage = STAGE_AUTH,
		.on = { DO(on_unproved), DO(on_signature), REFUSED, DO(on_scram_refused) } },
	[AT_SCRAM_END] = { .stage = STAGE_AUTH, .command = "",
		.on = { TO(AT_DONE), NONSENSE, REFUSED, REFUSED } },
	[AT_TOKEN] = { .stage = STAGE_AUTH, .command = "AUTH XOAUTH2",
		.put_rest = lines_put_initial_token,
		.on = { TO(AT_DONE), DO(on_token), REFUSED, REFUSED } },
	[AT_TOKEN_RESPONSE] = { .stage = STAGE_AUTH, .command = "", .put_rest = lines_put_token,
		.on = { TO(AT_DONE), TO(AT_TOKEN_REFUSED), REFUSED, REFUSED } },
	[AT_TOKEN_REFUSED] = { .stage = STAGE_AUTH, .command = "",
		.on = { NONSENSE, NONSENSE, REFUSED, REFUSED } },

	[AT_DONE] = { .stage = STAGE_MAIL, .enter = enter_done },
	[AT_READY] = { .stage = STAGE_MAIL,
		.on = { NONSENSE, NONSENSE, NONSENSE, NONSENSE } },
	[AT_RSET] = { .stage = STAGE_RSET, .command = "RSET",
		.on = { TO(AT_MAIL), NONSENSE, REFUSED, REFUSED } },
	[AT_MAIL] = { .stage = STAGE_MAIL, .command = "MAIL FROM:<", .put_rest = lines_put_sender,
		.on = { DO(on_mail), NONSENSE, DO(on_message_refused), DO(on_message_refused) } },
	[AT_RCPT] = { .stage = STAGE_RCPT, .command = "RCPT TO:<", .put_rest = lines_put_recipient,
		.on = { DO(on_rcpt), NONSENSE, DO(on_rcpt), DO(on_rcpt) } },
	[AT_DATA] = { .stage = STAGE_DATA, .command = "DATA",
		.on = { NONSENSE, DO(on_data), DO(on_message_refused), DO(on_message_refused) } },
	[AT_UNWANTED] = { .stage = STAGE_RCPT, .enter = enter_unwanted },
	[AT_DRAIN] = { .stage = STAGE_RSET,
		.on = { DO(on_drain), DO(on_drain), DO(on_drain), DO(on_drain) } },
	[AT_LONE_DOT] = { .stage = STAGE_RSET, .command = ".",
		.on = { TO(AT_DONE), NONSENSE, TO(AT_DONE), TO(AT_DONE) } },
	[AT_UNDO] = { .stage = STAGE_RSET, .command = "RSET",
		.on = { DO(on_undone), NONSENSE, REFUSED, REFUSED } },
	[AT_CONTENT] = { .stage = STAGE_CONTENT,
		.on = { NONSENSE, NONSENSE, REFUSED, REFUSED } },
	[AT_END] = { .stage = STAGE_END,
		.on = { DO(on_end), NONSENSE, DO(on_end), DO(on_end) } },

	[AT_QUIT] = { .stage = STAGE_QUIT, .command = "QUIT",
		.on = { TO(AT_CLOSED), NONSENSE, TO(AT_CLOSED), TO(AT_CLOSED) } },
	[AT_CLOSED] = { .stage = STAGE_QUIT, .enter = enter_closed },
	[AT_FAILED] = { .stage = STAGE_PROTOCOL, .enter = enter_failed },
};

static bool repeats_secret(const struct smtp_client *c, struct slice text)
{
	char memory[SMTP_COMMAND_MAX];
	struct buffer sent;
	bool found;

	buffer_init(&sent, memory, sizeof(memory));
	if (c->state == AT_LOGIN_PASSWORD)
		lines_put_password(c, &sent);
	else if (c->state >= AT_TOKEN && c->state <= AT_TOKEN_REFUSED)
		lines_put_token(c, &sent);
	else
		lines_put_plain(c, &sent);
	found = echo_repeats(text, buffer_bytes(&sent)) || echo_repeats(text, c->settings->password) ||
		echo_repeats(text, c->settings->token);
	secret_wipe(memory, sizeof(memory));
	return found;
}

/*
 * "500 unknown command AHVzZXIAcGFzcw==": servers repeat what they don't understand, and replies
 * go to logs and into return mail.
 */
static void withhold_secret(struct smtp_client *c)
{
	struct smtp_upstream_reply *reply = &c->upstream.reply;
	uint16_t code = reply->code;

	if (!repeats_secret(c, upstream_text(reply)))
		return;
	upstream_explain(&c->upstream, "(the reply repeats our credentials)");
	reply->code = code;
}

static void take_reply(struct smtp_client *c, struct slice text, struct smtp_client_event *event)
{
	const struct row *row = &rows[c->state];
	unsigned code = c->upstream.reply.code;
	const struct step *step = &row->on[code / 100 - 2];

	if (row->stage == STAGE_AUTH)
		withhold_secret(c);
	if (c->state == AT_END && code / 100 != 3)
		c->transaction.in_doubt = false;
	if (code == 421 && c->state != AT_QUIT)
		fail(c, row->stage);
	else if (step->act)
		step->act(c, text, event);
	else
		go(c, step->next);
}

/* A state without a command was entered by other means; one where nothing is read has no steps. */
static bool reply_due(const struct smtp_client *c)
{
	const struct row *row = &rows[c->state];

	return (row->on[0].act || row->on[0].next) && (c->waiting || !row->command);
}

/* False when there is nothing to be taken. */
static bool take_line(struct smtp_client *c, struct slice in, size_t *used,
		      struct smtp_client_event *event)
{
	bool first = c->upstream.lines == 0;
	enum upstream_status status;
	struct slice text;
	size_t octets;

	if (!reply_due(c))
		return false;
	status = upstream_read(&c->upstream, slice_skip(in, *used), &text, &octets);
	if (status == UPSTREAM_MORE)
		return false;
	*used += octets;
	if (status > UPSTREAM_LAST) {
		fail_because(c, STAGE_PROTOCOL, upstream_status_text(status));
		return true;
	}
	if (c->state == AT_EHLO && !first && c->upstream.reply.code < 300)
		lines_learn(c, text);
	if (status == UPSTREAM_LAST)
		take_reply(c, text, event);
	return true;
}

static enum sending enter(struct smtp_client *c, struct buffer *out,
			  struct smtp_client_event *event)
{
	enum sending sent = SENDING_DONE;

	if (!rows[c->state].enter)
		sent = send_due(c, out);
	if (sent == SENDING_IMPOSSIBLE)
		fail_because(c, rows[c->state].stage, unsendable);
	if (rows[c->state].enter)
		rows[c->state].enter(c, event);
	return sent;
}

size_t smtp_client_feed(struct smtp_client *c, struct slice in, struct buffer *out,
			struct smtp_client_event *event)
{
	enum sending sent;
	size_t used = 0;
	bool taken;

	*event = (struct smtp_client_event){
		.type = SMTP_CLIENT_MORE, .reply = &c->upstream.reply,
	};
	do {
		sent = enter(c, out, event);
		taken = event->type == SMTP_CLIENT_MORE && take_line(c, in, &used, event);
	} while (taken && event->type == SMTP_CLIENT_MORE);
	if (event->type == SMTP_CLIENT_MORE && sent == SENDING_NO_ROOM)
		event->type = SMTP_CLIENT_ROOM;
	return used;
}

void smtp_client_init(struct smtp_client *c, const struct smtp_client_settings *settings)
{
	*c = (struct smtp_client){
		.settings = settings, .state = AT_GREETING, .secured = settings->secured,
	};
}

void smtp_client_secured(struct smtp_client *c)
{
	if (c->state != AT_TLS)
		return;
	c->upstream = (struct upstream){ .scanned = 0 };
	forget(c);
	c->secured = true;
	go(c, AT_EHLO);
}

void smtp_client_mail(struct smtp_client *c, const struct smtp_client_mail *mail)
{
	if (c->state != AT_READY)
		return;
	c->transaction = (struct smtp_client_transaction){
		.mail = mail, .last_command = mail->recipient_count + (mail->rehearsal ? 0 : 1),
	};
	go(c, c->rset_due ? AT_RSET : AT_MAIL);
}

bool smtp_client_content_end(struct smtp_client *c, struct buffer *out, bool crlf)
{
	struct slice end = slice_skip(SLICE_OF("\r\n.\r\n"), crlf ? 2 : 0);

	if (c->state != AT_CONTENT || buffer_room(out) < end.len || !buffer_put(out, end))
		return false;
	c->transaction.in_doubt = true;
	go(c, AT_END);
	return true;
}

bool smtp_client_respond(struct smtp_client *c, struct buffer *out, struct slice hex)
{
	char text[BASE64_LENGTH(LOGIN_MAX + 1 + 32) + 2];
	struct buffer line;
	enum sending sent;

	if (c->state != AT_CHALLENGED)
		return false;
	buffer_init(&line, text, sizeof(text));
	proof_put_cram(&line, c->settings->user, hex);
	sent = sending_put(out, &line);
	if (sent == SENDING_IMPOSSIBLE)
		fail_because(c, STAGE_AUTH, unsendable);
	else if (sent == SENDING_DONE)
		go(c, AT_CRAM_RESPONSE);
	return sent != SENDING_NO_ROOM;
}

bool smtp_client_prove(struct smtp_client *c, struct buffer *out, const uint8_t proof[PROOF_KEY_SIZE],
		       const uint8_t signature[PROOF_KEY_SIZE])
{
	char text[BASE64_LENGTH(PROOF_SERVER_MAX + 64) + 2];
	struct buffer line;
	enum sending sent;

	if (c->state != AT_PROVING)
		return false;
	buffer_init(&line, text, sizeof(text));
	proof_scram_put_last(&c->scram, &line, proof);
	sent = sending_put(out, &line);
	if (sent == SENDING_IMPOSSIBLE)
		fail_because(c, STAGE_AUTH, unsendable);
	if (sent != SENDING_DONE)
		return sent != SENDING_NO_ROOM;
	memcpy(c->scram.signature, signature, sizeof(c->scram.signature));
	go(c, AT_SCRAM_LAST);
	return true;
}

void smtp_client_quit(struct smtp_client *c)
{
	if (c->state == AT_READY)
		go(c, AT_QUIT);
}

bool smtp_client_fits(const struct smtp_client *c, uint64_t size)
{
	return c->size_limit == 0 || size <= c->size_limit;
}

enum smtp_client_stage smtp_client_stage(const struct smtp_client *c)
{
	return c->state == AT_FAILED ? c->failed : rows[c->state].stage;
}

bool smtp_client_in_doubt(const struct smtp_client *c)
{
	return c->transaction.in_doubt;
}
