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
			octets[k] = (unsigned char)v;
			assert_int_equal(crc32c(0, slice_bytes((const char *)octets, 8)),
					 slowly(octets, 8));
		}
		octets[k] = 0;
	}
}

static void any_start_length_and_cut(void **unused)
{
	unsigned char octets[64];
	const char *text = (const char *)octets;

	(void)unused;
	for (size_t i = 0; i < sizeof(octets); i++)
		octets[i] = (unsigned char)(i * 151 + 77);
	for (size_t start = 0; start < 9; start++) {
		for (size_t len = 0; start + len <= sizeof(octets); len++) {
			uint32_t whole = slowly(octets + start, len);
			size_t cut = len / 3;
			uint32_t first = crc32c(0, slice_bytes(text + start, cut));

			assert_int_equal(crc32c(0, slice_bytes(text + start, len)), whole);
			assert_int_equal(crc32c(first, slice_bytes(text + start + cut, len - cut)),
					 whole);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known), cmocka_unit_test(every_entry),
		cmocka_unit_test(any_start_length_and_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
