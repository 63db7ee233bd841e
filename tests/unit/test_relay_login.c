/* relay/login: pauses after refusals, so that a provider locks nobody out (R42). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "relay/login.h"

#define MINUTE INT64_C(60000)

static void pauses_grow(void **unused)
{
	static const int64_t minutes[] = { 1, 5, 15, 30, 60, 60, 60 };
	struct login_state s = { .refusals = 0 };
	int64_t now = 1000;

	(void)unused;
	for (size_t i = 0; i < sizeof(minutes) / sizeof(minutes[0]); i++) {
		assert_false(login_is_down(&s, now));
		assert_true(login_refused(&s, now));
		assert_int_equal(s.down_until, now + minutes[i] * MINUTE);
		assert_true(login_is_down(&s, now));
		/* Another connection that was tried at the same time. */
		assert_false(login_refused(&s, now + 1));
		assert_int_equal(s.refusals, i + 1);
		now = s.down_until;
	}
}

static void a_good_one_forgives(void **unused)
{
	struct login_state s = { .refusals = 3, .down_until = 5 };

	(void)unused;
	login_accepted(&s);
	assert_true(s.proved);
	assert_int_equal(s.refusals, 0);
	assert_false(login_is_down(&s, 0));
	login_refused(&s, 10);
	assert_false(s.proved);
}

static void codes(void **unused)
{
	(void)unused;
	for (unsigned code = 0; code < 600; code++)
		assert_int_equal(login_is_code(code), code == 530 || code == 534 || code == 535 || code == 538);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pauses_grow),
		cmocka_unit_test(a_good_one_forgives),
		cmocka_unit_test(codes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
