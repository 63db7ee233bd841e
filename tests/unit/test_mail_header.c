#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mail/header.h"

#define MAX	65536

struct given {
	const char *wire;
	unsigned defects;
	const char *from;	/* body of the first From: */
	unsigned from_count;
	size_t size;		/* 0: all of wire */
};

static const struct given table[] = {
	{ "From: a@b\r\n\r\n", 0, " a@b", 1, 0 },
	{ "From:a@b\r\n\r\n", 0, "a@b", 1, 0 },
	{ "From :a@b\r\n\r\n", 0, "a@b", 1, 0 },
	{ "From \t : a@b\r\n\r\n", 0, " a@b", 1, 0 },
	{ "FROM: a@b\r\n\r\n", 0, " a@b", 1, 0 },
	{ "fRoM:\r\n a@b\r\n\r\n", 0, "\r\n a@b", 1, 0 },
	{ "From: A\r\n\t<a@b>\r\n\r\n", 0, " A\r\n\t<a@b>", 1, 0 },
	{ "From: A\r\n \r\n <a@b>\r\n\r\n", 0, " A\r\n \r\n <a@b>", 1, 0 },
	{ "From:\r\n\r\n", 0, "", 1, 0 },
	{ "From: a@b", 0, " a@b", 1, 0 },
	{ "From: a@b\r\n", 0, " a@b", 1, 0 },
	{ "\r\n", 0, "", 0, 0 },
	{ "", 0, "", 0, 0 },
	{ "\r\nFrom: a@b\r\n\r\n", 0, "", 0, 2 },
	{ "To: c@d\r\nFrom: a@b\r\n\r\nFrom: e@f\r\n", 0, " a@b", 1, 22 },
	{ "From: a@b\r\nFrom: c@d\r\n\r\n", 0, " a@b", 2, 0 },
	{ "From: a@b\r\nTo: x\r\n y\r\nfrom : c@d\r\n e\r\n\r\n", 0, " a@b", 2, 0 },
	{ "Fromm: a@b\r\nX-From: a@b\r\nFro: a@b\r\n\r\n", 0, "", 0, 0 },
	{ "Subject: \033$B;3\033(B\r\nTo: \033$B;3\033(B <a@b>\r\nFrom: \033$B;3\033(B <a@b>\r\n\r\n", 0,
	  " \033$B;3\033(B <a@b>", 1, 0 },
	{ "Subject: \xe5\xb1\xb1\r\nFrom: a@b\r\n\r\n", 0, " a@b", 1, 0 },
	/* dots: RFC 5321 4.5.2 */
	{ ".From: a@b\r\n\r\n", 0, " a@b", 1, 0 },
	{ "From: a\r\n. @b\r\n\r\n", 0, " a\r\n @b", 1, 0 },
	{ "..From: a@b\r\n\r\n", 0, "", 0, 0 },
	{ "From: a@b\r\n..\r\n\r\n", HEADER_NOT_A_FIELD, " a@b", 1, 0 },
	{ "From: a@b\r\n.\r\n", 0, " a@b", 1, 0 },
	/* what no field is */
	{ "From a@b Sun Nov 22 11:09:19 2026\r\nFrom: a@b\r\n\r\n", HEADER_NOT_A_FIELD, " a@b", 1, 0 },
	{ "From\r\n : a@b\r\n\r\n", HEADER_NOT_A_FIELD, "", 0, 0 },
	{ "From\r\n\r\n", HEADER_NOT_A_FIELD, "", 0, 0 },
	{ "From \r\n\r\n", HEADER_NOT_A_FIELD, "", 0, 0 },
	{ ": a@b\r\n\r\n", HEADER_NOT_A_FIELD, "", 0, 0 },
	{ "hello\r\nFrom: a@b\r\n\r\n", HEADER_NOT_A_FIELD, " a@b", 1, 0 },
	{ "hello\r\n From: c@d\r\nFrom: a@b\r\n\r\n", HEADER_NOT_A_FIELD, " a@b", 1, 0 },
	{ "Fr\xe5om: a@b\r\n\r\n", HEADER_NOT_A_FIELD, "", 0, 0 },
	{ "\xef\xbb\xbf" "From: a@b\r\n\r\n", HEADER_NOT_A_FIELD, "", 0, 0 },
	{ "From a: a@b\r\n\r\n", HEADER_NOT_A_FIELD, "", 0, 0 },
	{ "From: a@b\r\nhello", HEADER_NOT_A_FIELD, " a@b", 1, 0 },
	{ " From: a@b\r\n\r\n", HEADER_FIRST_CONTINUES, "", 0, 0 },
	{ "\tx\r\nFrom: a@b\r\n\r\n", HEADER_FIRST_CONTINUES, " a@b", 1, 0 },
	{ ". x\r\nFrom: a@b\r\n\r\n", HEADER_FIRST_CONTINUES, " a@b", 1, 0 },
	/* characters */
	{ "Fr\033om: a@b\r\n\r\n", HEADER_ESCAPE | HEADER_NOT_A_FIELD, "", 0, 0 },
	{ "From: a\x01@b\r\n\r\n", HEADER_CONTROL, " a\x01@b", 1, 0 },
	{ "Subject: a\x7f\r\n\r\n", HEADER_CONTROL, "", 0, 0 },
	{ "Subject: a\tb\r\n\r\n", 0, "", 0, 0 },
	{ "hello\x02\r\n\r\n", HEADER_CONTROL | HEADER_NOT_A_FIELD, "", 0, 0 },
	/* line ends: style lesson 2 */
	{ "From: a@b\nFrom: c@d\r\n\r\n", HEADER_BARE_CR_LF, " a@b", 2, 0 },
	{ "From: a@b\n\n", HEADER_BARE_CR_LF, " a@b", 1, 0 },
	{ "From: a@b\r\r\n\r\n", HEADER_BARE_CR_LF, " a@b\r", 1, 0 },
	{ "Fr\rom: a@b\r\n\r\n", HEADER_BARE_CR_LF | HEADER_NOT_A_FIELD, "", 0, 0 },
	{ "\rFrom: a@b\r\n\r\n", HEADER_BARE_CR_LF | HEADER_NOT_A_FIELD, "", 0, 0 },
	{ "From: a@b\rFrom: c@d\r\n\r\n", HEADER_BARE_CR_LF, " a@b\rFrom: c@d", 1, 0 },
	{ "From: a@b\r\n\r", HEADER_BARE_CR_LF | HEADER_NOT_A_FIELD, " a@b", 1, 0 },
	{ "From: a@b\r", HEADER_BARE_CR_LF, " a@b\r", 1, 0 },
	{ "From: a@b\r\n\r\r\n\r\n", HEADER_BARE_CR_LF | HEADER_NOT_A_FIELD, " a@b", 1, 0 },
};

static void read_whole(struct header *h, struct slice wire, uint32_t max)
{
	header_init(h, max);
	header_feed(h, wire);
	header_finish(h);
}

static bool same_result(const struct header *a, const struct header *b)
{
	if (a->defects != b->defects || a->size != b->size || a->ended != b->ended)
		return false;
	if (memcmp(a->count, b->count, sizeof(a->count)) != 0)
		return false;
	for (int f = FIELD_FROM; f <= FIELD_ORIGINAL_FROM; f++) {
		if (!slice_equal(header_body(a, (enum header_field)f), header_body(b, (enum header_field)f)))
			return false;
	}
	return true;
}

static void reads_headers(void **state)
{
	struct header h;

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const struct given *g = &table[i];

		read_whole(&h, slice_of(g->wire), MAX);
		assert_true(header_ended(&h));
		if (h.defects != g->defects)
			fail_msg("[%s]: defects %#x, expected %#x", g->wire, h.defects, g->defects);
		if (!slice_equal(header_body(&h, FIELD_FROM), slice_of(g->from)))
			fail_msg("[%s]: From: [%.*s]", g->wire, SLICE_ARGS(header_body(&h, FIELD_FROM)));
		if (h.count[FIELD_FROM] != g->from_count)
			fail_msg("[%s]: %d From:", g->wire, h.count[FIELD_FROM]);
		if (h.size != (g->size > 0 ? g->size : strlen(g->wire)))
			fail_msg("[%s]: size %u", g->wire, h.size);
	}
}

/* Whole and cut at every pair of places, also where the limit stops the reading. */
static void reads_alike_however_cut(void **state)
{
	struct header whole, cut;

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct slice wire = slice_of(table[i].wire);
		uint32_t max = i % 2 ? 20 : MAX;

		read_whole(&whole, wire, max);
		for (size_t a = 0; a <= wire.len; a++) {
			for (size_t b = a; b <= wire.len; b++) {
				header_init(&cut, max);
				header_feed(&cut, slice_first(wire, a));
				header_feed(&cut, slice_skip(slice_first(wire, b), a));
				header_feed(&cut, slice_skip(wire, b));
				header_finish(&cut);
				if (!same_result(&whole, &cut))
					fail_msg("[%s] cut at %zu and %zu", table[i].wire, a, b);
			}
		}
	}
}

static void counts_and_keeps(void **state)
{
	static const char wire[] =
		"Return-Path: <r@x>\r\nReceived: 1\r\nReceived: 2\r\n\tfolded\r\nDATE: d\r\n"
		"Sender: s@x\r\nResent-From: rf@x\r\nResent-Sender: rs@x\r\nMessage-Id:  <m@x>  \r\n"
		"Message-ID: <other@x>\r\nAuto-Submitted:\r\n auto-replied\r\nsubject: one\r\n two\r\n"
		"Content-Type: text/plain\r\nX-A-Very-Long-Name-Of-More-Than-Thirty-Two-Octets: x\r\n\r\n";
	struct header h;

	(void)state;
	read_whole(&h, slice_of(wire), MAX);
	assert_int_equal(h.defects, 0);
	assert_int_equal(h.count[FIELD_RECEIVED], 2);
	assert_int_equal(h.count[FIELD_RETURN_PATH], 1);
	assert_int_equal(h.count[FIELD_DATE], 1);
	assert_int_equal(h.count[FIELD_CONTENT_TYPE], 1);
	assert_int_equal(h.count[FIELD_MESSAGE_ID], 2);
	assert_int_equal(h.count[FIELD_OTHER], 1);
	assert_int_equal(h.count[FIELD_FROM], 0);
	assert_true(slice_equal(header_body(&h, FIELD_SENDER), SLICE_OF(" s@x")));
	assert_true(slice_equal(header_body(&h, FIELD_RESENT_FROM), SLICE_OF(" rf@x")));
	assert_true(slice_equal(header_body(&h, FIELD_RESENT_SENDER), SLICE_OF(" rs@x")));
	assert_true(slice_equal(header_body(&h, FIELD_MESSAGE_ID), SLICE_OF("<m@x>")));
	assert_true(slice_equal(header_body(&h, FIELD_AUTO_SUBMITTED), SLICE_OF("auto-replied")));
	assert_true(slice_equal(header_body(&h, FIELD_SUBJECT), SLICE_OF("one two")));
	assert_int_equal(header_body(&h, FIELD_DATE).len, 0);
	assert_int_equal(header_body(&h, FIELD_OTHER).len, 0);
}

static void fill(char *at, size_t n)
{
	memset(at, 'x', n);
}

static unsigned defects_of_line(const char *before, size_t octets)
{
	static char wire[4096];
	size_t n = strlen(before);
	struct header h;

	memcpy(wire, before, n);
	fill(wire + n, octets - n);
	memcpy(wire + octets, "\r\n\r\n", 4);
	read_whole(&h, slice_bytes(wire, octets + 4), MAX);
	return h.defects;
}

static void keeps_to_the_length_of_a_line(void **state)
{
	(void)state;
	assert_int_equal(defects_of_line("X: ", DATA_LINE_MAX), 0);
	assert_int_equal(defects_of_line("X: ", DATA_LINE_MAX + 1), HEADER_LINE_TOO_LONG);
	assert_int_equal(defects_of_line(".X: ", DATA_LINE_MAX + 1), 0);
	assert_int_equal(defects_of_line("From: a\r\n ", DATA_LINE_MAX + 9), 0);
	assert_int_equal(defects_of_line("From: a\r\n ", DATA_LINE_MAX + 10), HEADER_LINE_TOO_LONG);
	assert_int_equal(defects_of_line("", DATA_LINE_MAX + 1), HEADER_LINE_TOO_LONG | HEADER_NOT_A_FIELD);
}

static unsigned defects_of_field(const char *name, size_t body_octets)
{
	static char wire[2 * FIELD_KEEP_MAX];
	size_t n = strlen(name), end = n + body_octets;
	struct header h;

	memcpy(wire, name, n);
	fill(wire + n, body_octets);
	for (size_t i = n + 500; i + 3 < end; i += 500)
		memcpy(wire + i, "\r\n ", 3);
	memcpy(wire + end, "\r\n\r\n", 4);
	read_whole(&h, slice_bytes(wire, end + 4), MAX);
	return h.defects;
}

static void keeps_fields_up_to_their_bound(void **state)
{
	(void)state;
	assert_int_equal(defects_of_field("From:", FIELD_KEEP_MAX), 0);
	assert_int_equal(defects_of_field("From:", FIELD_KEEP_MAX + 1), HEADER_FIELD_TOO_LONG);
	assert_int_equal(defects_of_field("Resent-Sender:", FIELD_KEEP_MAX + 1), HEADER_FIELD_TOO_LONG);
	assert_int_equal(defects_of_field("Subject:", FIELD_KEEP_MAX + 1), 0);
	assert_int_equal(defects_of_field("To:", FIELD_KEEP_MAX + 1), 0);
}

/*
 * R8: two From: 60 KiB apart are found; one behind the limit is not read, but the message has a
 * defect.
 */
static void keeps_to_the_size_of_the_header(void **state)
{
	static char wire[70000];
	size_t n = 0;
	struct header h;

	(void)state;
	memcpy(wire, "From: a@b\r\n", 11);
	for (n = 11; n < 61440; n += 10)
		memcpy(wire + n, "X: yyyyy\r\n", 10);
	memcpy(wire + n, "From: c@d\r\n\r\n", 13);
	n += 13;
	read_whole(&h, slice_bytes(wire, n), MAX);
	assert_int_equal(h.defects, 0);
	assert_int_equal(h.count[FIELD_FROM], 2);
	read_whole(&h, slice_bytes(wire, n), (uint32_t)n);
	assert_int_equal(h.defects, 0);
	read_whole(&h, slice_bytes(wire, n), (uint32_t)n - 1);
	assert_int_equal(h.defects, HEADER_TOO_LARGE);
	read_whole(&h, slice_bytes(wire, n), 61440);
	assert_int_equal(h.defects, HEADER_TOO_LARGE);
	assert_int_equal(h.count[FIELD_FROM], 1);
	assert_int_equal(h.size, 61440);
}

static void knows_nul(void **state)
{
	struct header h;

	(void)state;
	read_whole(&h, SLICE_OF("From: a\0@b\r\n\r\n"), MAX);
	assert_int_equal(h.defects, HEADER_CONTROL);
	read_whole(&h, SLICE_OF("Fr\0om: a@b\r\n\r\n"), MAX);
	assert_int_equal(h.defects, HEADER_CONTROL | HEADER_NOT_A_FIELD);
	read_whole(&h, SLICE_OF("From: a@b\r\n\0\r\n\r\n"), MAX);
	assert_int_equal(h.defects, HEADER_CONTROL | HEADER_NOT_A_FIELD);
}

static void names_defects(void **state)
{
	(void)state;
	assert_null(header_defect_name(0));
	assert_string_equal(header_defect_name(HEADER_CONTROL), "control");
	assert_string_equal(header_defect_name(HEADER_ESCAPE), "escape");
	assert_string_equal(header_defect_name(HEADER_ESCAPE | HEADER_NOT_A_FIELD), "not-a-field");
}

static void puts_a_field(void **state)
{
	struct header h;

	(void)state;
	header_init(&h, 65536);
	header_feed(&h, SLICE_OF("X-Original-From: a\r\n\tb\r\nFrom: x\r\nFrom: y\r\n\r\n"));
	header_finish(&h);
	assert_int_equal(h.count[FIELD_FROM], 2);
	assert_true(slice_equal(header_body(&h, FIELD_ORIGINAL_FROM), SLICE_OF("a\tb")));
	header_put(&h, FIELD_FROM, SLICE_OF(" z"));
	assert_int_equal(h.count[FIELD_FROM], 1);
	assert_true(slice_equal(header_body(&h, FIELD_FROM), SLICE_OF(" z")));
	assert_int_equal(h.defects, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_headers),
		cmocka_unit_test(reads_alike_however_cut),
		cmocka_unit_test(counts_and_keeps),
		cmocka_unit_test(keeps_to_the_length_of_a_line),
		cmocka_unit_test(keeps_fields_up_to_their_bound),
		cmocka_unit_test(keeps_to_the_size_of_the_header),
		cmocka_unit_test(knows_nul),
		cmocka_unit_test(names_defects),
		cmocka_unit_test(puts_a_field),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
