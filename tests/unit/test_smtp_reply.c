#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "smtp/reply.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

struct row {
	enum reply id;
	bool enhanced;
	struct slice argument;
	const char *text;
};

static const struct row rows[] = {
	{ REPLY_GREETING, true, SLICE("h.example"), "220 h.example ESMTP Sekimori\r\n" },
	{ REPLY_BYE, true, SLICE("test-sample.jp"), "221 2.0.0 test-sample.jp closing connection.\r\n" },
	{ REPLY_BYE, false, SLICE("test-sample.jp"), "221 test-sample.jp closing connection.\r\n" },
	{ REPLY_AUTH_OK, false, SLICE(""), "235 Authentication successful.\r\n" },
	{ REPLY_AUTH_OK, true, SLICE(""), "235 2.7.0 Authentication successful.\r\n" },
	{ REPLY_SENDER_OK, false, SLICE("a@b.example"), "250 <a@b.example>... Sender ok.\r\n" },
	{ REPLY_SENDER_OK, false, SLICE(""), "250 <>... Sender ok.\r\n" },
	{ REPLY_RECIPIENT_OK, true, SLICE("a@b.example"), "250 2.1.5 <a@b.example>... Recipient ok.\r\n" },
	{ REPLY_SENDER_REFUSED, false, SLICE("x"), "550 Please mail to a valid e-mail address.\r\n" },
	{ REPLY_SENDER_REFUSED, true, SLICE("x"), "550 5.7.1 Please mail to a valid e-mail address.\r\n" },
	{ REPLY_START_INPUT, true, SLICE("B1"), "354 Start mail input;id <B1> end with <CRLF>.<CRLF>\r\n" },
	{ REPLY_FILTERED, false, SLICE(""),
	  "552 Requested mail action aborted: caught by the filter setting.\r\n" },
	{ REPLY_AUTH_CHALLENGE, true, SLICE(""), "334 \r\n" },
	{ REPLY_AUTH_CHALLENGE, true, SLICE("VXNlcm5hbWU6"), "334 VXNlcm5hbWU6\r\n" },
	{ REPLY_AUTH_REQUIRED, true, SLICE(""), "530 5.7.0 Authentication required\r\n" },
	/* what a client made up can't end the line; a `%` of its own is text */
	{ REPLY_SENDER_OK, false, SLICE("a\r\n250 b\0\xff%s"), "250 <a??250 b??%s>... Sender ok.\r\n" },
};

static void texts(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char memory[SMTP_REPLY_MAX];
		struct buffer out;

		buffer_init(&out, memory, sizeof memory);
		assert_true(reply_put(&out, rows[i].id, rows[i].argument, rows[i].enhanced));
		assert_int_equal(buffer_length(&out), strlen(rows[i].text));
		assert_memory_equal(memory, rows[i].text, strlen(rows[i].text));
	}
}

/* The words of another server: its enhanced code is ours when it is of the code's class. */
static void passed(void **unused)
{
	static const struct {
		unsigned code;
		bool enhanced;
		const char *words, *text;
	} cases[] = {
		{ 250, true, "2.6.0 Ok: queued as 1", "250 2.6.0 <B1>... Ok: queued as 1\r\n" },
		{ 250, false, "2.6.0 Ok: queued as 1", "250 <B1>... Ok: queued as 1\r\n" },
		{ 250, true, "Ok", "250 2.0.0 <B1>... Ok\r\n" },
		{ 550, true, "2.0.0 fine", "550 5.0.0 <B1>... 2.0.0 fine\r\n" },
		{ 550, true, "5.7 no", "550 5.0.0 <B1>... 5.7 no\r\n" },
		{ 550, true, "5.7.1.2 no", "550 5.0.0 <B1>... 5.7.1.2 no\r\n" },
		{ 550, true, "5.7.1234 no", "550 5.0.0 <B1>... 5.7.1234 no\r\n" },
		{ 451, true, "", "451 4.0.0 <B1>...\r\n" },
		{ 554, true, "5.7.1", "554 5.7.1 <B1>...\r\n" },
		{ 250, true, "2.0.0 a\r\n221 bye", "250 2.0.0 <B1>... a??221 bye\r\n" },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char memory[SMTP_REPLY_MAX];
		struct buffer out;

		buffer_init(&out, memory, sizeof memory);
		assert_true(reply_put_passed(&out, cases[i].code, slice_of("B1"), slice_of(cases[i].words),
					     cases[i].enhanced));
		assert_int_equal(buffer_length(&out), strlen(cases[i].text));
		assert_memory_equal(memory, cases[i].text, strlen(cases[i].text));
	}
}

/* Every reply has a row: a code of RFC 5321 4.2, the same class in the enhanced code, one line, no blank at its end. */
static void every_row(void **unused)
{
	(void)unused;
	for (unsigned id = REPLY_NONE + 1; id < REPLY_COUNT; id++) {
		char memory[SMTP_REPLY_MAX];
		struct buffer out;
		unsigned code = reply_code((enum reply)id);

		if (id == REPLY_PASSED)
			continue;
		assert_in_range(code, 200, 555);
		buffer_init(&out, memory, sizeof memory);
		assert_true(reply_put(&out, (enum reply)id, SLICE_OF("x"), true));
		assert_int_equal(memory[0], '0' + code / 100);
		assert_int_equal(memory[3], ' ');
		if (memory[5] == '.')
			assert_int_equal(memory[4], memory[0]);
		assert_true(buffer_length(&out) < 128);
		assert_int_equal(slice_find(buffer_bytes(&out), '\r'), buffer_length(&out) - 2);
		assert_int_not_equal(memory[buffer_length(&out) - 3], ' ');
	}
}

static void no_room(void **unused)
{
	char memory[20], long_argument[2 * SMTP_REPLY_MAX];
	struct buffer out;

	(void)unused;
	buffer_init(&out, memory, sizeof memory);
	assert_true(reply_put(&out, REPLY_OK, SLICE_OF(""), true));
	assert_false(reply_put(&out, REPLY_OK, SLICE_OF(""), true));
	assert_int_equal(buffer_length(&out), 14);

	char large[4 * SMTP_REPLY_MAX];

	memset(long_argument, 'x', sizeof long_argument);
	buffer_init(&out, large, sizeof large);
	assert_false(reply_put(&out, REPLY_SENDER_OK, slice_bytes(long_argument, sizeof long_argument), true));
	assert_int_equal(buffer_length(&out), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts), cmocka_unit_test(passed), cmocka_unit_test(every_row), cmocka_unit_test(no_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
