/* base/json: strings of RFC 8259 section 7. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"

static void test_rows(void **state)
{
	static const struct {
		struct slice text;
		const char *json;
	} rows[] = {
		{ SLICE(""), "\"\"" },
		{ SLICE("plain"), "\"plain\"" },
		{ SLICE("a\"b\\c"), "\"a\\\"b\\\\c\"" },
		{ SLICE("\r\n\t\0\x7f"), "\"\\u000d\\u000a\\u0009\\u0000\\u007f\"" },
		{ SLICE("\xe9\x96\xa2\xe5\xae\x88"), "\"\xe9\x96\xa2\xe5\xae\x88\"" },
		{ SLICE("\xf0\x9f\x93\xa7\xc3\xa9"), "\"\xf0\x9f\x93\xa7\xc3\xa9\"" },
		{ SLICE("\xff""a"), "\"\\ufffda\"" },
		{ SLICE("\xe9\x96"), "\"\\ufffd\\ufffd\"" },			/* cut */
		{ SLICE("\xc0\xaf"), "\"\\ufffd\\ufffd\"" },			/* overlong */
		{ SLICE("\xe0\x80\xaf"), "\"\\ufffd\\ufffd\\ufffd\"" },
		{ SLICE("\xed\xa0\x80"), "\"\\ufffd\\ufffd\\ufffd\"" },		/* surrogate */
		{ SLICE("\xf4\x90\x80\x80"), "\"\\ufffd\\ufffd\\ufffd\\ufffd\"" },	/* beyond U+10FFFF */
	};
	char memory[100];
	struct buffer out;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		buffer_init(&out, memory, sizeof(memory));
		assert_true(json_text(&out, rows[i].text));
		assert_int_equal(buffer_length(&out), strlen(rows[i].json));
		assert_memory_equal(out.at, rows[i].json, strlen(rows[i].json));
	}
}

static void test_all_or_nothing(void **state)
{
	char memory[8];
	struct buffer out;

	(void)state;
	buffer_init(&out, memory, sizeof(memory));
	assert_true(buffer_put_text(&out, "xy"));
	assert_false(json_text(&out, slice_of("abcdefgh")));
	assert_int_equal(buffer_length(&out), 2);
	assert_true(out.overflow);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_all_or_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
