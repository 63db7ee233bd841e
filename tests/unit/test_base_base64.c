#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/base64.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static const struct {
	struct slice plain, coded;
} pairs[] = {
	/* RFC 4648 section 10 */
	{ SLICE(""), SLICE("") }, { SLICE("f"), SLICE("Zg==") }, { SLICE("fo"), SLICE("Zm8=") },
	{ SLICE("foo"), SLICE("Zm9v") }, { SLICE("foob"), SLICE("Zm9vYg==") },
	{ SLICE("fooba"), SLICE("Zm9vYmE=") }, { SLICE("foobar"), SLICE("Zm9vYmFy") },
	{ SLICE("Username:"), SLICE("VXNlcm5hbWU6") },
	{ SLICE("Password:"), SLICE("UGFzc3dvcmQ6") },
	{ SLICE("\0user1\0user1234"), SLICE("AHVzZXIxAHVzZXIxMjM0") },
	{ SLICE("\xff\xff\xff\xfb\xf0\x3f"), SLICE("////+/A/") },
	{ SLICE("\0\0\0\0"), SLICE("AAAAAA==") },
};

static const struct slice bad[] = {
	SLICE("Z"), SLICE("Zg"), SLICE("Zg="), SLICE("Zm9vZ"), SLICE("Zg==="), SLICE("===="),
	SLICE("===A"), SLICE("Z==="), SLICE("Zg==Zg=="), SLICE("Zm8=Zm8="), SLICE("Z=g="),
	SLICE("=Zg="), SLICE("Zm9v\r\n\r\n"), SLICE("Zm 9v==="), SLICE(" Zm9"), SLICE("Zm9v "),
	SLICE("Zm9-"), SLICE("Zm9_"), SLICE("Zm9\0"), SLICE("Zm\x80v"), SLICE("*"), SLICE("Zm9."),
	SLICE("A"), SLICE("AA"), SLICE("AAA"), SLICE("Zm9vA"), SLICE("Zm9vAA"), SLICE("Zg==A"),
	/* unused bits that are not zero */
	SLICE("Zh=="), SLICE("Zn=="), SLICE("Zm9="), SLICE("Zm+="),
};

static void known_pairs(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < COUNT(pairs); i++) {
		struct slice plain = pairs[i].plain, coded = pairs[i].coded;
		char text[64], octets[64];
		struct buffer b;
		size_t len = 99;

		assert_int_equal(BASE64_LENGTH(plain.len), coded.len);
		buffer_init(&b, text, coded.len);
		assert_true(base64_encode(&b, plain));
		assert_true(slice_equal(buffer_bytes(&b), coded));
		assert_true(base64_decode(coded, octets, plain.len, &len));
		assert_true(slice_equal(slice_bytes(octets, len), plain));
	}
}

static void too_small(void **unused)
{
	(void)unused;
	for (size_t i = 1; i < COUNT(pairs); i++) {
		struct slice plain = pairs[i].plain, coded = pairs[i].coded;
		char text[64], octets[64] = "";
		struct buffer b;
		size_t len = 99;

		buffer_init(&b, text, coded.len - 1);
		assert_false(base64_encode(&b, plain));
		assert_true(b.overflow);
		assert_int_equal(buffer_length(&b), 0);
		assert_false(base64_decode(coded, octets, plain.len - 1, &len));
		assert_int_equal(len, 0);
	}
}

static void bad_input(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < COUNT(bad); i++) {
		char octets[64];
		size_t len = 99;

		if (base64_decode(bad[i], octets, sizeof(octets), &len))
			fail_msg("accepted: %.*s", SLICE_ARGS(bad[i]));
		assert_int_equal(len, 0);
	}
}

static void every_octet(void **unused)
{
	char plain[256], text[BASE64_LENGTH(256)], octets[256];

	(void)unused;
	for (size_t i = 0; i < sizeof(plain); i++)
		plain[i] = (char)(i * 167 + 13);
	for (size_t n = 0; n <= sizeof(plain); n++) {
		struct buffer b;
		size_t len;

		buffer_init(&b, text, sizeof(text));
		assert_true(base64_encode(&b, slice_bytes(plain, n)));
		assert_true(base64_decode(buffer_bytes(&b), octets, sizeof(octets), &len));
		assert_true(slice_equal(slice_bytes(octets, len), slice_bytes(plain, n)));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_pairs), cmocka_unit_test(too_small),
		cmocka_unit_test(bad_input), cmocka_unit_test(every_octet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
