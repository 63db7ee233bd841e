#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "manager/when.h"

#define NOW INT64_C(1795309200)		/* 2026-11-22 10:00:00 in Japan, a Sunday */

static void times(void **unused)
{
	static const struct {
		struct slice text;
		int64_t since, until;	/* less NOW */
	} rows[] = {
		{ SLICE("now"), 0, 0 }, { SLICE("2h"), -7200, -7200 }, { SLICE("45s"), -45, -45 }, { SLICE("7d"), -604800, -604800 },
		{ SLICE("today"), -36000, 50399 }, { SLICE("yesterday"), -122400, -36001 },
		{ SLICE("2026-11-22"), -36000, 50399 }, { SLICE("2026-11-22 10:00"), 0, 0 },
		{ SLICE("2026-11-22T10:00:30"), 30, 30 }, { SLICE("10:00"), 0, 0 }, { SLICE("09:59:59"), -1, -1 },
		{ SLICE("10:01"), 60 - 86400, 60 - 86400 },
	};

	(void)unused;
	setenv("TZ", "JST-9", 1);
	tzset();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t since = 0, until = 0;

		assert_true(when_parse(rows[i].text, NOW, false, &since));
		assert_true(when_parse(rows[i].text, NOW, true, &until));
		assert_int_equal(since - NOW, rows[i].since);
		assert_int_equal(until - NOW, rows[i].until);
	}
}

static void no_times(void **unused)
{
	static const struct slice rows[] = {
		SLICE(""), SLICE("h"), SLICE("2"), SLICE("2w"), SLICE("-2h"), SLICE("24:00"), SLICE("10:60"), SLICE("10:0"),
		SLICE("10:00:"), SLICE("10:00:60"), SLICE("2026-02-30"), SLICE("2026-13-01"), SLICE("2026-00-01"), SLICE("2026-11-00"),
		SLICE("2026-11-22 "), SLICE("2026-11-22 10"), SLICE("2026-11-22x10:00"), SLICE("1969-01-01"), SLICE("26-11-22"),
		SLICE("tomorrow"), SLICE("2026-11-22 10:00 "), SLICE("99999999999d"),
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t at;

		assert_false(when_parse(rows[i], NOW, false, &at));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(times), cmocka_unit_test(no_times) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
