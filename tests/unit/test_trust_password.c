#include "trust_fixture.h"
#include "feature.h"

#include "trust/cram.h"
#include "trust/password.h"
#include "trust/scram.h"

#define LONG_PASSWORD "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define UMLAUTS "p\xc3\xa4ss w\xc3\xb6rd: \"x\""

/* Made by Dovecot 2.3.19, doveadm pw. */
static const struct {
	const char *password, *scram, *cram;
} dovecot[] = {
	{ "user1234",
	  "4096,PViCIJenpT7+ygJnaiWvLA==,z8gOnpBWYMO4mPN0GshQjyI71Ok1hOCcAMtGqtEWGKY=,"
	  "F8zaeC1re/cj9mtV3M5hZfsn/jzRVvG3Gq/l2aOcCb0=",
	  "50ff964abfed45ff93fe658e4a465e45ab3a6c13460c8b8fa1e5675b31674aa3" },
	{ "user2345",
	  "4096,YRWF3sjoItHiOp1ofZtgoQ==,UUNZXgRZtCDSEM/X9ngnBhut8PdWpg2Wx1C5vMByfYc=,"
	  "XKKjiOUaqcH4nN5w3jBEkUoUWN4C3P0QdOkUx0vwg0s=",
	  "dd832a4cab35223e20d4d44134d480f0002714ec8b9dbc7fed9ab4b9c359a736" },
	{ UMLAUTS,
	  "4096,5bUvQnK6QppuCyLZoJnmUg==,EievjjzC2dB1933y8AM7+CwgcuXpFK90WtOgwQ4mp4U=,"
	  "VE2zsnvaEQgisJxhB9zPPz1RgI9MtjJlp8KNilfHDv8=",
	  "895c3d44bafcb0202591271a2f1274c95ffbf954570fd43225d6f276c02a0674" },
	{ LONG_PASSWORD,
	  "4096,QUPkaW6MDJ3O513p/89laQ==,OQb87JqlMzZNKkx7L8wo2V9Ca/LW9UQTaQUvmtjQqAE=,"
	  "SaHbxnFHLOgF4O2+JX8ACoUfHOtKPbT8fUM8iapdXZ8=",
	  "8103bb3a2a4b96a9ca9cce4efecc8d22ebe7163dff7401afb5aa16d4edcf9f1f" },
};

static void scram_like_dovecot(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < COUNT(dovecot); i++) {
		struct trust_scram s, mine;
		char memory[256];
		struct buffer b;

		assert_true(scram_parse(slice_of(dovecot[i].scram), &s));
		assert_true(scram_check(&s, slice_of(dovecot[i].password)));
		assert_false(scram_check(&s, slice_of("wrong")));
		mine = s;
		memset(mine.stored, 0, sizeof(mine.stored));
		memset(mine.server, 0, sizeof(mine.server));
		assert_true(scram_derive(&mine, slice_of(dovecot[i].password)));
		buffer_init(&b, memory, sizeof(memory));
		assert_true(scram_write(&b, &mine));
		assert_true(slice_equal(buffer_bytes(&b), slice_of(dovecot[i].scram)));
	}
}

/* RFC 7677 section 3: user "user", password "pencil". */
static void scram_of_the_standard(void **unused)
{
	static const char client_proof_key[] =
		"4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,"
		"wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
	struct trust_scram s;

	(void)unused;
	assert_true(scram_parse(slice_of(client_proof_key), &s));
	assert_true(scram_check(&s, SLICE_OF("pencil")));
	assert_false(scram_check(&s, SLICE_OF("Pencil")));
}

static void cram_like_dovecot(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < COUNT(dovecot); i++) {
		uint8_t mine[DIGEST_CRAM_SIZE], read[DIGEST_CRAM_SIZE];
		char memory[64];
		struct buffer b;

		assert_true(digest_cram_context(slice_of(dovecot[i].password), mine));
		assert_true(cram_parse(slice_of(dovecot[i].cram), read));
		assert_memory_equal(mine, read, sizeof(mine));
		buffer_init(&b, memory, sizeof(memory));
		assert_true(cram_write(&b, mine));
		assert_true(slice_equal(buffer_bytes(&b), slice_of(dovecot[i].cram)));
	}
}

/* The responses are Python's hmac of the same challenge. */
static void cram_responses(void **unused)
{
	static const struct slice challenge = SLICE("<1896.697170952@postoffice.reston.mci.net>");
	static const char good[] = "4bce3fd8023c775b347c0fbc96b7a808";
	struct trust *t = f0_start(U1 ":{CRAM-MD5}50ff964abfed45ff93fe658e4a465e45ab3a6c13460c8b8fa1e5675b31674aa3:\n"
				   U2 ":{PLAIN}user1234:\nmfp1@test-sample.jp::\n"
				   "s@test-sample.jp:{SCRAM-SHA-256}4096,PViCIJenpT7+ygJnaiWvLA==,"
				   "z8gOnpBWYMO4mPN0GshQjyI71Ok1hOCcAMtGqtEWGKY=,"
				   "F8zaeC1re/cj9mtV3M5hZfsn/jzRVvG3Gq/l2aOcCb0=:\n");
	const struct trust_account *a = accounts_at(t, 0);

	(void)unused;
	assert_true(password_check_cram(a, challenge, slice_of(good)));
	assert_true(password_check_cram(accounts_at(t, 1), challenge, slice_of(good)));
	assert_true(password_check_cram(a, challenge, SLICE_OF("4BCE3FD8023C775B347C0FBC96B7A808")));
	assert_false(password_check_cram(accounts_at(t, 2), challenge, slice_of(good)));
	assert_false(password_check_cram(accounts_at(t, 3), challenge, slice_of(good)));
	assert_false(password_check_cram(NULL, challenge, slice_of(good)));
	assert_false(password_check_cram(a, SLICE_OF("<other>"), slice_of(good)));
	assert_false(password_check_cram(a, challenge, slice_first(slice_of(good), 31)));
	assert_false(password_check_cram(a, challenge, SLICE_OF("4bce3fd8023c775b347c0fbc96b7a8080")));
	assert_false(password_check_cram(a, challenge, SLICE_OF("4bce3fd8023c775b347c0fbc96b7a809")));
	assert_false(password_check_cram(a, challenge, SLICE_OF("4bce3fd8023c775b347c0fbc96b7a8 8")));
	assert_false(password_check_cram(a, challenge, SLICE_OF("")));
	trust_free(t);
}

/* Who has no secret is checked against a word that stands in the source: it must open nothing. */
static void nobody_has_no_password(void **unused)
{
	static const struct slice challenge = SLICE("<1@x>");
	uint8_t context[DIGEST_CRAM_SIZE], digest[DIGEST_MD5_SIZE];
	char hex[2 * DIGEST_MD5_SIZE + 1];

	(void)unused;
	assert_true(digest_cram_context(SLICE_OF("nobody"), context));
	assert_true(digest_cram_finish(context, challenge, digest));
	for (size_t i = 0; i < sizeof(digest); i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	assert_true(cram_check(context, challenge, slice_of(hex)));
	assert_false(password_check_cram(NULL, challenge, slice_of(hex)));
}

static bool check(const struct trust_account *a, struct slice password)
{
	struct password_job job, copy;

	password_job(a, password, &job);
	/* It travels to the helper as bytes. */
	memcpy(&copy, &job, sizeof(copy));
	memset(&job, 0, sizeof(job));
	return password_check(&copy);
}

#define SCRAM_U1 "{SCRAM-SHA-256}4096,PViCIJenpT7+ygJnaiWvLA==," \
		 "z8gOnpBWYMO4mPN0GshQjyI71Ok1hOCcAMtGqtEWGKY=,F8zaeC1re/cj9mtV3M5hZfsn/jzRVvG3Gq/l2aOcCb0="
#define CRAM_U1	"{CRAM-MD5}50ff964abfed45ff93fe658e4a465e45ab3a6c13460c8b8fa1e5675b31674aa3"

static void checks(void **unused)
{
	static const struct {
		const char *secrets, *password;
		bool right;
	} table[] = {
		{ SCRAM_U1, "user1234", true },
		{ SCRAM_U1, "user123", false },
		{ SCRAM_U1, "user12345", false },
		{ SCRAM_U1, "User1234", false },
		{ SCRAM_U1, " user1234", false },
		{ SCRAM_U1, "", false },
		{ CRAM_U1, "user1234", true },
		{ CRAM_U1, "user1235", false },
		{ CRAM_U1, "", false },
		{ "{PLAIN}user1234", "user1234", true },
		{ "{PLAIN}user1234", "user1234x", false },
		{ "{PLAIN}user1234", "user123", false },
		{ "{PLAIN}user1234", "USER1234", false },
		{ "{PLAIN}user1234", "", false },
		{ "{PLAIN}{PLAIN}x", "{PLAIN}x", true },
		{ "{PLAIN}" SCRAM_U1, "user1234", false },
		{ CRAM_U1 " " SCRAM_U1, "user1234", true },
		{ "{PLAIN}other " SCRAM_U1, "user1234", true },
		{ "{PLAIN}other " SCRAM_U1, "other", false },
		{ "{PLAIN}other " CRAM_U1, "other", true },
		{ "{PLAIN}other " CRAM_U1, "user1234", false },
		{ "", "", false },
		{ "", "x", false },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(table); i++) {
		char line[512];
		struct trust *t;

		snprintf(line, sizeof(line), U1 ":%s:\n", table[i].secrets);
		t = f0_start(line);
		if (check(accounts_at(t, 0), slice_of(table[i].password)) != table[i].right)
			fail_msg("[%s] with [%s]", table[i].secrets, table[i].password);
		trust_free(t);
	}
}

/* The padding of a job is zero: an account's password with zeros behind it must not be taken for it. */
static void refuses_what_is_no_password(void **unused)
{
	struct trust *t = f0_start(F0_ACCOUNTS);
	char lengthy[PASSWORD_MAX + 1] = "user1234";
	struct password_job job;

	(void)unused;
	assert_false(check(accounts_at(t, 0), slice_bytes("user1234\0", 9)));
	assert_false(check(accounts_at(t, 0), slice_bytes(lengthy, sizeof(lengthy))));
	assert_false(check(accounts_at(t, 0), (struct slice){ NULL, 0 }));
	assert_false(check(NULL, SLICE_OF("user1234")));
	assert_false(check(NULL, SLICE_OF("")));
	assert_true(check(accounts_at(t, 0), SLICE_OF("user1234")));
	password_job(accounts_at(t, 0), SLICE_OF("user1234"), &job);
	assert_true(password_check(&job));
	job.hopeless = true;
	assert_false(password_check(&job));
	trust_free(t);
}

/* R24: whoever it is, the same PBKDF2. */
static void same_work_for_all(void **unused)
{
	struct trust *t = f0_start(F0_ACCOUNTS "mfp1@test-sample.jp::\nc@test-sample.jp:" CRAM_U1 ":\n"
				   "s@test-sample.jp:" SCRAM_U1 ":\n");
	struct password_job job;

	(void)unused;
	password_job(NULL, SLICE_OF("x"), &job);
	assert_int_equal(job.scram.iterations, SCRAM_ITERATIONS);
	assert_int_equal(job.scram.salt_len, 16);
	for (size_t i = 0; i < accounts_count(t); i++) {
		password_job(accounts_at(t, i), SLICE_OF("x"), &job);
		assert_int_equal(job.scram.iterations, SCRAM_ITERATIONS);
		assert_int_equal(job.scram.salt_len, 16);
	}
	trust_free(t);
}

static void remembers(void **unused)
{
	struct trust *t = f0_start(F0_ACCOUNTS "mfp1@test-sample.jp::\n");
	struct trust *changed = f0_start(U1 ":{PLAIN}other:\n" U2 ":{PLAIN}user2345:\n"
					 "twin@test-sample.jp:{PLAIN}user2345:\n");
	struct password_memo *m = password_memo_new(), *other = password_memo_new();
	const struct trust_account *u1 = accounts_at(t, 0), *u2 = accounts_at(t, 1);

	(void)unused;
	assert_non_null(m);
	assert_false(password_memo_knows(m, u1, SLICE_OF("user1234")));
	password_memo_add(m, u1, SLICE_OF("user1234"));
	assert_true(password_memo_knows(m, u1, SLICE_OF("user1234")));
	assert_false(password_memo_knows(m, u1, SLICE_OF("user123")));
	assert_false(password_memo_knows(m, u1, SLICE_OF("")));
	assert_false(password_memo_knows(m, u2, SLICE_OF("user1234")));
	assert_false(password_memo_knows(m, NULL, SLICE_OF("user1234")));
	assert_false(password_memo_knows(other, u1, SLICE_OF("user1234")));
	/* After a reload: the same secret is still known, a changed one is not. */
	assert_false(password_memo_knows(m, accounts_at(changed, 0), SLICE_OF("user1234")));
	password_memo_add(m, u2, SLICE_OF("user2345"));
	assert_true(password_memo_knows(m, accounts_at(changed, 1), SLICE_OF("user2345")));
	assert_false(password_memo_knows(m, accounts_at(changed, 2), SLICE_OF("user2345")));
	password_memo_add(m, accounts_at(t, 2), SLICE_OF("x"));
	assert_false(password_memo_knows(m, accounts_at(t, 2), SLICE_OF("x")));
	password_memo_add(m, NULL, SLICE_OF("x"));
	password_memo_free(m);
	password_memo_free(other);
	password_memo_free(NULL);
	trust_free(t);
	trust_free(changed);
}

static void memo_is_bounded_and_keeps_the_last(void **unused)
{
	struct password_memo *m = password_memo_new();
	struct trust *t = f0_start(F0_ACCOUNTS);
	unsigned known = 0;

	(void)unused;
	for (unsigned i = 0; i < 3 * PASSWORD_MEMO_MAX; i++) {
		char password[16];

		snprintf(password, sizeof(password), "p%u", i);
		password_memo_add(m, accounts_at(t, 0), slice_of(password));
		assert_true(password_memo_knows(m, accounts_at(t, 0), slice_of(password)));
	}
	for (unsigned i = 0; i < 3 * PASSWORD_MEMO_MAX; i++) {
		char password[16];

		snprintf(password, sizeof(password), "p%u", i);
		known += password_memo_knows(m, accounts_at(t, 0), slice_of(password));
	}
	assert_in_range(known, PASSWORD_MEMO_MAX / 2, PASSWORD_MEMO_MAX);
	password_memo_free(m);
	trust_free(t);
}

/* {UPSTREAM}: no password is right here, whatever it is, and none is remembered here. */
static void upstream_is_not_ours_to_check(void **unused)
{
	struct password_memo *m = password_memo_new();
	struct trust *t = f0_start("user1@test-sample.jp:{UPSTREAM}:\n");
	const struct trust_account *a = accounts_at(t, 0);
	static const char *const typed[] = { "user1234", "", "{UPSTREAM}" };
	struct password_job job;

	(void)unused;
	assert_true(account_can_login(a) && a->upstream && accounts_any_login(t) && accounts_upstream(t) == a);
	assert_false(accounts_all_cram(t));
	for (size_t i = 0; i < COUNT(typed); i++) {
		password_job(a, slice_of(typed[i]), &job);
		assert_false(password_check(&job));
		password_memo_add(m, a, slice_of(typed[i]));
		assert_false(password_memo_knows(m, a, slice_of(typed[i])));
	}
	assert_false(password_check_cram(a, slice_of("<x>"), slice_of("0123456789abcdef0123456789abcdef")));
	password_memo_free(m);
	trust_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scram_like_dovecot), cmocka_unit_test(scram_of_the_standard),
		unit_test_of(CONFIG_CRAM_MD5, cram_like_dovecot), unit_test_of(CONFIG_CRAM_MD5, cram_responses),
		unit_test_of(CONFIG_CRAM_MD5, nobody_has_no_password), cmocka_unit_test(upstream_is_not_ours_to_check),
		unit_test_of(CONFIG_CRAM_MD5, checks), cmocka_unit_test(refuses_what_is_no_password),
		unit_test_of(CONFIG_CRAM_MD5, same_work_for_all), cmocka_unit_test(remembers),
		cmocka_unit_test(memo_is_bounded_and_keeps_the_last),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
