#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "mail/word.h"

static void decodes_words(void **state)
{
	static const struct { const char *in, *out; } table[] = {
		{ "", "" },
		{ "plain text", "plain text" },
		{ "=?UTF-8?B?5bGx?=", "\xe5\xb1\xb1" },
		{ "=?utf-8?b?5bGx?= x", "\xe5\xb1\xb1 x" },
		{ "=?UTF-8?Q?a=40b_c?=", "a@b c" },
		{ "=?UTF-8*ja?q?=e5=B1?=", "\xe5\xb1" },
		{ "x =?UTF-8?Q?a?= \t =?UTF-8?B?Yg==?= y", "x ab y" },
		{ "=?UTF-8?Q?a?= x =?UTF-8?Q?b?=", "a x b" },
		{ "\"=?UTF-8?Q?a?=\"", "\"a\"" },
		{ "=?UTF-8?Q?" "?=", "" },
		/* damaged, as far as it goes */
		{ "=?UTF-8?Q?a?b?= c", "a?b c" },
		{ "=?UTF-8?Q?a b?=", "a b" },
		{ "=?UTF-8?Q?a =?UTF-8?B?YWI=?=", "=?UTF-8?Q?a ab" },
		{ "=?UTF-8?Q?a=?UTF-8?B?YWI=?=", "=?UTF-8?Q?aab" },
		{ "=?UTF-8?B?YWI?B?Yw==?=", "ab\001c" },
		{ "=?UTF-8?B?5b''Gx?=", "\xe5\xb1\xb1" },
		{ "=?UTF-8?B?YWI?=", "ab" },
		{ "=?UTF-8?B?Y=WI?=", "ab" },
		/* malformed: as they are */
		{ "=?", "=?" },
		{ "=?UTF-8?", "=?UTF-8?" },
		{ "=?UTF-8?Q?a?", "=?UTF-8?Q?a?" },
		{ "=?UTF-8?Q?a", "=?UTF-8?Q?a" },
		{ "=?UTF-8?X?a?=", "=?UTF-8?X?a?=" },
		{ "=?UTF-8?" "?a?=", "=?UTF-8??a?=" },
		{ "=?UTF-8?B?a?=", "=?UTF-8?B?a?=" },
		{ "=?UTF 8?Q?a?=", "=?UTF 8?Q?a?=" },
		{ "=?UTF-8?Q?a=4=zz=?=", "a=4=zz=" },
	};
	char out[80];

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		size_t n = word_decode(slice_of(table[i].in), out, sizeof(out));

		if (!slice_equal(slice_bytes(out, n), slice_of(table[i].out)))
			fail_msg("%s: %.*s", table[i].in, (int)n, out);
	}
}

static void cuts_at_the_size(void **state)
{
	char out[4] = "....";

	(void)state;
	assert_int_equal(word_decode(SLICE_OF("abcdef"), out, 3), 3);
	assert_int_equal(word_decode(SLICE_OF("=?x?q?abcdef?="), out, 3), 3);
	assert_memory_equal(out, "abc.", 4);
	assert_int_equal(word_decode(SLICE_OF("a"), out, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decodes_words),
		cmocka_unit_test(cuts_at_the_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
