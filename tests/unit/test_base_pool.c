#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/pool.h"

#define BLOCKS 8

static void all_are_lent_once(void **unused)
{
	struct pool *p = pool_new(24, BLOCKS);
	char *blocks[BLOCKS];

	(void)unused;
	assert_non_null(p);
	assert_int_equal(pool_block_size(p), 24);
	for (size_t i = 0; i < BLOCKS; i++) {
		blocks[i] = pool_get(p);
		assert_non_null(blocks[i]);
		assert_int_equal((uintptr_t)blocks[i] % _Alignof(max_align_t), 0);
		memset(blocks[i], (int)i, 24);
		assert_int_equal(pool_lent(p), i + 1);
	}
	assert_null(pool_get(p));
	assert_int_equal(pool_lent(p), BLOCKS);
	for (size_t i = 0; i < BLOCKS; i++)
		for (size_t k = 0; k < 24; k++)
			assert_int_equal(blocks[i][k], i);
	for (size_t i = 0; i < BLOCKS; i++)
		pool_put(p, blocks[i]);
	assert_int_equal(pool_lent(p), 0);
	pool_free(p);
}

static void last_back_is_first_lent(void **unused)
{
	struct pool *p = pool_new(100, BLOCKS);
	void *a = pool_get(p), *b = pool_get(p), *c = pool_get(p);

	(void)unused;
	pool_put(p, a);
	pool_put(p, c);
	pool_put(p, NULL);
	assert_int_equal(pool_lent(p), 1);
	assert_ptr_equal(pool_get(p), c);
	assert_ptr_equal(pool_get(p), a);
	pool_put(p, b);
	assert_ptr_equal(pool_get(p), b);
	pool_free(p);
}

static bool is_resident(void *at)
{
	unsigned char flag = 0;

	assert_int_equal(mincore(at, 1, &flag), 0);
	return flag & 1;
}

/* Lending and giving back touches the blocks that are written to, and no others. */
static void idle_blocks_cost_no_page(void **unused)
{
	struct pool *p = pool_new(CHUNK_SIZE, BLOCKS);
	char *blocks[BLOCKS];

	(void)unused;
	for (size_t i = 0; i < BLOCKS; i++)
		blocks[i] = pool_get(p);
	for (size_t i = BLOCKS; i > 0; i--)
		pool_put(p, blocks[i - 1]);
	for (int turn = 0; turn < 100; turn++) {
		char *block = pool_get(p);

		assert_ptr_equal(block, blocks[0]);
		block[0] = 'x';
		pool_put(p, block);
	}
	assert_true(is_resident(blocks[0]));
	for (size_t i = 1; i < BLOCKS; i++)
		assert_false(is_resident(blocks[i]));
	pool_free(p);
}

static void impossible_sizes(void **unused)
{
	(void)unused;
	assert_null(pool_new(0, 1));
	assert_null(pool_new(1, 0));
	assert_null(pool_new(SIZE_MAX, 1));
	assert_null(pool_new(SIZE_MAX / 2, 3));
	assert_null(pool_new(16, SIZE_MAX / 8));
	/* two of them would come to 32 bytes, modulo the size of the address space */
	assert_null(pool_new(SIZE_MAX / 2 + 17, 2));
	pool_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_are_lent_once), cmocka_unit_test(last_back_is_first_lent),
		cmocka_unit_test(idle_blocks_cost_no_page), cmocka_unit_test(impossible_sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
