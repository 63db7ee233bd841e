#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>
#include <unistd.h>

#include "base/buffer.h"
#include "manager/ini.h"

#define TEN "0123456789"
#define FIFTY TEN TEN TEN TEN TEN
#define HUNDRED FIFTY FIFTY

struct heard {
	char memory[4096];
	struct buffer text;	/* "LINE[section]" and "LINE key=<value>", LF between */
	unsigned refuse_at;	/* line of the setting that is refused */
};

static bool hear(void *context, const char *section, const char *key, struct slice value, unsigned line,
		 struct fault *f)
{
	struct heard *h = context;

	if (line == h->refuse_at)
		return fault_at(f, "f.ini", line, "refused by the listener");
	if (key)
		buffer_putf(&h->text, "%u %s.%s=<%.*s>\n", line, section, key, SLICE_ARGS(value));
	else
		buffer_putf(&h->text, "%u [%s]\n", line, section);
	return true;
}

static bool listen_to(struct heard *h, struct slice text, struct fault *f)
{
	*f = (struct fault){ .text = "" };
	buffer_init(&h->text, h->memory, sizeof(h->memory) - 1);
	bool good = ini_read_text(text, "f.ini", hear, h, f);

	h->memory[buffer_length(&h->text)] = '\0';
	return good;
}

static void test_good(void **state)
{
	static const struct { struct slice text; const char *heard; } rows[] = {
		{ SLICE(""), "" },
		{ SLICE("\n\n; comment\n# another\n\t; indented\n"), "" },
		{ SLICE("[a]\nk = v\n"), "1 [a]\n2 a.k=<v>\n" },
		{ SLICE("[a]\nk=v"), "1 [a]\n2 a.k=<v>\n" },
		{ SLICE("[a b]   ; c\n\nk = v w  ; c\nl =\nm =  ; c\n[c]\nk = x;y\n"),
		  "1 [a b]\n3 a b.k=<v w>\n4 a b.l=<>\n5 a b.m=<>\n6 [c]\n7 c.k=<x;y>\n" },
		{ SLICE("[a]\n[b]\n"), "1 [a]\n2 [b]\n" },
		{ SLICE("[a]\nk = v=w:x # y\n"), "1 [a]\n2 a.k=<v=w:x # y>\n" },
		{ SLICE("[a]\nk =\tv\t;c\n"), "1 [a]\n2 a.k=<v>\n" },
		{ SLICE("[a]\nk = [v]\n"), "1 [a]\n2 a.k=<[v]>\n" },
		/* Comments may be long, and Japanese with full-width blanks. */
		{ SLICE("; " HUNDRED HUNDRED HUNDRED "\n# \xe3\x80\x80\n[a]\nk = v ; \xe3\x80\x80\n"), "3 [a]\n4 a.k=<v>\n" },
		{ SLICE("[a]\nkeykeykeyk = " HUNDRED FIFTY TEN TEN TEN "01234\n"),
		  "1 [a]\n2 a.keykeykeyk=<" HUNDRED FIFTY TEN TEN TEN "01234>\n" },
		{ SLICE("[" TEN TEN TEN TEN "012345678]\nk = v\n"),
		  "1 [" TEN TEN TEN TEN "012345678]\n2 " TEN TEN TEN TEN "012345678.k=<v>\n" },
		{ SLICE("[a]\npassword = x;y\n"), "1 [a]\n2 a.password=<x;y>\n" },
	};
	static struct heard h;
	struct fault f;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_true(listen_to(&h, rows[i].text, &f));
		assert_string_equal(f.text, "");
		assert_string_equal(h.memory, rows[i].heard);
	}
}

static void test_bad(void **state)
{
	static const struct { struct slice text; const char *fault; } rows[] = {
		{ SLICE("\xef\xbb\xbf[a]\n"), "f.ini:1: the file begins with a byte order mark: save it as UTF-8 without BOM" },
		{ SLICE("[a]\r\nk = v\r\n"), "f.ini:1: carriage return: save the file with Unix line ends (LF)" },
		{ SLICE("; c\r\n"), "f.ini:1: carriage return: save the file with Unix line ends (LF)" },
		{ SLICE("[a]\nk = v\0w\n"), "f.ini:2: control character 0x00" },
		{ SLICE("[a]\nk = \x1b$B\n"), "f.ini:2: control character 0x1b" },
		{ SLICE("[a]\nk =\xe3\x80\x80v\n"), "f.ini:2: full-width blank (U+3000): write an ordinary one" },
		{ SLICE("[a]\nk = v\xe3\x80\x80; c\n"), "f.ini:2: full-width blank (U+3000): write an ordinary one" },
		{ SLICE("[a\xe3\x80\x80]\n"), "f.ini:1: full-width blank (U+3000): write an ordinary one" },
		{ SLICE("[a]\nk = v\n  w\n"), "f.ini:3: the line begins with a blank: continuation lines are not used" },
		{ SLICE("[a]\nk = v\n\t[b]\n"), "f.ini:3: the line begins with a blank: continuation lines are not used" },
		{ SLICE("[a]\nk = v\nk = w\n"), "f.ini:3: k stands a second time in [a]" },
		{ SLICE("[a]\nk = v\nK = w\n"), "f.ini:3: K stands a second time in [a]" },
		{ SLICE("[a]\n[b]\n[a]\n"), "f.ini:3: [a] stands here a second time" },
		{ SLICE("[a]\n[A]\n"), "f.ini:2: [A] stands here a second time" },
		{ SLICE("k = v\n"), "f.ini:1: the first setting stands before any [section]" },
		{ SLICE("[a]\nk\n"), "f.ini:2: neither [section] nor key = value" },
		{ SLICE("[a]\nk : v\n"), "f.ini:2: neither [section] nor key = value" },
		{ SLICE("[a]\nk: v = w\n"), "f.ini:2: neither [section] nor key = value" },
		{ SLICE("[a]\nk ; = v\n"), "f.ini:2: neither [section] nor key = value" },
		{ SLICE("[a]\n= v\n"), "f.ini:2: no key before the =" },
		{ SLICE("[a]\nk =;c\n"), "f.ini:2: `=;`: write a blank before a comment" },
		{ SLICE("[a\n"), "f.ini:1: the section's name does not end in ]" },
		{ SLICE("[a ;]\n"), "f.ini:1: the section's name does not end in ]" },
		{ SLICE("[]\n"), "f.ini:1: the section has no name" },
		{ SLICE("[a] k = v\n"), "f.ini:1: something follows the ] of the section" },
		{ SLICE("[" FIFTY "]\n"), "f.ini:1: the section's name is longer than 49 octets" },
		{ SLICE("[a]\nkeykeykeyk = " HUNDRED FIFTY TEN TEN TEN "012345\n"), "f.ini:2: the line is longer than 198 octets" },
		{ SLICE("[a]\nk = v ; " HUNDRED HUNDRED "\n"), "f.ini:2: the line is longer than 198 octets" },
		{ SLICE("[a]\npassword = x ;y\n"),
		  "f.ini:2: ` ;` would cut the password and begin a comment: use password_file, or move the comment" },
		{ SLICE("[a]\nj = v\nk\nk = v\nl\n"), "f.ini:3: neither [section] nor key = value" },
	};
	static struct heard h;
	struct fault f;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_false(listen_to(&h, rows[i].text, &f));
		assert_string_equal(f.text, rows[i].fault);
		assert_int_equal(f.status, STATUS_CONFIG);
	}
}

/* Each length around the bound: whole, or refused; never cut. */
static void test_lengths(void **state)
{
	static struct heard h;
	struct fault f;
	char text[512], expected[512];

	(void)state;
	for (int len = 1; len < 260; len++) {
		int n = snprintf(text, sizeof(text), "[a]\nk = %0*d\nl = w\n", len, 7);

		assert_int_equal(listen_to(&h, slice_bytes(text, (size_t)n), &f), len + 4 <= INI_LINE_MAX);
		if (len + 4 > INI_LINE_MAX)
			continue;
		snprintf(expected, sizeof(expected), "1 [a]\n2 a.k=<%0*d>\n3 a.l=<w>\n", len, 7);
		assert_string_equal(h.memory, expected);
	}
}

static void test_listener_refuses(void **state)
{
	static struct heard h;
	struct fault f;

	(void)state;
	h.refuse_at = 3;
	assert_false(listen_to(&h, SLICE_OF("[a]\nk = v\nl = w\nm\nn = x\n"), &f));
	assert_string_equal(f.text, "f.ini:3: refused by the listener");
	assert_string_equal(h.memory, "1 [a]\n2 a.k=<v>\n");
	assert_false(listen_to(&h, SLICE_OF("[a]\n\n[b]\nn = x\n"), &f));
	assert_string_equal(f.text, "f.ini:3: refused by the listener");
	h.refuse_at = 0;
}

static void test_many(void **state)
{
	static struct heard h;
	size_t room = (INI_NAMES_MAX + 2) * 8, used = 4;
	char *text = malloc(room);
	struct fault f;

	(void)state;
	assert_non_null(text);
	memcpy(text, "[a]\n", 4);
	for (unsigned i = 0; i <= INI_NAMES_MAX; i++)
		used += (size_t)snprintf(text + used, room - used, "k%u=\n", i);
	assert_false(listen_to(&h, slice_bytes(text, used), &f));
	assert_string_equal(f.text, "f.ini:8194: too many lines");
	free(text);
}

static void test_files(void **state)
{
	static struct heard h;
	struct fault f = { .text = "" };
	char path[] = "/tmp/test-ini-XXXXXX";
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "[a]\nk = v\n", 10), 10);
	buffer_init(&h.text, h.memory, sizeof(h.memory));
	assert_true(ini_read(path, hear, &h, &f));
	assert_int_equal(buffer_length(&h.text), strlen("1 [a]\n2 a.k=<v>\n"));
	assert_int_equal(ftruncate(fd, INI_FILE_MAX + 1), 0);
	assert_false(ini_read(path, hear, &h, &f));
	assert_non_null(strstr(f.text, "too large"));
	close(fd);
	unlink(path);

	f.text[0] = '\0';
	assert_false(ini_read(path, hear, &h, &f));
	assert_int_equal(f.status, STATUS_CONFIG);
	assert_non_null(strstr(f.text, "No such file"));
	f.text[0] = '\0';
	assert_false(ini_read("/", hear, &h, &f));
	assert_string_equal(f.text, "/: not a file");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_listener_refuses),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
