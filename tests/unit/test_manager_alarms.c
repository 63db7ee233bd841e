#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "manager/alarms.h"

#define DAY	INT64_C(86400)
#define NOW	(CLOCK_FLOOR + 100 * DAY)

static void test_days(void **state)
{
	static const struct { int64_t left, days; } rows[] = {
		{ 0, 0 }, { 1, 0 }, { DAY - 1, 0 }, { DAY, 1 }, { 14 * DAY - 1, 13 }, { 14 * DAY, 14 },
		{ -1, -1 }, { -DAY, -1 }, { -DAY - 1, -2 }, { INT64_C(4000000000), 46296 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(alarm_days(NOW, NOW + rows[i].left), rows[i].days);
}

static void test_due(void **state)
{
	static const struct { int64_t now, until; bool due; } rows[] = {
		{ NOW, INT64_MAX, false },
		{ NOW, NOW + 14 * DAY, false },
		{ NOW, NOW + 14 * DAY - 1, true },
		{ NOW, NOW + 1, true },
		{ NOW, NOW - 100 * DAY, true },
		/* A clock of 1970 says nothing about certificates. */
		{ 0, 1, false },
		{ CLOCK_FLOOR - 1, CLOCK_FLOOR, false },
		{ CLOCK_FLOOR, CLOCK_FLOOR, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (alarm_is_due(rows[i].now, rows[i].until) != rows[i].due)
			fail_msg("row %zu", i);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_days), cmocka_unit_test(test_due) };

	return cmocka_run_group_tests_name("manager_alarms", tests, NULL, NULL);
}
