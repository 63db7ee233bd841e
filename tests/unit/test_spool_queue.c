#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "spool/queue.h"

#define MANY 100000u

static uint32_t add(struct queue *q, uint64_t id, int64_t mono)
{
	uint32_t at = queue_new(q, id);

	assert_int_not_equal(at, QUEUE_NONE);
	queue_show(q, at);
	queue_schedule(q, at, mono);
	return at;
}

/* In any order in, ascending out; also while every third goes. */
static void test_order(void **state)
{
	struct queue q;
	uint64_t last = 0;
	uint32_t at;
	size_t seen = 0;

	(void)state;
	queue_init(&q);
	for (uint32_t i = 0; i < MANY; i++)
		add(&q, (uint64_t)i * 7919 % MANY + 1, (int64_t)(i * 104729u % MANY));
	assert_int_equal(q.shown, MANY);
	for (uint32_t id = 3; id <= MANY; id += 3)
		queue_drop(&q, queue_find(&q, id));
	for (uint64_t id = 0; (at = queue_above(&q, id)) != QUEUE_NONE; seen++) {
		id = queue_at(&q, at)->face.id;
		assert_true(id > last && id % 3 != 0);
		assert_int_equal(queue_find(&q, id), at);
		last = id;
	}
	assert_int_equal(seen, MANY - MANY / 3);
	assert_int_equal(queue_find(&q, 3), QUEUE_NONE);
	queue_free(&q);
}

static void test_due(void **state)
{
	struct queue q;
	int64_t last = -1;
	uint64_t last_id = 0;
	uint32_t at;
	size_t seen = 0;

	(void)state;
	queue_init(&q);
	for (uint32_t i = 1; i <= MANY; i++)
		add(&q, i, (int64_t)(i * 2654435761u % 1000));
	for (uint32_t id = 5; id <= MANY; id += 5)
		queue_schedule(&q, queue_find(&q, id), 500);
	for (uint32_t id = 7; id <= MANY; id += 7)
		queue_unschedule(&q, queue_find(&q, id));
	while ((at = queue_first(&q)) != QUEUE_NONE) {
		const struct spool_entry *e = &queue_at(&q, at)->face;

		assert_true(e->next_attempt > last || (e->next_attempt == last && e->id > last_id));
		last = e->next_attempt;
		last_id = e->id;
		queue_unschedule(&q, at);
		assert_true(e->next_attempt == INT64_MAX);
		seen++;
	}
	assert_int_equal(seen, MANY - MANY / 7);
	queue_free(&q);
}

/* Entries keep their memory while others come and go. */
static void test_stays(void **state)
{
	struct queue q;
	struct queue_entry *first;

	(void)state;
	queue_init(&q);
	first = queue_at(&q, add(&q, 1, 0));
	for (uint32_t round = 0; round < 3; round++) {
		for (uint32_t i = 2; i < 5000; i++)
			add(&q, i, i);
		for (uint32_t i = 2; i < 5000; i++)
			queue_drop(&q, queue_find(&q, i));
	}
	assert_ptr_equal(first, queue_at(&q, queue_find(&q, 1)));
	assert_int_equal(q.used, 1);
	assert_true(q.slab_count <= 20);
	queue_free(&q);
}

static void test_pins(void **state)
{
	struct queue q;
	uint32_t first = QUEUE_NONE, a, b, c;

	(void)state;
	queue_init(&q);
	a = add(&q, 1, 0);
	b = add(&q, 2, 0);
	c = add(&q, 3, 0);
	queue_pin(&q, &first, a);
	queue_pin(&q, &first, b);
	queue_pin(&q, &first, c);
	queue_unpin(&q, &first, b);
	assert_int_equal(first, c);
	assert_int_equal(queue_at(&q, c)->after, a);
	queue_unpin(&q, &first, c);
	assert_int_equal(first, a);
	queue_unpin(&q, &first, a);
	assert_int_equal(first, QUEUE_NONE);
	queue_free(&q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_due),
		cmocka_unit_test(test_stays),
		cmocka_unit_test(test_pins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
