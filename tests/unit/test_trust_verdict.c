#include "trust_fixture.h"

#include "trust/verdict.h"

#define ALIAS	"info@test-sample.jp"
#define SHARED	"sales@test-sample.jp"
#define BOSS	"boss@test-sample.jp"
#define MFP	"mfp1@test-sample.jp"
#define OUTSIDE	"someone@elsewhere.example"

/* Who may speak, in the order of the columns below: account, device at three levels each; peer; nobody. */
enum { A1, A2, A3, D1, D2, D3, P, U, WHO };
static const char *const who_names[WHO] = { "A1", "A2", "A3", "D1", "D2", "D3", "P", "U" };

static struct principal speaker(struct trust *t, unsigned who, struct trust_policy policy)
{
	policy.level = who <= D3 ? (uint8_t)(LEVEL_AUTH + who % 3) : LEVEL_FROM;
	f0_policy(t, policy);
	if (who <= A3)
		return as_account(t, "User1");
	return as_address(t, who <= D3 ? "192.168.0.50" : who == P ? "192.168.100.10" : "192.0.2.9");
}

static struct address sender_of(const char *path)
{
	struct address a;
	struct slice rest;

	if (address_parse_path(slice_of(path), &a, &rest) != ADDRESS_OK)
		fail_msg("MAIL FROM:%s can't be read", path);
	return a;
}

static struct verdict at_mail(struct trust *t, unsigned who, struct trust_policy policy, const char *path)
{
	struct principal p = speaker(t, who, policy);
	struct address sender = sender_of(path);
	struct verdict v;

	memset(&v, 0x5a, sizeof(v));
	trust_judge_mail(t, &p, &sender, &v);
	assert_int_equal(v.pass, v.reason == REASON_NONE);
	return v;
}

static struct verdict of_header(struct trust *t, const struct principal *p, const char *path, struct slice text)
{
	static struct header h;
	struct address sender = sender_of(path);
	struct verdict v;

	header_init(&h, 65536);
	header_feed(&h, text);
	header_finish(&h);
	memset(&v, 0x5a, sizeof(v));
	trust_judge_header(t, p, &sender, &h, &v);
	assert_int_equal(v.pass, v.reason == REASON_NONE);
	return v;
}

static struct verdict after_data(struct trust *t, unsigned who, struct trust_policy policy, const char *path,
				 const char *fields)
{
	struct principal p = speaker(t, who, policy);
	char text[4096];

	snprintf(text, sizeof(text), "Subject: x\r\n%s\r\nFrom: " U2 "\r\n", fields);
	return of_header(t, &p, path, slice_of(text));
}

static const struct trust_policy usual = { .from_alias = true };

/* The table "MAIL FROM" of requirements.md: one letter each for who_names. y: passes, n: 550, x: 530. */
static const struct {
	const char *path, *verdicts;
	enum trust_reason reason;	/* of the n */
} mail_table[] = {
	{ "<" U1 ">", "yyyynnyx", REASON_NOT_OWN_ENVELOPE },
	{ "<USER1@Test-Sample.JP>", "yyyynnyx", REASON_NOT_OWN_ENVELOPE },
	{ "<\"user1\"@test-sample.jp>", "yyyynnyx", REASON_NOT_OWN_ENVELOPE },
	{ "<" ALIAS ">", "yyyynnyx", REASON_NOT_OWN_ENVELOPE },
	{ "<" SHARED ">", "yyyynnyx", REASON_NOT_OWN_ENVELOPE },
	{ "<" BOSS ">", "ynnynnyx", REASON_NOT_OWN_ENVELOPE },
	{ "<" U2 ">", "ynnynnyx", REASON_NOT_OWN_ENVELOPE },
	{ "<" OUTSIDE ">", "ynnynnyx", REASON_NOT_OWN_ENVELOPE },
	{ "<" MFP ">", "ynnyyyyx", REASON_NOT_OWN_ENVELOPE },
	{ "<MFP1@test-sample.JP>", "ynnyyyyx", REASON_NOT_OWN_ENVELOPE },
	{ "<nobody@test-sample.jp>", "ynnynnyx", REASON_NOT_OWN_ENVELOPE },
	{ "<user10@test-sample.jp>", "ynnynnyx", REASON_NOT_OWN_ENVELOPE },
	{ "<xuser1@test-sample.jp>", "ynnynnyx", REASON_NOT_OWN_ENVELOPE },
	{ "<user1@test-sample.jp.evil.example>", "ynnynnyx", REASON_NOT_OWN_ENVELOPE },
	{ "<user1@[192.168.0.103]>", "ynnynnyx", REASON_NOT_OWN_ENVELOPE },
	{ "<user1@sub.test-sample.jp>", "ynnynnyx", REASON_NOT_OWN_ENVELOPE },
	{ "<user1+x@test-sample.jp>", "ynnynnyx", REASON_NOT_OWN_ENVELOPE },
	{ "<user1%test-sample.jp@test-sample.jp>", "ynnynnyx", REASON_NOT_OWN_ENVELOPE },
	{ "<test-sample.jp!user1@test-sample.jp>", "ynnynnyx", REASON_NOT_OWN_ENVELOPE },
	{ "<user1>", "ynnynnyx", REASON_ENVELOPE_MALFORMED },
	{ "<user1@test-sample.jp.>", "ynnynnyx", REASON_ENVELOPE_MALFORMED },
	{ "<user1@>", "ynnynnyx", REASON_ENVELOPE_MALFORMED },
	{ "<>", "yyyynnyx", REASON_NULL_DENIED },
};

static void matrix_at_mail(void **unused)
{
	struct trust *t = f0();

	(void)unused;
	for (size_t i = 0; i < COUNT(mail_table); i++)
		for (unsigned who = 0; who < WHO; who++) {
			struct verdict v = at_mail(t, who, usual, mail_table[i].path);
			char expected = mail_table[i].verdicts[who];
			enum trust_reason reason = expected == 'y' ? REASON_NONE :
				expected == 'x' ? REASON_NO_AUTH : mail_table[i].reason;

			if (v.reason != reason)
				fail_msg("%s MAIL FROM:%s: %s", who_names[who], mail_table[i].path, verdict_reason(&v));
			assert_int_equal(v.level, who <= D3 ? LEVEL_AUTH + who % 3 : LEVEL_DEFAULT);
			assert_int_equal(v.from_match, MATCH_UNKNOWN);
		}
	trust_free(t);
}

/* R3: looked at, and logged, at level 1 as well. */
static void envelope_match(void **unused)
{
	static const struct {
		unsigned who;
		const char *path;
		enum trust_match_result match;
	} table[] = {
		{ A1, "<" U1 ">", MATCH_YES }, { A1, "<" ALIAS ">", MATCH_YES }, { A1, "<" U2 ">", MATCH_NO },
		{ A1, "<user1>", MATCH_NO }, { A1, "<>", MATCH_UNKNOWN }, { A3, "<" U1 ">", MATCH_YES },
		{ D1, "<" MFP ">", MATCH_YES }, { D1, "<" U1 ">", MATCH_NO }, { D3, "<" ALIAS ">", MATCH_NO },
		{ P, "<" U1 ">", MATCH_UNKNOWN }, { U, "<" U1 ">", MATCH_UNKNOWN },
	};
	struct trust *t = f0();

	(void)unused;
	for (size_t i = 0; i < COUNT(table); i++) {
		struct verdict m = at_mail(t, table[i].who, usual, table[i].path);
		struct verdict h = after_data(t, table[i].who, usual, table[i].path, "From: " U1 "\r\n");

		if (m.envelope_match != table[i].match || h.envelope_match != table[i].match)
			fail_msg("%s %s", who_names[table[i].who], table[i].path);
	}
	trust_free(t);
}

/* R11 */
static void null_sender(void **unused)
{
	static const struct {
		uint8_t setting;
		unsigned who;
		bool mail, foreign_from, own_from;
	} table[] = {
		{ NULL_FROM, A1, true, true, true },
		{ NULL_FROM, A2, true, false, true },
		{ NULL_FROM, A3, true, false, true },
		{ NULL_DENY, A1, true, true, true },
		{ NULL_DENY, A2, false, true, true },
		{ NULL_DENY, A3, false, false, true },
		{ NULL_ALLOW, A1, true, true, true },
		{ NULL_ALLOW, A2, true, true, true },
		{ NULL_ALLOW, A3, true, false, true },
		{ NULL_ALLOW, D2, false, true, true },
		{ NULL_ALLOW, D3, false, false, false },
		{ NULL_DENY, P, true, true, true },
	};
	struct trust *t = f0();

	(void)unused;
	for (size_t i = 0; i < COUNT(table); i++) {
		struct trust_policy policy = usual;
		unsigned who = table[i].who;

		policy.null_sender = table[i].setting;
		if (at_mail(t, who, policy, "<>").pass != table[i].mail ||
		    after_data(t, who, policy, "<>", "From: " U2 "\r\n").pass != table[i].foreign_from ||
		    after_data(t, who, policy, "<>", "From: " U1 "\r\n").pass != table[i].own_from)
			fail_msg("%u %s", table[i].setting, who_names[who]);
	}
	trust_free(t);
}

/* What From: may be; `ok` at level 3 with the envelope <user1@test-sample.jp>. */
static const struct {
	const char *fields;
	enum trust_reason reason;
} from_table[] = {
	{ "From: " U1 "\r\n", REASON_NONE },
	{ "From: <USER1@Test-Sample.JP>\r\n", REASON_NONE },
	{ "From: \"user1\"@test-sample.jp\r\n", REASON_NONE },
	{ "From: Taro <" U1 ">\r\n", REASON_NONE },
	{ "From: \"Yamada, Taro\" <" U1 ">\r\n", REASON_NONE },
	{ "From: " U1 " (comment)\r\n", REASON_NONE },
	{ "From: =?ISO-2022-JP?B?GyRCOzNFRBsoQg==?= <" U1 ">\r\n", REASON_NONE },
	{ "From: Taro\r\n <" U1 ">\r\n", REASON_NONE },
	{ "From:\r\n " U1 "\r\n", REASON_NONE },
	{ "From:" U1 "\r\n", REASON_NONE },
	{ "From :" U1 "\r\n", REASON_NONE },
	{ "fROM: " U1 "\r\n", REASON_NONE },
	{ "From: \033$B;3ED\033(B <" U1 ">\r\n", REASON_NONE },
	{ "From: \xe5\xb1\xb1 <" U1 ">\r\n", REASON_NONE },
	{ "From: \x8e\x52\x93\x63 <" U1 ">\r\n", REASON_NONE },
	{ "From: \"" U2 "\" <" U1 ">\r\n", REASON_NONE },
	{ "From: " ALIAS "\r\n", REASON_NONE },
	{ "From: " SHARED "\r\n", REASON_NONE },
	{ "From: " U1 "\r\nSender: " U1 "\r\n", REASON_NONE },
	{ "From: " U1 "\r\nSender: " ALIAS "\r\n", REASON_NONE },
	{ "From: " U1 "\r\nReply-To: " OUTSIDE "\r\n", REASON_NONE },
	{ "From: " U1 "\r\nResent-From: " U1 "\r\nResent-Sender: " ALIAS "\r\n", REASON_NONE },
	{ "", REASON_FROM_MISSING },
	{ "From:\r\n", REASON_FROM_UNREADABLE },
	{ "From: \r\n \r\n", REASON_FROM_UNREADABLE },
	{ "From: user1\r\n", REASON_FROM_UNREADABLE },
	{ "From: " U2 "\r\n", REASON_FROM_NOT_OWN },
	{ "From: " BOSS "\r\n", REASON_FROM_NOT_OWN },
	{ "From: " MFP "\r\n", REASON_FROM_NOT_OWN },
	{ "From: " OUTSIDE "\r\n", REASON_FROM_NOT_OWN },
	{ "From: user10@test-sample.jp\r\n", REASON_FROM_NOT_OWN },
	{ "From: user1@test-sample.jp.evil.example\r\n", REASON_FROM_NOT_OWN },
	{ "From: user1+x@test-sample.jp\r\n", REASON_FROM_NOT_OWN },
	{ "From: " U1 "\r\nFrom: " U1 "\r\n", REASON_FROM_SEVERAL_FIELDS },
	{ "From: " U1 "\r\nFrom: " U2 "\r\n", REASON_FROM_SEVERAL_FIELDS },
	{ "From: " U2 "\r\nX: y\r\nfrom :" U1 "\r\n", REASON_FROM_SEVERAL_FIELDS },
	{ "From: <" U2 ">, " U1 "\r\n", REASON_FROM_UNREADABLE },
	{ "From: " U1 ", " U2 "\r\n", REASON_FROM_UNREADABLE },
	{ "From: " U1 " <" U2 ">\r\n", REASON_FROM_UNREADABLE },
	{ "From: <" U1 "> <" U2 ">\r\n", REASON_FROM_UNREADABLE },
	{ "From: " U2 "\\, <" U1 ">\r\n", REASON_FROM_UNREADABLE },
	{ "From: G:" U1 ";\r\n", REASON_FROM_UNREADABLE },
	{ "From: G:;\r\n", REASON_FROM_UNREADABLE },
	{ "From: <@a,@b:" U1 ">\r\n", REASON_FROM_UNREADABLE },
	{ "From: " U2 " (<" U1 ">)\r\n", REASON_FROM_UNREADABLE },
	{ "From: \"a\\\"<" U1 ">\" <" U2 ">\r\n", REASON_FROM_NOT_OWN },
	{ "From: \"a <" U1 ">\r\n", REASON_FROM_UNREADABLE },
	{ "From: (a <" U1 ">\r\n", REASON_FROM_UNREADABLE },
	{ "From: <" U1 "\r\n", REASON_FROM_UNREADABLE },
	{ "From: us\xc3\xa9r1@test-sample.jp\r\n", REASON_FROM_UNREADABLE },
	{ "From: =?UTF-8?Q?user1?=@test-sample.jp\r\n", REASON_FROM_UNREADABLE },
	{ "From: \033$B;3ED <" U1 ">\r\n", REASON_FROM_UNREADABLE },
	{ "From: " U1 "\r\nno field\r\n", REASON_HEADER_DEFECT },
	{ "From: " U1 "\r\nX: \001\r\n", REASON_HEADER_DEFECT },
	{ "From: " U1 "\rX: y\r\n", REASON_HEADER_DEFECT },
	{ "From: " U1 "\nX: y\r\n", REASON_HEADER_DEFECT },
	{ "Fr\rom: " U2 "\r\nFrom: " U1 "\r\n", REASON_HEADER_DEFECT },
	{ "From " U1 " Sun Nov 22 02:00:00 2026\r\nFrom: " U1 "\r\n", REASON_HEADER_DEFECT },
	{ "From: " U1 "\r\nSender: " U2 "\r\n", REASON_SENDER_NOT_OWN },
	{ "From: " U1 "\r\nSender:\r\n", REASON_SENDER_NOT_OWN },
	{ "From: " U1 "\r\nSender: " U1 "\r\nSender: " U1 "\r\n", REASON_SENDER_NOT_OWN },
	{ "From: " U1 "\r\nSender: " U1 ", " U1 "\r\n", REASON_SENDER_NOT_OWN },
	{ "From: " U2 "\r\nSender: " U1 "\r\n", REASON_FROM_NOT_OWN },
	{ "From: " OUTSIDE "\r\nResent-From: " U1 "\r\n", REASON_FROM_NOT_OWN },
	{ "From: " OUTSIDE "\r\nResent-Sender: " U1 "\r\n", REASON_FROM_NOT_OWN },
	{ "From: " U1 "\r\nResent-From: " U2 "\r\n", REASON_RESENT },
	{ "From: " U1 "\r\nResent-Sender: " OUTSIDE "\r\n", REASON_RESENT },
	{ "From: " U1 "\r\nResent-From: " U1 "\r\nResent-From: " U2 "\r\n", REASON_RESENT },
};

static bool is_from_reason(enum trust_reason reason)
{
	return reason != REASON_SENDER_NOT_OWN && reason != REASON_RESENT;
}

static void matrix_after_data(void **unused)
{
	struct trust *t = f0();

	(void)unused;
	for (size_t i = 0; i < COUNT(from_table); i++)
		for (unsigned who = 0; who < WHO; who++) {
			enum trust_reason reason = from_table[i].reason;
			struct verdict own = after_data(t, who, usual, "<" U1 ">", from_table[i].fields);
			struct verdict null = after_data(t, who, usual, "<>", from_table[i].fields);
			enum trust_reason now = REASON_NONE, by_null = REASON_NONE;

			if (who == D2 || who == D3)
				continue;
			if (who == A3)
				now = by_null = reason;
			if (who == A2 && is_from_reason(reason))
				by_null = reason;
			if (who == U)
				now = by_null = REASON_NO_AUTH;
			if (own.reason != now || null.reason != by_null)
				fail_msg("%s [%s]: %s, with <> %s", who_names[who], from_table[i].fields,
					 verdict_reason(&own), verdict_reason(&null));
		}
	trust_free(t);
}

/* R3: the match is the same at every level; level 1 passes all of it. */
static void from_match(void **unused)
{
	struct trust *t = f0();

	(void)unused;
	for (size_t i = 0; i < COUNT(from_table); i++) {
		struct verdict one = after_data(t, A1, usual, "<" OUTSIDE ">", from_table[i].fields);
		struct verdict three = after_data(t, A3, usual, "<" U1 ">", from_table[i].fields);
		enum trust_reason r = from_table[i].reason;

		assert_true(one.pass);
		assert_int_equal(one.from_match, three.from_match);
		assert_int_equal(one.defects, three.defects);
		if (r == REASON_NONE || !is_from_reason(r))
			assert_int_equal(three.from_match, MATCH_YES);
		else if (r != REASON_HEADER_DEFECT)
			assert_int_equal(three.from_match, MATCH_NO);
		if (r == REASON_FROM_UNREADABLE || r == REASON_FROM_MISSING)
			assert_true(address_is_null(&three.from_address));
		else if (r != REASON_HEADER_DEFECT)
			assert_false(address_is_null(&three.from_address));
	}
	assert_int_equal(after_data(t, P, usual, "<" U1 ">", "From: " U1 "\r\n").from_match, MATCH_UNKNOWN);
	assert_string_equal(after_data(t, P, usual, "<>", "From: " U2 "\r\n").from_address.text, U2);
	trust_free(t);
}

static void headers_from_hell(void **unused)
{
	static char text[70000];
	struct trust *t = f0();
	struct principal p = speaker(t, A3, usual), q;
	struct verdict v;

	(void)unused;
	/* NUL; a line over 998; a second From: after 60 KiB, and one after the limit. */
	v = of_header(t, &p, "<" U1 ">", slice_bytes("From: " U1 "\0\r\n\r\n", sizeof("From: " U1 "\0\r\n\r\n") - 1));
	assert_int_equal(v.reason, REASON_HEADER_DEFECT);
	assert_string_equal(verdict_reason(&v), header_defect_name(HEADER_CONTROL));
	memset(text, 'x', sizeof(text));
	memcpy(text, "From: " U1 "\r\nX: ", sizeof("From: " U1 "\r\nX: ") - 1);
	memcpy(text + 1200, "\r\n\r\n", 4);
	v = of_header(t, &p, "<" U1 ">", slice_bytes(text, 1204));
	assert_string_equal(verdict_reason(&v), header_defect_name(HEADER_LINE_TOO_LONG));
	for (size_t i = 100; i + 100 < sizeof(text); i += 100)
		memcpy(text + i, "\r\nX: ", 5);
	memcpy(text + 60000, "\r\nFrom: " U2 "\r\nX: ", sizeof("\r\nFrom: " U2 "\r\nX: ") - 1);
	memcpy(text + 61000, "\r\n\r\n", 4);
	v = of_header(t, &p, "<" U1 ">", slice_bytes(text, 61004));
	assert_int_equal(v.reason, REASON_FROM_SEVERAL_FIELDS);
	memset(text + 60000, 'x', 1100);
	memcpy(text + 60000, "\r\nX: ", 5);
	for (size_t i = 60100; i < 61100; i += 100)
		memcpy(text + i, "\r\nX: ", 5);
	v = of_header(t, &p, "<" U1 ">", slice_bytes(text, sizeof(text)));
	assert_string_equal(verdict_reason(&v), header_defect_name(HEADER_TOO_LARGE));
	q = speaker(t, A1, usual);
	assert_true(of_header(t, &q, "<" U1 ">", slice_bytes(text, sizeof(text))).pass);
	trust_free(t);
}

/* A From: too long to be kept is never judged by its beginning. */
static void long_from(void **unused)
{
	struct trust *t = f0();
	char text[4096];
	size_t len;
	struct principal p = speaker(t, A3, usual);
	struct verdict v;

	(void)unused;
	len = (size_t)sprintf(text, "From: " U1);
	while (len < FIELD_KEEP_MAX + 200)
		len += (size_t)sprintf(text + len, "\r\n (xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx)");
	sprintf(text + len, ", " U2 "\r\n\r\n");
	v = of_header(t, &p, "<" U1 ">", slice_of(text));
	assert_int_equal(v.reason, REASON_HEADER_DEFECT);
	assert_string_equal(verdict_reason(&v), header_defect_name(HEADER_FIELD_TOO_LONG));
	assert_int_equal(v.from_match, MATCH_NO);
	assert_true(address_is_null(&v.from_address));
	trust_free(t);
}

/* After the header, nothing is judged. */
static void body_is_not_judged(void **unused)
{
	struct trust *t = f0();
	struct principal p = speaker(t, A3, usual);

	(void)unused;
	assert_true(of_header(t, &p, "<" U1 ">", SLICE_OF("From: " U1 "\r\n\r\nFrom: " U2 "\r\n")).pass);
	assert_int_equal(of_header(t, &p, "<" U1 ">", SLICE_OF("\r\nFrom: " U1 "\r\n")).reason, REASON_FROM_MISSING);
	assert_true(of_header(t, &p, "<" U1 ">", SLICE_OF("From: " U1 "\r\n")).pass);
	trust_free(t);
}

static void devices_after_data(void **unused)
{
	static const struct {
		unsigned who;
		const char *fields;
		enum trust_reason reason;
	} table[] = {
		{ D3, "From: " MFP "\r\n", REASON_NONE },
		{ D3, "From: Scanner <MFP1@test-sample.jp>\r\n", REASON_NONE },
		{ D3, "From: " U1 "\r\n", REASON_FROM_NOT_OWN },
		{ D3, "From: " ALIAS "\r\n", REASON_FROM_NOT_OWN },
		{ D3, "", REASON_FROM_MISSING },
		{ D3, "From: " MFP "\r\nSender: " U1 "\r\n", REASON_SENDER_NOT_OWN },
		{ D3, "From: " MFP "\r\nSender: " MFP "\r\n", REASON_NONE },
		{ D2, "From: " U1 "\r\n", REASON_NONE },
		{ D2, "", REASON_NONE },
		{ D1, "From: " U1 "\r\n", REASON_NONE },
	};
	struct trust *t = f0();

	(void)unused;
	for (size_t i = 0; i < COUNT(table); i++) {
		struct verdict v = after_data(t, table[i].who, usual, "<" MFP ">", table[i].fields);

		if (v.reason != table[i].reason)
			fail_msg("%s [%s]: %s", who_names[table[i].who], table[i].fields, verdict_reason(&v));
	}
	trust_free(t);
}

/* A device's address is one address: no sub-addresses. */
static void devices_have_no_subaddress(void **unused)
{
	struct trust_policy policy = { .subaddress = '+', .from_alias = true };
	struct trust *t = f0();

	(void)unused;
	assert_int_equal(at_mail(t, D3, policy, "<mfp1+x@test-sample.jp>").reason, REASON_NOT_OWN_ENVELOPE);
	assert_true(at_mail(t, A3, policy, "<user1+x@test-sample.jp>").pass);
	assert_true(after_data(t, A3, policy, "<" U1 ">", "From: user1+x@test-sample.jp\r\n").pass);
	assert_false(after_data(t, A3, policy, "<" U1 ">", "From: mfp1+x@test-sample.jp\r\n").pass);
	trust_free(t);
}

/* R7: the seed's way. */
static void without_from_alias(void **unused)
{
	struct trust_policy policy = { .from_alias = false };
	struct trust *t = f0();

	(void)unused;
	assert_true(at_mail(t, A3, policy, "<" ALIAS ">").pass);
	assert_int_equal(after_data(t, A3, policy, "<" ALIAS ">", "From: " ALIAS "\r\n").reason, REASON_FROM_NOT_OWN);
	assert_true(after_data(t, A3, policy, "<" ALIAS ">", "From: " U1 "\r\n").pass);
	assert_true(after_data(t, A2, policy, "<" ALIAS ">", "From: " ALIAS "\r\n").pass);
	trust_free(t);
}

static void exact(void **unused)
{
	static const struct {
		const char *path, *from;
		enum trust_reason reason;
	} table[] = {
		{ "<" U1 ">", "From: " U1 "\r\n", REASON_NONE },
		{ "<\"USER1\"@test-sample.jp>", "From: User1@test-sample.jp\r\n", REASON_NONE },
		{ "<" ALIAS ">", "From: " ALIAS "\r\n", REASON_NONE },
		{ "<" ALIAS ">", "From: " U1 "\r\n", REASON_FROM_NOT_EXACT },
		{ "<" U1 ">", "From: " ALIAS "\r\n", REASON_FROM_NOT_EXACT },
		{ "<" U1 ">", "From: " U2 "\r\n", REASON_FROM_NOT_OWN },
		{ "<" U2 ">", "From: " U2 "\r\n", REASON_FROM_NOT_OWN },
		{ "<>", "From: " ALIAS "\r\n", REASON_NONE },
		{ "<>", "From: " U2 "\r\n", REASON_FROM_NOT_OWN },
		{ "<user1>", "From: " U1 "\r\n", REASON_FROM_NOT_EXACT },
	};
	struct trust_policy policy = { .match = MATCH_EXACT, .from_alias = true };
	struct trust *t = f0();

	(void)unused;
	for (size_t i = 0; i < COUNT(table); i++) {
		struct verdict v = after_data(t, A3, policy, table[i].path, table[i].from);

		if (v.reason != table[i].reason)
			fail_msg("%s %s: %s", table[i].path, table[i].from, verdict_reason(&v));
		assert_true(after_data(t, A1, policy, table[i].path, table[i].from).pass);
	}
	trust_free(t);
}

/* R9 */
static void display_address(void **unused)
{
	static const char fields[] = "From: \"" U2 "\" <" U1 ">\r\n";
	struct trust_policy refuse = { .display_addr = DISPLAY_REFUSE, .from_alias = true };
	struct trust *t = f0();
	struct verdict v;

	(void)unused;
	v = after_data(t, A3, usual, "<" U1 ">", fields);
	assert_true(v.pass && v.display_address);
	v = after_data(t, A3, refuse, "<" U1 ">", fields);
	assert_int_equal(v.reason, REASON_DISPLAY_ADDRESS);
	assert_true(v.display_address);
	assert_int_equal(after_data(t, A2, refuse, "<>", fields).reason, REASON_DISPLAY_ADDRESS);
	v = after_data(t, A1, refuse, "<" U1 ">", fields);
	assert_true(v.pass && v.display_address);
	assert_false(after_data(t, A3, refuse, "<" U1 ">", "From: Taro <" U1 ">\r\n").display_address);
	trust_free(t);
}

/* R1, R21: an account's own level and action; and nobody is never let in by `log`. */
static void own_level_and_action(void **unused)
{
	struct trust *t = f0_with(U1 ":{PLAIN}x:level=1\n" U2 ":{PLAIN}x:level=3 action=log\n"
				  "user3@test-sample.jp:{PLAIN}x:\n");
	static const struct {
		uint8_t global;
		const char *account;
		bool mail, data;
		uint8_t level, action;
	} table[] = {
		{ LEVEL_FROM, "user1", true, true, LEVEL_AUTH, ACTION_TAG },
		{ LEVEL_AUTH, "user2", false, false, LEVEL_FROM, ACTION_LOG },
		{ LEVEL_AUTH, "user3", true, true, LEVEL_AUTH, ACTION_TAG },
		{ LEVEL_ENVELOPE, "user3", false, true, LEVEL_ENVELOPE, ACTION_TAG },
		{ LEVEL_FROM, "user3", false, false, LEVEL_FROM, ACTION_TAG },
	};
	struct address foreign = sender_of("<" OUTSIDE ">");
	struct principal nobody = { .kind = PRINCIPAL_NOBODY };
	struct verdict v;

	(void)unused;
	for (size_t i = 0; i < COUNT(table); i++) {
		struct trust_policy policy = { .level = table[i].global, .action = ACTION_TAG, .from_alias = true };
		struct principal p = as_account(t, table[i].account);

		trust_set_policy(t, &policy);
		trust_judge_mail(t, &p, &foreign, &v);
		if (v.pass != table[i].mail || v.level != table[i].level || v.action != table[i].action)
			fail_msg("MAIL, row %zu", i);
		v = of_header(t, &p, "<" OUTSIDE ">", SLICE_OF("From: " OUTSIDE "\r\n\r\n"));
		if (v.pass != table[i].data || v.level != table[i].level || v.action != table[i].action)
			fail_msg("header, row %zu", i);
	}
	trust_judge_mail(t, &nobody, &foreign, &v);
	assert_false(v.pass);
	assert_int_equal(v.action, ACTION_REFUSE);
	assert_string_equal(verdict_reason(&v), "no-auth");
	trust_free(t);
}

/* Every reason has a word, and no two the same. */
static void reasons(void **unused)
{
	const char *words[REASON_RESENT + 1];

	(void)unused;
	for (unsigned r = 0; r <= REASON_RESENT; r++) {
		struct verdict v = { .reason = (uint8_t)r, .defects = HEADER_ESCAPE, .from = FROM_GROUP };

		words[r] = verdict_reason(&v);
		assert_non_null(words[r]);
		for (unsigned i = 0; i < r; i++)
			assert_string_not_equal(words[i], words[r]);
	}
	assert_string_equal(words[REASON_HEADER_DEFECT], header_defect_name(HEADER_ESCAPE));
	assert_string_equal(words[REASON_FROM_UNREADABLE], from_verdict_name(FROM_GROUP));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(matrix_at_mail), cmocka_unit_test(envelope_match), cmocka_unit_test(null_sender),
		cmocka_unit_test(matrix_after_data), cmocka_unit_test(from_match),
		cmocka_unit_test(headers_from_hell), cmocka_unit_test(long_from),
		cmocka_unit_test(body_is_not_judged), cmocka_unit_test(devices_after_data),
		cmocka_unit_test(devices_have_no_subaddress), cmocka_unit_test(without_from_alias),
		cmocka_unit_test(exact), cmocka_unit_test(display_address),
		cmocka_unit_test(own_level_and_action), cmocka_unit_test(reasons),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
