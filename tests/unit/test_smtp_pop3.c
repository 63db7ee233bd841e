#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "smtp/pop3.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static struct pop3 session;
static struct pop3_settings settings;
static struct pop3_event event;
static char memory[POP3_COMMAND_MAX];
static struct buffer out;

static void start(struct slice user, struct slice password)
{
	settings = (struct pop3_settings){ .user = user, .password = password };
	pop3_init(&session, &settings);
	buffer_init(&out, memory, sizeof(memory));
}

/* Everything, until nothing more is wanted or something is told. */
static enum pop3_event_type feed(const char *text)
{
	struct slice in = slice_of(text);
	size_t used;

	buffer_clear(&out);
	used = pop3_feed(&session, in, &out, &event);
	if (event.type == POP3_MORE)
		assert_int_equal(used, in.len);
	return event.type;
}

static void assert_sent(const char *text)
{
	assert_true(slice_equal(buffer_bytes(&out), slice_of(text)));
}

static void each_command_in_turn(void **unused)
{
	(void)unused;
	start(SLICE_OF("office"), SLICE_OF("secret42"));
	assert_int_equal(pop3_stage(&session), POP3_STAGE_GREETING);
	assert_int_equal(feed("+OK\r\n"), POP3_MORE);
	assert_sent("USER office\r\n");
	assert_int_equal(pop3_stage(&session), POP3_STAGE_LOGIN);
	assert_int_equal(feed("+OK\r\n"), POP3_MORE);
	assert_sent("PASS secret42\r\n");
	assert_int_equal(feed("+OK in\r\n"), POP3_OPEN);
	assert_int_equal(feed(""), POP3_MORE);
	assert_sent("QUIT\r\n");
	assert_int_equal(pop3_stage(&session), POP3_STAGE_QUIT);
	assert_int_equal(feed("+OK\r\n"), POP3_CLOSED);
}

/* The longest that configuration takes fit in the room that is asked for; what would be two lines is not sent. */
static void what_can_be_said(void **unused)
{
	static char longest[PASSWORD_MAX + 1];
	const struct {
		struct slice user, password;
		bool user_goes, password_goes, apop_goes;
	} rows[] = {
		{ slice_bytes(longest, LOGIN_MAX), slice_bytes(longest, PASSWORD_MAX), true, true, true },
		{ SLICE("a b"), SLICE(" a b "), true, true, false },
		{ SLICE("a\r\nDELE 1"), SLICE("x"), false, false, false },
		{ SLICE("a\0b"), SLICE("x"), false, false, false },
		{ SLICE("a"), SLICE("x\r\nRETR 1"), true, false, true },
		{ SLICE("\xe3\x81\x82"), SLICE("\xe3\x81\x82"), true, true, true },
	};
	const struct slice hex = SLICE_OF("0123456789abcdef0123456789abcdef");

	(void)unused;
	memset(longest, 'l', sizeof(longest));
	for (size_t i = 0; i < COUNT(rows); i++) {
		start(rows[i].user, rows[i].password);
		assert_int_equal(feed("+OK\r\n"), rows[i].user_goes ? POP3_MORE : POP3_FAILED);
		if (rows[i].user_goes)
			assert_int_equal(feed("+OK\r\n"), rows[i].password_goes ? POP3_MORE : POP3_FAILED);
		assert_true((event.type == POP3_MORE) == (buffer_length(&out) > 0));
		start(rows[i].user, rows[i].password);
		assert_int_equal(feed("+OK <1.2@pop.example>\r\n"), POP3_TIMESTAMP);
		assert_true(pop3_respond(&session, &out, hex));
		assert_true((buffer_length(&out) > 0) == rows[i].apop_goes);
		assert_int_equal(feed(""), rows[i].apop_goes ? POP3_MORE : POP3_FAILED);
	}
}

static void answers_that_are_not_due(void **unused)
{
	const struct slice hex = SLICE_OF("0123456789abcdef0123456789abcdef");

	(void)unused;
	start(SLICE_OF("office"), SLICE_OF("secret42"));
	assert_false(pop3_respond(&session, &out, hex));
	pop3_secured(&session);
	assert_int_equal(pop3_stage(&session), POP3_STAGE_GREETING);
	assert_int_equal(feed("+OK <1.2@pop.example>\r\n"), POP3_TIMESTAMP);
	buffer_put_text(&out, "something that leaves less room than a line needs");
	out.size = 60;
	assert_false(pop3_respond(&session, &out, hex));
	out.size = sizeof(memory);
	buffer_clear(&out);
	assert_true(pop3_respond(&session, &out, hex));
	assert_sent("APOP office 0123456789abcdef0123456789abcdef\r\n");
	assert_true(session.by_apop);
	assert_false(pop3_respond(&session, &out, hex));
}

/* What was said before TLS counts for nothing. */
static void tls_forgets(void **unused)
{
	(void)unused;
	start(SLICE_OF("office"), SLICE_OF("secret42"));
	settings.starttls = true;
	assert_int_equal(feed("+OK <1.2@pop.example>\r\n"), POP3_MORE);
	assert_sent("CAPA\r\n");
	feed("+OK\r\nSTLS\r\n.\r\n");
	assert_sent("STLS\r\n");
	assert_int_equal(feed("+OK\r\n+OK inj"), POP3_TLS);
	pop3_secured(&session);
	assert_false(session.has_stls);
	assert_int_equal(session.scanned, 0);
	assert_int_equal(session.timestamp_len, 0);
	assert_int_equal(feed(""), POP3_MORE);
	assert_sent("USER office\r\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_command_in_turn),
		cmocka_unit_test(what_can_be_said),
		cmocka_unit_test(answers_that_are_not_due),
		cmocka_unit_test(tls_forgets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
