#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "trust/keyring.h"

#define S1	"0123456789abcdef0123456789abcdef"
#define S2	"ABCDEF0123456789ABCDEF0123456789"

static void reads_keys(void **state)
{
	struct fault f = { .text = "" };
	struct keyring ring;

	(void)state;
	assert_true(keyring_parse(SLICE_OF("# new\nk2:" S2 "\n\nk1:" S1), "keys", &ring, &f));
	assert_int_equal(ring.count, 2);
	assert_true(slice_equal(keyring_id(&ring), SLICE_OF("k2")));
}

static void faults_name_the_line_and_no_secret(void **state)
{
	static const struct { const char *text, *fault; } table[] = {
		{ "", "keys:1: there is no key: sekimori verify --new-key" },
		{ "# only\n", "keys:1: there is no key: sekimori verify --new-key" },
		{ S1 "\n", "keys:1: must be ID:SECRET, an ID of up to 32 letters, digits, - _ ." },
		{ "\n :" S1, "keys:2: must be ID:SECRET, an ID of up to 32 letters, digits, - _ ." },
		{ "a:" S1 "\r\n", "keys:1: the secret of a must have 22 to 255 printable characters, no blank" },
		{ "a:short\n", "keys:1: the secret of a must have 22 to 255 printable characters, no blank" },
		{ "a:" S1 "\na:" S2 "\n", "keys:2: there are two keys a" },
	};
	struct keyring ring;

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct fault f = { .text = "" };

		assert_false(keyring_parse(slice_of(table[i].text), "keys", &ring, &f));
		assert_string_equal(f.text, table[i].fault);
	}
}

static void seals_with_the_first_and_checks_with_all(void **state)
{
	struct fault f = { .text = "" };
	struct keyring old, new;
	char memory[64];
	struct buffer seal;

	(void)state;
	assert_true(keyring_parse(SLICE_OF("k1:" S1 "\n"), "keys", &old, &f));
	assert_true(keyring_parse(SLICE_OF("k2:" S2 "\nk1:" S1 "\n"), "keys", &new, &f));
	buffer_init(&seal, memory, sizeof(memory));
	assert_true(keyring_seal(&old, SLICE_OF("text"), &seal));
	/* printf text | openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef -binary | base64 */
	assert_true(slice_equal(buffer_bytes(&seal), SLICE_OF("hJGefgj7WhJtX3JjwRI5LXm8ZZv4jA5WN2c470NuoWU=")));
	assert_int_equal(keyring_check(&new, SLICE_OF("k1"), SLICE_OF("text"), buffer_bytes(&seal)), KEYRING_GOOD);
	assert_int_equal(keyring_check(&new, SLICE_OF("k2"), SLICE_OF("text"), buffer_bytes(&seal)), KEYRING_FORGED);
	assert_int_equal(keyring_check(&new, SLICE_OF("k1"), SLICE_OF("texT"), buffer_bytes(&seal)), KEYRING_FORGED);
	assert_int_equal(keyring_check(&new, SLICE_OF("k1"), SLICE_OF("text"), SLICE_OF("")), KEYRING_FORGED);
	assert_int_equal(keyring_check(&new, SLICE_OF("k3"), SLICE_OF("text"), buffer_bytes(&seal)), KEYRING_UNKNOWN);
	assert_int_equal(keyring_check(&new, SLICE_OF(""), SLICE_OF("text"), buffer_bytes(&seal)), KEYRING_UNKNOWN);
}

static void makes_keys_that_it_reads(void **state)
{
	char memory[2][128];
	struct buffer b[2];
	struct keyring ring;

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct fault f = { .text = "" };

		buffer_init(&b[i], memory[i], sizeof(memory[i]));
		assert_true(keyring_line(&b[i], "k20261122"));
		assert_true(keyring_parse(buffer_bytes(&b[i]), "keys", &ring, &f));
		assert_true(slice_equal(keyring_id(&ring), SLICE_OF("k20261122")));
	}
	assert_false(slice_equal(buffer_bytes(&b[0]), buffer_bytes(&b[1])));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_keys), cmocka_unit_test(faults_name_the_line_and_no_secret),
		cmocka_unit_test(seals_with_the_first_and_checks_with_all), cmocka_unit_test(makes_keys_that_it_reads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
