/*
 * Equal blocks of memory, all of them got at start, lent and given back. The block given
 * back last is lent first, so that what is idle stays untouched and costs no page.
 */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include <stddef.h>

struct pool;

/* `count` blocks of `size` bytes; NULL when there is no memory. The caller frees with pool_free. */
struct pool *pool_new(size_t size, size_t count);
void pool_free(struct pool *p);
/* A block, its content undefined; NULL when all are lent. */
void *pool_get(struct pool *p);
/* NULL is ignored. */
void pool_put(struct pool *p, void *block);
size_t pool_block_size(const struct pool *p);
size_t pool_lent(const struct pool *p);

#endif
