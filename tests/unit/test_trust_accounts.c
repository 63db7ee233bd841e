#include "trust_fixture.h"
#include "feature.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "trust/password.h"

/* doveadm pw -s SCRAM-SHA-256 -p user1234, and CRAM-MD5 */
#define SCRAM_U1 "{SCRAM-SHA-256}4096,PViCIJenpT7+ygJnaiWvLA==," \
		 "z8gOnpBWYMO4mPN0GshQjyI71Ok1hOCcAMtGqtEWGKY=,F8zaeC1re/cj9mtV3M5hZfsn/jzRVvG3Gq/l2aOcCb0="
#define CRAM_U1	"{CRAM-MD5}50ff964abfed45ff93fe658e4a465e45ab3a6c13460c8b8fa1e5675b31674aa3"

static bool parse(const char *text, struct fault *f)
{
	struct trust *t = trust_new();
	bool ok;

	f->text[0] = '\0';
	assert_true(trust_add_domain(t, SLICE_OF("test-sample.jp"), INI, 2, f));
	assert_true(trust_add_domain(t, SLICE_OF("second.example"), INI, 2, f));
	ok = accounts_parse(t, slice_of(text), "accounts", f);
	trust_free(t);
	return ok;
}

static void accepts(void **unused)
{
	static const char *const table[] = {
		"",
		"\n\n# only a comment\xe3\x80\x80\n",
		U1 ":" SCRAM_U1 ":",
		U1 ":" SCRAM_U1 " " CRAM_U1 ":level=1\n",
		U1 ":" CRAM_U1 " " SCRAM_U1 ":level=auth=envelope login=taro action=tag comment=\xe5\xb1\xb1:1\n",
		U1 ":{PLAIN}user1234",
		"User1@Test-Sample.JP:{PLAIN}p\xc3\xa4ss{PLAIN}:action=refuse\n",
		"\"user1\"@test-sample.jp:{PLAIN}x:\n",
		"mfp1@test-sample.jp::\n",
		"user1@second.example:{PLAIN}x:\n" U1 ":{PLAIN}y:login=user1\n",
		U1 ":{PLAIN}x:login=someone@elsewhere.example\n",
	};
	struct fault f;

	(void)unused;
	for (size_t i = 0; i < COUNT(table); i++)
		if (!parse(table[i], &f))
			fail_msg("[%s]: %s", table[i], f.text);
}

/* R66: each fault with file and line. */
static void refuses(void **unused)
{
	static const struct {
		const char *text, *fault;
	} table[] = {
		{ "\xef\xbb\xbf" U1 ":{PLAIN}x:\n", "accounts:1: the file begins with a byte order mark (BOM)" },
		{ "\n" U1 ":{PLAIN}x:\r\n", "accounts:2: carriage return" },
		{ U1 ":{PLAIN}x\ty:\n", "accounts:1: control character" },
		{ U1 ":{PLAIN}x:\xe3\x80\x80\n", "accounts:1: full-width blank" },
		{ U1 "\n", "accounts:1: not address:secret:options" },
		{ " \n", "accounts:1: not address:secret:options" },
		{ " " U1 ":{PLAIN}x:\n", "accounts:1: blank where none belongs" },
		{ U1 " :{PLAIN}x:\n", "accounts:1: blank where none belongs" },
		{ U1 ": {PLAIN}x:\n", "accounts:1: blank where none belongs" },
		{ U1 ":{PLAIN}x :\n", "accounts:1: blank where none belongs" },
		{ U1 ":{PLAIN}x: level=1\n", "accounts:1: blank where none belongs" },
		{ U1 ":{PLAIN}x:level=1 \n", "accounts:1: blank where none belongs" },
		{ U1 ":{PLAIN}x:level=1  action=log\n", "accounts:1: blank where none belongs" },
		{ "user1:{PLAIN}x:\n", "accounts:1: not an address" },
		{ "@test-sample.jp:{PLAIN}x:\n", "accounts:1: not an address" },
		{ "*@test-sample.jp:{PLAIN}x:\n", "accounts:1: not an address" },
		{ "a..b@test-sample.jp:{PLAIN}x:\n", "accounts:1: not an address" },
		{ ".a@test-sample.jp:{PLAIN}x:\n", "accounts:1: not an address" },
		{ "a.@test-sample.jp:{PLAIN}x:\n", "accounts:1: not an address" },
		{ "\"#a\"@test-sample.jp:{PLAIN}x:\n", "accounts:1: not an address" },
		{ "\"a b\"@test-sample.jp:{PLAIN}x:\n", "accounts:1: not an address" },
		{ "user1@test-sample.jp.:{PLAIN}x:\n", "accounts:1: not an address" },
		{ "user1@other.example:{PLAIN}x:\n", "accounts:1: address is not in our domains" },
		{ "user1@sub.test-sample.jp:{PLAIN}x:\n", "accounts:1: address is not in our domains" },
		{ "user1@[192.168.0.103]:{PLAIN}x:\n", "accounts:1: address is not in our domains" },
		{ U1 ":secret:\n", "accounts:1: unknown kind of secret" },
		{ U1 ":{plain}x:\n", "accounts:1: unknown kind of secret" },
		{ U1 ":{PLAIN}:\n", "accounts:1: empty password" },
		{ U1 ":{PLAIN}x {PLAIN}y:\n", "accounts:1: two secrets of one kind" },
		{ U1 ":" CRAM_U1 " " CRAM_U1 ":\n", "accounts:1: two secrets of one kind" },
		{ U1 ":" SCRAM_U1 " " SCRAM_U1 ":\n", "accounts:1: two secrets of one kind" },
		{ U1 ":" SCRAM_U1 " " CRAM_U1 " {PLAIN}x:\n", "accounts:1: more than two secrets" },
		{ U1 ":{UPSTREAM}x:\n", "accounts:1: {UPSTREAM} has nothing behind it" },
		{ U1 ":{UPSTREAM} {UPSTREAM}:\n", "accounts:1: two secrets of one kind" },
		{ U1 ":{UPSTREAM} {PLAIN}x:\n", "accounts:1: {UPSTREAM} beside another secret" },
		{ U1 ":" SCRAM_U1 " {UPSTREAM}:\n", "accounts:1: {UPSTREAM} beside another secret" },
		{ U1 ":{CRAM-MD5}50ff:\n", "accounts:1: damaged {CRAM-MD5} secret" },
		{ U1 ":" CRAM_U1 "0:\n", "accounts:1: damaged {CRAM-MD5} secret" },
		{ U1 ":{CRAM-MD5}g0ff964abfed45ff93fe658e4a465e45ab3a6c13460c8b8fa1e5675b31674aa3:\n",
		  "accounts:1: damaged {CRAM-MD5} secret" },
		{ U1 ":{SCRAM-SHA-256}:\n", "accounts:1: damaged {SCRAM-SHA-256} secret" },
		{ U1 ":{SCRAM-SHA-256}4095,PViCIJenpT7+ygJnaiWvLA==,z8gOnpBWYMO4mPN0GshQjyI71Ok1hOCcAMtGqtEWGKY=,"
		  "F8zaeC1re/cj9mtV3M5hZfsn/jzRVvG3Gq/l2aOcCb0=:\n", "accounts:1: damaged {SCRAM-SHA-256} secret" },
		{ U1 ":{SCRAM-SHA-256}100001,PViCIJenpT7+ygJnaiWvLA==,z8gOnpBWYMO4mPN0GshQjyI71Ok1hOCcAMtGqtEWGKY=,"
		  "F8zaeC1re/cj9mtV3M5hZfsn/jzRVvG3Gq/l2aOcCb0=:\n", "accounts:1: damaged {SCRAM-SHA-256} secret" },
		{ U1 ":{SCRAM-SHA-256}4096,,z8gOnpBWYMO4mPN0GshQjyI71Ok1hOCcAMtGqtEWGKY=,"
		  "F8zaeC1re/cj9mtV3M5hZfsn/jzRVvG3Gq/l2aOcCb0=:\n", "accounts:1: damaged {SCRAM-SHA-256} secret" },
		{ U1 ":{SCRAM-SHA-256}4096,PViCIJenpT7+ygJnaiWvLA==,z8gOnpBWYMO4mPN0GshQjyI71Ok1hOCcAMtGqtEWGKY=:\n",
		  "accounts:1: damaged {SCRAM-SHA-256} secret" },
		{ U1 ":{SCRAM-SHA-256}4096,PViCIJenpT7+ygJnaiWvLA==,z8gOnpBWYMO4mPN0GshQjyI71Ok1hOCcAMtGqtEW,"
		  "F8zaeC1re/cj9mtV3M5hZfsn/jzRVvG3Gq/l2aOcCb0=:\n", "accounts:1: damaged {SCRAM-SHA-256} secret" },
		{ U1 ":" SCRAM_U1 ",:\n", "accounts:1: damaged {SCRAM-SHA-256} secret" },
		{ U1 ":{PLAIN}x:level=4\n", "accounts:1: unknown level" },
		{ U1 ":{PLAIN}x:level=AUTH\n", "accounts:1: unknown level" },
		{ U1 ":{PLAIN}x:level=1 level=2\n", "accounts:1: option given twice" },
		{ U1 ":{PLAIN}x:action=drop\n", "accounts:1: unknown action" },
		{ U1 ":{PLAIN}x:action=log action=tag\n", "accounts:1: option given twice" },
		{ U1 ":{PLAIN}x:comment=a comment=b\n", "accounts:1: option given twice" },
		{ U1 ":{PLAIN}x:login=\n", "accounts:1: empty option" },
		{ U1 ":{PLAIN}x:login=a login=b\n", "accounts:1: option given twice" },
		{ U1 ":{PLAIN}x:login=\xe5\xb1\xb1\n", "accounts:1: login name of other than ASCII" },
		{ U1 ":{PLAIN}x:levle=1\n", "accounts:1: unknown option" },
		{ U1 ":{PLAIN}pass:word\n", "accounts:1: unknown option" },
		{ U1 ":{PLAIN}x:login=aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff1234\n",
		  "accounts:1: login name too long" },
		{ U1 ":{PLAIN}x:\n" U2 ":{PLAIN}x:\n\nUSER1@test-sample.jp:{PLAIN}y:\n",
		  "accounts:4: user1@test-sample.jp is given twice, first in line 1" },
		{ U1 ":{PLAIN}x:\n\"user1\"@test-sample.jp:{PLAIN}y:\n",
		  "accounts:2: user1@test-sample.jp is given twice, first in line 1" },
		{ U1 ":{PLAIN}x:login=t\n" U2 ":{PLAIN}x:login=T\n", "accounts:2: login name T is taken by line 1" },
		{ U1 ":{PLAIN}x:login=USER2\n" U2 ":{PLAIN}x:\n", "accounts:1: login name USER2 is taken by line 2" },
		{ U1 ":{PLAIN}x:login=" U2 "\n" U2 ":{PLAIN}x:\n", "accounts:1: login name " U2 " is taken by line 2" },
	};
	struct fault f;

	(void)unused;
	for (size_t i = 0; i < COUNT(table); i++) {
		if (parse(table[i].text, &f))
			fail_msg("[%s] was accepted", table[i].text);
		if (strncmp(f.text, table[i].fault, strlen(table[i].fault)) != 0 || f.status != STATUS_CONFIG)
			fail_msg("[%s]: %s", table[i].text, f.text);
	}
}

static void refuses_nul_and_long_lines(void **unused)
{
	static const char nul[] = U1 ":{PLAIN}x\0y:\n";
	struct trust *t = f0_start("");
	struct fault f = { .text = "" }, g = { .text = "" }, h = { .text = "" };
	char line[ACCOUNTS_LINE_MAX + 64];

	(void)unused;
	assert_false(accounts_parse(t, slice_bytes(nul, sizeof(nul) - 1), "accounts", &f));
	assert_string_equal(f.text, "accounts:1: control character");
	memset(line, 'x', sizeof(line));
	memcpy(line, U1 ":{PLAIN}", sizeof(U1 ":{PLAIN}") - 1);
	assert_false(accounts_parse(t, slice_bytes(line, sizeof(line)), "accounts", &g));
	assert_string_equal(g.text, "accounts:1: line too long");
	assert_false(accounts_parse(t, slice_bytes(line, 400), "accounts", &h));
	assert_string_equal(h.text, "accounts:1: password too long");
	trust_free(t);
}

static void reads_options(void **unused)
{
	struct trust *t = f0_start("# c\n" U1 ":" SCRAM_U1 " " CRAM_U1 ":level=2 action=log login=Taro comment=x\n"
				   "mfp1@test-sample.jp::\n");
	const struct trust_account *a;

	(void)unused;
	assert_int_equal(accounts_count(t), 2);
	a = accounts_at(t, 0);
	assert_true(slice_equal(account_name(a), SLICE_OF(U1)));
	assert_int_equal(a->line, 2);
	assert_int_equal(a->level, LEVEL_ENVELOPE);
	assert_int_equal(a->action, ACTION_LOG);
	assert_string_equal(a->login, "Taro");
	assert_string_equal(a->comment, "x");
	assert_true(a->has_scram && a->has_cram && !a->has_plain);
	assert_int_equal(a->scram.iterations, 4096);
	assert_int_equal(a->scram.salt_len, 16);
	assert_true(account_can_login(a));
	assert_false(account_can_login(accounts_at(t, 1)));
	trust_free(t);
}

/* R6, with its list of refusals. */
static void finds_logins(void **unused)
{
	static const struct {
		const char *id, *account;	/* NULL: nobody */
	} table[] = {
		{ U1, U1 }, { "User1@Test-Sample.JP", U1 }, { "user1", U1 }, { "USER1", U1 },
		{ "\"user1\"@test-sample.jp", U1 }, { "\"us\\er1\"@test-sample.jp", U1 }, { "taro", U2 },
		{ "TARO", U2 }, { "t@elsewhere.example", U2 },
		{ "user10@test-sample.jp", NULL }, { "user10", NULL }, { "use", NULL }, { "user", NULL },
		{ "xuser1@test-sample.jp", NULL }, { "user1@test-sample.jp.evil.example", NULL },
		{ "user1@test-sample.jp.", NULL }, { "user1@test-sample", NULL }, { "user1@", NULL },
		{ "user1@[192.168.0.103]", NULL }, { "user1@sub.test-sample.jp", NULL },
		{ " user1", NULL }, { "user1 ", NULL }, { "user1@test-sample.jp ", NULL },
		{ "\tuser1", NULL }, { "user1\r\n", NULL }, { "", NULL }, { "@test-sample.jp", NULL },
		{ "user1@test-sample.jp@test-sample.jp", NULL }, { "<user1@test-sample.jp>", NULL },
		{ "user1%test-sample.jp", NULL }, { "test-sample.jp!user1", NULL }, { "info@test-sample.jp", NULL },
		{ "@a:user1@test-sample.jp", NULL }, { "taro@test-sample.jp", NULL }, { "*", NULL },
		{ "\xef\xbc\xb5ser1", NULL }, { "tar", NULL }, { "taro0", NULL },
	};
	struct trust *t = f0_with(U1 ":{PLAIN}x:\n" U2 ":{PLAIN}y:login=Taro\n"
				  "user3@test-sample.jp:{PLAIN}y:login=aa\n");
	struct trust *e = f0_with(U1 ":{PLAIN}x:\n" U2 ":{PLAIN}y:login=T@Elsewhere.example\n");
	char lengthy[LOGIN_MAX + 2];

	(void)unused;
	for (size_t i = 0; i < COUNT(table); i++) {
		const struct trust *in = strstr(table[i].id, "elsewhere") ? e : t;
		const struct trust_account *a = accounts_find(in, slice_of(table[i].id));

		if (!a != !table[i].account)
			fail_msg("[%s]", table[i].id);
		if (a && !slice_equal(account_name(a), slice_of(table[i].account)))
			fail_msg("[%s] is %.*s", table[i].id, SLICE_ARGS(account_name(a)));
	}
	assert_null(accounts_find(t, slice_bytes("user1\0", 6)));
	assert_null(accounts_find(t, slice_bytes("user1\0x", 7)));
	memset(lengthy, 'a', sizeof(lengthy));
	assert_null(accounts_find(t, slice_bytes(lengthy, sizeof(lengthy))));
	trust_free(t);
	trust_free(e);
}

static void finds_among_many(void **unused)
{
	char *text = malloc(64 * (ACCOUNTS_MAX + 1));
	struct fault f = { .text = "" };
	struct trust *t = f0_start("");
	size_t len = 0;

	(void)unused;
	for (int i = 0; i < ACCOUNTS_MAX; i++)
		len += (size_t)sprintf(text + len, "u%d@test-sample.jp:{PLAIN}p%d:login=l%d\n", i, i, i);
	assert_true(accounts_parse(t, slice_bytes(text, len), "accounts", &f));
	for (int i = 0; i < ACCOUNTS_MAX; i++) {
		char id[16], login[16];

		snprintf(id, sizeof(id), "u%d", i);
		snprintf(login, sizeof(login), "L%d", i);
		assert_ptr_equal(accounts_find(t, slice_of(id)), accounts_at(t, (size_t)i));
		assert_ptr_equal(accounts_find(t, slice_of(login)), accounts_at(t, (size_t)i));
	}
	assert_null(accounts_find(t, SLICE_OF("u" TEXT_OF(ACCOUNTS_MAX))));
	trust_free(t);
	t = f0_start("");
	len += (size_t)sprintf(text + len, "more@test-sample.jp:{PLAIN}x:\n");
	assert_false(accounts_parse(t, slice_bytes(text, len), "accounts", &f));
	snprintf(text, 64, "accounts:%d: too many accounts", ACCOUNTS_MAX + 1);
	assert_string_equal(f.text, text);
	trust_free(t);
	free(text);
}

/* R26 */
static void offers_cram(void **unused)
{
	static const struct {
		const char *accounts;
		bool any, cram;
	} table[] = {
		{ "", false, false },
		{ "mfp1@test-sample.jp::\n", false, false },
		{ U1 ":" SCRAM_U1 ":\n", true, false },
		{ U1 ":" SCRAM_U1 " " CRAM_U1 ":\n", true, true },
		{ U1 ":{PLAIN}x:\nmfp1@test-sample.jp::\n", true, true },
		{ U1 ":{PLAIN}x:\n" U2 ":" SCRAM_U1 ":\n", true, false },
		{ U1 ":" CRAM_U1 ":\n" U2 ":{PLAIN}y:\n", true, true },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(table); i++) {
		struct trust *t = f0_start(table[i].accounts);

		if (accounts_any_login(t) != table[i].any || accounts_all_cram(t) != table[i].cram)
			fail_msg("[%s]", table[i].accounts);
		trust_free(t);
	}
}

static void write_file(const char *path, const char *text, mode_t mode)
{
	FILE *to = fopen(path, "w");

	assert_non_null(to);
	fputs(text, to);
	fclose(to);
	assert_int_equal(chmod(path, mode), 0);
}

static bool load(const char *path, struct fault *f)
{
	struct trust *t = f0_start("");
	bool ok;

	f->text[0] = '\0';
	ok = trust_load_accounts(t, path, f);
	if (ok)
		assert_int_equal(accounts_count(t), 2);
	trust_free(t);
	return ok;
}

static void loads_files(void **unused)
{
	static const struct {
		mode_t mode;
		bool ok;
	} modes[] = {
		{ 0600, true }, { 0640, true }, { 0400, true }, { 0644, false }, { 0660, false },
		{ 0602, false }, { 0601, false },
	};
	char dir[] = "/tmp/sekimori-accounts-XXXXXX", path[64];
	struct fault f;

	(void)unused;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/accounts", dir);
	assert_false(load(path, &f));
	assert_non_null(strstr(f.text, strerror(ENOENT)));
	assert_int_equal(f.status, STATUS_CONFIG);
	for (size_t i = 0; i < COUNT(modes); i++) {
		write_file(path, F0_ACCOUNTS, modes[i].mode);
		if (load(path, &f) != modes[i].ok)
			fail_msg("mode %o: %s", (unsigned)modes[i].mode, f.text);
		unlink(path);
	}
	write_file(path, F0_ACCOUNTS "x\n", 0600);
	assert_false(load(path, &f));
	assert_non_null(strstr(f.text, "/accounts:4: not address:secret:options"));
	assert_int_equal(truncate(path, ACCOUNTS_FILE_MAX + 1), 0);
	assert_false(load(path, &f));
	assert_non_null(strstr(f.text, "file too large"));
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_false(load(path, &f));
	assert_non_null(strstr(f.text, "not a regular file"));
	unlink(path);
	assert_false(load(dir, &f));
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		unit_test_of(CONFIG_CRAM_MD5, accepts), unit_test_of(CONFIG_CRAM_MD5, refuses),
		cmocka_unit_test(refuses_nul_and_long_lines), unit_test_of(CONFIG_CRAM_MD5, reads_options),
		cmocka_unit_test(finds_logins), cmocka_unit_test(finds_among_many),
		unit_test_of(CONFIG_CRAM_MD5, offers_cram), cmocka_unit_test(loads_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
