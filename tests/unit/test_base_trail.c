#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/trail.h"

static struct {
	unsigned count, omitted;
	char last[AUDIT_LINE_MAX + 1];
} seen;

static void sink(void *context, const struct record *r)
{
	assert_ptr_equal(context, &seen);
	seen.count++;
	seen.omitted += slice_starts(slice_of(r->text), SLICE_OF("omitted count="));
	memcpy(seen.last, r->text, r->len + 1);
}

static void put(enum trail_of whose)
{
	struct record r;

	record_start_audit(&r, "refused");
	record_word(&r, "at", "mail");
	trail_put(whose, &r);
}

static void without_a_sink(void **unused)
{
	(void)unused;
	trail_open(NULL, NULL);
	assert_false(trail_is_open());
	put(TRAIL_OURS);
	put(TRAIL_STRANGER);
}

static void strangers_cannot_fill_it(void **unused)
{
	(void)unused;
	memset(&seen, 0, sizeof(seen));
	trail_open(sink, &seen);
	assert_true(trail_is_open());
	for (unsigned i = 0; i < 10 * STRANGERS_BURST; i++)
		put(TRAIL_STRANGER);
	assert_in_range(seen.count, STRANGERS_BURST, STRANGERS_BURST + 2 * STRANGERS_MINUTE);
	seen.omitted = seen.count = 0;
	for (unsigned i = 0; i < 10 * STRANGERS_BURST; i++)
		put(TRAIL_OURS);
	assert_int_equal(seen.omitted, 1);
	assert_int_equal(seen.count, 10 * STRANGERS_BURST + 1);
	assert_string_equal(seen.last, "refused at=mail");
	trail_open(NULL, NULL);
}

/* Values of the largest size whose every octet needs an escape: the line ends, and is one. */
static void nasty_values(void **unused)
{
	char value[2 * AUDIT_VALUE_MAX];
	struct record r;

	(void)unused;
	for (unsigned c = 0; c < 256; c++) {
		memset(value, (int)c, sizeof(value));
		record_start_audit(&r, "message");
		for (unsigned i = 0; i < 10; i++)
			record_text(&r, "v", slice_bytes(value, sizeof(value)));
		assert_true(r.len <= AUDIT_LINE_MAX);
		assert_int_equal(strlen(r.text), r.len);
		for (size_t i = 0; i < r.len; i++)
			assert_true(ascii_is_print(r.text[i]));
	}
	/* An address is kept whole. */
	memset(value, 'a', AUDIT_VALUE_MAX);
	record_start_audit(&r, "message");
	record_text(&r, "v", slice_bytes(value, AUDIT_VALUE_MAX));
	assert_int_equal(r.len, strlen("message v=") + AUDIT_VALUE_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_sink), cmocka_unit_test(strangers_cannot_fill_it), cmocka_unit_test(nasty_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
