#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "smtp/upstream.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* Octets of `in` up to the end of the reply, given `step` more at a time. */
static enum upstream_status read_in_steps(struct upstream *u, struct slice in, size_t step,
					  size_t *total)
{
	enum upstream_status status = UPSTREAM_MORE;
	size_t given = 0, used;
	struct slice text;

	*total = 0;
	while (status == UPSTREAM_LINE || (status == UPSTREAM_MORE && given < in.len)) {
		if (status == UPSTREAM_MORE)
			given = given + step < in.len ? given + step : in.len;
		status = upstream_read(u, slice_skip(slice_first(in, given), *total), &text, &used);
		*total += used;
	}
	return status;
}

static void replies(void **unused)
{
	static const struct {
		struct slice in;
		enum upstream_status status;
		uint16_t code;
		const char *text;
		size_t left;		/* octets behind the reply */
	} rows[] = {
		{ SLICE("250 ok\r\n"), UPSTREAM_LAST, 250, "ok", 0 },
		{ SLICE("250\r\n"), UPSTREAM_LAST, 250, "", 0 },
		{ SLICE("250 \r\n"), UPSTREAM_LAST, 250, "", 0 },
		{ SLICE("250-a\r\n250 b\r\n"), UPSTREAM_LAST, 250, "a b", 0 },
		{ SLICE("250-a\r\n250\r\n"), UPSTREAM_LAST, 250, "a", 0 },
		{ SLICE("250-\r\n250-\r\n250 b\r\n"), UPSTREAM_LAST, 250, "b", 0 },
		{ SLICE("220 a\r\n250 b\r\n"), UPSTREAM_LAST, 220, "a", 7 },
		{ SLICE("200 a\r\n"), UPSTREAM_LAST, 200, "a", 0 },
		{ SLICE("599 a\r\n"), UPSTREAM_LAST, 599, "a", 0 },
		{ SLICE("550 \x1b\xe3\x81\x82\t\x7f!\r\n"), UPSTREAM_LAST, 550, "?????\?!", 0 },
		{ SLICE("250 ok"), UPSTREAM_MORE, 0, "", 6 },
		{ SLICE("250 ok\r"), UPSTREAM_MORE, 0, "", 7 },
		{ SLICE(""), UPSTREAM_MORE, 0, "", 0 },
		{ SLICE("250-a\r\n"), UPSTREAM_MORE, 250, "a", 0 },
		{ SLICE("250-a\r\n251 b\r\n"), UPSTREAM_OTHER_CODE, 250, "a", 7 },
		{ SLICE("199 a\r\n"), UPSTREAM_BAD_CODE, 0, "", 7 },
		{ SLICE("600 a\r\n"), UPSTREAM_BAD_CODE, 0, "", 7 },
		{ SLICE("25\r\n"), UPSTREAM_BAD_CODE, 0, "", 4 },
		{ SLICE("\r\n"), UPSTREAM_BAD_CODE, 0, "", 2 },
		{ SLICE("2500 a\r\n"), UPSTREAM_BAD_CODE, 0, "", 8 },
		{ SLICE("250=a\r\n"), UPSTREAM_BAD_CODE, 0, "", 7 },
		{ SLICE(" 250 a\r\n"), UPSTREAM_BAD_CODE, 0, "", 8 },
		{ SLICE("+25 a\r\n"), UPSTREAM_BAD_CODE, 0, "", 7 },
		{ SLICE("250-a\r\nb\r\n"), UPSTREAM_BAD_CODE, 250, "a", 3 },
		{ SLICE("250 a\n"), UPSTREAM_BAD_END, 0, "", 6 },
		{ SLICE("250 a\rb\r\n"), UPSTREAM_BAD_END, 0, "", 9 },
		{ SLICE("250 \0\r\n"), UPSTREAM_BAD_END, 0, "", 7 },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(rows); i++)
		for (size_t step = 1; step <= rows[i].in.len + 1; step++) {
			struct upstream u = { .scanned = 0 };
			size_t used;

			assert_int_equal(read_in_steps(&u, rows[i].in, step, &used), rows[i].status);
			assert_int_equal(u.reply.code, rows[i].code);
			assert_int_equal(u.reply.len, strlen(rows[i].text));
			assert_memory_equal(u.reply.text, rows[i].text, u.reply.len);
			assert_int_equal(rows[i].in.len - used, rows[i].left);
		}
}

static void one_reply_behind_the_other(void **unused)
{
	struct slice in = SLICE_OF("220-a\r\n220 b\r\n550 c\r\n");
	struct upstream u = { .scanned = 0 };
	size_t used;

	(void)unused;
	assert_int_equal(read_in_steps(&u, in, in.len, &used), UPSTREAM_LAST);
	assert_int_equal(u.lines, 0);
	in = slice_skip(in, used);
	assert_int_equal(read_in_steps(&u, in, in.len, &used), UPSTREAM_LAST);
	assert_int_equal(u.reply.code, 550);
	assert_true(slice_equal(upstream_text(&u.reply), SLICE_OF("c")));
	assert_int_equal(used, in.len);
}

/* The line as it came, also where the kept text differs. */
static void text_is_raw(void **unused)
{
	struct slice in = SLICE_OF("334 a\tb\r\n"), text;
	struct upstream u = { .scanned = 0 };
	size_t used;

	(void)unused;
	assert_int_equal(upstream_read(&u, in, &text, &used), UPSTREAM_LAST);
	assert_true(slice_equal(text, SLICE_OF("a\tb")));
	assert_true(slice_equal(upstream_text(&u.reply), SLICE_OF("a?b")));
}

static void line_length(void **unused)
{
	static char line[SMTP_REPLY_LINE_MAX + 1];
	static const struct {
		size_t len;		/* with CRLF */
		enum upstream_status status;
	} rows[] = {
		{ SMTP_REPLY_LINE_MAX, UPSTREAM_LAST },
		{ SMTP_REPLY_LINE_MAX + 1, UPSTREAM_TOO_LONG },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(rows); i++)
		for (size_t step = 1; step < sizeof(line); step += 500) {
			struct upstream u = { .scanned = 0 };
			struct slice in;
			size_t used;

			memset(line, 'x', sizeof(line));
			memcpy(line, "250 ", 4);
			memcpy(line + rows[i].len - 2, "\r\n", 2);
			in = slice_bytes(line, rows[i].len);
			assert_int_equal(read_in_steps(&u, in, step, &used), rows[i].status);
			if (rows[i].status == UPSTREAM_LAST)
				assert_int_equal(u.reply.len, SMTP_REPLY_TEXT_MAX);
		}
}

static void line_count(void **unused)
{
	struct slice in = SLICE_OF("250-xxxxxxxxxx\r\n"), text;
	struct upstream u = { .scanned = 0 };
	size_t used;

	(void)unused;
	for (int i = 0; i < SMTP_REPLY_LINES_MAX; i++) {
		assert_int_equal(upstream_read(&u, in, &text, &used), UPSTREAM_LINE);
		assert_int_equal(u.lines, i + 1);
	}
	assert_int_equal(u.reply.len, SMTP_REPLY_TEXT_MAX);
	assert_int_equal(upstream_read(&u, SLICE_OF("250 x\r\n"), &text, &used), UPSTREAM_TOO_MANY);
	assert_int_equal(used, 0);
}

static void reasons(void **unused)
{
	struct upstream u = { .reply = { .code = 250, .len = 2, .text = "ok" } };

	(void)unused;
	for (int i = UPSTREAM_TOO_LONG; i <= UPSTREAM_OTHER_CODE; i++)
		assert_true(strlen(upstream_status_text(i)) > 0);
	upstream_explain(&u, "why");
	assert_int_equal(u.reply.code, 0);
	assert_true(slice_equal(upstream_text(&u.reply), SLICE_OF("why")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replies),
		cmocka_unit_test(one_reply_behind_the_other),
		cmocka_unit_test(text_is_raw),
		cmocka_unit_test(line_length),
		cmocka_unit_test(line_count),
		cmocka_unit_test(reasons),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
