#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "feature.h"
#include "base/base64.h"
#include "mail/report.h"

#define BOUNDARY	"--=_R00000001_return"

static char memory[262144];
static struct slice mail;		/* as written */

struct sink {
	size_t len, pieces, stop_after;
};

static bool take(void *context, struct slice piece)
{
	struct sink *s = context;

	if (s->pieces++ >= s->stop_after)
		return false;
	assert_true(s->len + piece.len <= sizeof(memory));
	memcpy(memory + s->len, piece.at, piece.len);
	s->len += piece.len;
	return true;
}

static const struct report_recipient recipients[] = {
	{ .address = SLICE("nobody@example.com"), .status = SLICE("5.1.1"),
	  .diagnostic = SLICE("550 5.1.1 <nobody@example.com>: Recipient address rejected: User unknown in virtual mailbox table"),
	  .remote = SLICE("mx.example.com"), .cause = REPORT_REFUSED },
	{ .address = SLICE("late@example.org"), .cause = REPORT_EXPIRED },
	{ .address = SLICE(".dots..@docomo.ne.jp"), .status = SLICE("5.7.1"),
	  .diagnostic = SLICE("554 \xe6\x8b\x92\xe5\x90\xa6 \033$B;3\033(B\r\n.\r\nFinal-Recipient: rfc822; forged"),
	  .remote = SLICE("192.0.2.25"), .cause = REPORT_REFUSED },
};

static struct report sample(void)
{
	return (struct report){
		.from = SLICE_OF("postmaster@test-sample.jp"), .to = SLICE_OF("user1@test-sample.jp"),
		.hostname = SLICE_OF("mx.test-sample.jp"), .id = SLICE_OF("R00000001"),
		.original_id = SLICE_OF("B00000002"), .languages = REPORT_JA | REPORT_EN,
		.wall = INT64_C(1795313359), .arrived = INT64_C(1795313000), .zone = 540,
		.recipients = recipients, .recipient_count = 3,
		.header = SLICE_OF("From: user1@test-sample.jp\r\n..dotted: x\r\nSubject: test\r\n\tfolded\r\n"),
	};
}

static bool holds(const char *text)
{
	return memmem(mail.at, mail.len, text, strlen(text)) != NULL;
}

static size_t count(const char *text)
{
	struct slice rest = mail;
	const char *hit;
	size_t n = 0;

	while ((hit = memmem(rest.at, rest.len, text, strlen(text))) != NULL) {
		rest = slice_skip(rest, (size_t)(hit - rest.at) + 1);
		n++;
	}
	return n;
}

/* What every report has to be on the wire, whatever it was made of. */
static void assert_wire(void)
{
	size_t line = 0;

	assert_true(mail.len > 2);
	assert_true(slice_ends_fold(mail, SLICE_OF("\r\n")));
	for (size_t i = 0; i < mail.len; i++) {
		char c = mail.at[i];

		if (!ascii_is_print(c) && c != '\t' && c != '\r' && c != '\n')
			fail_msg("octet %#x at %zu", (unsigned char)c, i);
		if ((c == '\n') != (i > 0 && mail.at[i - 1] == '\r'))
			fail_msg("bare CR or LF at %zu", i);
		if (i == line && c == '.' && mail.at[i + 1] != '.')
			fail_msg("a dot at %zu is not doubled", i);
		if (i - line > 998)
			fail_msg("line at %zu over 998 octets", line);
		if (c == '\n')
			line = i + 1;
	}
}

static void write_it(const struct report *r)
{
	struct sink s = { .stop_after = SIZE_MAX };

	assert_true(report_write(r, take, &s));
	mail = slice_bytes(memory, s.len);
	assert_wire();
	assert_int_equal(count(BOUNDARY "\r\n"), 3);
	assert_int_equal(count(BOUNDARY "--\r\n"), 1);
	assert_int_equal(count(BOUNDARY), 4);
}

/* The text part of what is in `mail`, decoded. */
static struct slice decoded_text(void)
{
	static char text[65536];
	const char *at = memmem(mail.at, mail.len, "base64\r\n\r\n", 10);
	struct slice rest, line;
	size_t n = 0, got;

	assert_non_null(at);
	rest = slice_skip(mail, (size_t)(at - mail.at) + 10);
	while (slice_cut(&rest, '\n', &line) && line.len > 1) {
		assert_true(line.len <= 77);
		assert_true(base64_decode(slice_first(line, line.len - 1), text + n, sizeof(text) - n, &got));
		n += got;
	}
	return slice_bytes(text, n);
}

static bool text_holds(const char *text)
{
	struct slice all = decoded_text();

	return memmem(all.at, all.len, text, strlen(text)) != NULL;
}

static void writes_both_languages(void **state)
{
	struct report r = sample();

	(void)state;
	write_it(&r);
	assert_true(slice_starts(mail, SLICE_OF("From: Mail Delivery System <postmaster@test-sample.jp>\r\n"
						"To: <user1@test-sample.jp>\r\n"
						"Subject: =?UTF-8?B?")));
	assert_true(holds("?=\r\n (Undelivered mail)\r\n"));
	assert_true(holds("\r\nDate: Sun, 22 Nov 2026 11:09:19 +0900\r\n"));
	assert_true(holds("\r\nMessage-ID: <R00000001.return@mx.test-sample.jp>\r\n"));
	assert_true(holds("\r\nAuto-Submitted: auto-replied\r\n"));
	assert_true(holds("\r\nContent-Type: multipart/report; report-type=delivery-status;\r\n"
			  "\tboundary=\"=_R00000001_return\"\r\n\r\n"));
	assert_true(text_holds("宛先: nobody@example.com\r\n"));
	assert_true(text_holds("Recipient: nobody@example.com\r\n"));
	assert_true(text_holds("User unknown"));
	assert_true(text_holds("宛先のアドレスに誤りがないかご確認"));
	assert_true(text_holds("期限まで再送を繰り返しましたが"));
	assert_true(text_holds("B00000002"));
}

static void writes_one_language(void **state)
{
	struct report r = sample();

	(void)state;
	r.languages = REPORT_JA;
	write_it(&r);
	assert_true(text_holds("宛先: nobody@example.com\r\n"));
	assert_false(text_holds("  Recipient: "));
	assert_false(holds("(Undelivered mail)"));
	r.languages = REPORT_EN;
	write_it(&r);
	assert_true(holds("\r\nSubject: Undelivered mail\r\n"));
	assert_true(holds("Content-Type: text/plain; charset=us-ascii\r\n\r\nThis is the mail relay"));
	assert_true(holds("\r\n  Recipient: late@example.org\r\n"));
	assert_true(holds("It was tried again and again"));
	assert_false(holds("base64"));
	r.languages = 0;
	write_it(&r);
	assert_true(holds("\r\nSubject: Undelivered mail\r\n"));
}

static void writes_the_status(void **state)
{
	struct report r = sample();

	(void)state;
	write_it(&r);
	assert_true(holds(BOUNDARY "\r\nContent-Type: message/delivery-status\r\n\r\n"
			  "Reporting-MTA: dns; mx.test-sample.jp\r\nX-Sekimori-Queue-ID: B00000002\r\n"
			  "Arrival-Date: Sun, 22 Nov 2026 11:03:20 +0900\r\n\r\n"
			  "Final-Recipient: rfc822; nobody@example.com\r\nAction: failed\r\nStatus: 5.1.1\r\n"
			  "Remote-MTA: dns; mx.example.com\r\nDiagnostic-Code: smtp; 550 5.1.1 "));
	assert_true(holds("\r\n\r\nFinal-Recipient: rfc822; late@example.org\r\nAction: failed\r\n"
			  "Status: 4.4.7\r\n\r\nFinal-Recipient: "));
	assert_true(holds("\r\nFinal-Recipient: rfc822; .dots..@docomo.ne.jp\r\n"));
	assert_int_equal(count("\r\nFinal-Recipient:"), 3);
}

static void writes_delay_and_code(void **state)
{
	static const struct report_recipient late[] = {
		{ .address = SLICE("later@example.com"), .status = SLICE("4.2.1"), .code = 451, .diagnostic = SLICE("4.2.1 busy"),
		  .remote = SLICE("mx.example.com"), .cause = REPORT_DELAYED },
		{ .address = SLICE("gone@example.com"), .diagnostic = SLICE("connection refused"), .cause = REPORT_DELAYED },
		{ .address = SLICE("old@example.com"), .diagnostic = SLICE("450 4.2.0 as kept"), .cause = REPORT_DELAYED },
	};
	struct report r = sample();

	(void)state;
	r.recipients = late;
	r.until = r.wall + 86400;
	write_it(&r);
	assert_true(holds("?=\r\n (Delayed mail)\r\n"));
	assert_true(holds("Action: delayed\r\nStatus: 4.2.1\r\nRemote-MTA: dns; mx.example.com\r\n"
			  "Diagnostic-Code: smtp; 451 4.2.1 busy\r\n"
			  "Will-Retry-Until: Mon, 23 Nov 2026 11:09:19 +0900\r\n"));
	assert_true(holds("Status: 4.4.1\r\nDiagnostic-Code: X-Sekimori; connection refused\r\n"));
	assert_true(holds("Diagnostic-Code: smtp; 450 4.2.0 as kept\r\n"));
	assert_false(holds("Action: failed"));
	assert_true(text_holds("再送の期限: 2026-11-23 11:09\r\n"));
	assert_true(text_holds("Tried until: 2026-11-23 11:09\r\n"));
	assert_true(text_holds("451 4.2.1 busy"));
	assert_true(text_holds("配送が遅れています"));
	assert_false(text_holds("お届けできませんでした"));
	assert_false(text_holds("could not be delivered to"));
}

static void returns_the_header(void **state)
{
	struct report r = sample();

	(void)state;
	write_it(&r);
	assert_true(holds("Content-Type: text/rfc822-headers\r\n\r\nFrom: user1@test-sample.jp\r\n"
			  "..dotted: x\r\nSubject: test\r\n\tfolded\r\n\r\n" BOUNDARY "--\r\n"));
	r.header = SLICE_OF("A: b\r\n\r\nthe body\r\n");
	write_it(&r);
	assert_true(holds("\r\n\r\nA: b\r\n\r\n" BOUNDARY "--\r\n"));
	assert_false(holds("the body"));
	r.header = SLICE_OF("A: cut here");
	write_it(&r);
	assert_true(holds("\r\n\r\nA: cut here\r\n\r\n" BOUNDARY "--\r\n"));
	r.header = slice_bytes(NULL, 0);
	write_it(&r);
	assert_true(holds("text/rfc822-headers\r\n\r\n\r\n" BOUNDARY "--\r\n"));
}

static void quotes_a_foul_header(void **state)
{
	struct report r = sample();

	(void)state;
	r.header = SLICE_OF("Subject: \xe5\xb1\xb1 = x \r\n\033$B;3\033(B: y\r\n..\r\na\rb\nc\0d\r\n");
	write_it(&r);
	assert_true(holds("Content-Transfer-Encoding: quoted-printable\r\n\r\n"
			  "Subject: =E5=B1=B1 =3D x=20\r\n=1B$B;3=1B(B: y\r\n..\r\na=0Db\r\nc=00d\r\n\r\n"));
	r.header = SLICE_OF("A: b\r\n" BOUNDARY "--\r\n\r\n");
	write_it(&r);
	assert_true(holds("\r\nA: b\r\n=2D-=3D_R00000001_return--\r\n"));
}

static void bounds_the_header(void **state)
{
	static char header[20000];
	struct report r = sample();

	(void)state;
	for (size_t n = 0; n + 10 <= sizeof(header); n += 10)
		memcpy(header + n, "X: zzzzz\r\n", 10);
	r.header = slice_bytes(header, sizeof(header));
	write_it(&r);
	assert_int_equal(count("X: zzzzz\r\n"), 819);
	memset(header, 'z', sizeof(header));
	write_it(&r);
	assert_true(holds("quoted-printable"));
	assert_int_equal(count("z=\r\n"), 8192 / 72);
	assert_true(mail.len < 20000);
}

static void stays_whole_with_odd_values(void **state)
{
	struct report r = sample();
	struct report_recipient odd = { .address = SLICE_OF("a\r\n\r\n--=_x\xe5"), .status = SLICE_OF("x\r\ny"),
					.remote = SLICE_OF("."), .diagnostic = SLICE_OF(" ") };

	(void)state;
	r.recipients = &odd;
	r.recipient_count = 1;
	r.to = SLICE_OF("user1\r\nBcc: x");
	r.languages = REPORT_EN;
	write_it(&r);
	assert_true(holds("\r\nTo: undisclosed-recipients:;\r\n"));
	assert_int_equal(count("\r\nBcc"), 0);
}

static void folds_long_words(void **state)
{
	static char words[400];
	struct report_recipient one = recipients[0];
	struct report r = sample();
	struct slice rest, line;

	(void)state;
	memset(words, 'w', sizeof(words));
	for (size_t i = 9; i < sizeof(words); i += 10)
		words[i] = ' ';
	one.diagnostic = slice_bytes(words, sizeof(words));
	r.recipients = &one;
	r.recipient_count = 1;
	r.languages = REPORT_EN;
	write_it(&r);
	rest = mail;
	while (slice_cut(&rest, '\n', &line))
		assert_true(line.len <= 79);
}

static void stops_with_its_sink(void **state)
{
	struct report r = sample();
	struct sink whole = { .stop_after = SIZE_MAX };

	(void)state;
	assert_true(report_write(&r, take, &whole));
	for (size_t n = 0; n < whole.pieces; n++) {
		struct sink s = { .stop_after = n };

		assert_false(report_write(&r, take, &s));
		assert_int_equal(s.pieces, n + 1);
	}
}

static void reads_status_codes(void **state)
{
	static const struct { unsigned code; const char *text, *status; } table[] = {
		{ 550, "5.1.1 User unknown", "5.1.1" }, { 550, "5.1.1", "5.1.1" }, { 450, "4.2.0 later", "4.2.0" },
		{ 550, "5.123.456 x", "5.123.456" }, { 550, "User unknown", "5.0.0" }, { 450, "", "4.0.0" },
		{ 550, "4.1.1 wrong class", "5.0.0" }, { 450, "5.1.1 wrong class", "4.0.0" },
		{ 550, "5.1", "5.0.0" }, { 550, "5.1.", "5.0.0" }, { 550, "5.1.1.1 x", "5.0.0" },
		{ 550, "5.1.1x", "5.0.0" }, { 550, "5.1234.1 x", "5.0.0" }, { 550, " 5.1.1 x", "5.0.0" },
		{ 550, "55.1.1 x", "5.0.0" }, { 550, "5..1 x", "5.0.0" }, { 550, "5.1.1. x", "5.0.0" },
		{ 354, "3.0.0 go on", "5.0.0" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct slice s = report_status(table[i].code, slice_of(table[i].text));

		if (!slice_equal(s, slice_of(table[i].status)))
			fail_msg("%u %s: %.*s", table[i].code, table[i].text, SLICE_ARGS(s));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		unit_test_of(CONFIG_RETURN_JA, writes_both_languages),
		unit_test_of(CONFIG_RETURN_JA, writes_one_language),
		cmocka_unit_test(writes_the_status),
		unit_test_of(CONFIG_RETURN_JA, writes_delay_and_code), cmocka_unit_test(returns_the_header),
		cmocka_unit_test(quotes_a_foul_header),
		cmocka_unit_test(bounds_the_header),
		cmocka_unit_test(stays_whole_with_odd_values),
		cmocka_unit_test(folds_long_words),
		cmocka_unit_test(stops_with_its_sink),
		cmocka_unit_test(reads_status_codes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
