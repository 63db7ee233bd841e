#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "mail/list.h"

static const struct {
	const char *body, *addresses;	/* each followed by a bar */
} rows[] = {
	{ "", "" },
	{ " \r\n\t", "" },
	{ " a@b.example", "a@b.example|" },
	{ "root", "root|" },
	{ "a@b.example,c@d.example", "a@b.example|c@d.example|" },
	{ " a@b.example ,\r\n c@d.example ", "a@b.example|c@d.example|" },
	{ "Taro <taro@b.example>", "taro@b.example|" },
	{ "\"Yamada, Taro\" <taro@b.example>, x@y.example", "taro@b.example|x@y.example|" },
	{ "\"a \\\" , <no@no.example>\" <taro@b.example>", "taro@b.example|" },
	{ "a@b.example (Taro, <no@no.example>), c@d.example", "a@b.example|c@d.example|" },
	{ "(one (two, ) three,) a@b.example", "a@b.example|" },
	{ "undisclosed-recipients:;", "" },
	{ "staff: a@b.example, C <c@d.example>; e@f.example", "a@b.example|c@d.example|e@f.example|" },
	{ "<>", "" },
	{ ",,a@b.example,,", "a@b.example|" },
	{ "\"a,b\"@c.example", "\"a,b\"@c.example|" },
	{ "<\"a>,b\"@c.example>", "\"a>,b\"@c.example|" },
	{ "a@[IPv6:2001:db8::1], b@c.example", "a@[IPv6:2001:db8::1]|b@c.example|" },
	{ "\033$B;3,<>\"(\033(B <taro@b.example>, x@y.example", "taro@b.example|x@y.example|" },
	{ "=?ISO-2022-JP?B?GyRC?= <taro@b.example>", "taro@b.example|" },
	/* Not closed: no more than what is there. */
	{ "<a@b.example", "a@b.example|" },
	{ "a@b.example, \"no end <c@d.example>", "a@b.example|\"no end <c@d.example>|" },
	{ "(no end a@b.example", "" },
	{ "\033$B", "\033$B|" },
	{ "a\\", "a\\|" },
	{ "\"\\", "\"\\|" },
};

static void reads(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct slice rest = slice_of(rows[i].body), address;
		char found[512] = "";
		size_t n = 0;

		while (list_next(&rest, &address))
			n += (size_t)snprintf(found + n, sizeof(found) - n, "%.*s|", SLICE_ARGS(address));
		if (strcmp(found, rows[i].addresses))
			print_error("row %zu: %s\n", i, rows[i].body);
		assert_string_equal(found, rows[i].addresses);
	}
}

/* Whatever stands there, it comes to an end, and what is found lies inside. */
static void stays_inside(void **state)
{
	static const char bytes[] = { 'a', '@', '<', '>', '"', '\\', '(', ')', ',', ':', ';', '[', ']', '\033', '$', ' ' };
	unsigned seed = 1;

	(void)state;
	for (unsigned run = 0; run < 20000; run++) {
		char text[24];
		struct slice rest, address;
		unsigned count = 0;

		for (size_t i = 0; i < sizeof(text); i++) {
			seed = seed * 1103515245u + 12345u;
			text[i] = bytes[(seed >> 16) % sizeof(bytes)];
		}
		rest = slice_bytes(text, run % (sizeof(text) + 1));
		while (list_next(&rest, &address)) {
			assert_true(address.at >= text && address.at + address.len <= text + sizeof(text));
			assert_true(++count <= sizeof(text));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(reads), cmocka_unit_test(stays_inside) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
