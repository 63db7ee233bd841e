#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "smtp/line.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

struct row {
	struct slice in;
	size_t max;
	enum line_status status;
	const char *line;
	size_t used;
};

static const struct row rows[] = {
	{ SLICE(""), 8, LINE_MORE, NULL, 0 },
	{ SLICE("\r\n"), 8, LINE_OK, "", 2 },
	{ SLICE("NOOP\r\n"), 8, LINE_OK, "NOOP", 6 },
	{ SLICE("NOOP\r\nQUIT\r\n"), 8, LINE_OK, "NOOP", 6 },
	{ SLICE("NOOP"), 8, LINE_MORE, NULL, 0 },
	{ SLICE("NOOP\r"), 8, LINE_MORE, NULL, 0 },
	{ SLICE("123456\r\n"), 8, LINE_OK, "123456", 8 },
	{ SLICE("1234567\r\n"), 8, LINE_TOO_LONG, NULL, 0 },
	{ SLICE("1234567\r"), 8, LINE_TOO_LONG, NULL, 0 },
	{ SLICE("1234567\rX"), 8, LINE_TOO_LONG, NULL, 0 },
	{ SLICE("12345678"), 8, LINE_TOO_LONG, NULL, 0 },
	{ SLICE("1234567"), 8, LINE_MORE, NULL, 0 },
	{ SLICE("12345678\n"), 8, LINE_TOO_LONG, NULL, 0 },
	{ SLICE("1234567\n"), 8, LINE_BAD_END, NULL, 0 },
	{ SLICE("a\rb\r\n"), 8, LINE_BAD_END, NULL, 0 },
	{ SLICE("a\nb\r\n"), 8, LINE_BAD_END, NULL, 0 },
	{ SLICE("a\r\r\n"), 8, LINE_BAD_END, NULL, 0 },
	{ SLICE("\n"), 8, LINE_BAD_END, NULL, 0 },
	{ SLICE("\0"), 8, LINE_BAD_END, NULL, 0 },
	{ SLICE("a\0\r\n"), 8, LINE_BAD_END, NULL, 0 },
	{ SLICE("a\r\0"), 8, LINE_BAD_END, NULL, 0 },
	{ SLICE("a\r\n\n"), 8, LINE_OK, "a", 3 },
	{ SLICE("\xff\x7f\t\r\n"), 8, LINE_OK, "\xff\x7f\t", 5 },
};

static void assert_row(const struct row *row, enum line_status status, struct slice line, size_t used, uint16_t scanned)
{
	assert_int_equal(status, row->status);
	if (status != LINE_OK)
		return;
	assert_true(slice_equal(line, slice_of(row->line)));
	assert_int_equal(used, row->used);
	assert_int_equal(scanned, 0);
}

static void whole(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct slice line = { NULL, 0 };
		uint16_t scanned = 0;
		size_t used = 0;
		enum line_status status = line_read(rows[i].in, rows[i].max, &scanned, &line, &used);

		assert_row(&rows[i], status, line, used, scanned);
	}
}

/* What comes octet by octet gives the same, as soon as it can. */
static void octet_by_octet(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct slice line = { NULL, 0 };
		uint16_t scanned = 0;
		size_t used = 0, n = 0;
		enum line_status status = LINE_MORE;

		while (status == LINE_MORE && n < rows[i].in.len)
			status = line_read(slice_first(rows[i].in, ++n), rows[i].max, &scanned, &line, &used);
		assert_row(&rows[i], status, line, used, scanned);
	}
}

static void scanned_is_not_looked_at_again(void **unused)
{
	char text[] = "abcdef\r\n";
	struct slice line = { NULL, 0 };
	uint16_t scanned = 0;
	size_t used = 0;

	(void)unused;
	assert_int_equal(line_read(slice_bytes(text, 6), 100, &scanned, &line, &used), LINE_MORE);
	assert_int_equal(scanned, 6);
	text[2] = '\n';		/* would be an error if it were read */
	assert_int_equal(line_read(slice_bytes(text, 8), 100, &scanned, &line, &used), LINE_OK);
}

/* A caller that feeds less than before gets no further than what it feeds. */
static void less_than_before(void **unused)
{
	struct slice line = { NULL, 0 };
	uint16_t scanned = 5;
	size_t used = 0;

	(void)unused;
	assert_int_equal(line_read(slice_of(""), 100, &scanned, &line, &used), LINE_MORE);
	assert_int_equal(scanned, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole), cmocka_unit_test(octet_by_octet),
		cmocka_unit_test(scanned_is_not_looked_at_again), cmocka_unit_test(less_than_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
