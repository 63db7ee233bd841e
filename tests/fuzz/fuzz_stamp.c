/*
 * The stamp: any field's body is read or refused; any values that are written are read again as they were, however folded. The
 * first octet says which half is tried.
 */
#include <stdlib.h>
#include <string.h>

#include "mail/stamp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char out_memory[2 * STAMP_MAX], room_memory[2 * STAMP_MAX], read_memory[2 * STAMP_MAX], folded[6 * STAMP_MAX];

static void require(bool holds)
{
	if (!holds)
		abort();
}

static struct slice take(struct slice *rest, size_t max)
{
	size_t n = rest->len > 0 ? (unsigned char)rest->at[0] : 0;
	struct slice part = slice_first(slice_skip(*rest, 1), n < max ? n : max);

	*rest = slice_skip(*rest, part.len + 1);
	return part;
}

static void read_any(struct slice body)
{
	struct buffer room;
	struct stamp s;

	buffer_init(&room, read_memory, sizeof(read_memory));
	if (!stamp_read(body, &s, &room))
		return;
	require(s.host.len > 0 && s.wall >= 0 && s.sealed.len >= 2);
	require(memcmp(s.sealed.at + s.sealed.len - 2, "s=", 2) == 0);
}

/* Each octet of the field, and before some of them a fold. */
static struct slice fold(struct slice field, struct slice seal, unsigned every)
{
	struct buffer b;

	buffer_init(&b, folded, sizeof(folded));
	for (size_t i = 17; i < field.len; i++) {
		if (every && i % every == 0)
			buffer_put_text(&b, "\r\n ");
		buffer_put(&b, slice_bytes(field.at + i, 1));
	}
	buffer_put(&b, seal);
	return buffer_bytes(&b);
}

static void write_and_read(struct slice rest)
{
	struct stamp s = { .host = SLICE_OF("mx.t.jp"), .wall = (int64_t)rest.len }, got;
	unsigned every = rest.len > 0 ? (unsigned char)rest.at[0] : 0;
	struct buffer out, room, read;
	struct slice sealed, body;

	s.key = take(&rest, STAMP_KEY_ID_MAX);
	s.id = take(&rest, 16);
	s.kind = take(&rest, 8);
	s.account = take(&rest, ADDRESS_MAX);
	s.envelope = take(&rest, ADDRESS_MAX);
	s.from = take(&rest, ADDRESS_MAX);
	s.from_hash = take(&rest, STAMP_HASH_MAX);
	s.message_id = take(&rest, FIELD_SHORT_MAX);
	s.body_hash = take(&rest, STAMP_HASH_MAX);
	buffer_init(&out, out_memory, sizeof(out_memory));
	buffer_init(&room, room_memory, sizeof(room_memory));
	require(stamp_write(&out, &s, &room, &sealed));
	body = fold(buffer_bytes(&out), SLICE_OF("c2VhbA=="), every);
	if (body.len > STAMP_MAX)
		return;
	buffer_init(&read, read_memory, sizeof(read_memory));
	require(stamp_read(body, &got, &read));
	require(slice_equal(got.key, s.key) && slice_equal(got.id, s.id) && slice_equal(got.kind, s.kind));
	require(slice_equal(got.account, s.account) && slice_equal(got.envelope, s.envelope));
	require(slice_equal(got.from, s.from) && slice_equal(got.message_id, s.message_id) && got.wall == s.wall);
	require(slice_equal(got.from_hash, s.from_hash) && slice_equal(got.body_hash, s.body_hash));
	require(slice_equal(got.sealed, sealed) && slice_equal(got.seal, SLICE_OF("c2VhbA==")));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice rest = slice_bytes((const char *)data, size);

	if (size == 0)
		return 0;
	rest = slice_skip(rest, 1);
	if (data[0] & 1)
		read_any(rest);
	else
		write_and_read(rest);
	return 0;
}
