/* ingest/passage: what is held back, in which order it leaves, and its bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "ingest/passage.h"

static char flow_memory[64];

static void begin(struct passage *p, struct buffer *flow, size_t most)
{
	*p = (struct passage){ 0 };
	buffer_init(flow, flow_memory, sizeof(flow_memory));
	assert_true(passage_start(p, most, flow));
	assert_int_equal(p->state, PASSAGE_HEADER);
}

/* Takes all, `step` octets at a time. */
static void take_all(struct passage *p, size_t step, const char *want)
{
	char piece[64], all[256];
	size_t len = 0, moved;

	do {
		struct buffer out;

		buffer_init(&out, piece, step);
		moved = passage_take(p, &out);
		assert_int_equal(moved, buffer_length(&out));
		assert_true(len + moved < sizeof(all));
		memcpy(all + len, piece, moved);
		len += moved;
	} while (moved);
	assert_int_equal(len, strlen(want));
	assert_memory_equal(all, want, len);
	assert_true(passage_drained(p));
}

static void test_order(void **state)
{
	(void)state;
	for (size_t step = 1; step < 40; step++) {
		struct passage p;
		struct buffer flow;

		begin(&p, &flow, 100);
		passage_put(&p, slice_of("From: a\r\n"));
		passage_put(&p, slice_of("\r\nbody"));
		assert_true(passage_front(&p, slice_of("Received: x\r\n")));
		assert_false(passage_drained(&p));
		assert_true(slice_equal(passage_content(&p), slice_of("From: a\r\n\r\nbody")));
		assert_true(slice_equal(passage_begin(&p), slice_of("Received: x\r\nFrom: a\r\n\r\nbody")));
		p.state = PASSAGE_FLOWING;
		passage_put(&p, slice_of(" and more\r\n"));
		take_all(&p, step, "Received: x\r\nFrom: a\r\n\r\nbody and more\r\n");
		passage_put(&p, slice_of("still more\r\n"));
		assert_false(passage_drained(&p));
		take_all(&p, step, "still more\r\n");
		/* The beginning stays, for return mail. */
		assert_true(slice_starts(passage_begin(&p), slice_of("Received: x\r\nFrom: a\r\n")));
		assert_false(p.failed);
		passage_end(&p);
	}
}

static void test_bounds(void **state)
{
	static char large[20000];
	struct passage p;
	struct buffer flow;

	(void)state;
	memset(large, 'x', sizeof(large));
	begin(&p, &flow, 30000);
	passage_put(&p, slice_bytes(large, sizeof(large)));
	assert_false(p.failed);
	passage_put(&p, slice_bytes(large, 10000));
	assert_false(p.failed);
	assert_int_equal(passage_content(&p).len, 30000);
	passage_put(&p, slice_bytes(large, 1));
	assert_true(p.failed);
	assert_int_equal(passage_content(&p).len, 30000);
	assert_false(passage_front(&p, slice_bytes(large, PASSAGE_FRONT_MAX + 1)));
	assert_true(passage_front(&p, slice_bytes(large, PASSAGE_FRONT_MAX)));
	passage_end(&p);
	passage_end(&p);
	assert_int_equal(passage_content(&p).len, 0);

	begin(&p, &flow, 10);
	p.state = PASSAGE_FLOWING;
	passage_put(&p, slice_bytes(large, sizeof(flow_memory)));
	assert_false(p.failed);
	passage_put(&p, slice_bytes(large, 1));
	assert_true(p.failed);
	passage_end(&p);
}

static void test_what_is_over_is_dropped(void **state)
{
	static const uint8_t states[] = { PASSAGE_OFFERED, PASSAGE_MISSED, PASSAGE_ANSWERED, PASSAGE_DRAIN };

	(void)state;
	for (size_t i = 0; i < sizeof(states); i++) {
		struct passage p;
		struct buffer flow;

		begin(&p, &flow, 10);
		p.state = states[i];
		passage_put(&p, slice_of("more"));
		assert_true(passage_drained(&p));
		assert_false(p.failed);
		passage_end(&p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_what_is_over_is_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
