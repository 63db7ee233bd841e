#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/slice.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static void assert_slice(struct slice s, const char *text)
{
	assert_int_equal(s.len, strlen(text));
	assert_memory_equal(s.at ? s.at : "", text, s.len);
}

static void null_is_empty(void **unused)
{
	struct slice none = slice_of(NULL);

	(void)unused;
	assert_int_equal(none.len, 0);
	assert_int_equal(slice_skip(none, 3).len, 0);
	assert_int_equal(slice_trim(none).len, 0);
	assert_int_equal(slice_find(none, 'a'), 0);
	assert_true(slice_equal(none, slice_of("")));
	assert_true(slice_equal_fold(none, slice_of("")));
	assert_true(slice_starts(slice_of("a"), none));
	assert_true(slice_ends_fold(none, none));
}

static void parts(void **unused)
{
	struct slice s = SLICE_OF("mail");

	(void)unused;
	assert_slice(slice_skip(s, 0), "mail");
	assert_slice(slice_skip(s, 1), "ail");
	assert_slice(slice_skip(s, 4), "");
	assert_slice(slice_skip(s, SIZE_MAX), "");
	assert_slice(slice_first(s, 0), "");
	assert_slice(slice_first(s, 2), "ma");
	assert_slice(slice_first(s, SIZE_MAX), "mail");
	assert_slice(slice_bytes("mail", 3), "mai");
}

static void trim(void **unused)
{
	static const char *const rows[][2] = {
		{ "", "" }, { " ", "" }, { " \t a b\t ", "a b" }, { "a", "a" },
		{ "\r\na\v", "\r\na\v" }, { "\xa0" "a", "\xa0" "a" },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_slice(slice_trim(slice_of(rows[i][0])), rows[i][1]);
}

static void compare(void **unused)
{
	static const struct {
		const char *a, *b;
		int order;
		bool same;
	} rows[] = {
		{ "", "", 0, true }, { "a", "", 1, false }, { "user1", "USER1", 0, false },
		{ "user1", "user1", 0, true }, { "user", "user1", -1, false },
		/* 0x20 apart, but no letters: '@' and '`', '[' and '{', and beyond ASCII */
		{ "@", "`", -1, false }, { "[", "{", -1, false },
		{ "\xc4", "\xe4", -1, false }, { "a", "\xe4", -1, false },
		{ "Z", "_", 1, false },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct slice a = slice_of(rows[i].a), b = slice_of(rows[i].b);

		assert_int_equal(slice_compare_fold(a, b), rows[i].order);
		assert_int_equal(slice_compare_fold(b, a), -rows[i].order);
		assert_int_equal(slice_equal_fold(a, b), rows[i].order == 0);
		assert_int_equal(slice_equal(a, b), rows[i].same);
	}
}

static void ends(void **unused)
{
	static const struct {
		const char *s, *part;
		bool starts, starts_fold, ends_fold;
	} rows[] = {
		{ "FROM:x", "FROM:", true, true, false },
		{ "FROM:x", "from:", false, true, false },
		{ "a.JP", ".jp", false, false, true },
		{ "jp", ".jp", false, false, false },
		{ "jp", "jp", true, true, true },
		{ "jp", "", true, true, true },
		{ "", "a", false, false, false },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct slice s = slice_of(rows[i].s), part = slice_of(rows[i].part);

		assert_int_equal(slice_starts(s, part), rows[i].starts);
		assert_int_equal(slice_starts_fold(s, part), rows[i].starts_fold);
		assert_int_equal(slice_ends_fold(s, part), rows[i].ends_fold);
	}
}

static void cut(void **unused)
{
	static const struct {
		const char *text;
		const char *parts[4];
	} rows[] = {
		{ "", { "" } }, { ",", { "", "" } }, { "a", { "a" } }, { "a,b", { "a", "b" } },
		{ ",a,", { "", "a", "" } }, { "a;b", { "a;b" } },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct slice rest = slice_of(rows[i].text), head;
		size_t n = 0;

		while (slice_cut(&rest, ',', &head)) {
			assert_true(n < 3);
			assert_non_null(rows[i].parts[n]);
			assert_slice(head, rows[i].parts[n++]);
		}
		assert_null(rows[i].parts[n]);
		assert_null(rest.at);
	}
}

static void words(void **unused)
{
	static const struct {
		const char *text;
		const char *words[4];
	} rows[] = {
		{ "", { NULL } }, { " \t ", { NULL } }, { "a", { "a" } },
		{ "  ab\t c  ", { "ab", "c" } }, { "a b c", { "a", "b", "c" } },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct slice rest = slice_of(rows[i].text), word;
		size_t n = 0;

		while (slice_word(&rest, &word)) {
			assert_true(n < 3);
			assert_non_null(rows[i].words[n]);
			assert_slice(word, rows[i].words[n++]);
		}
		assert_null(rows[i].words[n]);
	}
}

static void numbers(void **unused)
{
	static const struct {
		const char *text;
		uint64_t max;
		bool ok;
		uint64_t value;
	} rows[] = {
		{ "0", 0, true, 0 }, { "1", 0, false, 0 }, { "65535", 65535, true, 65535 },
		{ "65536", 65535, false, 0 }, { "00007", 7, true, 7 }, { "", 9, false, 0 },
		{ "-1", UINT64_MAX, false, 0 }, { "+1", 9, false, 0 }, { " 1", 9, false, 0 },
		{ "1 ", 9, false, 0 }, { "0x1", 9, false, 0 }, { "1e1", 99, false, 0 },
		{ "/", 99, false, 0 }, { ":", 99, false, 0 }, { "\xb1", UINT64_MAX, false, 0 },
		{ "18446744073709551615", UINT64_MAX, true, UINT64_MAX },
		{ "18446744073709551616", UINT64_MAX, false, 0 },
		{ "99999999999999999999", UINT64_MAX, false, 0 },
		{ "000000000000000000001", UINT64_MAX, false, 0 },
		{ "00000000000000000001", UINT64_MAX, true, 1 },
		{ "10", 9, false, 0 }, { "9", 9, true, 9 }, { "19", 18, false, 0 },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(rows); i++) {
		uint64_t value = 4711;

		assert_int_equal(slice_number(slice_of(rows[i].text), rows[i].max, &value),
				 rows[i].ok);
		assert_true(value == (rows[i].ok ? rows[i].value : 4711));
	}
}

static void copies(void **unused)
{
	char out[4];

	(void)unused;
	memset(out, 'x', sizeof(out));
	assert_true(slice_copy(slice_of("abc"), out, sizeof(out)));
	assert_string_equal(out, "abc");
	assert_false(slice_copy(slice_of("abcd"), out, sizeof(out)));
	assert_string_equal(out, "");
	assert_true(slice_copy(slice_of(NULL), out, sizeof(out)));
	assert_string_equal(out, "");
	out[0] = 'x';
	assert_false(slice_copy(SLICE_OF("a\0b"), out, sizeof(out)));
	assert_string_equal(out, "");
	out[0] = 'x';
	assert_false(slice_copy(slice_of(""), out, 0));
	assert_int_equal(out[0], 'x');
}

static void classes(void **unused)
{
	(void)unused;
	for (int i = 0; i < 256; i++) {
		char c = (char)i;

		assert_int_equal(ascii_is_digit(c), i != 0 && strchr("0123456789", i) != NULL);
		assert_int_equal(ascii_is_alpha(c),
				 (i >= 'A' && i <= 'Z') || (i >= 'a' && i <= 'z'));
		assert_int_equal(ascii_is_control(c), i < 32 || i == 127);
		assert_int_equal(ascii_is_print(c), i >= 32 && i < 127);
		assert_int_equal(ascii_is_blank(c), i == 32 || i == 9);
	}
}

static void tame(void **unused)
{
	char text[] = "a\r\n\x7f\x1b" "b\xe3\x81\x82 \t";

	(void)unused;
	ascii_tame(text);
	assert_string_equal(text, "a????b\xe3\x81\x82 ?");
}

static void hex(void **unused)
{
	static const uint8_t octets[] = { 0x00, 0x09, 0x0a, 0x9f, 0xa0, 0xff };
	char out[2 * sizeof(octets) + 1];

	(void)unused;
	memset(out, 'x', sizeof(out));
	ascii_hex(octets, sizeof(octets), out);
	assert_string_equal(out, "00090a9fa0ff");
	ascii_hex(octets, 0, out);
	assert_string_equal(out, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(null_is_empty), cmocka_unit_test(parts), cmocka_unit_test(trim),
		cmocka_unit_test(compare), cmocka_unit_test(ends), cmocka_unit_test(cut),
		cmocka_unit_test(words), cmocka_unit_test(numbers), cmocka_unit_test(copies),
		cmocka_unit_test(classes), cmocka_unit_test(tame),
		cmocka_unit_test(hex),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
