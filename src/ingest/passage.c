#include "ingest/passage.h"

#include <stdlib.h>
#include <string.h>

/* Most headers fit into the first piece of memory. */
#define FIRST_ROOM	(PASSAGE_FRONT_MAX + 8192)

static bool grow(struct passage *p, size_t need)
{
	size_t room = p->room;
	char *memory;

	if (need > PASSAGE_FRONT_MAX + p->most)
		return false;
	while (room < need)
		room *= 2;
	if (room == p->room)
		return true;
	memory = realloc(p->memory, room);
	if (!memory)
		return false;
	p->memory = memory;
	p->room = room;
	return true;
}

bool passage_start(struct passage *p, size_t most, struct buffer *flow)
{
	p->memory = malloc(FIRST_ROOM);
	if (!p->memory)
		return false;
	p->room = FIRST_ROOM;
	p->start = p->tail = PASSAGE_FRONT_MAX;
	p->most = most;
	p->flow = flow;
	p->state = PASSAGE_HEADER;
	return true;
}

static bool keep(struct passage *p, struct slice content)
{
	if (!grow(p, p->tail + content.len))
		return false;
	if (content.len)
		memcpy(p->memory + p->tail, content.at, content.len);
	p->tail += content.len;
	return true;
}

void passage_put(struct passage *p, struct slice content)
{
	if (p->state == PASSAGE_HEADER)
		p->failed |= !keep(p, content);
	else if (p->state == PASSAGE_FLOWING)
		p->failed |= !buffer_put(p->flow, content);
}

bool passage_front(struct passage *p, struct slice fields)
{
	if (!p->memory || p->start < fields.len)
		return false;
	p->start -= fields.len;
	memcpy(p->memory + p->start, fields.at, fields.len);
	return true;
}

struct slice passage_content(const struct passage *p)
{
	return p->memory ? slice_bytes(p->memory + PASSAGE_FRONT_MAX, p->tail - PASSAGE_FRONT_MAX) : slice_bytes("", 0);
}

struct slice passage_begin(const struct passage *p)
{
	return p->memory ? slice_bytes(p->memory + p->start, p->tail - p->start) : slice_bytes("", 0);
}

static struct slice rest_of_begin(const struct passage *p)
{
	return slice_skip(passage_begin(p), p->taken);
}

size_t passage_take(struct passage *p, struct buffer *out)
{
	struct slice part = slice_first(rest_of_begin(p), buffer_room(out));
	size_t moved = part.len;

	buffer_put(out, part);
	p->taken += part.len;
	if (rest_of_begin(p).len || !p->flow)
		return moved;
	part = slice_first(buffer_bytes(p->flow), buffer_room(out));
	buffer_put(out, part);
	buffer_take(p->flow, part.len);
	return moved + part.len;
}

bool passage_drained(const struct passage *p)
{
	return !rest_of_begin(p).len && (!p->flow || !buffer_length(p->flow));
}

void passage_cancel(struct passage *p, const struct passage_way *way)
{
	if (p->carrier)
		way->cancel(way->context, p);
}

void passage_end(struct passage *p)
{
	free(p->memory);
	p->memory = NULL;
	p->room = p->tail = p->start = p->taken = 0;
}
