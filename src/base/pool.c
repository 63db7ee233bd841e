#include "base/pool.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

/* The list of free blocks lies apart from the blocks: a link inside would touch their pages. */
struct pool {
	size_t size;		/* bytes of a block as asked for */
	size_t stride;		/* bytes from block to block */
	size_t count;
	size_t lent;
	size_t fresh;		/* blocks from here on were never lent: nor is their row of `idle` touched */
	size_t idle_count;
	char *blocks;		/* count * stride bytes, mapped */
	bool *is_lent;		/* by index of block */
	size_t idle[];		/* indices of those given back; the last goes next */
};

static void *map(size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		return NULL;
	/* Mail is no business of helper processes, nor should their copy of the map cost pages. */
	madvise(at, bytes, MADV_DONTFORK);
	return at;
}

struct pool *pool_new(size_t size, size_t count)
{
	const size_t align = _Alignof(max_align_t);
	struct pool *p;
	size_t stride;

	if (size == 0 || count == 0 || size > SIZE_MAX - align)
		return NULL;
	stride = (size + align - 1) / align * align;
	if (count > SIZE_MAX / stride || count > (SIZE_MAX - sizeof(*p)) / sizeof(p->idle[0]))
		return NULL;
	p = calloc(1, sizeof(*p) + count * sizeof(p->idle[0]));
	if (!p)
		return NULL;
	p->size = size;
	p->stride = stride;
	p->count = count;
	p->is_lent = calloc(count, sizeof(*p->is_lent));
	p->blocks = map(count * stride);
	if (!p->is_lent || !p->blocks) {
		pool_free(p);
		return NULL;
	}
	return p;
}

void pool_free(struct pool *p)
{
	if (!p)
		return;
	if (p->blocks)
		munmap(p->blocks, p->count * p->stride);
	free(p->is_lent);
	free(p);
}

void *pool_get(struct pool *p)
{
	size_t i;

	if (p->lent == p->count)
		return NULL;
	p->lent++;
	i = p->idle_count > 0 ? p->idle[--p->idle_count] : p->fresh++;
	p->is_lent[i] = true;
	return p->blocks + i * p->stride;
}

void pool_put(struct pool *p, void *block)
{
	size_t offset, i;

	if (!block)
		return;
	offset = (size_t)((char *)block - p->blocks);
	i = offset / p->stride;
	/* A block put back twice would carry two mails at once later. */
	assert(i < p->count && offset % p->stride == 0 && p->is_lent[i]);
	p->is_lent[i] = false;
	p->idle[p->idle_count++] = i;
	p->lent--;
}

size_t pool_block_size(const struct pool *p)
{
	return p->size;
}

size_t pool_lent(const struct pool *p)
{
	return p->lent;
}
