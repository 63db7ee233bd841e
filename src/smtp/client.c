#include "smtp/client_inner.h"

#include "base/secret.h"
#include "smtp/client_lines.h"
#include "smtp/sending.h"

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
	client_go(c, AT_READY);
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
	client_go(c, c->transaction.mail->rehearsal ? AT_UNDO : AT_DONE);
}

/* The message has its verdict; what was pipelined behind it is still answered. */
static void settle(struct smtp_client *c)
{
	const struct smtp_client_transaction *t = &c->transaction;

	c->rset_due = true;
	if (t->next_reply < t->next_command)
		client_go(c, AT_DRAIN);
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
	client_fail(c, rows[c->state].stage);
}

static void nonsense(struct smtp_client *c, struct slice text, struct smtp_client_event *event)
{
	(void)text, (void)event;
	client_fail(c, STAGE_PROTOCOL);
}

static bool tls_due(const struct smtp_client *c)
{
	return c->settings->starttls && !c->secured;
}

static void start_tls(struct smtp_client *c)
{
	if (c->extensions & EXT_STARTTLS)
		client_go(c, AT_STARTTLS);
	else
		client_fail_because(c, STAGE_STARTTLS, "STARTTLS is not offered");
}

static void on_hello(struct smtp_client *c, struct slice text, struct smtp_client_event *event)
{
	(void)text, (void)event;
	if (tls_due(c))
		start_tls(c);
	else if (client_login_due(c))
		client_login(c);
	else
		client_go(c, AT_DONE);
}

/* HELO offers nothing, so it is no way out where TLS or a login is demanded. */
static void on_no_ehlo(struct smtp_client *c, struct slice text, struct smtp_client_event *event)
{
	if (tls_due(c) || client_login_due(c))
		refused(c, text, event);
	else
		client_go(c, AT_HELO);
}

static void advance(struct smtp_client *c)
{
	struct smtp_client_transaction *t = &c->transaction;

	t->next_reply++;
	if (t->next_reply > t->last_command || (t->next_reply > t->mail->recipient_count && t->accepted == 0))
		client_go(c, AT_UNWANTED);
	else
		client_go(c, state_of_command(c, t->next_reply));
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
	client_go(c, AT_CONTENT);
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
		client_go(c, AT_LONE_DOT);
	else if (t->next_reply == t->next_command)
		leave_transaction(c);
}

static void on_undone(struct smtp_client *c, struct slice text, struct smtp_client_event *event)
{
	(void)text, (void)event;
	c->rset_due = false;
	client_go(c, AT_DONE);
}

static void on_end(struct smtp_client *c, struct slice text, struct smtp_client_event *event)
{
	(void)text;
	tell_sent(c, event);
	c->rset_due = c->upstream.reply.code >= 300;
	client_go(c, AT_DONE);
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
		.on = { NONSENSE, DO(client_on_cram), REFUSED, REFUSED } },
	[AT_CHALLENGED] = { .stage = STAGE_AUTH },
	[AT_CRAM_RESPONSE] = { .stage = STAGE_AUTH,
		.on = { TO(AT_DONE), NONSENSE, REFUSED, REFUSED } },
	[AT_SCRAM] = { .stage = STAGE_AUTH, .command = "AUTH SCRAM-SHA-256",
		.put_rest = lines_put_initial_scram,
		.on = { DO(client_on_unproved), DO(client_on_scram), REFUSED, DO(client_on_scram_refused) } },
	[AT_SCRAM_FIRST] = { .stage = STAGE_AUTH, .command = "", .put_rest = lines_put_scram,
		.on = { DO(client_on_unproved), DO(client_on_scram), REFUSED, DO(client_on_scram_refused) } },
	[AT_PROVING] = { .stage = STAGE_AUTH },
	[AT_SCRAM_LAST] = { .stage = STAGE_AUTH,
		.on = { DO(client_on_unproved), DO(client_on_signature), REFUSED, DO(client_on_scram_refused) } },
	[AT_SCRAM_END] = { .stage = STAGE_AUTH, .command = "",
		.on = { TO(AT_DONE), NONSENSE, REFUSED, REFUSED } },
	[AT_TOKEN] = { .stage = STAGE_AUTH, .command = "AUTH XOAUTH2",
		.put_rest = lines_put_initial_token,
		.on = { TO(AT_DONE), DO(client_on_token), REFUSED, REFUSED } },
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

static void take_reply(struct smtp_client *c, struct slice text, struct smtp_client_event *event)
{
	const struct row *row = &rows[c->state];
	unsigned code = c->upstream.reply.code;
	const struct step *step = &row->on[code / 100 - 2];

	if (row->stage == STAGE_AUTH)
		client_withhold_secret(c);
	if (c->state == AT_END && code / 100 != 3)
		c->transaction.in_doubt = false;
	if (code == 421 && c->state != AT_QUIT)
		client_fail(c, row->stage);
	else if (step->act)
		step->act(c, text, event);
	else
		client_go(c, step->next);
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
		client_fail_because(c, STAGE_PROTOCOL, upstream_status_text(status));
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
		client_fail_unsendable(c, rows[c->state].stage);
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
	client_go(c, AT_EHLO);
}

void smtp_client_mail(struct smtp_client *c, const struct smtp_client_mail *mail)
{
	if (c->state != AT_READY)
		return;
	c->transaction = (struct smtp_client_transaction){
		.mail = mail, .last_command = mail->recipient_count + (mail->rehearsal ? 0 : 1),
	};
	client_go(c, c->rset_due ? AT_RSET : AT_MAIL);
}

bool smtp_client_content_end(struct smtp_client *c, struct buffer *out, bool crlf)
{
	struct slice end = slice_skip(SLICE_OF("\r\n.\r\n"), crlf ? 2 : 0);

	if (c->state != AT_CONTENT || buffer_room(out) < end.len || !buffer_put(out, end))
		return false;
	c->transaction.in_doubt = true;
	client_go(c, AT_END);
	return true;
}

void smtp_client_quit(struct smtp_client *c)
{
	if (c->state == AT_READY)
		client_go(c, AT_QUIT);
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
