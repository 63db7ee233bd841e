#include "base/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void buffer_init(struct buffer *b, void *memory, size_t size)
{
	*b = (struct buffer){ .at = memory, .size = size };
}

void buffer_clear(struct buffer *b)
{
	buffer_init(b, b->at, b->size);
}

struct slice buffer_bytes(const struct buffer *b)
{
	return slice_skip(slice_bytes(b->at, b->tail), b->head);
}

static void move_to_front(struct buffer *b)
{
	size_t held = buffer_length(b);

	if (b->head == 0)
		return;
	memmove(b->at, b->at + b->head, held);
	b->head = 0;
	b->tail = held;
}

static bool refuse(struct buffer *b)
{
	b->overflow = true;
	return false;
}

bool buffer_put(struct buffer *b, struct slice bytes)
{
	if (bytes.len > buffer_room(b))
		return refuse(b);
	if (bytes.len == 0)
		return true;
	if (bytes.len > b->size - b->tail)
		move_to_front(b);
	memcpy(b->at + b->tail, bytes.at, bytes.len);
	b->tail += bytes.len;
	return true;
}

bool buffer_put_text(struct buffer *b, const char *text)
{
	return buffer_put(b, slice_of(text));
}

bool buffer_putf(struct buffer *b, const char *format, ...)
{
	size_t room;
	char *at = buffer_reserve(b, &room);
	va_list arguments;
	int n;

	va_start(arguments, format);
	n = vsnprintf(at, room, format, arguments);
	va_end(arguments);
	if (n < 0 || (size_t)n >= room)
		return refuse(b);
	b->tail += (size_t)n;
	return true;
}

void buffer_take(struct buffer *b, size_t n)
{
	if (n < buffer_length(b))
		b->head += n;
	else
		b->head = b->tail = 0;
}

char *buffer_reserve(struct buffer *b, size_t *room)
{
	move_to_front(b);
	*room = b->size - b->tail;
	return *room > 0 ? b->at + b->tail : b->at;
}

void buffer_added(struct buffer *b, size_t n)
{
	size_t room = b->size - b->tail;

	b->tail += n < room ? n : room;
}
