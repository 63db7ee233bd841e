#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "manager/setting.h"

static void times(void **unused)
{
	static const struct {
		int64_t ms;
		const char *text;
	} rows[] = {
		{ 0, "0" }, { 1, "1" }, { 1500, "1500" }, { 1000, "1s" }, { 90000, "90s" }, { 60000, "1m" }, { 3600000, "1h" },
		{ 5400000, "90m" }, { 86400000, "1d" }, { 172800000, "2d" }, { 90000000, "25h" }, { INT64_C(2592000000), "30d" },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[24];

		setting_time(rows[i].ms, text, sizeof(text));
		assert_string_equal(text, rows[i].text);
	}
}

/* What a value is held against lies in one place for all kinds: no kind reads another's. */
static void checks(void **unused)
{
	struct place {
		char text[8];
		uint8_t number;
	} p;
	static const struct setting_word words[] = { { "one", 1, false }, { NULL, 0, false } };
	static const struct setting_row rows[] = {
		{ "text", "abc", KIND_TEXT, 0, .at = offsetof(struct place, text), .size = sizeof(p.text) },
		{ "word", "one", KIND_WORD, 0, .at = offsetof(struct place, number), .size = sizeof(p.number), .words = words },
		{ "number", "7", KIND_NUMBER, 0, .at = offsetof(struct place, number), .size = sizeof(p.number), .min = 7, .max = 9 },
		{ .key = NULL }
	};
	struct fault f = { .text = "" };

	(void)unused;
	memset(&p, 0, sizeof(p));
	assert_true(setting_defaults(rows, &p, &f));
	assert_string_equal(p.text, "abc");
	assert_int_equal(p.number, 7);
	assert_false(setting_put(&rows[2], &p, slice_of("10"), "f", 3, &f));
	assert_string_equal(f.text, "f:3: number = 10: must be 7 to 9");
	f.text[0] = '\0';
	assert_false(setting_put(&rows[1], &p, slice_of("two"), "f", 4, &f));
	assert_string_equal(f.text, "f:4: word = two: must be one");
	f.text[0] = '\0';
	assert_false(setting_put(&rows[0], &p, slice_of("abcdefgh"), "f", 5, &f));
	assert_string_equal(f.text, "f:5: text = abcdefgh: too long");
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(times), cmocka_unit_test(checks) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
