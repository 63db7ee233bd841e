#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/crc32.h"

/* Bit by bit, as the definition says. */
static uint32_t slowly(const unsigned char *at, size_t len)
{
	uint32_t crc = 0xffffffff;

	for (size_t i = 0; i < len; i++) {
		crc ^= at[i];
		for (int k = 0; k < 8; k++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return ~crc;
}

static void known(void **unused)
{
	char octets[32];

	(void)unused;
	assert_int_equal(crc32c(0, slice_of(NULL)), 0);
	assert_int_equal(crc32c(0, slice_of("123456789")), 0xe3069283);
	/* RFC 3720 B.4 */
	memset(octets, 0, sizeof(octets));
	assert_int_equal(crc32c(0, slice_bytes(octets, 32)), 0x8a9136aa);
	memset(octets, 0xff, sizeof(octets));
	assert_int_equal(crc32c(0, slice_bytes(octets, 32)), 0x62a8ab43);
	for (size_t i = 0; i < sizeof(octets); i++)
		octets[i] = (char)i;
	assert_int_equal(crc32c(0, slice_bytes(octets, 32)), 0x46dd794e);
}

/* Every octet value at every place of a step: proves each entry of the table. */
static void every_entry(void **unused)
{
	unsigned char octets[8] = { 0 };

	(void)unused;
	for (size_t k = 0; k < sizeof(octets); k++) {
		for (unsigned v = 0; v < 256; v++) {
			struct slice data = slice_bytes((const char *)octets, 8);

			octets[k] = (unsigned char)v;
			assert_int_equal(crc32c_tables(0, data), slowly(octets, 8));
			assert_int_equal(crc32c(0, data), slowly(octets, 8));
		}
		octets[k] = 0;
	}
}

/* With the processor's instruction and without it. */
static void any_start_length_and_cut(void **unused)
{
	static uint32_t (*const ways[])(uint32_t crc, struct slice data) = { crc32c, crc32c_tables };
	unsigned char octets[80];
	const char *text = (const char *)octets;

	(void)unused;
	for (size_t i = 0; i < sizeof(octets); i++)
		octets[i] = (unsigned char)(i * 151 + 77);
	for (size_t start = 0; start < 9; start++) {
		for (size_t len = 0; start + len <= sizeof(octets); len++) {
			uint32_t whole = slowly(octets + start, len);

			for (size_t cut = 0; cut <= len; cut++)
				for (size_t i = 0; i < 4; i++) {
					uint32_t first = ways[i / 2](0, slice_bytes(text + start, cut));

					assert_int_equal(ways[i % 2](first, slice_bytes(text + start + cut, len - cut)),
							 whole);
				}
		}
	}
}

/* A message's size: the long way is not only the short one again. */
static void both_agree(void **unused)
{
	static unsigned char octets[70000];
	uint32_t x = 1;

	(void)unused;
	for (size_t i = 0; i < sizeof(octets); i++) {
		x = x * 1664525u + 1013904223u;
		octets[i] = (unsigned char)(x >> 24);
	}
	for (size_t len = 0; len <= sizeof(octets); len = len * 3 / 2 + 1) {
		struct slice data = slice_bytes((const char *)octets + len % 5, len < sizeof(octets) - 5 ? len : len - 5);

		assert_int_equal(crc32c(7, data), crc32c_tables(7, data));
		assert_int_equal(crc32c_tables(0, data), slowly((const unsigned char *)data.at, data.len));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known), cmocka_unit_test(every_entry),
		cmocka_unit_test(any_start_length_and_cut), cmocka_unit_test(both_agree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
