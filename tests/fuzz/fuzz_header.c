/*
 * The header reader: the same result whole, octet by octet and cut anywhere; and without a defect
 * the From: fields are those that a reader of whole lines finds. The first octets of the input
 * say where to cut and how large the header may be.
 */
#include <stdlib.h>
#include <string.h>

#include "mail/header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct header whole, single, cut;

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void require_same(const struct header *a, const struct header *b)
{
	require(a->defects == b->defects && a->size == b->size && a->ended && b->ended);
	require(memcmp(a->count, b->count, sizeof(a->count)) == 0);
	for (enum header_field f = FIELD_FROM; f <= FIELD_OTHER; f++)
		require(slice_equal(header_body(a, f), header_body(b, f)));
}

/* The next line without CRLF and the dot of the wire; false at the empty line. */
static bool next_line(struct slice *wire, struct slice *line)
{
	const char *end = wire->len > 0 ? memmem(wire->at, wire->len, "\r\n", 2) : NULL;

	if (end == NULL) {
		*line = *wire;
		*wire = slice_bytes(NULL, 0);
	} else {
		*line = slice_first(*wire, (size_t)(end - wire->at));
		*wire = slice_skip(*wire, line->len + 2);
	}
	if (line->len > 0 && line->at[0] == '.')
		*line = slice_skip(*line, 1);
	return line->len > 0;
}

static bool is_from(struct slice line)
{
	struct slice name = slice_first(line, slice_find(line, ':'));

	return slice_equal_fold(slice_trim(name), SLICE_OF("from")) && !ascii_is_blank(line.at[0]);
}

/* Counts From: fields and unfolds nothing: the body of the first has to begin as kept. */
static void compare_with_lines(struct slice wire, const struct header *h)
{
	struct slice line;
	unsigned count = 0;

	while (next_line(&wire, &line)) {
		require(line.len <= DATA_LINE_MAX);
		require(ascii_is_blank(line.at[0]) || slice_find(line, ':') < line.len);
		if (!is_from(line))
			continue;
		if (count++ == 0)
			require(slice_starts(header_body(h, FIELD_FROM),
					     slice_skip(line, slice_find(line, ':') + 1)));
	}
	require(count == h->count[FIELD_FROM]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice wire;
	uint32_t max;
	size_t a, b;

	if (size < 4)
		return 0;
	wire = slice_bytes((const char *)data + 4, size - 4);
	max = data[0] == 0 ? 65536u : data[0] * 16u + data[1];
	a = wire.len * data[2] / 255;
	b = a + (wire.len - a) * data[3] / 255;

	header_init(&whole, max);
	header_feed(&whole, wire);
	header_finish(&whole);
	require(header_ended(&whole) && whole.size <= max && whole.size <= wire.len);

	header_init(&single, max);
	for (size_t i = 0; i < wire.len; i++)
		header_feed(&single, slice_bytes(wire.at + i, 1));
	header_finish(&single);
	require_same(&whole, &single);

	header_init(&cut, max);
	header_feed(&cut, slice_first(wire, a));
	header_feed(&cut, slice_skip(slice_first(wire, b), a));
	header_feed(&cut, slice_skip(wire, b));
	header_finish(&cut);
	require_same(&whole, &cut);

	if (whole.defects == 0)
		compare_with_lines(slice_first(wire, whole.size), &whole);
	return 0;
}
