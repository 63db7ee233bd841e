#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "mail/strip.h"

#define HOST	"mx.test-sample.jp"
#define AR	"Authentication-Results:"
#define REST	"From: a@b\r\n\r\nbody\r\n"

static char memory[8192];

/* Feeds the pieces between the cuts; body octets must be told from the header's. */
static struct slice filter_cut(struct strip *s, unsigned rules, struct slice wire, size_t a, size_t b)
{
	struct slice parts[3] = { slice_first(wire, a), slice_first(slice_skip(wire, a), b - a), slice_skip(wire, b) };
	struct buffer out;
	struct slice part;

	buffer_init(&out, memory, sizeof(memory));
	strip_init(s, SLICE_OF(HOST), rules);
	for (size_t i = 0; i < 3; i++)
		while (strip_next(s, &parts[i], &part))
			assert_true(buffer_put(&out, part));
	assert_true(buffer_put(&out, strip_finish(s)));
	return buffer_bytes(&out);
}

static void assert_filtered(unsigned rules, struct slice wire, struct slice expected, unsigned done)
{
	for (size_t a = 0; a <= wire.len; a++) {
		struct strip s;
		struct slice got = filter_cut(&s, rules, wire, a, a + (wire.len - a) / 2);

		if (!slice_equal(got, expected))
			fail_msg("cut at %zu: [%.*s] became [%.*s], expected [%.*s]", a, SLICE_ARGS(wire), SLICE_ARGS(got),
				 SLICE_ARGS(expected));
		if (s.done != done)
			fail_msg("[%.*s]: done %x, expected %x", SLICE_ARGS(wire), s.done, done);
	}
}

static void takes_out_what_is_in_our_name(void **state)
{
	static const char *const table[] = {
		AR " mx.test-sample.jp; auth=pass\r\n",
		AR "mx.test-sample.jp;none\r\n",
		"AUTHENTICATION-results:MX.Test-Sample.JP; auth=pass\r\n",
		AR " mx.test-sample.jp. ; none\r\n",
		AR " mx.test-sample.jp 1; none\r\n",
		AR " mx.test-sample.jp (c) 1 (c); none\r\n",
		AR " mx.test-sample.jp\r\n",
		AR " mx.test-sample.jp 1\r\n",
		AR " (comment) mx.test-sample.jp; none\r\n",
		AR " (a (nested \\) ; evil) one) mx.test-sample.jp; none\r\n",
		AR " (other.example;)mx.test-sample.jp; none\r\n",
		AR "\r\n\tmx.test-sample.jp;\r\n auth=pass\r\n\tsmtp.auth=x\r\n",
		AR " mx.test-sample.jp\r\n ; none\r\n",
		AR " \"mx.test-sample.jp\"; none\r\n",
		AR " \"mx\\.test-sample.j\\p\"; none\r\n",
		AR " \" mx.test-sample.jp \"; none\r\n",
		AR " \"mx.\r\n test-sample.jp\"; none\r\n",
		AR " mx.test-sample.jp=; none\r\n",
		"Authentication-Results : mx.test-sample.jp; none\r\n",
		"Authentication-Results\t \t: mx.test-sample.jp; none\r\n",
		".Authentication-Results: mx.test-sample.jp; none\r\n",
		AR "\r\n. mx.test-sample.jp; none\r\n. more\r\n",
		"Authentication-Results\r\n : mx.test-sample.jp; none\r\n",
		"Authentication-\001Results: mx.test-sample.jp; none\r\n",
		/* can't be told for sure */
		AR "\r\n",
		AR " ; none\r\n",
		AR " (never closed mx.test-sample.jp; none\r\n",
		AR " \"never closed; none\r\n",
		AR " other.example mx.test-sample.jp; none\r\n",
		AR " mx.(c)test-sample.jp; none\r\n",
		AR " mx.test-sample.jp/1; none\r\n",
		AR " mx.test\200sample.jp; none\r\n",
		AR " =?us-ascii?q?mx.test-sample.jp?=; none\r\n",
		AR " other.example, mx.test-sample.jp; none\r\n",
		AR " other.example 1 2; none\r\n",
		AR " (\033$B!!\033(B) other.example; none\r\n",
	};
	char wire[512], expected[512];

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		snprintf(wire, sizeof(wire), "X: 1\r\n%sY: 2\r\n\r\n%s", table[i], table[i]);
		snprintf(expected, sizeof(expected), "X: 1\r\nY: 2\r\n\r\n%s", table[i]);
		assert_filtered(STRIP_ALL, slice_of(wire), slice_of(expected), STRIP_RESULTS);
		snprintf(wire, sizeof(wire), "%s" REST, table[i]);
		assert_filtered(STRIP_ALL, slice_of(wire), SLICE_OF(REST), STRIP_RESULTS);
		assert_filtered(STRIP_VERDICT, slice_of(wire), slice_of(wire), 0);
		/* without an empty line, or cut short */
		snprintf(wire, sizeof(wire), "X: 1\r\n%s", table[i]);
		assert_filtered(STRIP_ALL, slice_of(wire), SLICE_OF("X: 1\r\n"), STRIP_RESULTS);
	}
}

static void takes_out_stamp_and_verdict(void **state)
{
	static const struct { const char *field; unsigned done; } table[] = {
		{ "X-Sekimori-Stamp: mx.test-sample.jp; v=1; k=a\r\n b=c\r\n", STRIP_STAMP },
		{ "x-sekimori-stamp:\r\n", STRIP_STAMP },
		{ "X-Sekimori-Verdict: would=552 reason=x\r\n", STRIP_VERDICT },
		{ "X-SEKIMORI-verdict\r\n : x\r\n", STRIP_VERDICT },
		{ "X-Sekimori-Verdict:\r\n", STRIP_VERDICT },
	};
	char wire[512];

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		snprintf(wire, sizeof(wire), "%s" REST, table[i].field);
		assert_filtered(STRIP_ALL, slice_of(wire), SLICE_OF(REST), table[i].done);
		snprintf(wire, sizeof(wire), "%s%s" AR HOST "\r\n" REST, table[i].field, table[i].field);
		assert_filtered(STRIP_ALL, slice_of(wire), SLICE_OF(REST), table[i].done | STRIP_RESULTS);
	}
}

static void leaves_all_else(void **state)
{
	static const char *const table[] = {
		REST, "", "\r\n", "\r\n" AR HOST "\r\n", "x", "\r\nbody without end", "Subject: x", ".", "X: y\r\n.",
		AR " other.example; auth=pass\r\n" REST,
		AR " other.example; mx.test-sample.jp; auth=pass\r\n" REST,
		AR " mx.test-sample.jp.evil.example; none\r\n" REST,
		AR " xmx.test-sample.jp; none\r\n" REST,
		AR " test-sample.jp; none\r\n" REST,
		AR " (mx.test-sample.jp) other.example 1; none\r\n" REST,
		AR " \"other.example\" (\\) x); none\r\n" REST,
		AR " spf=pass (sender IP is 192.0.2.1)\r\n smtp.mailfrom=x.example; dkim=none\r\n" REST,
		AR "\r\n other.example;\r\n\tdkim=pass\r\n. dots\r\n" REST,
		"." AR " other.example; none\r\n" REST,
		"X-Sekimori-Stamp: other.example; v=1\r\n" REST,
		"X-Authentication-Results: mx.test-sample.jp; none\r\n" REST,
		"Authentication-Results-Original: mx.test-sample.jp; none\r\n" REST,
		"ARC-Authentication-Results: i=1; mx.test-sample.jp; none\r\n" REST,
		"X: y\r\n" " " AR HOST "\r\n" REST,
		" first continues\r\nX: y\r\n" REST,
		"From junk\r\n: x\r\n\001\002\r\n" REST,
		"X: y\r\n\r\r\n\r\n" AR HOST "\r\n",
		"X: y\n\n" AR HOST "\r\n",
		"X: y\r\n.\r\n" AR HOST "\r\n",
		"X: y\r\n..\r\n..x\r\n" REST,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		assert_filtered(STRIP_ALL, slice_of(table[i]), slice_of(table[i]), 0);
	assert_filtered(STRIP_ALL, SLICE_OF("X: a\0b\r\n\r\n\0\r\n"), SLICE_OF("X: a\0b\r\n\r\n\0\r\n"), 0);
}

/* What doesn't come to an end within the bound is dropped when its name is one of ours, else passed. */
static void holds_no_more_than_its_bound(void **state)
{
	static char wire[4096];
	int len;

	(void)state;
	len = snprintf(wire, sizeof(wire), AR "%2000s other.example; none\r\n" REST, "");
	assert_filtered(STRIP_ALL, slice_bytes(wire, (size_t)len), SLICE_OF(REST), STRIP_RESULTS);
	len = snprintf(wire, sizeof(wire), "Authentication-Results%2000s: other.example; none\r\n" REST, "");
	assert_filtered(STRIP_ALL, slice_bytes(wire, (size_t)len), SLICE_OF(REST), STRIP_RESULTS);
	len = snprintf(wire, sizeof(wire), "Authentication%2000s: mx\r\n" REST, "");
	assert_filtered(STRIP_ALL, slice_bytes(wire, (size_t)len), slice_bytes(wire, (size_t)len), 0);
	len = snprintf(wire, sizeof(wire), AR " %0300d; none\r\n" REST, 0);
	assert_filtered(STRIP_ALL, slice_bytes(wire, (size_t)len), SLICE_OF(REST), STRIP_RESULTS);
}

static void renames_from(void **state)
{
	static const struct { const char *wire, *expected; } table[] = {
		{ "From: a@b\r\n\r\nFrom: c\r\n", "X-Original-From: a@b\r\n\r\nFrom: c\r\n" },
		{ "FROM :a@b\r\n c\r\n\r\n", "X-Original-From:a@b\r\n c\r\n\r\n" },
		{ ".From:a@b\r\nfrom: c\r\n\r\n", "X-Original-From:a@b\r\nX-Original-From: c\r\n\r\n" },
		{ "From\t :\r\n a@b\r\n\r\n", "X-Original-From:\r\n a@b\r\n\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		assert_filtered(STRIP_ALL | STRIP_RENAME, slice_of(table[i].wire), slice_of(table[i].expected), STRIP_RENAME);
		assert_filtered(STRIP_ALL, slice_of(table[i].wire), slice_of(table[i].wire), 0);
	}
	assert_filtered(STRIP_ALL | STRIP_RENAME, SLICE_OF("Fro: x\r\nFrom-X: y\r\n\r\n"), SLICE_OF("Fro: x\r\nFrom-X: y\r\n\r\n"), 0);
}

static void tells_header_from_body(void **state)
{
	static const char wire[] = "X: y\r\n" AR HOST "\r\n\r\nbody\r\n";
	struct slice rest = slice_of(wire), part;
	char header[64] = "", body[64] = "";
	struct strip s;

	(void)state;
	strip_init(&s, SLICE_OF(HOST), STRIP_ALL);
	while (strip_next(&s, &rest, &part))
		strncat(strip_in_body(&s) ? body : header, part.at, part.len);
	assert_string_equal(header, "X: y\r\n\r\n");
	assert_string_equal(body, "body\r\n");
}

static void names_what_was_done(void **state)
{
	(void)state;
	assert_null(strip_names(0));
	assert_null(strip_names(STRIP_RENAME));
	assert_string_equal(strip_names(STRIP_RESULTS), "auth-results");
	assert_string_equal(strip_names(STRIP_ALL | STRIP_RENAME), "auth-results,stamp,verdict");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_out_what_is_in_our_name),
		cmocka_unit_test(takes_out_stamp_and_verdict),
		cmocka_unit_test(leaves_all_else),
		cmocka_unit_test(holds_no_more_than_its_bound),
		cmocka_unit_test(renames_from),
		cmocka_unit_test(tells_header_from_body),
		cmocka_unit_test(names_what_was_done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
