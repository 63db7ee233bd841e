#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "command_common.h"
#include "manager/config.h"

#define BODY "\nTo: x@y.example\n\nhi\n"
#define FILTERED "refused: 552 5.7.1 Requested mail action aborted: caught by the filter setting. reason="
#define SENDER "refused: 550 5.7.1 Please mail to a valid e-mail address. reason="

static const struct {
	const char *authid, *envelope;
	struct slice mail;
	const char *says;	/* the beginning of the first line */
} trials[] = {
	{ "user1", "user1@test-sample.jp", SLICE("From: user1@test-sample.jp" BODY), "accepted\n" },
	{ "User1@Test-Sample.jp", "<USER1@test-sample.jp>", SLICE("From: User One <user1@test-sample.jp>" BODY), "accepted\n" },
	{ "user1", "info@test-sample.jp", SLICE("From: info@test-sample.jp" BODY), "accepted\n" },
	{ "user1", "user1@test-sample.jp", SLICE("From: user2@test-sample.jp" BODY), FILTERED "from-not-own\n" },
	{ "user1", "user1@test-sample.jp", SLICE("To: x@y.example\n\nFrom: user1@test-sample.jp\n"), FILTERED "from-missing\n" },
	{ "user1", "user1@test-sample.jp", SLICE(""), FILTERED },
	{ "user1", "user2@test-sample.jp", SLICE("From: user1@test-sample.jp" BODY), SENDER "envelope-not-own\n" },
	{ "user1", "<>", SLICE("From: user1@test-sample.jp" BODY), "accepted\n" },
	{ "user1", "", SLICE("From: user2@test-sample.jp" BODY), FILTERED "from-not-own\n" },
	/* user2 is at level 2. */
	{ "zwei", "user2@test-sample.jp", SLICE("From: user1@test-sample.jp" BODY), "accepted\n" },
	{ "zwei", "user1@test-sample.jp", SLICE("From: user1@test-sample.jp" BODY), SENDER "envelope-not-own\n" },
	{ "-", "user1@test-sample.jp", SLICE("From: user1@test-sample.jp" BODY), "refused: 530 5.7.0 Authentication required" },
	{ "", "user1@test-sample.jp", SLICE("From: user1@test-sample.jp" BODY), "refused: 530 5.7.0 Authentication required" },
	{ "user9", "user1@test-sample.jp", SLICE("From: user1@test-sample.jp" BODY), "refused: 535 5.7.8 " },
	{ "desk", "desk@test-sample.jp", SLICE("From: desk@test-sample.jp" BODY), "refused: 535 5.7.8 " },
	{ "user1 ", "user1@test-sample.jp", SLICE("From: user1@test-sample.jp" BODY), "refused: 535 5.7.8 " },
	{ "user1", "<@a,@b:user1@test-sample.jp>", SLICE("From: user1@test-sample.jp" BODY), "refused: 553 5.1.7 " },
	{ "user1", "user1@test-sample.jp\n", SLICE("From: user1@test-sample.jp" BODY), "refused: 501 " },
	/* A file of lines that end in LF is a mail of lines that end in CRLF; one with CRLF is what the wire would carry. */
	{ "user1", "user1@test-sample.jp", SLICE("From:\n user1@test-sample.jp" BODY), "accepted\n" },
	{ "user1", "user1@test-sample.jp", SLICE("From: user1@test-sample.jp\r\n\r\nhi\r\n"), "accepted\n" },
	{ "user1", "user1@test-sample.jp", SLICE("From: user1@test-sample.jp\r\nX: a\nb\r\n\r\nhi\r\n"), FILTERED "bare" },
	{ "user1", "user1@test-sample.jp", SLICE("Fr\rom: user1@test-sample.jp\r\n\r\nhi\r\n"), FILTERED },
	{ "user1", "user1@test-sample.jp", SLICE("Fr\rom: user1@test-sample.jp\n\nhi\n"), FILTERED },
	{ "user1", "user1@test-sample.jp", SLICE("From: user1@test-sample.jp\r\n\r\nhi\nho\r\n"), "refused: 550 5.6.0 " },
	{ "user1", "user1@test-sample.jp", SLICE("From: user1@test-sample.jp\n\nh\0i\n"), "refused: 550 5.6.0 " },
	{ "user1", "user1@test-sample.jp", SLICE("From: user1@test-sample.jp\n\nhi\r"), "refused: 550 5.6.0 " },
	/* Dots at the start of a line are the file's own. */
	{ "user1", "user1@test-sample.jp", SLICE("From: user1@test-sample.jp\n\n.\n..\nFrom: x\n"), "accepted\n" },
	{ "user1", "user1@test-sample.jp", SLICE(".From: x\nFrom: user1@test-sample.jp\n\nhi\n"), "accepted\n" },
};

static void run_trial(const char *authid, const char *envelope, struct slice mail, const char *says, bool from_file)
{
	char a[64], e[64], f[8];
	char *argv[] = { a, e, f };
	int status;

	assert_true(slice_copy(slice_of(authid), a, sizeof(a)) && slice_copy(slice_of(envelope), e, sizeof(e)));
	assert_true(slice_copy(slice_of(from_file ? "mail" : "-"), f, sizeof(f)));
	assert_int_equal(write_text("mail", mail, 0600), 0);
	status = run_words(command_trust, 3, argv, from_file ? slice_of("") : mail);
	if (strncmp(said, says, strlen(says)) != 0)
		fail_msg("%s %s %.*s: %s", authid, envelope, SLICE_ARGS(mail), said);
	assert_int_equal(status, strncmp(said, "accepted", 8) == 0 ? STATUS_OK : STATUS_NO);
}

static void test_trust(void **state)
{
	(void)state;
	restore();
	for (size_t i = 0; i < sizeof(trials) / sizeof(trials[0]); i++) {
		run_trial(trials[i].authid, trials[i].envelope, trials[i].mail, trials[i].says, true);
		run_trial(trials[i].authid, trials[i].envelope, trials[i].mail, trials[i].says, false);
	}
	run_trial("user1", "info@test-sample.jp", SLICE_OF("From: Boss <user2@test-sample.jp>" BODY), FILTERED, true);
	assert_non_null(strstr(said, "account: user1@test-sample.jp\nlevel: 3 (auth=envelope=from)\n"
				    "envelope: <info@test-sample.jp>, an address of this account\n"
				    "From: user2@test-sample.jp, not an address of this account\n"));
}

static void test_trust_settings(void **state)
{
	static char many[65536];
	size_t used = 0;

	(void)state;
	restore();
	assert_int_equal(write_config("s.ini", 11, "level = 3\naction = log"), 0);
	run_trial("user1", "user1@test-sample.jp", SLICE_OF("From: user2@test-sample.jp" BODY),
		  "accepted: would=552 reason=from-not-own, but action=log\n", true);
	run_trial("user1", "user2@test-sample.jp", SLICE_OF("From: user1@test-sample.jp" BODY),
		  "accepted: would=550 reason=envelope-not-own, but action=log\n", true);
	run_trial("-", "user2@test-sample.jp", SLICE_OF("From: user1@test-sample.jp" BODY), "refused: 530 ", true);
	/* Never an excuse for what no setting lets pass. */
	run_trial("user1", "user2@test-sample.jp", SLICE_OF("From: user1@test-sample.jp\n\nhi\r"), "refused: 550 5.6.0 ", true);

	assert_int_equal(write_config("s.ini", 6, "enhanced_codes = no\nmax_message_size = 1K\nmax_header = 1M"), 0);
	run_trial("user1", "user2@test-sample.jp", SLICE_OF("From: user1@test-sample.jp" BODY),
		  "refused: 550 Please mail to a valid e-mail address. reason=envelope-not-own\n", true);
	used = (size_t)snprintf(many, sizeof(many), "From: user1@test-sample.jp\n\n%01000d\n", 0);
	run_trial("user1", "user1@test-sample.jp", slice_bytes(many, used), "refused: 552 ", true);
	assert_non_null(strstr(said, "reason=too-large"));

	restore();
	used = 0;
	for (int i = 0; i < 26; i++)
		used += (size_t)snprintf(many + used, sizeof(many) - used, "Received: from a by b; x\n");
	used += (size_t)snprintf(many + used, sizeof(many) - used, "From: user1@test-sample.jp\n\nhi\n");
	run_trial("user1", "user1@test-sample.jp", slice_bytes(many, used), "refused: 554 5.4.6 ", true);
	run_trial("user1", "user1@test-sample.jp", slice_bytes(many + 25, used - 25), "accepted\n", true);
}

static void test_trust_errors(void **state)
{
	(void)state;
	restore();
	assert_int_equal(run(command_trust, "user1 user1@test-sample.jp", SLICE_OF("")), STATUS_USAGE);
	assert_int_equal(run(command_trust, "user1 user1@test-sample.jp nowhere", SLICE_OF("")), STATUS_DATA);
	assert_string_equal(complained, "sekimori: nowhere: No such file or directory\n");
	assert_int_equal(run(command_trust, "user1 user1@test-sample.jp /", SLICE_OF("")), STATUS_DATA);
	assert_int_equal(write_config("s.ini", 11, "level = 4"), 0);
	assert_int_equal(run(command_trust, "user1 user1@test-sample.jp mail", SLICE_OF("")), STATUS_CONFIG);
	assert_string_equal(said, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_trust),
		cmocka_unit_test(test_trust_settings),
		cmocka_unit_test(test_trust_errors),
	};

	return cmocka_run_group_tests(tests, enter_directory, leave_directory);
}
