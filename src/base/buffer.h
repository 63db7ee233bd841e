/*
 * A bounded queue of bytes in memory that the caller provides: written at the tail,
 * taken from the head. It never grows. A put that doesn't fit changes nothing
 * but sets `overflow`, so that a reply of many parts is checked once at its end.
 */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include "slice.h"

struct buffer {
	char *at;		/* memory of `size` bytes; not owned */
	size_t size;
	size_t head, tail;	/* head <= tail <= size; the bytes held are [head, tail) */
	bool overflow;		/* a put did not fit since the last buffer_clear */
};

void buffer_init(struct buffer *b, void *memory, size_t size);
void buffer_clear(struct buffer *b);

static inline size_t buffer_length(const struct buffer *b)
{
	return b->tail - b->head;
}

/* Bytes that still fit (counting those before head, which a put reclaims). */
static inline size_t buffer_room(const struct buffer *b)
{
	return b->size - buffer_length(b);
}

/* The bytes held; valid until the next put, reserve or clear. */
struct slice buffer_bytes(const struct buffer *b);

/* All or nothing. buffer_putf needs one byte of room beyond its text, for vsnprintf's NUL. */
bool buffer_put(struct buffer *b, struct slice bytes);
bool buffer_put_text(struct buffer *b, const char *text);
bool buffer_putf(struct buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Drops n bytes at the head (at most those held). */
void buffer_take(struct buffer *b, size_t n);

/*
 * Direct access for read(2): moves the bytes held to the front, returns where new bytes go and
 * in *room how many fit; buffer_added says how many came.
 */
char *buffer_reserve(struct buffer *b, size_t *room);
void buffer_added(struct buffer *b, size_t n);

#endif
