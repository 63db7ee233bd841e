#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/record.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static void fields(void **unused)
{
	struct record r;

	(void)unused;
	record_start(&r, "session");
	assert_string_equal(r.text, "session");
	record_word(&r, "tls", NULL);
	record_word(&r, "trust", "peer");
	record_number(&r, "size", INT64_MIN);
	record_number(&r, "n", INT64_MAX);
	record_text(&r, "helo", slice_of("pc1"));
	assert_string_equal(r.text, "session trust=peer size=-9223372036854775808 "
				    "n=9223372036854775807 helo=pc1");
	assert_int_equal(r.len, strlen(r.text));
	record_start(&r, "x");
	assert_string_equal(r.text, "x");
}

static void texts(void **unused)
{
	static const struct {
		struct slice value;
		const char *shown;
	} rows[] = {
		{ SLICE("user1@test-sample.jp"), "e v=user1@test-sample.jp" },
		{ SLICE(""), "e v=\"\"" },
		{ SLICE("a b"), "e v=\"a b\"" },
		{ SLICE("a=b"), "e v=\"a=b\"" },
		{ SLICE("a\"b"), "e v=\"a\\\"b\"" },
		{ SLICE("a\\b"), "e v=\"a\\\\b\"" },
		{ SLICE("a\r\nb"), "e v=\"a\\x0D\\x0Ab\"" },
		{ SLICE("a\0b"), "e v=\"a\\x00b\"" },
		{ SLICE("\x1b$B\x7f\xff"), "e v=\"\\x1B$B\\x7F\\xFF\"" },
		{ SLICE("x verdict=ok"), "e v=\"x verdict=ok\"" },
		{ SLICE("100%s%n"), "e v=100%s%n" },
		{ SLICE("..."), "e v=..." },
		{ SLICE("a ..."), "e v=\"a ...\"" },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct record r;

		record_start(&r, "e");
		record_text(&r, "v", rows[i].value);
		assert_string_equal(r.text, rows[i].shown);
	}
}

static void long_values_are_cut(void **unused)
{
	static const struct {
		char octet;
		size_t len, shown;
		const char *end;
	} rows[] = {
		{ 'a', LOG_VALUE_MAX, 4 + LOG_VALUE_MAX, "aaa" },
		{ 'a', LOG_VALUE_MAX + 1, 4 + LOG_VALUE_MAX + 3, "a..." },
		{ '\n', LOG_VALUE_MAX, 4 + 4 * LOG_VALUE_MAX + 2, "\\x0A\"" },
		{ '\n', LOG_VALUE_MAX + 1, 4 + 4 * LOG_VALUE_MAX + 5, "\\x0A...\"" },
		{ '"', 2 * LOG_VALUE_MAX, 4 + 2 * LOG_VALUE_MAX + 5, "\\\"...\"" },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char value[2 * LOG_VALUE_MAX];
		struct record r;

		memset(value, rows[i].octet, sizeof(value));
		record_start(&r, "e");
		record_text(&r, "v", slice_bytes(value, rows[i].len));
		assert_int_equal(r.len, rows[i].shown);
		assert_int_equal(strlen(r.text), r.len);
		assert_string_equal(r.text + r.len - strlen(rows[i].end), rows[i].end);
	}
}

static void reasons_are_longer(void **unused)
{
	static const struct {
		char octet;
		size_t len, shown;
		const char *end;
	} rows[] = {
		{ 'a', LOG_REASON_MAX, 4 + LOG_REASON_MAX, "aaa" },
		{ 'a', LOG_REASON_MAX + 1, 4 + LOG_REASON_MAX + 3, "a..." },
		{ '"', 64, 4 + 2 * 64 + 2, "\\\"\"" },
		/* Words of another alphabet: not so many, but not left out either. */
		{ '\xe3', LOG_REASON_MAX, 4 + 4 * LOG_VALUE_MAX + 5, "\\xE3...\"" },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char value[LOG_REASON_MAX + 1];
		struct record r;

		memset(value, rows[i].octet, sizeof(value));
		record_start(&r, "e");
		record_reason(&r, "v", slice_bytes(value, rows[i].len));
		assert_int_equal(r.len, rows[i].shown);
		assert_string_equal(r.text + r.len - strlen(rows[i].end), rows[i].end);
	}
}

/* What is beyond the value's end isn't looked at: only the part shown decides on quotes. */
static void cut_before_the_blank(void **unused)
{
	char value[LOG_VALUE_MAX + 1];
	struct record r;

	(void)unused;
	memset(value, 'a', sizeof(value));
	value[LOG_VALUE_MAX] = ' ';
	record_start(&r, "e");
	record_text(&r, "v", slice_bytes(value, sizeof(value)));
	assert_int_equal(r.text[4], 'a');
}

static void full_line(void **unused)
{
	char value[LOG_VALUE_MAX];
	struct record r;
	size_t len;

	(void)unused;
	memset(value, '\n', sizeof(value));
	record_start(&r, "mail");
	record_word(&r, "verdict", "552");
	record_text(&r, "a", slice_bytes(value, sizeof(value)));
	len = r.len;
	record_text(&r, "b", slice_bytes(value, sizeof(value)));
	assert_int_equal(r.len, len + 4);
	assert_string_equal(r.text + len, " ...");
	record_number(&r, "c", 1);
	record_word(&r, "d", "e");
	assert_string_equal(r.text + len, " ...");
	assert_memory_equal(r.text, "mail verdict=552 a=\"", 20);
}

/* At every fill of the line the next field is there whole, or the mark is, within the bound. */
static void at_every_fill(void **unused)
{
	static char event[LOG_LINE_MAX + 100];

	(void)unused;
	for (size_t n = LOG_LINE_MAX - 20; n < sizeof(event) - 1; n++) {
		struct record r;
		bool whole, marked;

		memset(event, 'e', n);
		event[n] = '\0';
		record_start(&r, event);
		record_word(&r, "k", "value");
		assert_int_equal(strlen(r.text), r.len);
		assert_true(r.len <= LOG_LINE_MAX);
		whole = strstr(r.text, " k=value") != NULL;
		marked = strcmp(r.text + r.len - 4, " ...") == 0;
		assert_true(whole != marked);
		assert_int_equal(whole, n + 8 + 4 <= LOG_LINE_MAX);
	}
}

static void seconds(void **unused)
{
	static const struct {
		int64_t ms;
		const char *shown;
	} rows[] = {
		{ 0, "e t=0.000" }, { 7, "e t=0.007" }, { 1234, "e t=1.234" },
		{ 60000, "e t=60.000" },
		{ -5, "e t=-0.005" }, { INT64_MIN, "e t=-9223372036854775.808" },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct record r;

		record_start(&r, "e");
		record_seconds(&r, "t", rows[i].ms);
		assert_string_equal(r.text, rows[i].shown);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields), cmocka_unit_test(texts),
		cmocka_unit_test(long_values_are_cut), cmocka_unit_test(cut_before_the_blank),
		cmocka_unit_test(reasons_are_longer),
		cmocka_unit_test(full_line), cmocka_unit_test(at_every_fill),
		cmocka_unit_test(seconds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
