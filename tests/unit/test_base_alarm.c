#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/alarm.h"

#define DAY INT64_C(86400000)

static int fresh(void **state)
{
	(void)state;
	alarm_reset();
	return 0;
}

static enum severity up(const char *cause, int64_t now)
{
	return alarm_raise(ALARM_UPSTREAM_LOGIN, slice_of(cause), SLICE_OF("535 no"), now);
}

static void down(const char *cause, int64_t now)
{
	alarm_end(ALARM_UPSTREAM_LOGIN, slice_of(cause), now);
}

static void test_once_a_day(void **state)
{
	static const struct { const char *cause; int64_t now; enum severity severity; unsigned open; } rows[] = {
		{ "a", 5, SEVERITY_ERR, 1 }, { "a", 6, SEVERITY_WARNING, 1 }, { "b", 6, SEVERITY_ERR, 2 },
		{ "a", DAY + 4, SEVERITY_WARNING, 2 }, { "a", DAY + 5, SEVERITY_ERR, 2 }, { "a", DAY + 6, SEVERITY_WARNING, 2 },
		{ "b", DAY + 6, SEVERITY_ERR, 2 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(up(rows[i].cause, rows[i].now), rows[i].severity);
		assert_int_equal(alarm_count(), rows[i].open);
	}
}

/* It comes and goes: still no news within its day. */
static void test_flapping(void **state)
{
	(void)state;
	assert_int_equal(up("a", 0), SEVERITY_ERR);
	down("a", 10);
	assert_int_equal(alarm_count(), 0);
	assert_null(alarm_next(NULL));
	down("a", 10);
	down("b", 10);
	assert_int_equal(up("a", 20), SEVERITY_WARNING);
	assert_false(alarm_next(NULL)->unsent);
	assert_int_equal(alarm_next(NULL)->since, 20);
	assert_int_equal(alarm_next(NULL)->count, 1);
	down("a", 30);
	assert_int_equal(up("a", DAY + 1), SEVERITY_ERR);
	assert_true(alarm_next(NULL)->unsent);
}

static void test_by_itself(void **state)
{
	(void)state;
	alarm_raise_for(ALARM_LOCKOUT, SLICE_OF(""), SLICE_OF("x"), 100, 50);
	alarm_raise_for(ALARM_LOCKOUT, SLICE_OF(""), SLICE_OF("y"), 120, 50);
	assert_int_equal(alarm_count(), 1);
	assert_int_equal(alarm_expire(150), 170);
	assert_true(alarm_is_open(ALARM_LOCKOUT));
	assert_int_equal(alarm_expire(170), INT64_MAX);
	assert_false(alarm_is_open(ALARM_LOCKOUT));
}

static void test_ends(void **state)
{
	(void)state;
	up("a", 1);
	up("b", 2);
	alarm_raise(ALARM_LOOP, SLICE_OF("a"), SLICE_OF(""), 2);
	alarm_end_older(ALARM_UPSTREAM_LOGIN, 2);
	assert_int_equal(alarm_count(), 2);
	alarm_end_all(ALARM_UPSTREAM_LOGIN, 3);
	assert_int_equal(alarm_count(), 1);
	assert_int_equal(alarm_next(NULL)->kind, ALARM_LOOP);
}

/* More causes than rows: those that are over go first, then the oldest; the count stays right. */
static void test_full(void **state)
{
	char cause[32];

	(void)state;
	up("over", 1000000);
	down("over", 1000001);
	for (unsigned i = 0; i < ALARMS_MAX + 10; i++) {
		snprintf(cause, sizeof(cause), "c%u", i);
		assert_int_equal(up(cause, 10 + i), SEVERITY_ERR);
		assert_true(alarm_count() <= ALARMS_MAX);
	}
	assert_int_equal(alarm_count(), ALARMS_MAX);
	assert_int_equal(up("c73", 100), SEVERITY_WARNING);
	assert_int_equal(up("c0", 100), SEVERITY_ERR);
}

static void test_text(void **state)
{
	char cause[ALARM_CAUSE_MAX + 1], huge[1000];

	(void)state;
	memset(huge, 'x', sizeof(huge));
	assert_int_equal(alarm_cause(cause, "%.999s", huge).len, ALARM_CAUSE_MAX);
	alarm_raise(ALARM_QUEUE, slice_bytes(huge, sizeof(huge)), SLICE_OF("a\r\nb\x1b[1m"), 1);
	assert_int_equal(strlen(alarm_next(NULL)->cause), ALARM_CAUSE_MAX);
	assert_null(strpbrk(alarm_next(NULL)->words, "\r\n\x1b"));
	alarm_end(ALARM_QUEUE, slice_bytes(huge, sizeof(huge)), 1);
	assert_int_equal(alarm_count(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_once_a_day, fresh), cmocka_unit_test_setup(test_flapping, fresh),
		cmocka_unit_test_setup(test_by_itself, fresh), cmocka_unit_test_setup(test_ends, fresh),
		cmocka_unit_test_setup(test_full, fresh), cmocka_unit_test_setup(test_text, fresh),
	};

	return cmocka_run_group_tests_name("base_alarm", tests, NULL, NULL);
}
