#include "smtp/server.h"

#include <inttypes.h>
#include <string.h>

#include "base/limits.h"
#include "smtp/auth.h"
#include "smtp/command.h"
#include "smtp/content.h"
#include "smtp/line.h"
#include "smtp/sasl.h"
#include "smtp/turn.h"

#define WHO_MAX	(HOST_MAX + 128)	/* octets of EHLO's first line: two names, 30 of text */

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

/* RFC 3207 4.2. The counts stay: TLS is no fresh start for a guesser. */
void smtp_server_secured(struct smtp_server *s)
{
	s->phase = PHASE_START;
	s->waiting = 0;
	s->authenticated = s->extended = s->early = false;
	s->scanned = 0;
	s->helo_len = 0;
	auth_forget(s);
	s->secured = true;
}

void smtp_server_end(struct smtp_server *s, struct buffer *out, enum reply reply)
{
	reply_put(out, reply, s->settings->hostname, s->settings->enhanced_codes);
	s->last_reply = (uint8_t)reply;
	auth_forget(s);
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
	turn_say(t->s, t->out, REPLY_HELO, buffer_bytes(&who));
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
	if (auth_mechanisms(s)) {
		buffer_put_text(lines, "AUTH");
		sasl_put_names(lines, auth_mechanisms(s));
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
	turn_answer(t, REPLY_OK);
}

static void do_noop(const struct turn *t)
{
	turn_answer(t, REPLY_OK);
}

/* Says the same of everybody and repeats nothing (RFC 5321 7.3). */
static void do_vrfy(const struct turn *t)
{
	turn_answer(t, REPLY_VRFY);
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
	turn_say(t->s, t->out, REPLY_HELP, slice_trim(buffer_bytes(&names)));
}

static void do_quit(const struct turn *t)
{
	turn_say(t->s, t->out, REPLY_BYE, t->s->settings->hostname);
}

/* STARTTLS */

static void do_starttls(const struct turn *t)
{
	if (!t->s->settings->starttls) {
		turn_answer(t, REPLY_NOT_IMPLEMENTED);
		return;
	}
	if (!starttls_offered(t->s)) {
		turn_answer(t, REPLY_BAD_SEQUENCE);
		return;
	}
	turn_answer(t, REPLY_TLS_READY);
	turn_ask(t, SMTP_SERVER_TLS);
	t->event->had_tls_input = t->s->early;
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
		turn_answer(t, refusal);
		return;
	}
	t->event->mail = (struct smtp_mail){ mail.sender, mail.size, mail.body_8bit };
	turn_ask(t, SMTP_SERVER_MAIL);
}

static void do_rcpt(const struct turn *t)
{
	struct address recipient;
	enum reply refusal = command_rcpt(t->argument, &recipient);

	if (refusal != REPLY_NONE) {
		turn_answer(t, refusal);
		return;
	}
	t->event->rcpt = recipient;
	turn_ask(t, SMTP_SERVER_RCPT);
}

static void do_data(const struct turn *t)
{
	if (t->s->phase == PHASE_RCPT)
		turn_ask(t, SMTP_SERVER_DATA);
	else
		turn_answer(t, REPLY_NO_RECIPIENTS);
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
	turn_say(s, out, reply, argument);
}

void smtp_server_pass_on(struct smtp_server *s, struct buffer *out, unsigned code, struct slice id,
			 struct slice words)
{
	if (s->waiting != SMTP_SERVER_END)
		return;
	s->waiting = 0;
	end_done(s, code / 100);
	if (code >= 500 && ++s->errors > SMTP_ERRORS_MAX) {
		turn_say(s, out, REPLY_TOO_MANY_ERRORS, no_argument);
		return;
	}
	reply_put_passed(out, code, id, words, s->settings->enhanced_codes);
	s->last_reply = REPLY_PASSED;
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
	turn_ask(t, SMTP_SERVER_END);
	t->event->end.bare_cr_lf = s->bad_line;
	t->event->end.size = s->content_size;
	return CONTENT_END_LENGTH;
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
	[VERB_AUTH]	= auth_begin,
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
		turn_answer(t, refusal);
	if (row->flags & VERB_ENDS_SESSION)
		s->phase = PHASE_CLOSED;
}

/* A framing error is answered once; where the next line would begin nobody can know. */
static size_t give_up(const struct turn *t, enum reply reply, size_t used)
{
	auth_forget(t->s);
	turn_answer(t, reply);
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
		auth_take(t, line);
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
