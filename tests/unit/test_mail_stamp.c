#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "mail/stamp.h"

static char out_memory[STAMP_MAX], room_memory[2 * STAMP_MAX], read_memory[2 * STAMP_MAX];

static struct stamp sample(void)
{
	return (struct stamp){
		.host = SLICE_OF("mx.t.jp"), .key = SLICE_OF("k1"), .id = SLICE_OF("B001"), .wall = 1795313359,
		.kind = SLICE_OF("account"), .account = SLICE_OF("u@t.jp"), .envelope = SLICE_OF("\"a; b%\"@t.jp"),
		.from = SLICE_OF("u@t.jp"), .from_hash = SLICE_OF("Yw=="), .message_id = SLICE_OF("<x (y),\\z@t.jp>"),
		.body_hash = SLICE_OF("Yg=="),
	};
}

static struct slice written(const struct stamp *s, struct slice *sealed)
{
	struct buffer out, room;

	buffer_init(&out, out_memory, sizeof(out_memory));
	buffer_init(&room, room_memory, sizeof(room_memory));
	assert_true(stamp_write(&out, s, &room, sealed));
	return buffer_bytes(&out);
}

static void is_written(void **state)
{
	struct stamp s = sample();
	struct slice sealed, field = written(&s, &sealed);
	static const char expected[] =
		"X-Sekimori-Stamp: mx.t.jp; v=1; t=1795313359; k=k1; i=B001;\r\n\tp=account; a=u@t.jp;\r\n"
		"\tf=%22a%3B%20b%25%22@t.jp;\r\n\th=u@t.jp;\r\n\tm=<x%20%28y%29%2C%5Cz@t.jp>;\r\n\tc=Yw==;\r\n\tb=Yg==;\r\n\ts=";

	(void)state;
	if (!slice_equal(field, slice_of(expected)))
		fail_msg("[%.*s]", SLICE_ARGS(field));
	assert_true(slice_equal(sealed, SLICE_OF("mx.t.jp;v=1;t=1795313359;k=k1;i=B001;p=account;a=u@t.jp;"
						"f=%22a%3B%20b%25%22@t.jp;h=u@t.jp;m=<x%20%28y%29%2C%5Cz@t.jp>;c=Yw==;b=Yg==;s=")));
}

static bool read(const char *body, struct stamp *s)
{
	struct buffer room;

	buffer_init(&room, read_memory, sizeof(read_memory));
	return stamp_read(slice_of(body), s, &room);
}

static void is_read_as_written(void **state)
{
	struct stamp s = sample(), got;
	struct slice sealed, field = written(&s, &sealed);
	char body[STAMP_MAX];
	struct buffer b;

	(void)state;
	buffer_init(&b, body, sizeof(body));
	/* folded anew on the way */
	for (size_t i = 17; i < field.len; i++) {
		buffer_put(&b, slice_bytes(field.at + i, 1));
		if (i % 5 == 0)
			buffer_put_text(&b, "\r\n\t ");
	}
	buffer_put(&b, slice_of("c2Vh\r\n bA=="));
	buffer_put(&b, slice_bytes("", 1));
	assert_true(read(body, &got));
	assert_true(slice_equal(got.host, s.host) && slice_equal(got.key, s.key) && slice_equal(got.id, s.id));
	assert_true(slice_equal(got.kind, s.kind) && slice_equal(got.account, s.account));
	assert_true(slice_equal(got.envelope, s.envelope) && slice_equal(got.from, s.from));
	assert_true(slice_equal(got.message_id, s.message_id) && slice_equal(got.from_hash, s.from_hash));
	assert_true(slice_equal(got.body_hash, s.body_hash) && got.wall == s.wall);
	assert_true(slice_equal(got.seal, SLICE_OF("c2VhbA==")) && slice_equal(got.sealed, sealed));
}

static void damaged_ones_are_refused(void **state)
{
	static const char *const table[] = {
		"", ";", "mx.t.jp", "mx.t.jp; v=1", "mx.t.jp;v=1;t=1;k=a;i=b;p=c;a=d;f=e;h=f;m=g;c=h;b=i",
		";v=1;t=1;k=a;i=b;p=c;a=d;f=e;h=f;m=g;c=h;b=i;s=j",
		"h;v=2;t=1;k=a;i=b;p=c;a=d;f=e;h=f;m=g;c=h;b=i;s=j",
		"h;v=1;t=x;k=a;i=b;p=c;a=d;f=e;h=f;m=g;c=h;b=i;s=j",
		"h;v=1;t=1;k=a;k=a;i=b;p=c;a=d;f=e;h=f;m=g;c=h;b=i;s=j",
		"h;v=1;t=1;k=a;i=b;p=c;a=d;f=e;h=f;m=g;c=h;b=i;s=j;s=j",
		"h;v=1;t=1;k=a;i=b;p=c;a=d;f=e;h=f;m=g;c=h;b=i;s=j;",
		"h;v=1;t=1;k=a;i=b;p=c;a=d;f=e;h=f;m=g;c=h;s=j;b=i",
		"h;v=1;t=1;k=a;i=b;p=c;a=d;f=e;h=f;m=g;c=h;s=j", "h;v=1;t=1;s=j", "h;t=1;k=a;i=b;p=c;a=d;f=e;h=f;m=g;c=h;b=i;s=j",
		"h;v=1;t=1;k=a;i=b;p=c;a=d;f=e;h=f;m=g;c=h;b=i;z=1;s=j",
		"h;v=1;t=1;k=a;i=b;p=c;a=%4;f=e;h=f;m=g;c=h;b=i;s=j",
		"h;v=1;t=1;k=a;i=b;p=c;a=%zz;f=e;h=f;m=g;c=h;b=i;s=j",
		"h;v=1;t=1;k=a;i=b;p=c;a=(d);f=e;h=f;m=g;c=h;b=i;s=j",
		"h;v=1;t=1;k=a;i=b;p=c;a=\200;f=e;h=f;m=g;c=h;b=i;s=j",
	};
	struct stamp s;

	(void)state;
	assert_true(read("h;v=1;t=1;k=a;i=b;p=c;a=%00d;f=;h=;m=;c=h;b=i;s=j", &s));
	assert_int_equal(s.account.len, 2);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (read(table[i], &s))
			fail_msg("read: %s", table[i]);
}

static void bounds_hold(void **state)
{
	static char longest[FIELD_SHORT_MAX];
	struct stamp s = sample();
	struct slice sealed, text;
	struct buffer out, room;

	(void)state;
	memset(longest, ';', sizeof(longest));
	text = slice_bytes(longest, sizeof(longest));
	s.account = s.envelope = s.from = s.message_id = text;
	written(&s, &sealed);
	s = sample();
	text = written(&s, &sealed);
	for (size_t size = 0; size <= text.len + 1; size++) {
		buffer_init(&out, out_memory, size);
		buffer_init(&room, room_memory, sizeof(room_memory));
		assert_true(stamp_write(&out, &s, &room, &sealed) == (size >= text.len));
	}
}

static void from_is_compared_unfolded(void **state)
{
	static const struct { const char *body; unsigned count; const char *text; } table[] = {
		{ " Me <a@b>", 1, "1:Me <a@b>" }, { "Me\r\n\t<a@b> ", 1, "1:Me <a@b>" }, { "", 0, "0:" },
		{ "a@b", 12, "12:a@b" },
	};
	char out[STAMP_FROM_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		size_t n = stamp_from_text(slice_of(table[i].body), table[i].count, out);

		assert_true(slice_equal(slice_bytes(out, n), slice_of(table[i].text)));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_written), cmocka_unit_test(is_read_as_written),
		cmocka_unit_test(damaged_ones_are_refused), cmocka_unit_test(bounds_hold),
		cmocka_unit_test(from_is_compared_unfolded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
