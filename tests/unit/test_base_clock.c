#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdlib.h>
#include <time.h>

#include "base/clock.h"

static void zone(void **unused)
{
	static const struct {
		const char *tz;
		int64_t wall;
		int minutes;
	} rows[] = {
		{ "UTC0", 0, 0 }, { "JST-9", 1000000000, 540 }, { "XXX3:30", 1000000000, -210 },
		/* summer and winter of one place */
		{ "CET-1CEST,M3.5.0,M10.5.0/3", 1000000000, 120 },
		{ "CET-1CEST,M3.5.0,M10.5.0/3", 1010000000, 60 },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		setenv("TZ", rows[i].tz, 1);
		tzset();
		assert_int_equal(clock_zone(rows[i].wall), rows[i].minutes);
	}
}

static void clocks(void **unused)
{
	int64_t before = clock_monotonic();
	int64_t wall = clock_wall(), system = (int64_t)time(NULL);

	(void)unused;
	for (int i = 0; i < 1000; i++) {
		int64_t now = clock_monotonic();

		assert_true(now >= before);
		before = now;
	}
	assert_true(wall >= system - 60 && wall <= system + 60);
}

static void sane(void **unused)
{
	static const struct {
		int64_t wall;
		bool sane;
	} rows[] = {
		{ 0, false }, { CLOCK_FLOOR - 1, false }, { CLOCK_FLOOR, true }, { CLOCK_FLOOR + 10 * INT64_C(31557600), true },
		{ CLOCK_FLOOR + CLOCK_SPAN, false }, { INT64_C(4102444800), false }, { -1, false },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(clock_is_sane(rows[i].wall), rows[i].sane);
}

static void dates(void **unused)
{
	static const struct {
		int64_t wall;
		const char *date;
	} rows[] = {
		{ 0, "1970-01-01" }, { 951782399, "2000-02-28" }, { 951782400, "2000-02-29" }, { 1793491200, "2026-11-01" },
		{ -86401, "1969-12-30" },
	};
	char out[CLOCK_DATE_SIZE];

	(void)unused;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_string_equal(clock_date(rows[i].wall, out), rows[i].date);
}

/* Cut towards zero, as C's own division does, of anything that a clock may say. */
static void wholes(void **unused)
{
	static const int64_t values[] = {
		0, 1, 999, 1000, 1999, 86399, 86400, 172799, -1, -999, -1000, -86400, -86401, INT64_C(1793491200123), INT64_MAX, INT64_MIN
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		assert_int_equal(clock_seconds(values[i]), values[i] / 1000);
		assert_int_equal(clock_days(values[i]), values[i] / 86400);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(zone), cmocka_unit_test(clocks), cmocka_unit_test(sane), cmocka_unit_test(dates),
		cmocka_unit_test(wholes) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
