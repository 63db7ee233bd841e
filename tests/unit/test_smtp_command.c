#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "smtp/command.h"
#include "smtp/server.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static void verbs(void **unused)
{
	static const struct {
		const char *line;
		enum verb verb;
		const char *argument;
	} rows[] = {
		{ "NOOP", VERB_NOOP, "" }, { "noop", VERB_NOOP, "" }, { "nOOp  x ", VERB_NOOP, "x" }, { "HELO", VERB_HELO, "" },
		{ "EHLO\ta.example", VERB_EHLO, "a.example" }, { "mail from: <a>", VERB_MAIL, "from: <a>" },
		{ "RCPT TO:<a b>", VERB_RCPT, "TO:<a b>" }, { "DATA", VERB_DATA, "" }, { "RSET", VERB_RSET, "" },
		{ "VRFY", VERB_VRFY, "" }, { "EXPN", VERB_EXPN, "" }, { "HELP", VERB_HELP, "" }, { "QUIT", VERB_QUIT, "" },
		{ "STARTTLS", VERB_STARTTLS, "" }, { "AUTH PLAIN =", VERB_AUTH, "PLAIN =" }, { "BDAT 5 LAST", VERB_BDAT, "5 LAST" },
		{ "", VERB_UNKNOWN, "" }, { " NOOP", VERB_UNKNOWN, "NOOP" }, { "NOO", VERB_UNKNOWN, "" },
		{ "NOOPS", VERB_UNKNOWN, "" }, { "MAIL:", VERB_UNKNOWN, "" },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct slice argument;

		assert_int_equal(command_find(slice_of(rows[i].line), &argument)->verb, rows[i].verb);
		assert_true(slice_equal(argument, slice_of(rows[i].argument)));
	}
}

static void table(void **unused)
{
	(void)unused;
	for (unsigned v = 0; v <= VERB_UNKNOWN; v++)
		assert_int_equal(command_row((enum verb)v)->verb, v);
	assert_true(command_row(VERB_AUTH)->flags & VERB_IS_SECRET);
	assert_true(command_row(VERB_MAIL)->flags & VERB_NEEDS_AUTH);
	assert_true(command_row(VERB_STARTTLS)->flags & VERB_ENDS_PIPELINE);
	for (unsigned v = 0; v <= VERB_UNKNOWN; v++)
		assert_false(command_row((enum verb)v)->phases & (1u << PHASE_DATA | 1u << PHASE_CLOSED));
}

static void mail(void **unused)
{
	static const struct {
		const char *argument;
		bool extended;
		enum reply refusal;
		const char *sender;
		uint64_t size;
		bool body_8bit;
	} rows[] = {
		{ "FROM:<a@b.example>", true, REPLY_NONE, "a@b.example", 0, false },
		{ "from:  <a@b.example>", false, REPLY_NONE, "a@b.example", 0, false },
		{ "FROM:<>", true, REPLY_NONE, "", 0, false },
		{ "FROM:<a@b.example> SIZE=5\tBODY=8bitmime", true, REPLY_NONE, "a@b.example", 5, true },
		{ "FROM:<a@b.example> BODY=7BIT", true, REPLY_NONE, "a@b.example", 0, false },
		{ "FROM:<a@b.example> size=18446744073709551615", true, REPLY_NONE, "a@b.example", UINT64_MAX, false },
		{ "FROM:<a@b.example> AUTH=<>", true, REPLY_NONE, "a@b.example", 0, false },
		{ "FROM:<a@b.example> AUTH=e+3Dmc2@x.example", true, REPLY_NONE, "a@b.example", 0, false },
		{ "FROM:<a@b.example> SIZE=5", false, REPLY_UNKNOWN_PARAMETER, NULL, 0, false },
		{ "FROM:<a@b.example> SIZE=5 SIZE=6", true, REPLY_SYNTAX, NULL, 0, false },
		{ "FROM:<a@b.example> BODY=7BIT BODY=7BIT", true, REPLY_SYNTAX, NULL, 0, false },
		{ "FROM:<a@b.example> AUTH=<> AUTH=<>", true, REPLY_SYNTAX, NULL, 0, false },
		{ "FROM:<a@b.example> SIZE=", true, REPLY_SYNTAX, NULL, 0, false },
		{ "FROM:<a@b.example> SIZE=+5", true, REPLY_SYNTAX, NULL, 0, false },
		{ "FROM:<a@b.example> SIZE=18446744073709551616", true, REPLY_SYNTAX, NULL, 0, false },
		{ "FROM:<a@b.example> SIZE=000000000000000000005", true, REPLY_SYNTAX, NULL, 0, false },
		{ "FROM:<a@b.example> BODY", true, REPLY_UNKNOWN_PARAMETER, NULL, 0, false },
		{ "FROM:<a@b.example> AUTH", true, REPLY_SYNTAX, NULL, 0, false },
		{ "FROM:<a@b.example> AUTH=a+3d", true, REPLY_SYNTAX, NULL, 0, false },
		{ "FROM:<a@b.example> AUTH=a+", true, REPLY_SYNTAX, NULL, 0, false },
		{ "FROM:<a@b.example> AUTH=a=b", true, REPLY_SYNTAX, NULL, 0, false },
		{ "FROM:<a@b.example> HOLDFOR=5", true, REPLY_UNKNOWN_PARAMETER, NULL, 0, false },
		{ "FROM:<a@b.example> -X=5", true, REPLY_SYNTAX, NULL, 0, false },
		{ "FROM:<a@b.example> X-Y=5", true, REPLY_UNKNOWN_PARAMETER, NULL, 0, false },
		{ "FROM:<a@b.example> X_Y=5", true, REPLY_SYNTAX, NULL, 0, false },
		{ "FROM:<a@b.example> X=\xff", true, REPLY_SYNTAX, NULL, 0, false },
		{ "FROM:<a@b.example> X=\x1b", true, REPLY_SYNTAX, NULL, 0, false },
		{ "FROM:<a@b.example>SIZE=5", true, REPLY_SENDER_SYNTAX, NULL, 0, false },
		{ "FROM:a@b.example", true, REPLY_SENDER_SYNTAX, NULL, 0, false },
		{ "FROM:", true, REPLY_SENDER_SYNTAX, NULL, 0, false },
		{ "FROM", true, REPLY_SYNTAX, NULL, 0, false },
		{ "", true, REPLY_SYNTAX, NULL, 0, false },
		{ "TO:<a@b.example>", true, REPLY_SYNTAX, NULL, 0, false },
		{ "FROM:<\xc3\xa9@b.example>", true, REPLY_SENDER_NON_ASCII, NULL, 0, false },
		{ "FROM:<@x.example:a@b.example>", true, REPLY_SENDER_ROUTE, NULL, 0, false },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct mail_arguments out;

		assert_int_equal(command_mail(slice_of(rows[i].argument), rows[i].extended, &out), rows[i].refusal);
		if (rows[i].refusal != REPLY_NONE)
			continue;
		assert_true(slice_equal(address_text(&out.sender), slice_of(rows[i].sender)));
		assert_true(out.size == rows[i].size);
		assert_int_equal(out.body_8bit, rows[i].body_8bit);
	}
}

static void rcpt(void **unused)
{
	static const struct {
		const char *argument;
		enum reply refusal;
		const char *recipient;
	} rows[] = {
		{ "TO:<a@b.example>", REPLY_NONE, "a@b.example" },
		{ "to: <a@b.example> ", REPLY_NONE, "a@b.example" },
		{ "TO:<a..b.@docomo.ne.jp>", REPLY_NONE, "a..b.@docomo.ne.jp" },
		{ "TO:<\"a b\"@b.example>", REPLY_NONE, "\"a b\"@b.example" },
		{ "TO:<PostMaster>", REPLY_NONE, "PostMaster" },
		{ "TO:<postmaster@>", REPLY_RECIPIENT_SYNTAX, NULL },
		{ "TO:<someone>", REPLY_RECIPIENT_SYNTAX, NULL },
		{ "TO:<@b.example>", REPLY_RECIPIENT_SYNTAX, NULL },
		{ "TO:<>", REPLY_RECIPIENT_SYNTAX, NULL },
		{ "TO:<a@b.example>,<c@b.example>", REPLY_RECIPIENT_SYNTAX, NULL },
		{ "TO:<a@b.example> <c@b.example>", REPLY_UNKNOWN_PARAMETER, NULL },
		{ "TO:<a@b.example> ORCPT=rfc822;a@b.example", REPLY_UNKNOWN_PARAMETER, NULL },
		{ "TO a@b.example", REPLY_SYNTAX, NULL },
		{ "TO:<\xe3\x81\x82@b.example>", REPLY_RECIPIENT_NON_ASCII, NULL },
		{ "TO:<@x.example,@y.example:a@b.example>", REPLY_RECIPIENT_ROUTE, NULL },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct address out;

		assert_int_equal(command_rcpt(slice_of(rows[i].argument), &out), rows[i].refusal);
		if (rows[i].refusal == REPLY_NONE)
			assert_true(slice_equal(address_text(&out), slice_of(rows[i].recipient)));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verbs), cmocka_unit_test(table), cmocka_unit_test(mail), cmocka_unit_test(rcpt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
