/* sekimori trust: a session's two verdicts, without the session. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "mail/strip.h"
#include "manager/commands.h"
#include "manager/config.h"
#include "manager/text.h"
#include "smtp/command.h"
#include "smtp/reply.h"
#include "trust/accounts.h"
#include "trust/verdict.h"

struct trial {
	const struct config *config;
	struct principal principal;
	struct address sender;
	struct verdict envelope, message;	/* the second only when judged_header */
	bool judged_header;
	struct strip strip;
	struct header header;
	/* The message on its way from file to wire. */
	bool local;			/* lines end in LF, as in files of this system */
	bool line_start, seen_cr, bare_cr_lf;
	uint64_t size;
};

/* As sasl and session do: an account that can't log in is a wrong password. */
static enum reply log_in(struct trial *t, const char *authid)
{
	if (authid[0] == '\0' || strcmp(authid, "-") == 0)
		return REPLY_NONE;
	t->principal.account = accounts_find(t->config->trust, slice_of(authid));
	if (!t->principal.account || !account_can_login(t->principal.account))
		return REPLY_AUTH_FAILED;
	t->principal.kind = PRINCIPAL_ACCOUNT;
	return REPLY_NONE;
}

static enum reply judge_mail(struct trial *t, const char *envelope)
{
	char memory[SMTP_LINE_MAX];
	struct buffer argument;
	struct mail_arguments mail;
	bool bracketed = envelope[0] == '<';
	enum reply reply;

	buffer_init(&argument, memory, sizeof(memory));
	if (!buffer_putf(&argument, "FROM:%s%s%s", bracketed ? "" : "<", envelope, bracketed ? "" : ">"))
		return REPLY_LINE_TOO_LONG;
	reply = command_mail(buffer_bytes(&argument), true, &mail);
	if (reply != REPLY_NONE)
		return reply;
	t->sender = mail.sender;
	trust_judge_mail(t->config->trust, &t->principal, &t->sender, &t->envelope);
	if (t->envelope.reason == REASON_NO_AUTH)
		return REPLY_AUTH_REQUIRED;
	return t->envelope.pass || t->envelope.action != ACTION_REFUSE ? REPLY_NONE : REPLY_SENDER_REFUSED;
}

static void feed(struct trial *t, struct slice wire)
{
	struct slice part;

	t->size += wire.len;
	while (strip_next(&t->strip, &wire, &part))
		header_feed(&t->header, part);
}

/*
 * A text without any CRLF is a file of this system: each LF is a line end and becomes CRLF. With one it is as on the wire, and an
 * LF alone is what it would be there: an error.
 */
static void feed_octet(struct trial *t, char c)
{
	bool lone = c == '\n' && !t->seen_cr;

	if (lone && t->local)
		feed(t, SLICE_OF("\r"));
	else if (lone || c == '\0' || (t->seen_cr && c != '\n'))
		t->bare_cr_lf = true;
	if (t->line_start && c == '.')
		feed(t, SLICE_OF("."));
	feed(t, slice_bytes(&c, 1));
	t->line_start = c == '\n' && (!lone || t->local);
	t->seen_cr = c == '\r';
}

static bool read_message(struct trial *t, int fd, const char *name, struct fault *f)
{
	size_t len;
	char *text = text_stream(fd, t->config->ingest.max_message_size, &len);

	if (!text)
		return fault_set(f, STATUS_DATA, "%s: %s", name, strerror(errno));
	t->local = !memmem(text, len, "\r\n", 2);
	for (size_t i = 0; i < len; i++)
		feed_octet(t, text[i]);
	free(text);
	t->bare_cr_lf = t->bare_cr_lf || t->seen_cr;
	header_feed(&t->header, strip_finish(&t->strip));
	header_finish(&t->header);
	return true;
}

static bool read_file(struct trial *t, const char *name, struct fault *f)
{
	int fd = strcmp(name, "-") == 0 ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	bool good;

	strip_init(&t->strip, slice_of(t->config->ingest.hostname), STRIP_ALL);
	header_init(&t->header, t->config->ingest.max_header);
	t->line_start = true;
	if (fd < 0)
		return fault_set(f, STATUS_DATA, "%s: %s", name, strerror(errno));
	good = read_message(t, fd, name, f);
	if (fd != STDIN_FILENO)
		close(fd);
	return good;
}

/* In the order of a session's (ingest). */
static enum reply judge_message(struct trial *t)
{
	t->judged_header = true;
	trust_judge_header(t->config->trust, &t->principal, &t->sender, &t->header, &t->message);
	if (!t->message.pass && t->message.action == ACTION_REFUSE)
		return REPLY_FILTERED;
	if (t->bare_cr_lf)
		return REPLY_BARE_CR_LF;
	if (t->header.defects & HEADER_FIRST_CONTINUES)
		return REPLY_HEADER_CONTINUES;
	if (t->size > t->config->ingest.max_message_size)
		return REPLY_TOO_LARGE;
	if (t->header.count[FIELD_RECEIVED] > t->config->ingest.received_max)
		return REPLY_LOOP;
	return REPLY_NONE;
}

/* The verdict that decided: the header's, unless the envelope's has failed already and `action` alone let it pass. */
static const struct verdict *deciding(const struct trial *t)
{
	return t->judged_header && t->envelope.pass ? &t->message : &t->envelope;
}

static const char *reason_of(const struct trial *t, enum reply reply)
{
	static const struct { enum reply reply; const char *reason; } rows[] = {
		{ REPLY_AUTH_FAILED, "no-such-login" }, { REPLY_BARE_CR_LF, "bare-cr-lf" },
		{ REPLY_HEADER_CONTINUES, "first-continues" },
		{ REPLY_TOO_LARGE, "too-large" }, { REPLY_LOOP, "loop" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].reply == reply)
			return rows[i].reason;
	return deciding(t)->reason == REASON_NONE ? "syntax" : verdict_reason(deciding(t));
}

static void print_reply(const struct trial *t, enum reply reply)
{
	char memory[SMTP_REPLY_MAX];
	struct buffer out;
	struct slice text;

	buffer_init(&out, memory, sizeof(memory));
	reply_put(&out, reply, address_text(&t->sender), t->config->ingest.enhanced_codes);
	text = buffer_bytes(&out);
	while (text.len > 0 && ascii_is_control(text.at[text.len - 1]))
		text.len--;
	printf("refused: %.*s reason=%s\n", SLICE_ARGS(text), reason_of(t, reply));
}

static void print_verdict(const struct trial *t, enum reply reply)
{
	const struct verdict *v = deciding(t);

	if (reply != REPLY_NONE)
		print_reply(t, reply);
	else if (!v->pass)
		printf("accepted: would=%u reason=%s, but action=%s\n",
		       reply_code(t->envelope.pass ? REPLY_FILTERED : REPLY_SENDER_REFUSED), verdict_reason(v),
		       trust_action_name(v->action));
	else
		puts("accepted");
}

static const char *match_words(uint8_t match)
{
	return match == 1 ? "an address of this account" : match == 0 ? "not an address of this account" : "not looked at";
}

/* What From: says may hold anything but control characters. */
static void print_details(const struct trial *t)
{
	const struct verdict *v = t->judged_header ? &t->message : &t->envelope;
	char from[ADDRESS_MAX + 1];

	printf("account: %s%.*s\n", t->principal.kind == PRINCIPAL_NOBODY ? "nobody" : "",
	       SLICE_ARGS(principal_name(&t->principal)));
	if (v->level == LEVEL_DEFAULT)
		return;
	printf("level: %u (%s)\n", (unsigned)v->level, trust_level_name(v->level));
	printf("envelope: <%.*s>, %s\n", SLICE_ARGS(address_text(&t->sender)), match_words(t->envelope.envelope_match));
	if (!t->judged_header)
		return;
	slice_copy(address_text(&v->from_address), from, sizeof(from));
	ascii_tame(from);
	if (from[0])
		printf("From: %s, %s\n", from, match_words(v->from_match));
	else
		puts("From: can not be read for sure");
	if (v->display_address)
		puts("display_addr=1: the display name looks like an address");
}

static int run_trial(struct trial *t, char **argv, struct fault *f)
{
	enum reply reply = log_in(t, argv[0]);

	if (reply == REPLY_NONE)
		reply = judge_mail(t, argv[1]);
	if (reply == REPLY_NONE && !read_file(t, argv[2], f))
		return command_failed(f);
	if (reply == REPLY_NONE)
		reply = judge_message(t);
	print_verdict(t, reply);
	print_details(t);
	return reply == REPLY_NONE ? STATUS_OK : STATUS_NO;
}

int command_trust(const char *path, int argc, char **argv)
{
	struct fault f = { .text = "" };
	struct trial t = { .local = false };
	struct config *c;
	int status;

	if (argc != 3)
		return command_usage("trust AUTH-ID ENVELOPE FILE|-");
	c = config_read(path, false, NULL, NULL, &f);
	if (!c)
		return command_failed(&f);
	t.config = c;
	status = run_trial(&t, argv, &f);
	config_free(c);
	return status;
}
