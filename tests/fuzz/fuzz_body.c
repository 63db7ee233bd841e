/*
 * The body's canonical form: the same whole, octet by octet and cut anywhere, with much room and little, and the one that a slow reader
 * of whole lines comes to (RFC 6376 3.4.4).
 */
#include <stdlib.h>
#include <string.h>

#include "mail/body.h"

#define OUT_MAX	(1 << 21)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char whole[OUT_MAX], other[OUT_MAX], slow[OUT_MAX];

static void require(bool holds)
{
	if (!holds)
		abort();
}

static size_t canonical(bool stuffed, struct slice raw, size_t step, size_t room, char *out)
{
	struct body b;
	size_t n = 0;

	body_init(&b, stuffed);
	while (raw.len > 0) {
		struct slice piece = slice_first(raw, step);

		raw = slice_skip(raw, step);
		while (piece.len > 0) {
			size_t got = body_next(&b, &piece, out + n, room);

			require(got <= room);
			n += got;
		}
	}
	return n + body_end(&b, out + n);
}

static size_t reference_line(struct slice line, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < line.len; i++) {
		bool last = true;

		if (!ascii_is_blank(line.at[i])) {
			out[n++] = line.at[i];
			continue;
		}
		for (size_t k = i; k < line.len; k++)
			last = last && ascii_is_blank(line.at[k]);
		if (!last && (i == 0 || !ascii_is_blank(line.at[i - 1])))
			out[n++] = ' ';
	}
	return n;
}

static size_t reference(bool stuffed, struct slice raw, char *out)
{
	size_t n = 0, end = 0;

	while (raw.len > 0) {
		struct slice line = slice_first(raw, slice_find(raw, '\n'));
		size_t len;

		raw = slice_skip(raw, line.len + 1);
		if (raw.at != NULL && line.len > 0 && line.at[line.len - 1] == '\r' && line.at + line.len < raw.at)
			line.len--;
		if (stuffed && line.len > 0 && line.at[0] == '.')
			line = slice_skip(line, 1);
		len = reference_line(line, out + n);
		n += len;
		out[n++] = '\r';
		out[n++] = '\n';
		if (len > 0)
			end = n;
	}
	return end;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice raw;
	bool stuffed;
	size_t n;

	if (size < 3)
		return 0;
	stuffed = data[0] & 1;
	raw = slice_bytes((const char *)data + 3, size - 3);
	n = canonical(stuffed, raw, raw.len + 1, OUT_MAX, whole);
	require(canonical(stuffed, raw, 1, BODY_ROOM_MIN, other) == n && memcmp(whole, other, n) == 0);
	require(canonical(stuffed, raw, data[1] + 1u, BODY_ROOM_MIN + data[2] % 16u, other) == n &&
		memcmp(whole, other, n) == 0);
	/* A CR at the very end is a character to one, the start of a line's end to the other. */
	if (raw.len == 0 || raw.at[raw.len - 1] != '\r')
		require(reference(stuffed, raw, slow) == n && memcmp(whole, slow, n) == 0);
	return 0;
}
