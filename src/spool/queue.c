#include "spool/queue.h"

#include <stdlib.h>

#define SLAB		256u		/* entries got at a time: 25 KiB */

void queue_init(struct queue *q)
{
	*q = (struct queue){ .unused = QUEUE_NONE, .root = QUEUE_NONE };
}

void queue_free(struct queue *q)
{
	for (size_t i = 0; i < q->slab_count; i++)
		free(q->slabs[i]);
	free(q->slabs);
	free(q->heap);
	queue_init(q);
}

struct queue_entry *queue_at(const struct queue *q, uint32_t number)
{
	return &q->slabs[number / SLAB][number % SLAB];
}

/* The heap has room for every entry there is, so that scheduling can't fail. */
static bool grow_heap(struct queue *q, size_t room)
{
	uint32_t *heap;

	if (room <= q->heap_room)
		return true;
	heap = realloc(q->heap, room * 2 * sizeof(*heap));
	if (!heap)
		return false;
	q->heap = heap;
	q->heap_room = room * 2;
	return true;
}

static bool grow(struct queue *q)
{
	struct queue_entry **slabs;
	uint32_t first = (uint32_t)q->slab_count * SLAB;

	if (!grow_heap(q, (q->slab_count + 1) * SLAB))
		return false;
	slabs = realloc(q->slabs, (q->slab_count + 1) * sizeof(struct queue_entry *));
	if (!slabs)
		return false;
	q->slabs = slabs;
	slabs[q->slab_count] = calloc(SLAB, sizeof(struct queue_entry));
	if (!slabs[q->slab_count])
		return false;
	q->slab_count++;
	for (uint32_t i = SLAB; i-- > 0;) {
		queue_at(q, first + i)->after = q->unused;
		q->unused = first + i;
	}
	return true;
}

uint32_t queue_new(struct queue *q, uint64_t id)
{
	uint32_t number;
	struct queue_entry *e;

	if (q->unused == QUEUE_NONE && !grow(q))
		return QUEUE_NONE;
	number = q->unused;
	e = queue_at(q, number);
	q->unused = e->after;
	*e = (struct queue_entry){ .face.id = id, .face.next_attempt = INT64_MAX, .before = QUEUE_NONE,
		.after = QUEUE_NONE, .left = QUEUE_NONE, .right = QUEUE_NONE, .heap = QUEUE_NONE };
	q->used++;
	return number;
}

/*
 * The treap: in order by id, and a heap by a scrambled id, which keeps it shallow although ids come
 * in ascending order.
 */
static uint64_t weight(const struct queue_entry *e)
{
	uint64_t x = e->face.id * 0x9e3779b97f4a7c15u;

	return (x ^ x >> 32) * 0xd6e8feb86659fd93u;
}

static void split(struct queue *q, uint32_t tree, uint64_t id, uint32_t *below, uint32_t *above)
{
	while (tree != QUEUE_NONE) {
		struct queue_entry *e = queue_at(q, tree);

		if (e->face.id < id) {
			*below = tree;
			below = &e->right;
			tree = e->right;
		} else {
			*above = tree;
			above = &e->left;
			tree = e->left;
		}
	}
	*below = *above = QUEUE_NONE;
}

static void merge(struct queue *q, uint32_t *into, uint32_t below, uint32_t above)
{
	while (below != QUEUE_NONE && above != QUEUE_NONE) {
		struct queue_entry *b = queue_at(q, below), *a = queue_at(q, above);

		if (weight(b) > weight(a)) {
			*into = below;
			into = &b->right;
			below = b->right;
		} else {
			*into = above;
			into = &a->left;
			above = a->left;
		}
	}
	*into = below != QUEUE_NONE ? below : above;
}

/* The link that holds, or would hold, `id`; stops at the first lighter than `least`. */
static uint32_t *descend(struct queue *q, uint64_t id, uint64_t least)
{
	uint32_t *link = &q->root;

	while (*link != QUEUE_NONE) {
		struct queue_entry *e = queue_at(q, *link);

		if (e->face.id == id || weight(e) < least)
			break;
		link = id < e->face.id ? &e->left : &e->right;
	}
	return link;
}

void queue_show(struct queue *q, uint32_t number)
{
	struct queue_entry *e = queue_at(q, number);
	uint32_t *link = descend(q, e->face.id, weight(e));
	uint32_t tree = *link;

	split(q, tree, e->face.id, &e->left, &e->right);
	*link = number;
	e->shown = true;
	q->shown++;
}

static void hide(struct queue *q, uint32_t number)
{
	struct queue_entry *e = queue_at(q, number);

	merge(q, descend(q, e->face.id, 0), e->left, e->right);
	q->shown--;
}

void queue_drop(struct queue *q, uint32_t number)
{
	struct queue_entry *e = queue_at(q, number);

	queue_unschedule(q, number);
	if (e->shown)
		hide(q, number);
	*e = (struct queue_entry){ .after = q->unused };
	q->unused = number;
	q->used--;
}

uint32_t queue_find(const struct queue *q, uint64_t id)
{
	uint32_t at = q->root;

	while (at != QUEUE_NONE) {
		const struct queue_entry *e = queue_at(q, at);

		if (e->face.id == id)
			break;
		at = id < e->face.id ? e->left : e->right;
	}
	return at;
}

uint32_t queue_above(const struct queue *q, uint64_t id)
{
	uint32_t at = q->root, best = QUEUE_NONE;

	while (at != QUEUE_NONE) {
		const struct queue_entry *e = queue_at(q, at);

		if (e->face.id > id)
			best = at;
		at = e->face.id > id ? e->left : e->right;
	}
	return best;
}

/* Due earlier; of those due together, the older message. */
static bool sooner(const struct queue *q, uint32_t a, uint32_t b)
{
	const struct spool_entry *x = &queue_at(q, a)->face, *y = &queue_at(q, b)->face;

	if (x->next_attempt != y->next_attempt)
		return x->next_attempt < y->next_attempt;
	return x->id < y->id;
}

static void put(struct queue *q, size_t at, uint32_t number)
{
	q->heap[at] = number;
	queue_at(q, number)->heap = (uint32_t)at;
}

static void sift_up(struct queue *q, size_t at, uint32_t number)
{
	while (at > 0 && sooner(q, number, q->heap[(at - 1) / 2])) {
		put(q, at, q->heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	put(q, at, number);
}

static void sift_down(struct queue *q, size_t at, uint32_t number)
{
	for (;;) {
		size_t child = at * 2 + 1;

		if (child >= q->heap_count)
			break;
		if (child + 1 < q->heap_count && sooner(q, q->heap[child + 1], q->heap[child]))
			child++;
		if (!sooner(q, q->heap[child], number))
			break;
		put(q, at, q->heap[child]);
		at = child;
	}
	put(q, at, number);
}

void queue_schedule(struct queue *q, uint32_t number, int64_t mono)
{
	queue_unschedule(q, number);
	queue_at(q, number)->face.next_attempt = mono;
	sift_up(q, q->heap_count++, number);
}

void queue_unschedule(struct queue *q, uint32_t number)
{
	struct queue_entry *e = queue_at(q, number);
	uint32_t at = e->heap, last;

	e->face.next_attempt = INT64_MAX;
	e->heap = QUEUE_NONE;
	if (at == QUEUE_NONE)
		return;
	last = q->heap[--q->heap_count];
	if (last == number)
		return;
	sift_up(q, at, last);
	sift_down(q, queue_at(q, last)->heap, last);
}

uint32_t queue_first(const struct queue *q)
{
	return q->heap_count > 0 ? q->heap[0] : QUEUE_NONE;
}

void queue_pin(struct queue *q, uint32_t *first, uint32_t number)
{
	struct queue_entry *e = queue_at(q, number);

	e->before = QUEUE_NONE;
	e->after = *first;
	if (*first != QUEUE_NONE)
		queue_at(q, *first)->before = number;
	*first = number;
}

void queue_unpin(struct queue *q, uint32_t *first, uint32_t number)
{
	struct queue_entry *e = queue_at(q, number);

	if (e->before != QUEUE_NONE)
		queue_at(q, e->before)->after = e->after;
	else
		*first = e->after;
	if (e->after != QUEUE_NONE)
		queue_at(q, e->after)->before = e->before;
	e->before = e->after = QUEUE_NONE;
}
