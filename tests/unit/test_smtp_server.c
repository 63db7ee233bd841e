#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "smtp/server.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define NONCE "0123456789abcdef"

/* Dialogues are in tests/dialog; here is what they can't see: events, states, what is left in memory. */

static const struct smtp_server_settings settings = {
	.hostname = SLICE("h.example"), .client = SLICE("[192.0.2.1]"), .enhanced_codes = true, .starttls = true,
	.mechanisms = SASL_PLAIN | SASL_LOGIN | SASL_CRAM_MD5, .plaintext_auth = true, .auth_failures = 3,
	.max_message_size = 1000000,
};

struct desk {
	struct smtp_server s;
	char memory[8 * SMTP_REPLY_MAX];
	struct buffer out;
	struct smtp_server_event event;
	size_t used;
};

static void assert_said(struct desk *d, const char *text)
{
	assert_true(slice_starts(buffer_bytes(&d->out), slice_of(text)));
	buffer_clear(&d->out);
}

static enum smtp_server_event_type feed_bytes(struct desk *d, struct slice in)
{
	d->used = smtp_server_feed(&d->s, in, &d->out, &d->event);
	return d->event.type;
}

static enum smtp_server_event_type feed(struct desk *d, const char *text)
{
	return feed_bytes(d, slice_of(text));
}

static void answer(struct desk *d, enum reply reply)
{
	smtp_server_answer(&d->s, &d->out, reply, SLICE_OF("x"));
}

static void open_desk(struct desk *d)
{
	memset(d, 0, sizeof *d);
	buffer_init(&d->out, d->memory, sizeof d->memory);
	smtp_server_init(&d->s, &settings, NONCE);
}

static void make_ready(struct desk *d)
{
	open_desk(d);
	assert_int_equal(feed(d, "EHLO c.example\r\n"), SMTP_SERVER_MORE);
	buffer_clear(&d->out);
}

static void make_mail(struct desk *d)
{
	make_ready(d);
	assert_int_equal(feed(d, "MAIL FROM:<a@b.example> BODY=8BITMIME SIZE=7\r\n"), SMTP_SERVER_MAIL);
	answer(d, REPLY_SENDER_OK);
	buffer_clear(&d->out);
}

static void make_rcpt(struct desk *d)
{
	make_mail(d);
	assert_int_equal(feed(d, "RCPT TO:<c@d.example>\r\n"), SMTP_SERVER_RCPT);
	answer(d, REPLY_RECIPIENT_OK);
	buffer_clear(&d->out);
}

static void make_data(struct desk *d)
{
	make_rcpt(d);
	assert_int_equal(feed(d, "DATA\r\n"), SMTP_SERVER_DATA);
	answer(d, REPLY_START_INPUT);
	buffer_clear(&d->out);
}

static void (*const makers[])(struct desk *d) = {
	[PHASE_READY] = make_ready, [PHASE_MAIL] = make_mail, [PHASE_RCPT] = make_rcpt, [PHASE_DATA] = make_data,
};

/* Two sessions are in the same state when all of them is the same but what counts their commands. */
static void assert_same_state(const struct smtp_server *got, const struct smtp_server *want)
{
	struct smtp_server a, b;

	memcpy(&a, got, sizeof a);
	memcpy(&b, want, sizeof b);
	a.verbs = b.verbs = a.errors = b.errors = 0;
	a.last_reply = b.last_reply = 0;
	assert_memory_equal(&a, &b, sizeof a);
}

/* Lesson 6: after anything refused the session is what it was before, or what a new one is. */
static void refused_things_leave_nothing(void **unused)
{
	static const struct {
		enum smtp_phase before;
		const char *line;
		enum reply answer;		/* REPLY_NONE: the session refuses by itself */
		enum smtp_phase after;
	} rows[] = {
		{ PHASE_READY, "MAIL FROM:<x@y.example> SIZE=1 BODY=8BITMIME\r\n", REPLY_SENDER_REFUSED, PHASE_READY },
		{ PHASE_READY, "MAIL FROM:<x@y.example>\r\n", REPLY_DISK_FULL, PHASE_READY },
		{ PHASE_READY, "MAIL FROM:<x@y.example>\r\n", REPLY_SENDER_SYNTAX, PHASE_READY },
		{ PHASE_READY, "MAIL FROM:<x@y.example> SIZE=1000001\r\n", REPLY_NONE, PHASE_READY },
		{ PHASE_READY, "MAIL FROM:<x@y.example> SIZE=x\r\n", REPLY_NONE, PHASE_READY },
		{ PHASE_READY, "MAIL FROM:<x@y.example> X=1\r\n", REPLY_NONE, PHASE_READY },
		{ PHASE_READY, "MAIL FROM:<\xff@y.example>\r\n", REPLY_NONE, PHASE_READY },
		{ PHASE_READY, "MAIL FROM:<@z.example:x@y.example>\r\n", REPLY_NONE, PHASE_READY },
		{ PHASE_READY, "MAIL FROM:x\r\n", REPLY_NONE, PHASE_READY },
		{ PHASE_READY, "RCPT TO:<x@y.example>\r\n", REPLY_NONE, PHASE_READY },
		{ PHASE_READY, "DATA\r\n", REPLY_NONE, PHASE_READY },
		{ PHASE_READY, "AUTH X\r\n", REPLY_NONE, PHASE_READY },
		{ PHASE_READY, "AUTH CRAM-MD5 =\r\n", REPLY_NONE, PHASE_READY },
		{ PHASE_READY, "EXPN x\r\n", REPLY_NONE, PHASE_READY },
		{ PHASE_MAIL, "MAIL FROM:<x@y.example>\r\n", REPLY_NONE, PHASE_MAIL },
		{ PHASE_MAIL, "RCPT TO:<x@y.example>\r\n", REPLY_RELAY_DENIED, PHASE_MAIL },
		{ PHASE_MAIL, "RCPT TO:<x@y.example>\r\n", REPLY_TOO_MANY_RECIPIENTS, PHASE_MAIL },
		{ PHASE_MAIL, "RCPT TO:<x@y.example> X\r\n", REPLY_NONE, PHASE_MAIL },
		{ PHASE_MAIL, "RCPT TO:<>\r\n", REPLY_NONE, PHASE_MAIL },
		{ PHASE_MAIL, "DATA\r\n", REPLY_NONE, PHASE_MAIL },
		{ PHASE_MAIL, "STARTTLS\r\n", REPLY_NONE, PHASE_MAIL },
		{ PHASE_MAIL, "AUTH PLAIN AGEAYg==\r\n", REPLY_NONE, PHASE_MAIL },
		{ PHASE_MAIL, "RSET\r\n", REPLY_NONE, PHASE_READY },
		{ PHASE_RCPT, "RCPT TO:<x@y.example>\r\n", REPLY_RELAY_DENIED, PHASE_RCPT },
		{ PHASE_RCPT, "RCPT TO:x\r\n", REPLY_NONE, PHASE_RCPT },
		{ PHASE_RCPT, "DATA now\r\n", REPLY_NONE, PHASE_RCPT },
		{ PHASE_RCPT, "DATA\r\n", REPLY_DISK_FULL, PHASE_READY },
		{ PHASE_RCPT, "DATA\r\n", REPLY_SPOOL_FAILED, PHASE_READY },
		{ PHASE_RCPT, "RSET\r\n", REPLY_NONE, PHASE_READY },
		{ PHASE_RCPT, "EHLO c.example\r\n", REPLY_NONE, PHASE_READY },
		{ PHASE_DATA, ".\r\n", REPLY_ACCEPTED, PHASE_READY },
		{ PHASE_DATA, ".\r\n", REPLY_FILTERED, PHASE_READY },
		{ PHASE_DATA, ".\r\n", REPLY_SPOOL_FAILED, PHASE_READY },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct desk d, fresh;

		makers[rows[i].before](&d);
		makers[rows[i].after](&fresh);
		feed(&d, rows[i].line);
		assert_int_equal(d.used, strlen(rows[i].line));
		assert_int_equal(d.s.waiting != 0, rows[i].answer != REPLY_NONE);
		if (rows[i].answer != REPLY_NONE)
			answer(&d, rows[i].answer);
		assert_same_state(&d.s, &fresh.s);
	}
}

/* A refused message with every kind of content leaves nothing either. */
static void refused_content_leaves_nothing(void **unused)
{
	struct desk d, fresh;

	(void)unused;
	make_data(&d);
	assert_int_equal(feed(&d, "a\nb\r\r\n.x\r\n.\r\n"), SMTP_SERVER_CONTENT);
	assert_int_equal(d.event.content.len, 10);
	assert_int_equal(feed(&d, ".\r\n"), SMTP_SERVER_END);
	assert_true(d.event.end.bare_cr_lf);
	assert_true(d.event.end.size == 10);
	answer(&d, REPLY_BARE_CR_LF);
	make_ready(&fresh);
	assert_same_state(&d.s, &fresh.s);

	make_data(&fresh);
	assert_int_equal(feed(&d, "MAIL FROM:<a@b.example> BODY=8BITMIME SIZE=7\r\n"), SMTP_SERVER_MAIL);
	answer(&d, REPLY_SENDER_OK);
	assert_int_equal(feed(&d, "RCPT TO:<c@d.example>\r\n"), SMTP_SERVER_RCPT);
	answer(&d, REPLY_RECIPIENT_OK);
	assert_int_equal(feed(&d, "DATA\r\n"), SMTP_SERVER_DATA);
	answer(&d, REPLY_START_INPUT);
	assert_same_state(&d.s, &fresh.s);
	assert_int_equal(feed(&d, ".\r\n"), SMTP_SERVER_END);
	assert_false(d.event.end.bare_cr_lf);
	assert_true(d.event.end.size == 0);
}

static void events_carry_what_was_said(void **unused)
{
	struct desk d;

	(void)unused;
	make_ready(&d);
	feed(&d, "MAIL FROM:<\"A b\"@B.example> BODY=8BITMIME SIZE=123\r\n");
	assert_int_equal(d.event.type, SMTP_SERVER_MAIL);
	assert_string_equal(d.event.mail.sender.text, "\"A b\"@B.example");
	assert_true(d.event.mail.size == 123);
	assert_true(d.event.mail.body_8bit);
	answer(&d, REPLY_SENDER_OK);
	feed(&d, "RCPT TO:<C@d.example>\r\n");
	assert_int_equal(d.event.type, SMTP_SERVER_RCPT);
	assert_string_equal(d.event.rcpt.text, "C@d.example");
}

/* While an answer is due nothing is taken; an answer nobody asked for says nothing. */
static void out_of_turn(void **unused)
{
	struct desk d;

	(void)unused;
	make_ready(&d);
	answer(&d, REPLY_SENDER_OK);
	smtp_server_login_done(&d.s, &d.out, REPLY_AUTH_OK);
	assert_int_equal(buffer_length(&d.out), 0);
	assert_false(d.s.authenticated);
	assert_int_equal(d.s.phase, PHASE_READY);

	assert_int_equal(feed(&d, "MAIL FROM:<a@b.example>\r\nNOOP\r\n"), SMTP_SERVER_MAIL);
	assert_int_equal(d.used, 25);
	assert_int_equal(feed(&d, "NOOP\r\n"), SMTP_SERVER_MORE);
	assert_int_equal(d.used, 0);
	smtp_server_login_done(&d.s, &d.out, REPLY_AUTH_OK);
	assert_int_equal(buffer_length(&d.out), 0);
	answer(&d, REPLY_SENDER_OK);
	assert_said(&d, "250 2.1.0 <x>... Sender ok.\r\n");
	assert_int_equal(feed(&d, "NOOP\r\n"), SMTP_SERVER_MORE);
	assert_int_equal(d.used, 6);
}

static void back_pressure(void **unused)
{
	struct desk d;
	size_t free_octets;

	(void)unused;
	make_ready(&d);
	d.out.size = SMTP_REPLY_MAX + 13;
	assert_int_equal(feed(&d, "NOOP\r\nNOOP\r\nNOOP\r\n"), SMTP_SERVER_ROOM);
	assert_int_equal(d.used, 6);
	free_octets = buffer_room(&d.out);
	assert_int_equal(feed(&d, "NOOP\r\n"), SMTP_SERVER_ROOM);
	assert_int_equal(buffer_room(&d.out), free_octets);
	assert_int_equal(d.used, 0);
	buffer_clear(&d.out);
	assert_int_equal(feed(&d, "NOOP\r\n"), SMTP_SERVER_ROOM);
	assert_int_equal(d.used, 6);
	buffer_clear(&d.out);
	assert_int_equal(feed(&d, ""), SMTP_SERVER_MORE);
}

static void from_outside(void **unused)
{
	struct desk d;

	(void)unused;
	for (size_t phase = PHASE_READY; phase <= PHASE_DATA; phase++) {
		makers[phase](&d);
		smtp_server_end(&d.s, &d.out, REPLY_SHUTDOWN);
		assert_said(&d, "421 4.3.2 h.example shutting down\r\n");
		assert_int_equal(feed(&d, "NOOP\r\n"), SMTP_SERVER_CLOSE);
		assert_int_equal(d.used, 0);
		assert_int_equal(buffer_length(&d.out), 0);
	}
	make_ready(&d);
	feed(&d, "MAIL FROM:<a@b.example>\r\n");
	smtp_server_end(&d.s, &d.out, REPLY_TIMEOUT);
	assert_said(&d, "421 4.4.2");
	answer(&d, REPLY_SENDER_OK);
	assert_int_equal(buffer_length(&d.out), 0);
	assert_int_equal(feed(&d, ""), SMTP_SERVER_CLOSE);
}

static void assert_no_credentials(const struct smtp_server *s)
{
	for (size_t i = 0; i < sizeof s->credentials; i++)
		assert_int_equal(s->credentials[i], 0);
}

static void credentials_are_wiped(void **unused)
{
	static const enum reply replies[] = { REPLY_AUTH_OK, REPLY_AUTH_FAILED, REPLY_AUTH_TEMPORARY };
	struct desk d;

	(void)unused;
	for (size_t i = 0; i < COUNT(replies); i++) {
		make_ready(&d);
		assert_int_equal(feed(&d, "AUTH PLAIN AHVzZXIxAHVzZXIxMjM0\r\n"), SMTP_SERVER_LOGIN);
		assert_true(slice_equal(d.event.login.password, slice_of("user1234")));
		smtp_server_login_done(&d.s, &d.out, replies[i]);
		assert_no_credentials(&d.s);
		assert_int_equal(d.s.authenticated, replies[i] == REPLY_AUTH_OK);
	}
	make_ready(&d);
	feed(&d, "AUTH PLAIN AHVzZXIxAHVzZXIxMjM0AA==\r\n");	/* a NUL too many */
	assert_said(&d, "535");
	assert_no_credentials(&d.s);
	feed(&d, "AUTH LOGIN dXNlcjE=\r\n*\r\n");
	assert_no_credentials(&d.s);
	feed(&d, "AUTH LOGIN dXNlcjE=\r\n!\r\n");
	assert_no_credentials(&d.s);
	assert_int_equal(feed(&d, "AUTH LOGIN dXNlcjE=\r\nAAA\n"), SMTP_SERVER_CLOSE);
	assert_no_credentials(&d.s);
	make_ready(&d);
	feed(&d, "AUTH PLAIN AHVzZXIxAHVzZXIxMjM0\r\n");
	smtp_server_end(&d.s, &d.out, REPLY_TIMEOUT);
	assert_no_credentials(&d.s);
}

static void cram_challenge(void **unused)
{
	struct desk d;

	(void)unused;
	make_ready(&d);
	assert_int_equal(feed(&d, "AUTH CRAM-MD5\r\n"), SMTP_SERVER_MORE);
	assert_said(&d, "334 PDEuMDEyMzQ1Njc4OWFiY2RlZkBoLmV4YW1wbGU+\r\n");
	feed(&d, "dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw\r\n");
	assert_int_equal(d.event.type, SMTP_SERVER_LOGIN);
	assert_int_equal(d.event.login.mechanism, SASL_CRAM_MD5);
	assert_true(slice_equal(d.event.login.challenge, slice_of("<1.0123456789abcdef@h.example>")));
	assert_true(slice_equal(d.event.login.authcid, slice_of("tim")));
	assert_true(slice_equal(d.event.login.response, slice_of("b913a602c7eda7a495b4e6e7334d3890")));
}

static void tls_forgets(void **unused)
{
	struct desk d, fresh;

	(void)unused;
	make_ready(&d);
	assert_int_equal(feed(&d, "STARTTLS\r\nEHLO x\r\n"), SMTP_SERVER_TLS);
	assert_int_equal(d.used, 10);
	assert_true(d.event.had_tls_input);
	assert_said(&d, "220 2.0.0 Ready to start TLS\r\n");
	assert_int_equal(feed(&d, "NOOP\r\n"), SMTP_SERVER_MORE);	/* not before smtp_server_secured */
	assert_int_equal(d.used, 0);
	smtp_server_secured(&d.s);

	open_desk(&fresh);
	smtp_server_secured(&fresh.s);
	memset(d.s.helo, 0, sizeof d.s.helo);
	assert_same_state(&d.s, &fresh.s);

	make_ready(&d);
	assert_int_equal(feed(&d, "STARTTLS\r\n"), SMTP_SERVER_TLS);
	assert_false(d.event.had_tls_input);
}

static void helo_is_kept_tame(void **unused)
{
	char line[400] = "HELO ";
	struct desk d;

	(void)unused;
	open_desk(&d);
	feed(&d, "EHLO a\tb c\r\n");
	assert_true(slice_equal(smtp_server_helo(&d.s), slice_of("a?b c")));
	feed(&d, "EHLO\r\n");
	assert_int_equal(smtp_server_helo(&d.s).len, 0);
	memset(line + 5, 'x', 300);
	memcpy(line + 305, "\r\n", 3);
	feed(&d, line);
	assert_int_equal(smtp_server_helo(&d.s).len, sizeof d.s.helo);
}

/* Large content goes through in pieces as large as they came, whatever lines it has. */
static void large_content(void **unused)
{
	enum { SIZE = 300000 };
	char *text = malloc(SIZE);
	struct desk d;

	(void)unused;
	assert_non_null(text);
	for (size_t i = 0; i < SIZE; i++)
		text[i] = i % 78 == 76 ? '\r' : i % 78 == 77 ? '\n' : 'x';
	make_data(&d);
	assert_int_equal(feed_bytes(&d, slice_bytes(text, SIZE)), SMTP_SERVER_CONTENT);
	assert_int_equal(d.used, SIZE);
	assert_ptr_equal(d.event.content.at, text);
	assert_int_equal(d.event.content.len, SIZE);
	assert_false(d.s.bad_line);
	text[SIZE / 2] = '\0';
	assert_int_equal(feed_bytes(&d, slice_bytes(text, SIZE)), SMTP_SERVER_CONTENT);
	assert_true(d.s.bad_line);
	free(text);
}

/* Octets that may be part of the end are not handed on before it is known. */
static void undecided_octets_wait(void **unused)
{
	static const struct {
		const char *in;
		size_t used;
	} rows[] = {
		{ "x\r", 1 }, { "x\r\n", 3 }, { "x\r\n.", 3 }, { "x\r\n.\r", 3 }, { "x\r\n.\r\n", 3 }, { "x\r\n.\rx", 6 },
		{ "x\r\n..", 5 }, { "x\r\n.\n", 5 }, { "\r", 0 }, { ".", 0 }, { ".\r", 0 }, { ".x", 2 }, { "x.\r", 2 },
		{ "\r\r", 1 }, { "x\n.\r\n", 5 },
	};
	struct desk d;

	(void)unused;
	for (size_t i = 0; i < COUNT(rows); i++) {
		make_data(&d);
		feed(&d, rows[i].in);
		assert_int_equal(d.used, rows[i].used);
		assert_int_equal(d.event.type, rows[i].used ? SMTP_SERVER_CONTENT : SMTP_SERVER_MORE);
	}
}

static void a_421_ends_it(void **unused)
{
	struct desk d;

	(void)unused;
	make_mail(&d);
	feed(&d, "RCPT TO:<x@y.example>\r\n");
	answer(&d, REPLY_SHUTDOWN);
	assert_said(&d, "421 4.3.2 h.example shutting down\r\n");
	assert_int_equal(feed(&d, "NOOP\r\n"), SMTP_SERVER_CLOSE);
}

/* The next server's answer is the client's; its code rules the session as one of ours would. */
static void passed_on(void **unused)
{
	static const struct {
		unsigned code;
		const char *words, *said;
	} rows[] = {
		{ 250, "2.6.0 kept as 7", "250 2.6.0 <B1>... kept as 7\r\n" },
		{ 451, "later", "451 4.0.0 <B1>... later\r\n" },
		{ 554, "5.7.1 no\r\n250 yes", "554 5.7.1 <B1>... no??250 yes\r\n" },
	};
	struct desk d;

	(void)unused;
	for (size_t i = 0; i < COUNT(rows); i++) {
		make_data(&d);
		assert_int_equal(feed(&d, ".\r\n"), SMTP_SERVER_END);
		smtp_server_pass_on(&d.s, &d.out, rows[i].code, SLICE_OF("B1"), slice_of(rows[i].words));
		assert_said(&d, rows[i].said);
		/* Only once, and the transaction is over. */
		smtp_server_pass_on(&d.s, &d.out, 250, SLICE_OF("B1"), SLICE_OF("again"));
		assert_int_equal(buffer_length(&d.out), 0);
		assert_int_equal(feed(&d, "RCPT TO:<x@y.example>\r\n"), SMTP_SERVER_MORE);
		assert_said(&d, "503 ");
	}
	make_data(&d);
	for (unsigned i = 0; i <= SMTP_ERRORS_MAX; i++) {
		assert_int_equal(feed(&d, ".\r\n"), SMTP_SERVER_END);
		smtp_server_pass_on(&d.s, &d.out, 550, SLICE_OF("B1"), SLICE_OF("5.7.1 no"));
		if (i == SMTP_ERRORS_MAX)
			break;
		assert_said(&d, "550 5.7.1 ");
		feed(&d, "MAIL FROM:<a@x.example>\r\n");
		answer(&d, REPLY_SENDER_OK);
		feed(&d, "RCPT TO:<x@y.example>\r\n");
		answer(&d, REPLY_RECIPIENT_OK);
		feed(&d, "DATA\r\n");
		answer(&d, REPLY_START_INPUT);
		buffer_clear(&d.out);
	}
	assert_said(&d, "421 ");
	assert_int_equal(feed(&d, "NOOP\r\n"), SMTP_SERVER_CLOSE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refused_things_leave_nothing), cmocka_unit_test(refused_content_leaves_nothing),
		cmocka_unit_test(events_carry_what_was_said), cmocka_unit_test(out_of_turn), cmocka_unit_test(back_pressure),
		cmocka_unit_test(from_outside), cmocka_unit_test(credentials_are_wiped), cmocka_unit_test(cram_challenge),
		cmocka_unit_test(tls_forgets), cmocka_unit_test(helo_is_kept_tame), cmocka_unit_test(large_content),
		cmocka_unit_test(undecided_octets_wait), cmocka_unit_test(a_421_ends_it),
		cmocka_unit_test(passed_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
