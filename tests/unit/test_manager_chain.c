#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "manager/chain.h"

static const struct keyring ring = {
	.count = 2, .key = { { "k2", "a secret of enough octets, new" }, { "k1", "a secret of enough octets, old" } }
};

static struct slice put(struct chain *c, const struct chain_key *key, int64_t wall, uint64_t skipped, struct slice record)
{
	static char memory[CHAIN_LINE_MAX + 1];
	struct buffer out;

	buffer_init(&out, memory, sizeof(memory));
	assert_true(chain_put(c, key, wall, skipped, record, &out));
	return slice_first(buffer_bytes(&out), buffer_length(&out) - 1);
}

static void a_line(void **unused)
{
	struct chain_line line;
	struct chain_key key;
	struct chain c;
	struct slice text;

	(void)unused;
	chain_begin(&c);
	assert_true(chain_key_of(&ring, 1, &key));
	assert_string_equal(key.id, "k1");
	text = put(&c, &key, 1795309200, 0, SLICE_OF("message id=B1 to=a@b.jp"));
	assert_true(slice_starts(text, SLICE_OF("2026-11-22T01:00:00Z 1 message id=B1 to=a@b.jp chain=")));
	assert_true(chain_read(text, &line));
	assert_int_equal(line.number, 1);
	assert_true(slice_equal(line.record, SLICE_OF("message id=B1 to=a@b.jp")));
	assert_true(slice_equal(line.link, slice_of(c.link)));
	assert_true(chain_fits(&line, &key, slice_of(CHAIN_BEGINS)));
	assert_false(chain_fits(&line, &key, slice_of(c.link)));
	text = put(&c, &key, 1795309201, 4, SLICE_OF("gap lost=4"));
	assert_true(chain_read(text, &line));
	assert_int_equal(line.number, 6);
	assert_int_equal(c.number, 6);
}

/* Each octet of a line is covered. */
static void every_octet_counts(void **unused)
{
	char copy[CHAIN_LINE_MAX];
	struct chain_key key, other;
	struct chain_line line;
	struct slice text;
	struct chain c;

	(void)unused;
	chain_begin(&c);
	assert_true(chain_key_of(&ring, 0, &key) && chain_key_of(NULL, 0, &other));
	assert_string_equal(other.id, "none");
	text = put(&c, &key, 1795309200, 0, SLICE_OF("message id=B1 verdict=refused to=a@b.jp"));
	memcpy(copy, text.at, text.len);
	for (size_t i = 0; i < text.len; i++)
		for (unsigned bit = 1; bit < 256; bit <<= 1) {
			copy[i] ^= (char)bit;
			assert_false(chain_read(slice_bytes(copy, text.len), &line) &&
				     chain_fits(&line, &key, slice_of(CHAIN_BEGINS)));
			copy[i] ^= (char)bit;
		}
	assert_true(chain_read(text, &line));
	assert_true(chain_fits(&line, &key, slice_of(CHAIN_BEGINS)));
	assert_false(chain_fits(&line, &other, slice_of(CHAIN_BEGINS)));
	for (size_t len = 0; len < text.len; len++)
		assert_false(chain_read(slice_first(text, len), &line) && chain_fits(&line, &key, slice_of(CHAIN_BEGINS)));
}

static void no_records(void **unused)
{
	static const struct slice rows[] = {
		SLICE(""), SLICE(" x"), SLICE("message a=\n"), SLICE("message\r"), SLICE("message \x7f"), SLICE("m\xe3"),
		SLICE("file version=1"), SLICE("gap lost=3"), SLICE("torn octets=4"), SLICE("torn"), SLICE("message\0"),
	};
	static char longest[AUDIT_LINE_MAX + 1];
	struct chain_key key;
	struct chain_line line;
	struct chain c;

	(void)unused;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_false(chain_is_record(rows[i]));
	assert_true(chain_is_record(SLICE_OF("files x=1")));
	memset(longest, 'x', sizeof(longest));
	assert_false(chain_is_record(slice_bytes(longest, sizeof(longest))));
	assert_true(chain_is_record(slice_bytes(longest, AUDIT_LINE_MAX)));
	/* The longest record in the line with the longest number. */
	chain_begin(&c);
	c.number = UINT64_MAX - 1;
	assert_true(chain_key_of(NULL, 0, &key));
	assert_true(chain_read(put(&c, &key, 253402300799, 0, slice_bytes(longest, AUDIT_LINE_MAX)), &line));
}

static void values(void **unused)
{
	static const struct {
		struct slice record, key, value;
		bool there;
	} rows[] = {
		{ SLICE("message id=B1 to=a@b"), SLICE("id"), SLICE("B1"), true },
		{ SLICE("message id=B1 to=a@b"), SLICE("to"), SLICE("a@b"), true },
		{ SLICE("message id=B1 to=a@b"), SLICE("d"), SLICE(""), false },
		{ SLICE("message helo=\"x to=c@d \\\" to=e@f\" to=a@b"), SLICE("to"), SLICE("a@b"), true },
		{ SLICE("message from=\"\" to=a@b"), SLICE("from"), SLICE("\"\""), true },
		{ SLICE("message from=\"\" to=a@b"), SLICE("to"), SLICE("a@b"), true },
		{ SLICE("message from=\"a\\\\\" to=a@b"), SLICE("to"), SLICE("a@b"), true },
		{ SLICE("message x=\"unended to=a@b"), SLICE("to"), SLICE(""), false },
		{ SLICE("message x=\"unended\\"), SLICE("x"), SLICE("\"unended\\"), true },
		{ SLICE("to=a@b"), SLICE("to"), SLICE(""), false },
		{ SLICE("message ..."), SLICE("to"), SLICE(""), false },
		{ SLICE("message a=1 ..."), SLICE("a"), SLICE("1"), true },
		{ SLICE("message a="), SLICE("a"), SLICE(""), true },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct slice value = slice_of("");

		assert_int_equal(chain_field(rows[i].record, rows[i].key, &value), rows[i].there);
		assert_true(slice_equal(value, rows[i].value));
	}
}

/* Of a value that record.c has written, and of one that it never writes: nothing is read beyond its end. */
static void plain_values(void **unused)
{
	static const struct {
		struct slice value, plain;
	} rows[] = {
		{ SLICE(""), SLICE("") }, { SLICE("a@b"), SLICE("a@b") }, { SLICE("\"\""), SLICE("") }, { SLICE("\"a b\""), SLICE("a b") },
		{ SLICE("\"a \\\"b\\\" \\\\\""), SLICE("a \"b\" \\") }, { SLICE("\"\\x1B\\xE3\""), SLICE("\x1b\xe3") },
		{ SLICE("\"\\x00\""), SLICE("\0") }, { SLICE("\"\\x1b\""), SLICE("x1b") }, { SLICE("\"\\x1G\""), SLICE("x1G") },
		{ SLICE("\"\\x1"), SLICE("x1") }, { SLICE("\"\\x"), SLICE("x") }, { SLICE("\"\\"), SLICE("\\") }, { SLICE("\"a"), SLICE("a") },
		{ SLICE("\"a\"b"), SLICE("a") }, { SLICE("\""), SLICE("") },
	};
	char memory[AUDIT_LINE_MAX];

	(void)unused;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		/* Memory of its own length, so that a sanitizer sees what is read behind it. */
		char *own = malloc(rows[i].value.len + 1);
		struct slice plain;

		assert_non_null(own);
		memcpy(own, rows[i].value.at, rows[i].value.len);
		plain = chain_plain(slice_bytes(own, rows[i].value.len), memory);
		if (!slice_equal(plain, rows[i].plain))
			fail_msg("%.*s: %.*s", SLICE_ARGS(rows[i].value), SLICE_ARGS(plain));
		free(own);
	}
}

static void keys(void **unused)
{
	(void)unused;
	assert_int_equal(chain_key_find(&ring, SLICE_OF("k2")), 0);
	assert_int_equal(chain_key_find(&ring, SLICE_OF("k1")), 1);
	assert_int_equal(chain_key_find(&ring, SLICE_OF("k")), -1);
	assert_int_equal(chain_key_find(&ring, SLICE_OF("")), -1);
	assert_int_equal(chain_key_find(NULL, SLICE_OF("none")), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line), cmocka_unit_test(every_octet_counts), cmocka_unit_test(no_records),
		cmocka_unit_test(values), cmocka_unit_test(plain_values), cmocka_unit_test(keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
