#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "manager/tally.h"

#define MINUTE INT64_C(60000)

static struct tally tally;
static uint64_t totals[TALLY_COUNTERS];

static int begin(void **state)
{
	(void)state;
	memset(&tally, 0, sizeof(tally));
	memset(totals, 0, sizeof(totals));
	return 0;
}

static void count(uint64_t n, int64_t now)
{
	totals[3] += n;
	tally_take(&tally, totals, now);
}

static void test_minutes(void **state)
{
	static const struct { int64_t look; uint64_t five, sixty; } rows[] = {
		{ 1000 * MINUTE + 59999, 7, 7 }, { 1001 * MINUTE, 7, 7 }, { 1005 * MINUTE + 59999, 7, 7 },
		{ 1006 * MINUTE, 0, 7 }, { 1060 * MINUTE + 59999, 0, 7 }, { 1061 * MINUTE, 0, 0 },
		{ 1062 * MINUTE, 0, 0 },
	};

	(void)state;
	count(3, 1000 * MINUTE);
	count(4, 1000 * MINUTE + 59000);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		count(0, rows[i].look);
		assert_int_equal(tally_sum(&tally, 3, 5), rows[i].five);
		assert_int_equal(tally_sum(&tally, 3, 60), rows[i].sixty);
		assert_int_equal(tally_sum(&tally, 2, 60), 0);
	}
}

/* However long nobody looked: what was a ring ago isn't what is now. */
static void test_long_silence(void **state)
{
	static const int64_t gaps[] = { 60, 61, 62, 121, 122, 123, 6100, 100000000 };

	for (size_t i = 0; i < sizeof(gaps) / sizeof(gaps[0]); i++) {
		begin(state);
		count(9, 5 * MINUTE);
		count(0, (5 + gaps[i]) * MINUTE);
		assert_int_equal(tally_sum(&tally, 3, 60), gaps[i] <= 60 ? 9 : 0);
		count(2, (5 + gaps[i]) * MINUTE);
		assert_int_equal(tally_sum(&tally, 3, 0), 2);
	}
}

static void test_each_minute(void **state)
{
	(void)state;
	for (int64_t m = 0; m < 200; m++) {
		count(1, m * MINUTE + 5);
		assert_int_equal(tally_sum(&tally, 3, 5), m < 5 ? m + 1 : 6);
		assert_int_equal(tally_sum(&tally, 3, 60), m < 60 ? m + 1 : 61);
		assert_int_equal(tally_sum(&tally, 3, 1000), m < 60 ? m + 1 : 61);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_minutes, begin), cmocka_unit_test_setup(test_long_silence, begin),
		cmocka_unit_test_setup(test_each_minute, begin),
	};

	return cmocka_run_group_tests_name("manager_tally", tests, NULL, NULL);
}
