#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "mail/fields.h"

static char memory[2048];

static void assert_holds(const struct buffer *b, const char *expected)
{
	struct slice got = buffer_bytes(b);

	if (!slice_equal(got, slice_of(expected)))
		fail_msg("[%.*s], expected [%s]", SLICE_ARGS(got), expected);
}

static void writes_dates(void **state)
{
	static const struct { int64_t wall; int zone; const char *date; } table[] = {
		{ 0, 0, "Thu, 1 Jan 1970 00:00:00 +0000" },
		{ 0, 540, "Thu, 1 Jan 1970 09:00:00 +0900" },
		{ INT64_C(1795313359), 540, "Sun, 22 Nov 2026 11:09:19 +0900" },
		{ INT64_C(951782399), 0, "Mon, 28 Feb 2000 23:59:59 +0000" },
		{ INT64_C(951782400), 0, "Tue, 29 Feb 2000 00:00:00 +0000" },
		{ INT64_C(951868800), 0, "Wed, 1 Mar 2000 00:00:00 +0000" },
		{ INT64_C(951868800), -1, "Tue, 29 Feb 2000 23:59:00 -0001" },
		{ INT64_C(4107542399), 0, "Sun, 28 Feb 2100 23:59:59 +0000" },
		{ INT64_C(4107542400), 0, "Mon, 1 Mar 2100 00:00:00 +0000" },
		{ INT64_C(1798761599), 0, "Thu, 31 Dec 2026 23:59:59 +0000" },
		{ INT64_C(1798761599), 345, "Fri, 1 Jan 2027 05:44:59 +0545" },
		{ INT64_C(1798761600), -570, "Thu, 31 Dec 2026 14:30:00 -0930" },
		{ INT64_C(2147483648), 0, "Tue, 19 Jan 2038 03:14:08 +0000" },
		/* a clock gone mad still makes a field that can be parsed */
		{ -1, 0, "Thu, 1 Jan 1970 00:00:00 +0000" },
		{ INT64_MIN, -5000, "Thu, 1 Jan 1970 00:00:00 -2359" },
		{ INT64_MAX, 5000, "Fri, 31 Dec 9999 00:00:00 +2359" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct buffer b;

		buffer_init(&b, memory, sizeof(memory));
		assert_true(fields_date(&b, table[i].wall, table[i].zone));
		assert_holds(&b, table[i].date);
	}
}

static struct received sample(void)
{
	return (struct received){
		.helo = SLICE_OF("pc1.test-sample.jp"), .client = SLICE_OF("[192.0.2.1]"),
		.by = SLICE_OF("mx.test-sample.jp"), .with = "ESMTPSA",
		.tls = SLICE_OF("TLSv1.3 cipher TLS_AES_128_GCM_SHA256"), .id = SLICE_OF("B0000000001"),
		.recipient = SLICE_OF("user2@test-sample.jp"), .wall = INT64_C(1795313359), .zone = 540,
	};
}

static void assert_received(const struct received *r, const char *expected)
{
	struct buffer b;

	buffer_init(&b, memory, sizeof(memory));
	assert_true(fields_received(&b, r));
	assert_holds(&b, expected);
}

static void writes_received(void **state)
{
	struct received r = sample();

	(void)state;
	assert_received(&r, "Received: from pc1.test-sample.jp\r\n\t([192.0.2.1])\r\n"
			    "\tby mx.test-sample.jp with ESMTPSA\r\n"
			    "\t(TLSv1.3 cipher TLS_AES_128_GCM_SHA256)\r\n\tid B0000000001\r\n"
			    "\tfor <user2@test-sample.jp>;\r\n\tSun, 22 Nov 2026 11:09:19 +0900\r\n");
	r.tls = r.recipient = slice_bytes(NULL, 0);
	r.with = "ESMTP";
	assert_received(&r, "Received: from pc1.test-sample.jp\r\n\t([192.0.2.1])\r\n"
			    "\tby mx.test-sample.jp with ESMTP\r\n\tid B0000000001;\r\n"
			    "\tSun, 22 Nov 2026 11:09:19 +0900\r\n");
	r.helo = slice_bytes(NULL, 0);
	assert_received(&r, "Received: from [192.0.2.1]\r\n\t([192.0.2.1])\r\n"
			    "\tby mx.test-sample.jp with ESMTP\r\n\tid B0000000001;\r\n"
			    "\tSun, 22 Nov 2026 11:09:19 +0900\r\n");
}

static void tames_helo(void **state)
{
	static const struct { const char *helo, *shown; } table[] = {
		{ "a) by x; (b", "a??by?x???b" },
		{ "x\r\nFrom: y", "x??From:?y" },
		{ "[IPv6:2001:db8::1]", "[IPv6:2001:db8::1]" },
		{ "pc_1", "pc_1" },
		{ "\xe5\xb1\xb1\033\"\\<>", "????????" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct received r = sample();
		struct buffer b;
		char expected[80] = "Received: from ";

		r.helo = slice_of(table[i].helo);
		memcpy(expected + 15, table[i].shown, strlen(table[i].shown));
		memcpy(expected + 15 + strlen(table[i].shown), "\r\n\t(", 5);
		buffer_init(&b, memory, sizeof(memory));
		assert_true(fields_received(&b, &r));
		if (!slice_starts(buffer_bytes(&b), slice_of(expected)))
			fail_msg("%.*s", SLICE_ARGS(buffer_bytes(&b)));
	}
}

static void cuts_helo(void **state)
{
	static char helo[1000];
	struct received r = sample();
	struct buffer b;

	(void)state;
	memset(helo, 'h', sizeof(helo));
	r.helo = slice_bytes(helo, sizeof(helo));
	buffer_init(&b, memory, sizeof(memory));
	assert_true(fields_received(&b, &r));
	assert_int_equal(slice_find(buffer_bytes(&b), '\r'), 15 + 255);
}

static void leaves_out_what_is_no_recipient(void **state)
{
	static const char *const odd[] = { "user2", "a(b@x.jp", "a;b@x.jp", "a>\r\nX: y@x.jp", "\"a@x.jp" };

	(void)state;
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		struct received r = sample();
		struct buffer b;

		r.recipient = slice_of(odd[i]);
		buffer_init(&b, memory, sizeof(memory));
		assert_true(fields_received(&b, &r));
		assert_true(slice_ends_fold(buffer_bytes(&b),
					    SLICE_OF("id B0000000001;\r\n\tSun, 22 Nov 2026 11:09:19 +0900\r\n")));
	}
}

static void writes_auth_results(void **state)
{
	static const struct { const char *account, *mail_from, *field; } table[] = {
		{ "user1@test-sample.jp", "User1@test-sample.jp",
		  "Authentication-Results: mx;\r\n\tauth=pass smtp.auth=user1@test-sample.jp\r\n"
		  "\tsmtp.mailfrom=User1@test-sample.jp\r\n" },
		{ "mfp1", "", "Authentication-Results: mx;\r\n\tauth=pass smtp.auth=\"mfp1\"\r\n" },
		{ "", "a@x.jp", "Authentication-Results: mx;\r\n\tauth=none\r\n\tsmtp.mailfrom=a@x.jp\r\n" },
		{ "", "", "Authentication-Results: mx;\r\n\tauth=none\r\n" },
		{ "user1@test-sample.jp", "a;b \"c\\",
		  "Authentication-Results: mx;\r\n\tauth=pass smtp.auth=user1@test-sample.jp\r\n"
		  "\tsmtp.mailfrom=\"a;b \\\"c\\\\\"\r\n" },
		/* no local-part or domain-name of the RFCs, though mail goes there */
		{ "", "a..b@docomo.ne.jp", "Authentication-Results: mx;\r\n\tauth=none\r\n\tsmtp.mailfrom=\"a..b@docomo.ne.jp\"\r\n" },
		{ "", ".a@x.jp", "Authentication-Results: mx;\r\n\tauth=none\r\n\tsmtp.mailfrom=\".a@x.jp\"\r\n" },
		{ "", "a.@x.jp", "Authentication-Results: mx;\r\n\tauth=none\r\n\tsmtp.mailfrom=\"a.@x.jp\"\r\n" },
		{ "", "a@localhost", "Authentication-Results: mx;\r\n\tauth=none\r\n\tsmtp.mailfrom=\"a@localhost\"\r\n" },
		{ "", "a@[192.0.2.1]", "Authentication-Results: mx;\r\n\tauth=none\r\n\tsmtp.mailfrom=\"a@[192.0.2.1]\"\r\n" },
		{ "", "\"a;b\"@x.jp", "Authentication-Results: mx;\r\n\tauth=none\r\n\tsmtp.mailfrom=\"a;b\"@x.jp\r\n" },
		{ "", "a\r\nX: y", "Authentication-Results: mx;\r\n\tauth=none\r\n\tsmtp.mailfrom=\"a??X: y\"\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct auth_results r = { .by = SLICE_OF("mx"), .account = slice_of(table[i].account),
					  .mail_from = slice_of(table[i].mail_from) };
		struct buffer b;

		buffer_init(&b, memory, sizeof(memory));
		assert_true(fields_auth_results(&b, &r));
		assert_holds(&b, table[i].field);
	}
}

static void says_when_there_is_no_room(void **state)
{
	struct received r = sample();
	struct auth_results a = { .by = SLICE_OF("mx"), .account = SLICE_OF("mfp1"), .mail_from = SLICE_OF("x") };
	struct buffer b;
	size_t room;

	(void)state;
	buffer_init(&b, memory, 30);
	assert_false(fields_date(&b, INT64_C(1795313359), 540));
	assert_true(b.overflow);
	buffer_init(&b, memory, sizeof(memory));
	assert_true(fields_auth_results(&b, &a));
	room = buffer_length(&b);
	for (size_t n = 0; n < room; n++) {
		buffer_init(&b, memory, n);
		assert_false(fields_auth_results(&b, &a));
	}
	for (size_t n = 0; n < 100; n++) {
		buffer_init(&b, memory, n);
		assert_false(fields_received(&b, &r));
	}
}

static void replaces_from(void **state)
{
	static const struct { const char *original, *body; } table[] = {
		{ "", "mfp@t.jp" },
		{ "boss@t.jp", "mfp@t.jp" },
		{ "<boss@t.jp>", "mfp@t.jp" },
		{ "Scanner 2F <boss@t.jp>", "Scanner 2F <mfp@t.jp>" },
		{ "\"Scanner, 2F\" <boss>", "\"Scanner, 2F\" <mfp@t.jp>" },
		{ "  \tScanner\t<x@y> (c)", "Scanner <mfp@t.jp>" },
		{ "=?UTF-8?B?44K544Kt44Oj44OK?= <x@y>", "=?UTF-8?B?44K544Kt44Oj44OK?= <mfp@t.jp>" },
		{ "\033$B%9%-%c\033(B <x@y>", "\033$B%9%-%c\033(B <mfp@t.jp>" },
		{ "\343\202\271 <x@y>", "\343\202\271 <mfp@t.jp>" },
		{ "mfp@t.jp <x@y>", "mfp@t.jp" },
		/* another's address, or none that all readers see alike */
		{ "boss@t.jp <x@y>", "mfp@t.jp" },
		{ "\"boss@t.jp\" <x@y>", "mfp@t.jp" },
		{ "=?UTF-8?Q?boss=40t.jp?= <x@y>", "mfp@t.jp" },
		{ "a@b, Scanner <x@y>", "mfp@t.jp" },
		{ "\"open <x@y>", "mfp@t.jp" },
		{ "(open <x@y>", "mfp@t.jp" },
		{ "G: Scanner <x@y>", "mfp@t.jp" },
		{ "a <b> <x@y>", "mfp@t.jp" },
		{ "\033$B%9%- <x@y>", "mfp@t.jp" },
		{ "a\001b <x@y>", "mfp@t.jp" },
	};
	char longest[FIELD_SHORT_MAX + 1];
	struct buffer b;

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		buffer_init(&b, memory, sizeof(memory));
		assert_true(fields_from(&b, slice_of(table[i].original), SLICE_OF("mfp@t.jp")));
		assert_holds(&b, table[i].body);
	}
	memset(longest, 'x', sizeof(longest));
	memcpy(longest + FIELD_SHORT_MAX - 6, " <x@y>", 6);
	buffer_init(&b, memory, sizeof(memory));
	assert_true(fields_from(&b, slice_bytes(longest, FIELD_SHORT_MAX), SLICE_OF("mfp@t.jp")));
	assert_holds(&b, "mfp@t.jp");	/* perhaps cut */
	buffer_init(&b, memory, 7);
	assert_false(fields_from(&b, SLICE_OF("Scanner <x@y>"), SLICE_OF("mfp@t.jp")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_dates),
		cmocka_unit_test(writes_received),
		cmocka_unit_test(tames_helo),
		cmocka_unit_test(cuts_helo),
		cmocka_unit_test(leaves_out_what_is_no_recipient),
		cmocka_unit_test(writes_auth_results),
		cmocka_unit_test(says_when_there_is_no_room),
		cmocka_unit_test(replaces_from),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
