#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "mail/body.h"

static char memory[4096];

static struct slice canonical(bool stuffed, struct slice raw, size_t cut, size_t room)
{
	struct slice parts[2] = { slice_first(raw, cut), slice_skip(raw, cut) };
	struct body b;
	size_t n = 0;

	body_init(&b, stuffed);
	for (size_t i = 0; i < 2; i++) {
		while (parts[i].len > 0) {
			size_t got = body_next(&b, &parts[i], memory + n, room);

			assert_true(got <= room);
			n += got;
		}
	}
	n += body_end(&b, memory + n);
	return slice_bytes(memory, n);
}

static void assert_canonical(bool stuffed, struct slice raw, const char *expected)
{
	for (size_t cut = 0; cut <= raw.len; cut++) {
		struct slice got = canonical(stuffed, raw, cut, cut % 3 ? 1000 : BODY_ROOM_MIN);

		if (!slice_equal(got, slice_of(expected)))
			fail_msg("cut at %zu: [%.*s] became [%.*s], expected [%s]", cut, SLICE_ARGS(raw), SLICE_ARGS(got),
				 expected);
	}
}

static void is_relaxed(void **state)
{
	static const struct { const char *raw, *expected; } table[] = {
		{ " C \r\nD \t E\r\n\r\n\r\n", " C\r\nD E\r\n" },	/* RFC 6376 3.4.5 */
		{ "", "" },
		{ "\r\n", "" },
		{ "\r\n \r\n\t\r\n", "" },
		{ "x", "x\r\n" },
		{ "x\r\n", "x\r\n" },
		{ "x\n", "x\r\n" },
		{ "\r\n\r\nx\r\n\r\n", "\r\n\r\nx\r\n" },
		{ "a\n\n\nb\n", "a\r\n\r\n\r\nb\r\n" },
		{ "a \t\r\n \tb  c", "a\r\n b c\r\n" },
		{ "a\rb\r\n", "a\rb\r\n" },
		{ "a\r\r\n", "a\r\r\n" },
		{ "a\r\n\r", "a\r\n\r\n" },
		{ "a \r b\r\n", "a \r b\r\n" },
		{ "..a\r\n. b\r\n", "..a\r\n. b\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		assert_canonical(false, slice_of(table[i].raw), table[i].expected);
	assert_true(slice_equal(canonical(false, SLICE_OF("a\0b \r\n"), 1, 100), SLICE_OF("a\0b\r\n")));
}

static void takes_off_the_dots_of_the_wire(void **state)
{
	static const struct { const char *raw, *expected; } table[] = {
		{ "..a\r\n", ".a\r\n" },
		{ "a.\r\n...\r\n", "a.\r\n..\r\n" },
		{ ". b\r\n", " b\r\n" },
		{ " .b\r\n", " .b\r\n" },
		{ "..\r\n", ".\r\n" },
		{ "x\r\n..\r\n\r\n", "x\r\n.\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		assert_canonical(true, slice_of(table[i].raw), table[i].expected);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_relaxed), cmocka_unit_test(takes_off_the_dots_of_the_wire),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
