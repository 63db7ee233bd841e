#include "smtp/server.h"

#include <inttypes.h>
#include <string.h>

#include "base/base64.h"
#include "base/limits.h"
#include "base/secret.h"
#include "smtp/command.h"
#include "smtp/line.h"
#include "smtp/sasl.h"

#define WHO_MAX	(HOST_MAX + 128)	/* octets of EHLO's first line: two names, 30 of text */

/* Whose answer an AUTH exchange waits for. */
enum auth_step { STEP_NONE, STEP_PLAIN, STEP_LOGIN_USER, STEP_LOGIN_PASSWORD, STEP_CRAM_MD5 };

/* A command while it is carried out. */
struct turn {
	struct smtp_server *s;
	struct buffer *out;
	struct smtp_server_event *event;
	struct slice argument;
};

/* Replies */

static const struct slice no_argument = { NULL, 0 };

/*
 * A refused command whose group went on behind it ends the session: what stands there was meant as
 * content or as TLS, and its author may be somebody else than the client (R34).
 */
static void say(struct smtp_server *s, struct buffer *out, enum reply reply, struct slice argument)
{
	unsigned code;

	if (reply_code(reply) >= 500 && ++s->errors > SMTP_ERRORS_MAX)
		reply = REPLY_TOO_MANY_ERRORS;
	code = reply_code(reply);
	if (code == 421)	/* the host says so of itself, whatever the command was about */
		argument = s->settings->hostname;
	reply_put(out, reply, argument, s->settings->enhanced_codes);
	s->last_reply = (uint8_t)reply;
	if (code == 421 || (code >= 400 && s->early))
		s->phase = PHASE_CLOSED;
}

static void answer(const struct turn *t, enum reply reply)
{
	say(t->s, t->out, reply, no_argument);
}

static void ask(const struct turn *t, enum smtp_server_event_type type)
{
	t->event->type = type;
	t->s->waiting = (uint8_t)type;
}

/* The session */

void smtp_server_init(struct smtp_server *s, const struct smtp_server_settings *settings,
		      const char nonce[16])
{
	*s = (struct smtp_server){ .settings = settings };
	memcpy(s->nonce, nonce, sizeof s->nonce - 1);
}

bool smtp_server_greet(struct smtp_server *s, struct buffer *out)
{
	return reply_put(out, REPLY_GREETING, s->settings->hostname, s->settings->enhanced_codes);
}

static void forget_login(struct smtp_server *s)
{
	secret_wipe(s->credentials, sizeof s->credentials);
	s->authcid_len = 0;
	s->auth_step = STEP_NONE;
	s->auth_mechanism = 0;
}

/* RFC 3207 4.2. The counts stay: TLS is no fresh start for a guesser. */
void smtp_server_secured(struct smtp_server *s)
{
	s->phase = PHASE_START;
	s->waiting = 0;
	s->authenticated = s->extended = s->early = false;
	s->scanned = 0;
	s->helo_len = 0;
	forget_login(s);
	s->secured = true;
}

void smtp_server_end(struct smtp_server *s, struct buffer *out, enum reply reply)
{
	reply_put(out, reply, s->settings->hostname, s->settings->enhanced_codes);
	s->last_reply = (uint8_t)reply;
	forget_login(s);
	s->waiting = 0;
	s->phase = PHASE_CLOSED;
}

/* The transaction is over, however it ended: nothing of it stays behind (R36). */
static void end_transaction(struct smtp_server *s)
{
	s->phase = PHASE_READY;
	s->line_start = s->bad_line = false;
	s->content_size = 0;
}

/* RSET, HELO, EHLO. */
static void reset(const struct turn *t)
{
	if (t->s->phase == PHASE_MAIL || t->s->phase == PHASE_RCPT) {
		end_transaction(t->s);
		t->event->type = SMTP_SERVER_RESET;
	}
}

/* HELO and EHLO */

static unsigned usable_mechanisms(const struct smtp_server *s)
{
	if (s->authenticated || (!s->secured && !s->settings->plaintext_auth))
		return 0;
	return s->settings->mechanisms;
}

static bool starttls_offered(const struct smtp_server *s)
{
	return s->settings->starttls && !s->secured && !s->authenticated;
}

/* The client's name is not demanded: the seed's gives none (R22). */
static void put_who(const struct smtp_server *s, struct buffer *who)
{
	buffer_put(who, s->settings->hostname);
	buffer_put_text(who, " Hello ");
	buffer_put(who, s->settings->client);
	buffer_put_text(who, ", pleased to meet you");
}

/* Kept for Received: and the log, where nothing but printable characters may come. */
static void keep_helo(struct smtp_server *s, struct slice name)
{
	name = slice_first(name, sizeof s->helo);
	for (size_t i = 0; i < name.len; i++)
		s->helo[i] = ascii_is_print(name.at[i]) ? name.at[i] : '?';
	s->helo_len = (uint8_t)name.len;
}

static void greet_client(const struct turn *t, bool extended)
{
	reset(t);
	t->s->phase = PHASE_READY;
	t->s->extended = extended;
	keep_helo(t->s, t->argument);
}

static void do_helo(const struct turn *t)
{
	char memory[WHO_MAX];
	struct buffer who;

	greet_client(t, false);
	buffer_init(&who, memory, sizeof memory);
	put_who(t->s, &who);
	say(t->s, t->out, REPLY_HELO, buffer_bytes(&who));
}

static void put_extensions(const struct smtp_server *s, struct buffer *lines)
{
	buffer_put_text(lines, "PIPELINING\n");
	buffer_putf(lines, "SIZE %" PRIu64 "\n", s->settings->max_message_size);
	buffer_put_text(lines, "8BITMIME\n");
	if (starttls_offered(s))
		buffer_put_text(lines, "STARTTLS\n");
	if (s->settings->enhanced_codes)
		buffer_put_text(lines, "ENHANCEDSTATUSCODES\n");
	if (s->settings->sender.len)
		buffer_putf(lines, "XSENDER %.*s %.*s\n", SLICE_ARGS(s->settings->sender), SLICE_ARGS(s->settings->mailbox));
	if (usable_mechanisms(s)) {
		buffer_put_text(lines, "AUTH");
		sasl_put_names(lines, usable_mechanisms(s));
		buffer_put_text(lines, "\n");
	}
}

static void do_ehlo(const struct turn *t)
{
	char memory[SMTP_REPLY_MAX];
	struct buffer lines;
	struct slice rest, line;

	greet_client(t, true);
	buffer_init(&lines, memory, sizeof memory);
	put_who(t->s, &lines);
	buffer_put_text(&lines, "\n");
	put_extensions(t->s, &lines);
	rest = slice_first(buffer_bytes(&lines), buffer_length(&lines) - 1);
	while (slice_cut(&rest, '\n', &line))
		buffer_putf(t->out, "250%c%.*s\r\n", rest.at ? '-' : ' ', SLICE_ARGS(line));
}

/* Commands without a state */

static void do_rset(const struct turn *t)
{
	reset(t);
	answer(t, REPLY_OK);
}

static void do_noop(const struct turn *t)
{
	answer(t, REPLY_OK);
}

/* Says the same of everybody and repeats nothing (RFC 5321 7.3). */
static void do_vrfy(const struct turn *t)
{
	answer(t, REPLY_VRFY);
}

static void do_help(const struct turn *t)
{
	char memory[SMTP_REPLY_MAX / 2];
	struct buffer names;

	buffer_init(&names, memory, sizeof memory);
	for (unsigned v = 0; v < VERB_UNKNOWN; v++) {
		const struct verb_row *row = command_row((enum verb)v);

		if (row->phases)
			buffer_putf(&names, "%.*s ", SLICE_ARGS(row->name));
	}
	say(t->s, t->out, REPLY_HELP, slice_trim(buffer_bytes(&names)));
}

static void do_quit(const struct turn *t)
{
	say(t->s, t->out, REPLY_BYE, t->s->settings->hostname);
}

/* STARTTLS */

static void do_starttls(const struct turn *t)
{
	if (!t->s->settings->starttls) {
		answer(t, REPLY_NOT_IMPLEMENTED);
		return;
	}
	if (!starttls_offered(t->s)) {
		answer(t, REPLY_BAD_SEQUENCE);
		return;
	}
	answer(t, REPLY_TLS_READY);
	ask(t, SMTP_SERVER_TLS);
	t->event->had_tls_input = t->s->early;
}

/* AUTH */

static void login_failed(struct smtp_server *s, struct buffer *out)
{
	bool last = ++s->auth_failed >= s->settings->auth_failures;

	say(s, out, last ? REPLY_AUTH_TOO_MANY : REPLY_AUTH_FAILED, no_argument);
}

static void take_login(const struct turn *t, bool good, const struct smtp_login *login)
{
	t->s->auth_step = STEP_NONE;
	if (!good) {
		forget_login(t->s);
		login_failed(t->s, t->out);
		return;
	}
	t->event->login = *login;
	ask(t, SMTP_SERVER_LOGIN);
}

/* The same text each time it is asked for, until `challenges` goes up. */
static void put_challenge(const struct smtp_server *s, struct buffer *b)
{
	buffer_putf(b, "<%" PRIu32 ".%s@", s->challenges, s->nonce);
	buffer_put(b, s->settings->hostname);
	buffer_put_text(b, ">");
}

static void challenge_cram_md5(const struct turn *t)
{
	char plain[SASL_CHALLENGE_MAX + 1], coded[BASE64_LENGTH(SASL_CHALLENGE_MAX)];
	struct buffer text, line;

	t->s->challenges++;
	buffer_init(&text, plain, sizeof plain);
	put_challenge(t->s, &text);
	buffer_init(&line, coded, sizeof coded);
	base64_encode(&line, buffer_bytes(&text));
	say(t->s, t->out, REPLY_AUTH_CHALLENGE, buffer_bytes(&line));
}

static void challenge_plain(const struct turn *t)
{
	say(t->s, t->out, REPLY_AUTH_CHALLENGE, no_argument);
}

/* `Username:` and `Password:`: copiers of one famous client give up on anything else (R25). */
static void challenge_user(const struct turn *t)
{
	say(t->s, t->out, REPLY_AUTH_CHALLENGE, SLICE_OF("VXNlcm5hbWU6"));
}

static void challenge_password(const struct turn *t)
{
	say(t->s, t->out, REPLY_AUTH_CHALLENGE, SLICE_OF("UGFzc3dvcmQ6"));
}

static void take_plain(const struct turn *t, struct slice message)
{
	struct smtp_login login = { .mechanism = SASL_PLAIN };

	take_login(t, sasl_plain(message, &login), &login);
}

static void take_user(const struct turn *t, struct slice user)
{
	struct smtp_login login = { .mechanism = SASL_LOGIN };

	if (!sasl_is_identity(user)) {
		take_login(t, false, &login);
		return;
	}
	t->s->authcid_len = (uint16_t)user.len;
	t->s->auth_step = STEP_LOGIN_PASSWORD;
	challenge_password(t);
}

static void take_password(const struct turn *t, struct slice password)
{
	struct smtp_login login = { .mechanism = SASL_LOGIN };
	struct slice user = slice_bytes(t->s->credentials, t->s->authcid_len);

	take_login(t, sasl_login(user, password, &login), &login);
}

/* The challenge is written again behind the response; both fit, or the response is none of ours. */
static void take_cram_md5(const struct turn *t, struct slice message)
{
	struct smtp_login login = { .mechanism = SASL_CRAM_MD5 };
	struct buffer challenge;
	size_t room = sizeof t->s->credentials - message.len;

	buffer_init(&challenge, t->s->credentials + message.len, room);
	put_challenge(t->s, &challenge);
	login.challenge = buffer_bytes(&challenge);
	take_login(t, !challenge.overflow && sasl_cram_md5(message, &login), &login);
}

/* What is sent on entering a step, and what is done with the client's answer to it. */
static const struct step {
	void (*challenge)(const struct turn *t);
	void (*take)(const struct turn *t, struct slice message);
} steps[] = {
	[STEP_PLAIN]		= { challenge_plain, take_plain },
	[STEP_LOGIN_USER]	= { challenge_user, take_user },
	[STEP_LOGIN_PASSWORD]	= { challenge_password, take_password },
	[STEP_CRAM_MD5]		= { challenge_cram_md5, take_cram_md5 },
};

static enum auth_step first_step(unsigned mechanism)
{
	if (mechanism == SASL_PLAIN)
		return STEP_PLAIN;
	return mechanism == SASL_LOGIN ? STEP_LOGIN_USER : STEP_CRAM_MD5;
}

/* RFC 4954 section 4. When a password comes, `credentials` holds the user already. */
static void take_response(const struct turn *t, struct slice coded)
{
	struct smtp_server *s = t->s;
	char *at = s->credentials + s->authcid_len;
	size_t room = sizeof s->credentials - s->authcid_len, len;
	const struct step *step = &steps[s->auth_step];

	if (coded.len > BASE64_LENGTH(room)) {
		take_login(t, false, NULL);
	} else if (slice_equal(coded, SLICE_OF("*"))) {
		forget_login(s);
		answer(t, REPLY_AUTH_CANCELLED);
	} else if (!base64_decode(coded, at, room, &len)) {
		forget_login(s);
		answer(t, REPLY_AUTH_BASE64);
	} else {
		step->take(t, slice_bytes(at, len));
	}
}

static enum reply auth_refusal(const struct smtp_server *s, unsigned mechanism, bool has_name,
			       bool has_initial)
{
	if (s->authenticated)
		return REPLY_AUTH_ALREADY;
	if (!s->settings->mechanisms)
		return REPLY_NOT_IMPLEMENTED;
	if (!has_name)
		return REPLY_SYNTAX;
	if (!(mechanism & s->settings->mechanisms))
		return REPLY_AUTH_MECHANISM;
	if (!usable_mechanisms(s))
		return REPLY_AUTH_NEEDS_TLS;
	/* RFC 4954 section 4: the server speaks first here. */
	return mechanism == SASL_CRAM_MD5 && has_initial ? REPLY_SYNTAX : REPLY_NONE;
}

static void do_auth(const struct turn *t)
{
	struct slice initial = t->argument, name = no_argument;
	bool has_name = slice_word(&initial, &name);
	unsigned mechanism = sasl_find(name);
	enum reply refusal;

	initial = slice_trim(initial);
	refusal = auth_refusal(t->s, mechanism, has_name, initial.len > 0);
	if (refusal != REPLY_NONE) {
		answer(t, refusal);
		return;
	}
	t->s->auth_mechanism = (uint8_t)mechanism;
	t->s->auth_step = (uint8_t)first_step(mechanism);
	if (initial.len == 0)
		steps[t->s->auth_step].challenge(t);
	else	/* `=` is how an empty initial response is written */
		take_response(t, slice_equal(initial, SLICE_OF("=")) ? no_argument : initial);
}

void smtp_server_login_done(struct smtp_server *s, struct buffer *out, enum reply reply)
{
	if (s->waiting != SMTP_SERVER_LOGIN)
		return;
	s->waiting = 0;
	forget_login(s);
	s->authenticated = reply == REPLY_AUTH_OK;
	if (reply == REPLY_AUTH_FAILED)
		login_failed(s, out);
	else
		say(s, out, reply, no_argument);
}

/* The transaction */

static void do_mail(const struct turn *t)
{
	struct mail_arguments mail;
	uint64_t max = t->s->settings->max_message_size;
	enum reply refusal = command_mail(t->argument, t->s->extended, &mail);

	if (refusal == REPLY_NONE && max && mail.size > max)
		refusal = REPLY_TOO_LARGE;
	if (refusal != REPLY_NONE) {
		answer(t, refusal);
		return;
	}
	t->event->mail = (struct smtp_mail){ mail.sender, mail.size, mail.body_8bit };
	ask(t, SMTP_SERVER_MAIL);
}

static void do_rcpt(const struct turn *t)
{
	struct address recipient;
	enum reply refusal = command_rcpt(t->argument, &recipient);

	if (refusal != REPLY_NONE) {
		answer(t, refusal);
		return;
	}
	t->event->rcpt = recipient;
	ask(t, SMTP_SERVER_RCPT);
}

static void do_data(const struct turn *t)
{
	if (t->s->phase == PHASE_RCPT)
		ask(t, SMTP_SERVER_DATA);
	else
		answer(t, REPLY_NO_RECIPIENTS);
}

static void mail_done(struct smtp_server *s, unsigned kind)
{
	if (kind == 2)
		s->phase = PHASE_MAIL;
}

/* A recipient taken is not counted: a thousand may be one message, with a bound of their own. */
static void rcpt_done(struct smtp_server *s, unsigned kind)
{
	if (kind != 2)
		return;
	s->phase = PHASE_RCPT;
	s->verbs--;
}

static void data_done(struct smtp_server *s, unsigned kind)
{
	end_transaction(s);
	if (kind != 3)
		return;
	s->phase = PHASE_DATA;
	s->line_start = true;
	s->early = false;	/* what stands behind DATA is content now */
}

static void end_done(struct smtp_server *s, unsigned kind)
{
	end_transaction(s);
	if (kind == 2)
		s->verbs = s->errors = 0;
}

/* By the event that was answered; `kind` is the first digit of the reply. */
static void (*const done[])(struct smtp_server *s, unsigned kind) = {
	[SMTP_SERVER_MAIL]	= mail_done,
	[SMTP_SERVER_RCPT]	= rcpt_done,
	[SMTP_SERVER_DATA]	= data_done,
	[SMTP_SERVER_END]	= end_done,
};

void smtp_server_answer(struct smtp_server *s, struct buffer *out, enum reply reply,
			struct slice argument)
{
	uint8_t event = s->waiting;

	if (event >= sizeof done / sizeof done[0] || !done[event])
		return;
	s->waiting = 0;
	done[event](s, reply_code(reply) / 100);
	say(s, out, reply, argument);
}

void smtp_server_pass_on(struct smtp_server *s, struct buffer *out, unsigned code, struct slice id,
			 struct slice words)
{
	if (s->waiting != SMTP_SERVER_END)
		return;
	s->waiting = 0;
	end_done(s, code / 100);
	if (code >= 500 && ++s->errors > SMTP_ERRORS_MAX) {
		say(s, out, REPLY_TOO_MANY_ERRORS, no_argument);
		return;
	}
	reply_put_passed(out, code, id, words, s->settings->enhanced_codes);
	s->last_reply = REPLY_PASSED;
}

/* Content: RFC 5321 4.1.1.4. Octets that may yet become part of the end are left in the input. */

enum dot { DOT_TEXT, DOT_END, DOT_OPEN };

/* What the dot at the start of a line is. */
static enum dot dot_kind(struct slice in)
{
	static const struct slice end = SLICE(".\r\n");

	if (!slice_equal(slice_first(in, end.len), slice_first(end, in.len)))
		return DOT_TEXT;
	return in.len >= end.len ? DOT_END : DOT_OPEN;
}

/*
 * Octets of the line at the start of `in`, with its LF; without one, all but a CR at the end, whose
 * LF may come yet. Only CRLF ends a line: by what others take for a line end mails are smuggled.
 */
static size_t content_line(struct smtp_server *s, struct slice in)
{
	size_t lf = slice_find(in, '\n');
	bool has_lf = lf < in.len;
	bool has_cr = lf > 0 && in.at[lf - 1] == '\r';
	struct slice text = slice_first(in, has_cr ? lf - 1 : lf);

	if ((has_lf && !has_cr) || slice_find(text, '\r') < text.len)
		s->bad_line = true;
	s->line_start = has_lf && has_cr;
	return has_lf ? lf + 1 : text.len;
}

/* Octets at the start of `in` that are content for certain. *ended: the end follows them. */
static size_t content_length(struct smtp_server *s, struct slice in, bool *ended)
{
	size_t at = 0, line = 1;

	*ended = false;
	while (at < in.len && line > 0) {
		struct slice rest = slice_skip(in, at);
		enum dot dot = s->line_start && rest.at[0] == '.' ? dot_kind(rest) : DOT_TEXT;

		*ended = dot == DOT_END;
		line = dot == DOT_TEXT ? content_line(s, rest) : 0;
		at += line;
	}
	return at;
}

static size_t take_content(const struct turn *t, struct slice in)
{
	struct smtp_server *s = t->s;
	bool ended;
	size_t len = content_length(s, in, &ended);
	struct slice content = slice_first(in, len);

	if (len > 0) {
		s->bad_line = s->bad_line || slice_find(content, '\0') < len;
		s->content_size += len;
		t->event->type = SMTP_SERVER_CONTENT;
		t->event->content = content;
		return len;
	}
	if (!ended)
		return 0;
	ask(t, SMTP_SERVER_END);
	t->event->end.bare_cr_lf = s->bad_line;
	t->event->end.size = s->content_size;
	return sizeof ".\r\n" - 1;
}

/* Commands */

static void (*const handlers[])(const struct turn *t) = {
	[VERB_HELO]	= do_helo,
	[VERB_EHLO]	= do_ehlo,
	[VERB_MAIL]	= do_mail,
	[VERB_RCPT]	= do_rcpt,
	[VERB_DATA]	= do_data,
	[VERB_RSET]	= do_rset,
	[VERB_NOOP]	= do_noop,
	[VERB_VRFY]	= do_vrfy,
	[VERB_HELP]	= do_help,
	[VERB_QUIT]	= do_quit,
	[VERB_STARTTLS]	= do_starttls,
	[VERB_AUTH]	= do_auth,
};

static bool is_text(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!ascii_is_print(s.at[i]) && !ascii_is_blank(s.at[i]))
			return false;
	return true;
}

/* What the table of verbs says about a command here and now: handlers see legal ones only. */
static enum reply refusal_of(const struct smtp_server *s, const struct verb_row *row,
			     struct slice argument)
{
	if (s->verbs > SMTP_VERBS_MAX)
		return REPLY_TOO_MANY_ERRORS;
	if (row->verb == VERB_UNKNOWN)
		return REPLY_UNKNOWN_COMMAND;
	if (!row->phases)
		return REPLY_NOT_IMPLEMENTED;
	if (!(row->phases & 1u << s->phase))
		return REPLY_BAD_SEQUENCE;
	if ((row->flags & VERB_NO_ARGUMENT) && argument.len)
		return REPLY_SYNTAX;
	if (!(row->flags & VERB_TAKES_PATH) && !is_text(argument))
		return REPLY_SYNTAX;
	if ((row->flags & VERB_NEEDS_AUTH) && s->settings->auth_required && !s->authenticated)
		return REPLY_AUTH_REQUIRED;
	return REPLY_NONE;
}

static void take_command(struct turn *t, struct slice line, bool last)
{
	struct smtp_server *s = t->s;
	const struct verb_row *row = command_find(line, &t->argument);
	enum reply refusal;

	s->early = (row->flags & VERB_ENDS_PIPELINE) && !last;
	s->verbs++;
	refusal = refusal_of(s, row, t->argument);
	if (refusal == REPLY_NONE)
		handlers[row->verb](t);
	else
		answer(t, refusal);
	if (row->flags & VERB_ENDS_SESSION)
		s->phase = PHASE_CLOSED;
}

/* A framing error is answered once; where the next line would begin nobody can know. */
static size_t give_up(const struct turn *t, enum reply reply, size_t used)
{
	forget_login(t->s);
	answer(t, reply);
	t->s->phase = PHASE_CLOSED;
	return used;
}

static size_t take_line(struct turn *t, struct slice in)
{
	struct smtp_server *s = t->s;
	size_t max = s->auth_step ? SMTP_AUTH_LINE_MAX : SMTP_LINE_MAX, used = 0;
	struct slice line;

	switch (line_read(in, max, &s->scanned, &line, &used)) {
	case LINE_MORE:
		return 0;
	case LINE_TOO_LONG:
		return give_up(t, REPLY_LINE_TOO_LONG, in.len);
	case LINE_BAD_END:
		return give_up(t, REPLY_BAD_LINE_END, in.len);
	case LINE_OK:
		break;
	}
	if (s->auth_step)
		take_response(t, line);
	else
		take_command(t, line, used == in.len);
	return used;
}

/* One line or one piece of content; octets consumed. */
static size_t take_turn(struct turn *t, struct slice in)
{
	if (t->s->phase == PHASE_CLOSED)
		t->event->type = SMTP_SERVER_CLOSE;
	else if (!t->s->waiting && buffer_room(t->out) < SMTP_REPLY_MAX)
		t->event->type = SMTP_SERVER_ROOM;
	else if (!t->s->waiting)
		return t->s->phase == PHASE_DATA ? take_content(t, in) : take_line(t, in);
	return 0;
}

size_t smtp_server_feed(struct smtp_server *s, struct slice in, struct buffer *out,
			struct smtp_server_event *event)
{
	struct turn t = { s, out, event, { NULL, 0 } };
	size_t used = 0, n;

	event->type = SMTP_SERVER_MORE;
	do {
		n = take_turn(&t, slice_skip(in, used));
		used += n;
	} while (n > 0 && event->type == SMTP_SERVER_MORE);
	return used;
}
