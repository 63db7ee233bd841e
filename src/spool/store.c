#include "spool/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define NAME_SIZE	16
#define FILE_MODE	0600		/* mail is nobody else's */
#define PAGE		4096u

static void name_of(unsigned slot, char out[NAME_SIZE])
{
	snprintf(out, NAME_SIZE, "seg-%04u", slot);
}

static uint32_t size_for(uint64_t budget)
{
	uint64_t size = budget / SEGMENTS_IN_BUDGET;

	if (size > SEGMENT_SIZE_MAX)
		return SEGMENT_SIZE_MAX;
	if (size < SEGMENT_SIZE_MIN)
		return SEGMENT_SIZE_MIN;
	return (uint32_t)size & ~(PAGE - 1);
}

unsigned store_segments(uint64_t budget)
{
	return (unsigned)(budget / size_for(budget));
}

void store_init(struct store *st, const struct spool_files *files, uint64_t budget)
{
	memset(st, 0, sizeof(*st));
	st->files = files;
	st->budget = budget;
	st->segment_size = size_for(budget);
	st->dir = -1;
	for (unsigned i = 0; i < SLOTS_MAX; i++)
		st->slots[i] = (struct segment){ .fd = -1, .slot = (uint16_t)i };
}

void store_close(struct store *st)
{
	for (unsigned i = 0; i < SLOTS_MAX; i++)
		if (st->slots[i].fd >= 0)
			st->files->close(st->slots[i].fd);
	if (st->dir >= 0)
		st->files->close(st->dir);
}

/* Recovery knows it by its file's size until it has read the header. */
static void add(struct store *st, unsigned slot, int fd, uint32_t size)
{
	st->slots[slot] = (struct segment){ .fd = fd, .slot = (uint16_t)slot, .size = size,
		.filled = UINT32_MAX, .first = UINT32_MAX };
	st->total += size;
}

static void forget(struct store *st, struct segment *g)
{
	st->files->close(g->fd);
	st->total -= g->size;
	*g = (struct segment){ .fd = -1, .slot = g->slot };
}

int store_open(struct store *st, unsigned slot)
{
	char name[NAME_SIZE];
	int64_t size;
	int fd;

	name_of(slot, name);
	fd = st->files->open(st->dir, name, O_RDWR, 0);
	if (fd < 0)
		return fd;
	size = st->files->size(fd);
	if (size < 0) {
		st->files->close(fd);
		return (int)size;
	}
	add(st, slot, fd, size > INT32_MAX ? INT32_MAX : (uint32_t)size);
	return 0;
}

struct segment *store_find(const struct store *st, uint32_t sequence)
{
	unsigned from = 0, to = st->log_count;

	while (from < to) {
		unsigned middle = (from + to) / 2;

		if (st->log[middle]->sequence == sequence)
			return st->log[middle];
		if (st->log[middle]->sequence < sequence)
			from = middle + 1;
		else
			to = middle;
	}
	return NULL;
}

static bool is_retired(const struct store *st, const struct segment *g)
{
	return g->failed || g->size != st->segment_size;
}

static bool is_usable(const struct store *st, const struct segment *g)
{
	return !is_retired(st, g) && g->sequence < st->durable_tail;
}

unsigned store_usable(const struct store *st)
{
	unsigned n = 0;

	for (unsigned i = 0; i < st->idle_count; i++)
		n += is_usable(st, st->idle[i]);
	return n;
}

uint64_t store_room(const struct store *st, enum room purpose)
{
	uint64_t creatable = st->total < st->budget ? (st->budget - st->total) / st->segment_size : 0;
	uint64_t have = store_usable(st) + creatable;

	return have > purpose ? (have - purpose) * st->segment_size : 0;
}

/* -1 without a free number: a file that could not be deleted keeps its own. */
static int free_slot(const struct store *st)
{
	for (unsigned i = 0; i < SLOTS_MAX; i++)
		if (st->slots[i].fd < 0 && !st->slots[i].failed)
			return (int)i;
	return -1;
}

/* Never-written files go before all others: they are the oldest there can be. */
static void insert(struct store *st, struct segment *g)
{
	unsigned at = 0;

	while (at < st->idle_count && st->idle[at]->sequence == 0)
		at++;
	memmove(st->idle + at + 1, st->idle + at, (st->idle_count - at) * sizeof(st->idle[0]));
	st->idle[at] = g;
	st->idle_count++;
}

static int create(struct store *st)
{
	char name[NAME_SIZE];
	int slot = free_slot(st), fd, error;

	if (slot < 0 || st->total + st->segment_size > st->budget)
		return -ENOSPC;
	name_of((unsigned)slot, name);
	fd = st->files->open(st->dir, name, O_RDWR | O_CREAT | O_TRUNC, FILE_MODE);
	if (fd < 0)
		return fd;
	error = st->files->allocate(fd, st->segment_size);
	if (error < 0 && error != -EOPNOTSUPP) {
		st->files->close(fd);
		st->files->unlink(st->dir, name);
		return error;
	}
	add(st, (unsigned)slot, fd, st->segment_size);
	if (error == 0)
		st->slots[slot].filled = 0;
	insert(st, &st->slots[slot]);
	st->dir_dirty = true;
	return 0;
}

int store_provide(struct store *st, unsigned count)
{
	unsigned have = store_usable(st);
	int error;

	for (; have < count; have++) {
		error = create(st);
		if (error < 0)
			return error;
	}
	return 0;
}

static void take_out(struct segment **list, unsigned *count, unsigned at)
{
	(*count)--;
	memmove(list + at, list + at + 1, (*count - at) * sizeof(list[0]));
}

static struct segment *next_usable(struct store *st)
{
	for (unsigned i = 0; i < st->idle_count; i++) {
		struct segment *g = st->idle[i];

		if (!is_usable(st, g))
			continue;
		take_out(st->idle, &st->idle_count, i);
		return g;
	}
	return NULL;
}

int store_begin(struct store *st, enum room purpose, struct segment **out)
{
	int error = store_provide(st, (unsigned)purpose + 1);
	struct segment *g;

	if (error < 0)
		return error;
	g = next_usable(st);
	if (g->sequence != 0)
		g->filled = UINT32_MAX;
	g->sequence = ++st->sequence;
	g->written = g->flushed = 0;
	g->first = UINT32_MAX;
	st->log[st->log_count++] = g;
	*out = g;
	return 0;
}

void store_idle(struct store *st, struct segment *g)
{
	st->idle[st->idle_count++] = g;
}

void store_retire(struct store *st)
{
	struct segment *g = st->log[0];

	take_out(st->log, &st->log_count, 0);
	store_idle(st, g);
}

static void delete(struct store *st, struct segment *g)
{
	char name[NAME_SIZE];
	int error;

	name_of(g->slot, name);
	error = st->files->unlink(st->dir, name);
	forget(st, g);
	g->failed = error < 0;
}

void store_discard(struct store *st, unsigned at)
{
	struct segment *g = st->log[at];

	take_out(st->log, &st->log_count, at);
	delete(st, g);
}

void store_trim(struct store *st)
{
	for (unsigned i = 0; i < st->idle_count;) {
		struct segment *g = st->idle[i];
		bool spare = is_retired(st, g) || st->total > st->budget;

		if (!spare || g->sequence >= st->durable_tail) {
			i++;
			continue;
		}
		take_out(st->idle, &st->idle_count, i);
		delete(st, g);
	}
}
