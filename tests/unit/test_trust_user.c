#include "trust_fixture.h"

#include "trust/verdict.h"

static bool add_user(struct trust *t, const char *name, bool everybody, uint32_t uid, const char *sender, struct fault *f)
{
	struct trust_device d = { .is_user = true, .is_everybody = everybody, .uid = uid };

	assert_true(slice_copy(slice_of(name), d.name, sizeof(d.name)));
	assert_true(address_key_of(slice_of(sender), &d.sender));
	return trust_add_device(t, &d, INI, 9, f);
}

static struct trust *house(void)
{
	struct trust *t = f0_start(F0_ACCOUNTS);
	struct fault f = { .text = "" };

	assert_true(add_user(t, "local:*", true, 0, "cron@test-sample.jp", &f));
	assert_true(add_user(t, "local:root", false, 0, U1, &f));
	assert_true(add_user(t, "local:www", false, 33, "cron@test-sample.jp", &f));
	assert_true(trust_seal(t, &f));
	return t;
}

static void finds(void **state)
{
	static const struct {
		uint32_t uid;
		const char *name;
	} rows[] = { { 0, "local:root" }, { 33, "local:www" }, { 1, "local:*" }, { 4294967294u, "local:*" } };
	struct trust *t = house();
	struct principal p;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		trust_by_user(t, rows[i].uid, &p);
		assert_int_equal(p.kind, PRINCIPAL_DEVICE);
		assert_string_equal(p.device->name, rows[i].name);
	}
	trust_free(t);
}

static void finds_nobody(void **state)
{
	struct trust *t = f0_start(F0_ACCOUNTS);
	struct fault f = { .text = "" };
	struct principal p;

	(void)state;
	assert_true(add_user(t, "local:www", false, 33, "cron@test-sample.jp", &f));
	assert_true(add_device(t, "192.0.2.1", "mfp1@test-sample.jp", 1, &f));
	assert_true(trust_seal(t, &f));
	trust_by_user(t, 0, &p);
	assert_int_equal(p.kind, PRINCIPAL_NOBODY);
	assert_null(p.device);
	trust_free(t);
}

/* A user of this machine is found by nobody's address. */
static void has_no_address(void **state)
{
	static const char *const addresses[] = { "0.0.0.0", "0.0.0.33", "127.0.0.1", "::", "::1" };
	struct trust *t = house();

	(void)state;
	for (size_t i = 0; i < COUNT(addresses); i++) {
		struct ip_address ip;
		struct principal p;

		assert_true(ip_parse(slice_of(addresses[i]), &ip));
		trust_by_address(t, &ip, &p);
		assert_int_equal(p.kind, PRINCIPAL_NOBODY);
	}
	trust_free(t);
}

/* The address of an account with a password may be a user's, and stays the account's as well. */
static void shares_with_an_account(void **state)
{
	struct trust *t = house();
	struct trust_policy policy = *trust_policy(t);
	struct principal user, account = { .kind = PRINCIPAL_ACCOUNT };
	struct address own, other;
	struct verdict v;

	(void)state;
	policy.level = LEVEL_ENVELOPE;
	trust_set_policy(t, &policy);
	assert_true(address_parse(SLICE_OF(U1), &own) && address_parse(SLICE_OF(U2), &other));
	trust_by_user(t, 0, &user);
	account.account = accounts_find(t, SLICE_OF(U1));
	assert_non_null(account.account);
	trust_judge_mail(t, &user, &own, &v);
	assert_true(v.pass);
	trust_judge_mail(t, &account, &own, &v);
	assert_true(v.pass);
	trust_judge_mail(t, &user, &other, &v);
	assert_false(v.pass);
	trust_free(t);
}

static void refuses(void **state)
{
	static const struct {
		bool everybody;
		uint32_t uid;
		const char *sender, *words;
	} rows[] = {
		{ true, 0, "x@test-sample.jp", "twice" }, { false, 33, "x@test-sample.jp", "twice" },
		{ false, 7, "x@elsewhere.example", "not in our domains" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct trust *t = f0_start(F0_ACCOUNTS);
		struct fault f = { .text = "" };

		assert_true(add_user(t, "local:*", true, 0, "cron@test-sample.jp", &f));
		assert_true(add_user(t, "local:www", false, 33, "cron@test-sample.jp", &f));
		assert_true(add_user(t, "local:x", rows[i].everybody, rows[i].uid, rows[i].sender, &f));
		assert_false(trust_seal(t, &f));
		assert_non_null(strstr(f.text, rows[i].words));
		trust_free(t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds), cmocka_unit_test(finds_nobody), cmocka_unit_test(has_no_address),
		cmocka_unit_test(shares_with_an_account), cmocka_unit_test(refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
