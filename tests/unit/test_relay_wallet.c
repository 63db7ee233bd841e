/* relay/wallet: whose pair it is, how long it counts, and what was refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "relay/wallet.h"

#define A slice_of("a@example.jp")
#define B slice_of("b@example.jp")

static void test_pairs(void **state)
{
	struct wallet *w = wallet_new();
	int row;

	(void)state;
	assert_non_null(w);
	assert_int_equal(wallet_find(w, A), -1);
	assert_false(wallet_knows(w, A, slice_of("a"), slice_of("secret"), 0));
	row = wallet_put(w, A, slice_of("a"), slice_of("secret"), 1000);
	assert_true(row >= 0);
	assert_int_equal(wallet_find(w, slice_of("A@Example.JP")), row);
	assert_true(wallet_knows(w, A, slice_of("a"), slice_of("secret"), 1000));
	assert_true(wallet_knows(w, A, slice_of("a"), slice_of("secret"), 999 + WALLET_TRUSTED_MS));
	assert_false(wallet_knows(w, A, slice_of("a"), slice_of("secret"), 1000 + WALLET_TRUSTED_MS));
	/* Neither another's, nor a part, nor one that joins up to the same octets. */
	assert_false(wallet_knows(w, B, slice_of("a"), slice_of("secret"), 1000));
	assert_false(wallet_knows(w, A, slice_of("a"), slice_of("secre"), 1000));
	assert_false(wallet_knows(w, A, slice_of("a"), slice_of("Secret"), 1000));
	assert_false(wallet_knows(w, A, slice_of("as"), slice_of("ecret"), 1000));
	assert_int_equal(wallet_put(w, A, slice_of("a@x"), slice_of("new"), 2000), row);
	assert_false(wallet_knows(w, A, slice_of("a"), slice_of("secret"), 2000));
	assert_true(slice_equal(wallet_user(w, row), slice_of("a@x")));
	assert_true(slice_equal(wallet_password(w, row), slice_of("new")));
	wallet_forget(w, row);
	assert_int_equal(wallet_find(w, A), -1);
	assert_int_equal(wallet_password(w, row).len, 0);
	wallet_free(w);
	wallet_free(NULL);
}

static void test_refusals(void **state)
{
	struct wallet *w = wallet_new();
	char text[16];

	(void)state;
	assert_non_null(w);
	assert_false(wallet_has_refused(w, A, slice_of("a"), slice_of("wrong"), 5));
	wallet_refuse(w, A, slice_of("a"), slice_of("wrong"), 5);
	assert_true(wallet_has_refused(w, A, slice_of("a"), slice_of("wrong"), 5));
	assert_false(wallet_has_refused(w, A, slice_of("a"), slice_of("other"), 5));
	assert_false(wallet_has_refused(w, B, slice_of("a"), slice_of("wrong"), 5));
	assert_false(wallet_has_refused(w, A, slice_of("a"), slice_of("wrong"), 5 + WALLET_REFUSED_MS));
	for (unsigned i = 0; i < WALLET_REFUSALS; i++) {
		snprintf(text, sizeof(text), "%u", i);
		wallet_refuse(w, B, slice_of("b"), slice_of(text), 6);
	}
	assert_false(wallet_has_refused(w, A, slice_of("a"), slice_of("wrong"), 6));
	assert_true(wallet_has_refused(w, B, slice_of("b"), slice_of(text), 6));
	wallet_free(w);
}

static void test_a_full_one_gives_up_the_oldest(void **state)
{
	struct wallet *w = wallet_new();
	char account[32];

	(void)state;
	assert_non_null(w);
	for (int i = 0; i < WALLET_ROWS; i++) {
		snprintf(account, sizeof(account), "u%d@example.jp", i);
		assert_int_equal(wallet_put(w, slice_of(account), A, B, i == 7 ? 1 : 1000 + i), i);
	}
	assert_int_equal(wallet_put(w, A, A, B, 9000), 7);
	assert_true(slice_equal(wallet_account(w, 7), A));
	assert_int_equal(wallet_find(w, slice_of("u7@example.jp")), -1);
	wallet_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pairs),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_a_full_one_gives_up_the_oldest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
