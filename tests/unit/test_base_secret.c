#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdbool.h>

#include "base/secret.h"

static void wipe(void **unused)
{
	char text[] = "user1234";

	(void)unused;
	secret_wipe(text, 4);
	assert_memory_equal(text, "\0\0\0\0" "1234", 9);
	secret_wipe(NULL, 0);
}

/* A difference of any one bit at any place is seen. */
static void equal(void **unused)
{
	unsigned char a[16] = { 1, 2, 3 }, b[16] = { 1, 2, 3 };

	(void)unused;
	assert_true(secret_equal(a, b, sizeof(a)));
	assert_true(secret_equal(a, "", 0));
	for (size_t i = 0; i < 8 * sizeof(b); i++) {
		b[i / 8] ^= (unsigned char)(1 << i % 8);
		assert_false(secret_equal(a, b, sizeof(a)));
		assert_true(secret_equal(a, b, i / 8));
		b[i / 8] = a[i / 8];
	}
}

static void random_octets(void **unused)
{
	unsigned char a[600] = { 0 }, b[600] = { 0 };

	(void)unused;
	assert_true(secret_random(a, 599));
	assert_true(secret_random(b, 599));
	assert_int_equal(a[599], 0);
	assert_memory_not_equal(a, b, 599);
	assert_memory_not_equal(a + 567, b + 567, 32);
	assert_true(secret_random(a, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wipe), cmocka_unit_test(equal), cmocka_unit_test(random_octets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
