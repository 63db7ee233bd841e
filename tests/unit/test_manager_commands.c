#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "manager/commands.h"
#include "manager/config.h"
#include "manager/replace.h"
#include "manager_common.h"
#include "trust/accounts.h"
#include "trust/password.h"

#define ARGUMENTS_MAX 6

typedef int command(const char *path, int argc, char **argv);

static char out[8192], err[4096];

static void read_back(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, text, size - 1);

	close(fd);
	assert_true(n >= 0);
	text[n] = '\0';
}

static int put_in_place(const char *path, int flags, int place)
{
	int kept = dup(place);
	int fd = open(path, flags | O_CLOEXEC, 0600);

	assert_true(kept >= 0 && fd >= 0 && dup2(fd, place) == place);
	close(fd);
	return kept;
}

/* Runs it with `in` as standard input; `out` and `err` are what it said. */
static int run_words(command *run, int argc, char **argv, struct slice in)
{
	int kept[3], status;

	fflush(stdout);
	fflush(stderr);
	assert_int_equal(write_text("in", in, 0600), 0);
	kept[0] = put_in_place("in", O_RDONLY, 0);
	kept[1] = put_in_place("out", O_WRONLY | O_CREAT | O_TRUNC, 1);
	kept[2] = put_in_place("err", O_WRONLY | O_CREAT | O_TRUNC, 2);
	status = run("s.ini", argc, argv);
	fflush(stdout);
	fflush(stderr);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(dup2(kept[i], i), i);
		close(kept[i]);
	}
	read_back("out", out, sizeof(out));
	read_back("err", err, sizeof(err));
	return status;
}

static int run(command *c, const char *line, struct slice in)
{
	char words[256], *argv[ARGUMENTS_MAX + 1] = { NULL };
	struct slice rest = slice_of(line), word;
	size_t used = 0;
	int argc = 0;

	while (argc < ARGUMENTS_MAX && slice_word(&rest, &word)) {
		argv[argc++] = words + used;
		assert_true(slice_copy(word, words + used, sizeof(words) - used));
		used += word.len + 1;
	}
	return run_words(c, argc, argv, in);
}

static void restore(void)
{
	assert_int_equal(write_accounts(), 0);
	assert_int_equal(write_config("s.ini", 0, NULL), 0);
}

static void test_check(void **state)
{
	(void)state;
	restore();
	assert_int_equal(run(command_check, "", SLICE_OF("")), STATUS_OK);
	assert_string_equal(err, "");
	assert_non_null(strstr(out, "notice: accounts:3: user2@test-sample.jp has level auth=envelope"));
	assert_non_null(strstr(out, "s.ini is good\n"));
	assert_non_null(strstr(out, "listen main: 127.0.0.1:2525, without TLS, login required; passwords without TLS from 127.0.0.0/8, ::1/128\n"));
	assert_non_null(strstr(out, "listen main: [::1]:2525, "));
	assert_non_null(strstr(out, "level 3 (auth=envelope=from): the envelope sender and From: must both be addresses of the account"));
	assert_non_null(strstr(out, "accounts: 3 in accounts, 2 can log in; 1 devices, 1 peers\n"));
	assert_non_null(strstr(out, "relay default: 127.0.0.1, ::1 port 2526, without TLS, login as office by PLAIN, LOGIN, CRAM-MD5, SCRAM-SHA-256, up to 4 connections\n"));
	assert_non_null(strstr(out, "spool: spool, at most 64M; messages up to 30M; the directory will be made\n"));
	assert_non_null(strstr(out, "retry after 1m, 5m; given up after 2d\n"));
	assert_non_null(strstr(out, "return mail: from postmaster@test-sample.jp, envelope <>, or its own address where that is refused, in Japanese and English\n"));
	assert_null(strstr(out, "geheim"));

	assert_int_equal(write_config("s.ini", 6, "max_sessions = 0\nfoo = 1"), 0);
	assert_int_equal(run(command_check, "", SLICE_OF("")), STATUS_CONFIG);
	assert_string_equal(err, "sekimori: s.ini:6: max_sessions = 0: must be 1 to 10000\n"
				 "sekimori: s.ini:7: unknown key foo in [server]\n");
	assert_int_equal(run(command_check, "x", SLICE_OF("")), STATUS_USAGE);
}

/* What the accounts file says to whoever reads it as the daemon does. */
static const struct trust_account *account_of(struct config **c, const char *address)
{
	struct fault f = { .text = "" };

	*c = config_read("s.ini", false, NULL, NULL, &f);
	assert_string_equal(f.text, "");
	return accounts_find((*c)->trust, slice_of(address));
}

static bool has_password(const char *address, const char *password)
{
	static struct password_job job;
	struct config *c;
	bool good;

	password_job(account_of(&c, address), slice_of(password), &job);
	good = password_check(&job);
	config_free(c);
	return good;
}

static void test_passwd(void **state)
{
	struct config *c;
	const struct trust_account *a;
	struct stat st;
	char text[4096];

	(void)state;
	restore();
	assert_int_equal(run(command_passwd, "User3@Test-Sample.jp", SLICE_OF("ge heim\nnot this\n")), STATUS_OK);
	assert_non_null(strstr(out, "sekimori reload"));
	assert_null(strstr(out, "ge heim"));
	assert_true(has_password("user3@test-sample.jp", "ge heim"));
	a = account_of(&c, "user3@test-sample.jp");
	assert_true(a->has_scram && !a->has_cram && !a->has_plain);
	assert_int_equal(a->level, LEVEL_DEFAULT);
	config_free(c);
	assert_int_equal(stat("accounts", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);

	/* A new password leaves all else: options, comments, order. */
	assert_int_equal(run(command_passwd, "user2@test-sample.jp", SLICE_OF("neu")), STATUS_OK);
	a = account_of(&c, "zwei");
	assert_non_null(a);
	assert_int_equal(a->level, LEVEL_ENVELOPE);
	assert_int_equal(a->line, 3);
	assert_false(a->has_plain);
	config_free(c);
	assert_true(has_password("zwei", "neu"));
	assert_true(has_password("user1@test-sample.jp", "user1234"));
	read_back("accounts", text, sizeof(text));
	assert_int_equal(strncmp(text, "# ours\nuser1@test-sample.jp:{PLAIN}user1234:comment=first\n", 58), 0);

	assert_int_equal(run(command_passwd, "--level 3 --cram-md5 user2@test-sample.jp", SLICE_OF("neuer")), STATUS_OK);
	a = account_of(&c, "zwei");
	assert_int_equal(a->level, LEVEL_FROM);
	assert_true(a->has_cram);
	config_free(c);
	/* One without would take CRAM-MD5 from all (R26). */
	assert_int_equal(run(command_passwd, "user2@test-sample.jp", SLICE_OF("neu")), STATUS_OK);
	a = account_of(&c, "zwei");
	assert_true(a->has_cram);
	assert_int_equal(a->level, LEVEL_FROM);
	config_free(c);

	assert_int_equal(run(command_passwd, "--delete user3@test-sample.jp", SLICE_OF("")), STATUS_OK);
	assert_null(account_of(&c, "user3@test-sample.jp"));
	config_free(c);
	assert_int_equal(run(command_passwd, "--delete user3@test-sample.jp", SLICE_OF("")), STATUS_NO);
	assert_string_equal(err, "sekimori: user3@test-sample.jp: no such account\n");
}

static void test_passwd_refuses(void **state)
{
	static char longest[PASSWORD_MAX + 8];
	static const struct { const char *line; struct slice in; int status; } rows[] = {
		{ "", SLICE("x\n"), STATUS_USAGE }, { "--level", SLICE("x\n"), STATUS_USAGE },
		{ "--what user1@test-sample.jp", SLICE("x\n"), STATUS_USAGE },
		{ "user1@test-sample.jp user2@test-sample.jp", SLICE("x\n"), STATUS_USAGE },
		{ "--delete --level 2 user1@test-sample.jp", SLICE("x\n"), STATUS_USAGE },
		{ "--level 4 user1@test-sample.jp", SLICE("x\n"), STATUS_USAGE },
		{ "user1", SLICE("x\n"), STATUS_USAGE }, { "user9@elsewhere.example", SLICE("x\n"), STATUS_DATA },
		{ "user9@test-sample.jp", SLICE(""), STATUS_DATA }, { "user9@test-sample.jp", SLICE("\n"), STATUS_DATA },
		{ "user9@test-sample.jp", SLICE("a\0b\n"), STATUS_DATA },
		{ "user9@test-sample.jp", SLICE("a\r\n"), STATUS_DATA },
		{ "user9@test-sample.jp", { longest, sizeof(longest) }, STATUS_DATA },
	};
	char before[4096], after[4096];

	(void)state;
	restore();
	memset(longest, 'x', sizeof(longest));
	read_back("accounts", before, sizeof(before));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(run(command_passwd, rows[i].line, rows[i].in), rows[i].status);
		assert_int_not_equal(err[0], '\0');
		read_back("accounts", after, sizeof(after));
		assert_string_equal(before, after);
	}
	/* A damaged file is for people to mend. */
	assert_int_equal(write_text("accounts", SLICE_OF("rubbish\n"), 0600), 0);
	assert_int_equal(run(command_passwd, "user9@test-sample.jp", SLICE_OF("x\n")), STATUS_CONFIG);
	assert_int_equal(strncmp(err, "sekimori: accounts:1: ", 22), 0);
}

static void test_passwd_makes_file(void **state)
{
	struct stat st;

	(void)state;
	restore();
	assert_int_equal(unlink("accounts"), 0);
	assert_int_equal(write_config("s.ini", 13, ""), 0);
	assert_int_equal(run(command_passwd, "user1@test-sample.jp", SLICE_OF("neu\n")), STATUS_OK);
	assert_true(has_password("user1@test-sample.jp", "neu"));
	assert_int_equal(stat("accounts", &st), 0);
	assert_int_equal(st.st_mode & 07137, 0);
	/* Others are shut out where they were let in, and a link stays a link. */
	assert_int_equal(rename("accounts", "mail"), 0);
	assert_int_equal(chmod("mail", 0664), 0);
	assert_int_equal(symlink("mail", "accounts"), 0);
	assert_int_equal(run(command_passwd, "user1@test-sample.jp", SLICE_OF("neuer\n")), STATUS_OK);
	assert_int_equal(lstat("accounts", &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(stat("mail", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_true(has_password("user1@test-sample.jp", "neuer"));
	assert_int_equal(unlink("accounts"), 0);
	restore();
}

static void test_replace_fails(void **state)
{
	struct fault f = { .text = "" };

	(void)state;
	assert_false(replace_file("nowhere/file", SLICE_OF("x"), (gid_t)-1, &f));
	assert_non_null(strstr(f.text, "nowhere/file: "));
	f.text[0] = '\0';
	assert_int_equal(replace_lock("nowhere/file", &f), -1);
	assert_true(fault_is(&f));
}

static void test_accounts(void **state)
{
	(void)state;
	restore();
	assert_int_equal(run(command_accounts, "", SLICE_OF("")), STATUS_OK);
	assert_string_equal(out, "user1@test-sample.jp              login  PLAIN  auth=envelope=from  comment=first\n"
				 "user2@test-sample.jp              login  PLAIN  level=auth=envelope  login=zwei\n"
				 "desk@test-sample.jp               no     -  auth=envelope=from\n");
	assert_int_equal(run(command_accounts, "--json", SLICE_OF("")), STATUS_OK);
	assert_string_equal(out, "[\n"
		"  {\"address\": \"user1@test-sample.jp\", \"can_login\": true, \"schemes\": [\"PLAIN\"], \"level\": \"auth=envelope=from\", \"own_level\": false, \"action\": \"refuse\", \"login\": \"\", \"comment\": \"first\"},\n"
		"  {\"address\": \"user2@test-sample.jp\", \"can_login\": true, \"schemes\": [\"PLAIN\"], \"level\": \"auth=envelope\", \"own_level\": true, \"action\": \"refuse\", \"login\": \"zwei\", \"comment\": \"\"},\n"
		"  {\"address\": \"desk@test-sample.jp\", \"can_login\": false, \"schemes\": [], \"level\": \"auth=envelope=from\", \"own_level\": false, \"action\": \"refuse\", \"login\": \"\", \"comment\": \"\"}\n"
		"]\n");
	assert_int_equal(run(command_accounts, "--xml", SLICE_OF("")), STATUS_USAGE);
}

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
	if (strncmp(out, says, strlen(says)) != 0)
		fail_msg("%s %s %.*s: %s", authid, envelope, SLICE_ARGS(mail), out);
	assert_int_equal(status, strncmp(out, "accepted", 8) == 0 ? STATUS_OK : STATUS_NO);
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
	assert_non_null(strstr(out, "account: user1@test-sample.jp\nlevel: 3 (auth=envelope=from)\n"
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
	assert_non_null(strstr(out, "reason=too-large"));

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
	assert_string_equal(err, "sekimori: nowhere: No such file or directory\n");
	assert_int_equal(run(command_trust, "user1 user1@test-sample.jp /", SLICE_OF("")), STATUS_DATA);
	assert_int_equal(write_config("s.ini", 11, "level = 4"), 0);
	assert_int_equal(run(command_trust, "user1 user1@test-sample.jp mail", SLICE_OF("")), STATUS_CONFIG);
	assert_string_equal(out, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_passwd),
		cmocka_unit_test(test_passwd_refuses),
		cmocka_unit_test(test_passwd_makes_file),
		cmocka_unit_test(test_replace_fails),
		cmocka_unit_test(test_accounts),
		cmocka_unit_test(test_trust),
		cmocka_unit_test(test_trust_settings),
		cmocka_unit_test(test_trust_errors),
	};

	return cmocka_run_group_tests(tests, enter_directory, leave_directory);
}
