#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "manager/letter.h"

static const struct {
	const char *text;
	bool dots;
	const char *recipients, *wire;
} rows[] = {
	{ "", true, "", "\r\n" },
	{ "\n", true, "", "\r\n" },
	{ "a: b\n\nc\n", true, "", "a: b\r\n\r\nc\r\n" },
	{ "a: b\r\n c\r\n\r\nd", true, "", "a: b\r\n c\r\n\r\nd\r\n" },
	{ "text\n", true, "", "\r\ntext\r\n" },
	{ " text: x\n", true, "", "\r\n text: x\r\n" },
	{ "a: b\ntext\n\nc\n", true, "", "a: b\r\n\r\ntext\r\n\r\nc\r\n" },
	{ "From x\na: b\n\nFrom y\n", true, "", "a: b\r\n\r\nFrom y\r\n" },
	{ "a: b\n\n.x\n..\n.\nlost\n", true, "", "a: b\r\n\r\n..x\r\n...\r\n" },
	{ "a: b\n\n.x\n.\nkept\n", false, "", "a: b\r\n\r\n..x\r\n..\r\nkept\r\n" },
	{ "a: b\n.\nlost\n", true, "", "a: b\r\n\r\n" },
	{ "a: b\n\nx\r.y\rz\r\n", true, "", "a: b\r\n\r\nx\r\n..y\r\nz\r\n" },
	{ "To: a@x\nBCC: b@x,\n\tc@x\nCc : d@x\nX: y\n\nBcc: e@x\n", true, "a@x b@x c@x d@x ",
	  "To: a@x\r\nCc : d@x\r\nX: y\r\n\r\nBcc: e@x\r\n" },
	{ "Resent-To: a@x\nto:b@x\nTo: c@x\n\n", true, "b@x c@x ", "Resent-To: a@x\r\nto:b@x\r\nTo: c@x\r\n\r\n" },
};

static bool note(void *context, struct slice address)
{
	strncat(context, address.at, address.len);
	strcat(context, " ");
	return true;
}

static void reads(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char found[256] = "", *wire = NULL, *text = strdup(rows[i].text);
		size_t len = 0;
		FILE *in = rows[i].text[0] ? fmemopen(text, strlen(text), "r") : fopen("/dev/null", "r"), *to = open_memstream(&wire, &len);
		struct letter l;

		assert_true(in && to);
		assert_true(letter_read(&l, in, rows[i].dots));
		assert_true(letter_recipients(&l, note, found));
		assert_true(letter_write(&l, to));
		fclose(to);
		fclose(in);
		letter_free(&l);
		assert_string_equal(found, rows[i].recipients);
		assert_string_equal(wire, rows[i].wire);
		free(wire);
		free(text);
	}
}

/* A header without end is refused, whatever its lines. */
static void is_bounded(void **state)
{
	size_t size = 3u << 20;
	char *text = malloc(size);
	struct letter l;
	FILE *in;

	(void)state;
	assert_non_null(text);
	memset(text, 'x', size);
	for (size_t at = 0; at + 8 <= size; at += 8)
		memcpy(text + at, "a: bcde\n", 8);
	in = fmemopen(text, size, "r");
	assert_non_null(in);
	assert_false(letter_read(&l, in, true));
	letter_free(&l);
	fclose(in);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(reads), cmocka_unit_test(is_bounded) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
