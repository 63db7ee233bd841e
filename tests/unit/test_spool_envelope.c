#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "spool/spool.h"

static const struct envelope rows[] = {
	{ .arrived = 1700000000, .sender = SLICE("a@example.com"), .account = SLICE("a@example.com"),
	  .trust = SLICE("account"), .body_8bit = true, .ends_in_crlf = true, .message_id = SLICE("<x y@z>"),
	  .recipient_count = 2, .recipients = SLICE("b@example.com\n\"c d\"@example.com\n") },
	{ .trust = SLICE("return"), .is_return = true, .no_return = true, .recipient_count = 1,
	  .recipients = SLICE("a..b@docomo.ne.jp\n") },
	{ .arrived = INT64_MAX, .sender = SLICE("=\xff@x"), .recipient_count = 0 },
};

static void same(const struct envelope *a, const struct envelope *b)
{
	assert_true(a->arrived == b->arrived);
	assert_true(slice_equal(a->sender, b->sender));
	assert_true(slice_equal(a->account, b->account));
	assert_true(slice_equal(a->trust, b->trust));
	assert_true(slice_equal(a->message_id, b->message_id));
	assert_true(slice_equal(a->recipients, b->recipients));
	assert_int_equal(a->recipient_count, b->recipient_count);
	assert_int_equal(a->body_8bit, b->body_8bit);
	assert_int_equal(a->is_return, b->is_return);
	assert_int_equal(a->ends_in_crlf, b->ends_in_crlf);
	assert_int_equal(a->no_return, b->no_return);
}

static struct slice write(struct buffer *b, char *memory, size_t size, const struct envelope *e)
{
	buffer_init(b, memory, size);
	assert_true(envelope_write(b, e));
	return buffer_bytes(b);
}

static void test_round_trip(void **state)
{
	char memory[500];
	struct buffer b;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct slice text = write(&b, memory, sizeof(memory), &rows[i]);
		struct envelope back;

		assert_true(envelope_read(text, &back));
		same(&rows[i], &back);
		for (size_t room = 0; room < text.len; room++) {
			char small[500];
			struct buffer s;

			buffer_init(&s, small, room);
			assert_false(envelope_write(&s, &rows[i]));
		}
	}
}

static void test_text(void **state)
{
	char memory[500];
	struct buffer b;

	(void)state;
	assert_true(slice_equal(write(&b, memory, sizeof(memory), &rows[0]),
		SLICE_OF("arrived 1700000000\nsender a@example.com\naccount a@example.com\ntrust account\nflags 8c\n"
			 "message-id <x y@z>\nrecipients 2\nb@example.com\n\"c d\"@example.com\n")));
}

/* Nothing from outside can add a line (lesson 9), and no cut text reads as whole. */
static void test_refused(void **state)
{
	char memory[500];
	struct envelope back, e = rows[0];
	struct buffer b;
	struct slice text = write(&b, memory, sizeof(memory), &e);

	(void)state;
	for (size_t n = 0; n < text.len; n++)
		assert_false(envelope_read(slice_first(text, n), &back));
	e.sender = SLICE_OF("a\nrecipients 9");
	assert_false(envelope_write(&b, &e));
	e = rows[0];
	e.message_id = SLICE_OF("a\rb");
	assert_false(envelope_write(&b, &e));
	e = rows[0];
	e.account = SLICE_OF("a\0b");
	assert_false(envelope_write(&b, &e));
	e = rows[0];
	e.recipient_count = 1;
	assert_false(envelope_write(&b, &e));
	e = rows[0];
	e.recipients = SLICE_OF("b@example.com\nc@example.com");
	assert_false(envelope_write(&b, &e));
	e.recipients = SLICE_OF("b@example.com\n\n");
	assert_false(envelope_write(&b, &e));
}

static void test_recipients(void **state)
{
	struct slice rest = rows[0].recipients, one;

	(void)state;
	assert_true(envelope_next(&rest, &one));
	assert_true(slice_equal(one, SLICE_OF("b@example.com")));
	assert_true(envelope_next(&rest, &one));
	assert_true(slice_equal(one, SLICE_OF("\"c d\"@example.com")));
	assert_false(envelope_next(&rest, &one));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_recipients),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
