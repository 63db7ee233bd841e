#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "command_common.h"
#include "feature.h"
#include "manager/config.h"
#include "manager/replace.h"
#include "trust/accounts.h"
#include "trust/password.h"

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
	assert_non_null(strstr(said, "sekimori reload"));
	assert_null(strstr(said, "ge heim"));
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
	assert_string_equal(complained, "sekimori: user3@test-sample.jp: no such account\n");
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
		assert_int_not_equal(complained[0], '\0');
		read_back("accounts", after, sizeof(after));
		assert_string_equal(before, after);
	}
	/* A damaged file is for people to mend. */
	assert_int_equal(write_text("accounts", SLICE_OF("rubbish\n"), 0600), 0);
	assert_int_equal(run(command_passwd, "user9@test-sample.jp", SLICE_OF("x\n")), STATUS_CONFIG);
	assert_int_equal(strncmp(complained, "sekimori: accounts:1: ", 22), 0);
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
	assert_string_equal(said, "user1@test-sample.jp              login  PLAIN  auth=envelope=from  comment=first\n"
				 "user2@test-sample.jp              login  PLAIN  level=auth=envelope  login=zwei\n"
				 "desk@test-sample.jp               no     -  auth=envelope=from\n");
	assert_int_equal(run(command_accounts, "--json", SLICE_OF("")), STATUS_OK);
	assert_string_equal(said, "[\n"
		"  {\"address\": \"user1@test-sample.jp\", \"can_login\": true, \"schemes\": [\"PLAIN\"], \"level\": \"auth=envelope=from\", \"own_level\": false, \"action\": \"refuse\", \"login\": \"\", \"comment\": \"first\"},\n"
		"  {\"address\": \"user2@test-sample.jp\", \"can_login\": true, \"schemes\": [\"PLAIN\"], \"level\": \"auth=envelope\", \"own_level\": true, \"action\": \"refuse\", \"login\": \"zwei\", \"comment\": \"\"},\n"
		"  {\"address\": \"desk@test-sample.jp\", \"can_login\": false, \"schemes\": [], \"level\": \"auth=envelope=from\", \"own_level\": false, \"action\": \"refuse\", \"login\": \"\", \"comment\": \"\"}\n"
		"]\n");
	assert_int_equal(run(command_accounts, "--xml", SLICE_OF("")), STATUS_USAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		unit_test_of(CONFIG_CRAM_MD5, test_passwd),
		cmocka_unit_test(test_passwd_refuses),
		cmocka_unit_test(test_passwd_makes_file),
		cmocka_unit_test(test_replace_fails),
		cmocka_unit_test(test_accounts),
	};

	return cmocka_run_group_tests(tests, enter_directory, leave_directory);
}
