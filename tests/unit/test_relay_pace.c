/* relay/pace: no minute sees more than `rate`, whatever the demand; a made-up clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "relay/pace.h"

#define MINUTE	60000
#define SENT_MAX	20000

static int64_t sent[SENT_MAX];
static unsigned count;

/* The most that any 60 seconds hold. */
static unsigned busiest(void)
{
	unsigned most = 0, first = 0;

	for (unsigned i = 0; i < count; i++) {
		while (sent[i] - sent[first] >= MINUTE)
			first++;
		if (i - first + 1 > most)
			most = i - first + 1;
	}
	return most;
}

static void drain(struct pace *p, unsigned rate, int64_t now)
{
	while (pace_tokens(p, rate, now) && count < SENT_MAX) {
		pace_take(p, rate, now);
		sent[count++] = now;
	}
}

static void test_never_more_than_the_rate(void **state)
{
	static const unsigned rates[] = { 1, 2, 3, 7, 19, 20, 30, 31, 60, 100, 199, 600, 1000 };

	(void)state;
	for (unsigned i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		unsigned rate = rates[i], idle;
		struct pace p;

		srand(rate);
		pace_start(&p, rate, 12345);
		count = 0;
		/* Hunger, broken by rests that let the bucket fill. */
		for (int64_t now = 12345; now < 12345 + 10 * MINUTE; now++) {
			drain(&p, rate, now);
			idle = (unsigned)rand() % 5000;
			if (idle == 0)
				now += rand() % (2 * MINUTE);
		}
		assert_true(busiest() <= rate);
	}
}

static void test_most_of_the_rate_is_used(void **state)
{
	static const struct { unsigned rate, least; } rows[] = { { 1, 10 }, { 2, 20 }, { 30, 280 }, { 60, 560 }, { 600, 5800 } };

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pace p;

		pace_start(&p, rows[i].rate, 0);
		count = 0;
		for (int64_t now = 0; now < 10 * MINUTE; now = pace_at(&p, rows[i].rate, 1))
			drain(&p, rows[i].rate, now);
		assert_in_range(count, rows[i].least, 10 * rows[i].rate);
		assert_true(busiest() <= rows[i].rate);
	}
}

/* Whoever sleeps until pace_at has a token then, and had none a ms before: no spinning, no oversleeping. */
static void test_the_next_token_is_when_it_says(void **state)
{
	(void)state;
	for (unsigned rate = 1; rate < 700; rate += 13) {
		struct pace p;
		int64_t now = 777;

		pace_start(&p, rate, now);
		for (unsigned n = 0; n < 50; n++) {
			count = 0;
			drain(&p, rate, now);
			assert_int_equal(pace_tokens(&p, rate, now), 0);
			now = pace_at(&p, rate, 1);
			assert_int_equal(pace_tokens(&p, rate, now - 1), 0);
			assert_int_equal(pace_tokens(&p, rate, now), 1);
		}
	}
}

static void test_a_restart_begins_with_one(void **state)
{
	struct pace p;

	(void)state;
	pace_start(&p, 100, 5000);
	assert_int_equal(pace_tokens(&p, 100, 5000), 1);
	assert_int_equal(pace_tokens(&p, 100, 5000 + MINUTE), pace_burst(100));
	assert_true(pace_burst(100) > 1);
	assert_int_equal(pace_burst(1), 1);
}

static void test_another_rate_goes_on_from_there(void **state)
{
	struct pace p;

	(void)state;
	pace_start(&p, 600, 0);
	count = 0;
	for (int64_t now = 0; now < MINUTE; now++)
		drain(&p, 600, now);
	assert_int_equal(pace_tokens(&p, 2, MINUTE), 0);
	assert_true(pace_at(&p, 2, 1) <= 2 * MINUTE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_never_more_than_the_rate), cmocka_unit_test(test_most_of_the_rate_is_used),
		cmocka_unit_test(test_the_next_token_is_when_it_says), cmocka_unit_test(test_a_restart_begins_with_one),
		cmocka_unit_test(test_another_rate_goes_on_from_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
