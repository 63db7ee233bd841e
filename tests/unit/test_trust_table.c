#include "trust_fixture.h"
#include "feature.h"

#include <stdlib.h>

#include "trust/lookup.h"

static void names(void **unused)
{
	static const char *const levels[][2] = {
		{ "auth", "auth" }, { "1", "auth" }, { "auth=envelope", "auth=envelope" }, { "2", "auth=envelope" },
		{ "auth=envelope=from", "auth=envelope=from" }, { "3", "auth=envelope=from" },
	};
	static const char *const unknown[] = {
		"", "0", "4", "01", "Auth", "auth ", " auth", "auth=", "auth=from", "auth=envelope=", "none",
		"auth=envelope=from=", "\xef\xbc\x93",
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(levels); i++)
		assert_string_equal(trust_level_name(trust_level_of(slice_of(levels[i][0]))), levels[i][1]);
	for (size_t i = 0; i < COUNT(unknown); i++)
		assert_int_equal(trust_level_of(slice_of(unknown[i])), LEVEL_DEFAULT);
	assert_int_equal(trust_action_of(SLICE_OF("refuse")), ACTION_REFUSE);
	assert_int_equal(trust_action_of(SLICE_OF("log")), ACTION_LOG);
	assert_int_equal(trust_action_of(SLICE_OF("tag")), ACTION_TAG);
	assert_int_equal(trust_action_of(SLICE_OF("none")), ACTION_DEFAULT);
	assert_string_equal(trust_action_name(ACTION_TAG), "tag");
	assert_string_equal(principal_kind_name(PRINCIPAL_NOBODY), "none");
	assert_string_equal(principal_kind_name(PRINCIPAL_PEER), "peer");
}

/* R19: without a word, level 1. */
static void defaults(void **unused)
{
	struct trust *t = trust_new();

	(void)unused;
	assert_int_equal(trust_policy(t)->level, LEVEL_AUTH);
	assert_int_equal(trust_policy(t)->action, ACTION_REFUSE);
	assert_int_equal(trust_policy(t)->match, MATCH_ACCOUNT);
	assert_int_equal(trust_policy(t)->null_sender, NULL_FROM);
	assert_int_equal(trust_policy(t)->display_addr, DISPLAY_LOG);
	assert_int_equal(trust_policy(t)->subaddress, 0);
	assert_true(trust_policy(t)->from_alias);
	assert_int_equal(trust_default_domain(t).len, 0);
	trust_free(t);
	trust_free(NULL);
}

static void domains(void **unused)
{
	static const char *const bad[] = { "", "test-sample.jp.", ".jp", "a b", "*", "[192.0.2.1]", "a@b", "TEST-SAMPLE.JP" };
	struct trust *t = f0();
	struct fault f = { .text = "" };

	(void)unused;
	assert_true(trust_is_our_domain(t, SLICE_OF("TEST-sample.jp")));
	assert_false(trust_is_our_domain(t, SLICE_OF("test-sample.jp.")));
	assert_false(trust_is_our_domain(t, SLICE_OF("sub.test-sample.jp")));
	assert_false(trust_is_our_domain(t, SLICE_OF("ample.jp")));
	assert_false(trust_is_our_domain(t, SLICE_OF("")));
	assert_true(slice_equal(trust_default_domain(t), SLICE_OF("test-sample.jp")));
	for (size_t i = 0; i < COUNT(bad); i++) {
		f.text[0] = '\0';
		assert_false(trust_add_domain(t, slice_of(bad[i]), INI, 9, &f));
		assert_int_equal(strncmp(f.text, INI ":9: ", sizeof(INI ":9: ") - 1), 0);
	}
	for (unsigned i = 1; i <= DOMAINS_MAX; i++) {
		char name[16];

		f.text[0] = '\0';
		snprintf(name, sizeof(name), "d%u.example", i);
		assert_int_equal(trust_add_domain(t, slice_of(name), INI, 9, &f), i < DOMAINS_MAX);
	}
	assert_non_null(strstr(f.text, "more than 32 domains"));
	trust_free(t);
}

/* One bad setting each, on top of F0's accounts. */
struct bad {
	const char *alias[2][2];
	const char *device[2][2];	/* ip, sender */
	const char *peer[2];		/* ip */
	const char *fault;
};

static bool build(const struct bad *b, struct fault *f)
{
	struct trust *t = f0_start(F0_ACCOUNTS "scan@test-sample.jp::\n");
	bool ok = true;

	f->text[0] = '\0';
	for (unsigned i = 0; ok && i < 2; i++) {
		if (b->alias[i][0])
			ok = add_alias(t, b->alias[i][0], b->alias[i][1], 20 + i, f);
		if (ok && b->device[i][0])
			ok = add_device(t, b->device[i][0], b->device[i][1], 30 + i, f);
		if (ok && b->peer[i])
			ok = add_peer(t, b->peer[i], 40 + i, f);
	}
	ok = ok && trust_seal(t, f);
	trust_free(t);
	return ok;
}

static void faults(void **unused)
{
	static const struct bad table[] = {
		{ .alias = { { U1, U2 } }, .fault = ":20: alias user1@test-sample.jp is the address of an account" },
		{ .alias = { { "USER1@Test-Sample.jp", U1 } }, .fault = ":20: alias user1@test-sample.jp is the address" },
		{ .alias = { { "a@test-sample.jp", "" } }, .fault = ":20: alias to nobody" },
		{ .alias = { { "a@test-sample.jp", "  " } }, .fault = ":20: alias to nobody" },
		{ .alias = { { "a@test-sample.jp", U1 "," } }, .fault = ":20: not an account's address: \"\"" },
		{ .alias = { { "a@test-sample.jp", "user1" } }, .fault = ":20: not an account's address: \"user1\"" },
		{ .alias = { { "a@test-sample.jp", "user3@test-sample.jp" } },
		  .fault = ":20: alias a@test-sample.jp: user3@test-sample.jp is no account" },
		{ .alias = { { "a@test-sample.jp", "user1@elsewhere.example" } }, .fault = "user1@elsewhere.example is no account" },
		{ .alias = { { "a@test-sample.jp", U1 ", User1@test-sample.jp" } },
		  .fault = ":20: alias a@test-sample.jp: user1@test-sample.jp is named twice" },
		{ .alias = { { "a@test-sample.jp", U1 }, { "b@test-sample.jp", "a@test-sample.jp" } },
		  .fault = ":21: alias b@test-sample.jp: a@test-sample.jp is an alias itself" },
		{ .alias = { { "a@test-sample.jp", "a@test-sample.jp" } }, .fault = ":20: alias a@test-sample.jp: a@test-sample.jp is an alias itself" },
		{ .alias = { { "b@test-sample.jp", "a@test-sample.jp" }, { "a@test-sample.jp", "b@test-sample.jp" } },
		  .fault = ":21: alias a@test-sample.jp: b@test-sample.jp is an alias itself" },
		{ .alias = { { "a@test-sample.jp", U1 }, { "A@test-sample.jp", U2 } },
		  .fault = ":21: alias a@test-sample.jp is given twice, first in line 20" },
		{ .alias = { { "a@elsewhere.example", U1 } }, .fault = ":20: a@elsewhere.example is not in our domains" },
		{ .alias = { { "*@test-sample.jp", U1 } }, .fault = ":20: alias is not an address" },
		{ .alias = { { "*", U1 } }, .fault = ":20: alias is not an address" },
		{ .alias = { { "@test-sample.jp", U1 } }, .fault = ":20: alias is not an address" },
		{ .alias = { { "a@test-sample.jp", "*" } }, .fault = ":20: not an account's address: \"*\"" },
		{ .alias = { { "a@test-sample.jp", "*@test-sample.jp" } }, .fault = ":20: not an account's address" },
		{ .alias = { { "mfp1@test-sample.jp", U1 } }, .device = { { "192.168.0.50", "mfp1@test-sample.jp" } },
		  .fault = ":20: alias mfp1@test-sample.jp is the sender of a device" },
		{ .alias = { { "a@test-sample.jp", "mfp1@test-sample.jp" } },
		  .device = { { "192.168.0.50", "mfp1@test-sample.jp" } },
		  .fault = ":20: alias a@test-sample.jp: mfp1@test-sample.jp is a device" },
		{ .device = { { "192.168.0.50", U1 } }, .fault = ":30: [device mfp1] sender user1@test-sample.jp is an account with a password" },
		{ .device = { { "192.168.0.50", "mfp1@elsewhere.example" } }, .fault = ":30: mfp1@elsewhere.example is not in our domains" },
		{ .device = { { "none", "mfp1@test-sample.jp" } }, .fault = ":30: no address given" },
		{ .device = { { "0.0.0.0/0", "mfp1@test-sample.jp" } }, .fault = ":30: 0.0.0.0/0 is too wide: an open relay" },
		{ .device = { { "192.168.0.50", "a@test-sample.jp" }, { "192.168.0.50", "b@test-sample.jp" } },
		  .fault = ":31: 192.168.0.50/32 is given twice, first in line 30" },
		{ .peer = { "0.0.0.0/0" }, .fault = ":40: 0.0.0.0/0 is too wide: an open relay" },
		{ .peer = { "10.0.0.1, ::/0" }, .fault = ":40: ::/0 is too wide" },
		{ .peer = { "::ffff:0.0.0.0/96" }, .fault = ":40: 0.0.0.0/0 is too wide" },
		{ .peer = { "0.0.0.0/1" }, .fault = ":40: 0.0.0.0/1 is too wide" },
		{ .peer = { "8000::/1" }, .fault = ":40: 8000::/1 is too wide" },
		{ .peer = { "none" }, .fault = ":40: no address given" },
		{ .peer = { "10.0.0.1", "10.0.0.2, ::ffff:10.0.0.1" }, .fault = ":41: 10.0.0.1/32 is given twice, first in line 40" },
		{ .peer = { "10.0.0.1,10.0.0.1" }, .fault = ":40: 10.0.0.1/32 is given twice" },
		{ .device = { { "10.0.0.1", "mfp1@test-sample.jp" } }, .peer = { "10.0.0.1" },
		  .fault = ":40: 10.0.0.1/32 is given twice, first in line 30" },
	};
	struct fault f;

	(void)unused;
	for (size_t i = 0; i < COUNT(table); i++) {
		if (build(&table[i], &f))
			fail_msg("accepted: %s", table[i].fault);
		if (!strstr(f.text, table[i].fault) || strncmp(f.text, INI ":", sizeof(INI)) != 0 ||
		    f.status != STATUS_CONFIG)
			fail_msg("%s, not: %s", f.text, table[i].fault);
	}
}

static void accepts(void **unused)
{
	static const struct bad table[] = {
		{ .alias = { { NULL } } },
		/* A device may have a line in the accounts file, and share its sender with another. */
		{ .device = { { "192.168.0.50", "scan@test-sample.jp" }, { "192.168.0.51", "scan@test-sample.jp" } } },
		{ .peer = { "10.0.0.0/8", "2001::/16" } },
		{ .device = { { "10.0.0.0/8", "mfp1@test-sample.jp" } }, .peer = { "10.0.0.1" } },
		{ .alias = { { "a@test-sample.jp", "scan@test-sample.jp" } } },
	};
	struct fault f;

	(void)unused;
	for (size_t i = 0; i < COUNT(table); i++)
		if (!build(&table[i], &f))
			fail_msg("row %zu: %s", i, f.text);
}

static void bounds(void **unused)
{
	char list[ALIAS_ACCOUNTS_MAX * 32] = U1, name[32];
	struct trust *t = f0_start(F0_ACCOUNTS);
	struct fault f = { .text = "" };

	(void)unused;
	for (int i = 0; i < ALIAS_ACCOUNTS_MAX; i++)
		strcat(list, "," U1);
	assert_false(add_alias(t, "a@test-sample.jp", list, 7, &f));
	assert_string_equal(f.text, INI ":7: alias to more than 64 accounts");
	f.text[0] = '\0';
	trust_free(t);
	t = f0_start(F0_ACCOUNTS);
	for (int i = 0; i < PEERS_MAX; i++) {
		snprintf(name, sizeof(name), "10.0.0.%d", i);
		assert_true(add_peer(t, name, 7, &f));
	}
	assert_false(add_peer(t, "10.1.0.0", 8, &f));
	assert_string_equal(f.text, INI ":8: more than 64 peers");
	f.text[0] = '\0';
	for (int i = 0; i < ALIASES_MAX; i++) {
		snprintf(name, sizeof(name), "a%d@test-sample.jp", i);
		assert_true(add_alias(t, name, U1, 7, &f));
	}
	assert_false(add_alias(t, "more@test-sample.jp", U1, 8, &f));
	assert_string_equal(f.text, INI ":8: more than " TEXT_OF(ALIASES_MAX) " aliases");
	trust_free(t);
}

/* Devices count as accounts. */
static void counts_devices(void **unused)
{
	struct trust *t = f0_start(F0_ACCOUNTS);
	struct fault f = { .text = "" };
	char ip[32];

	(void)unused;
	for (int i = 0; i < ACCOUNTS_MAX - 1; i++) {
		snprintf(ip, sizeof(ip), "10.0.%d.%d", i / 256, i % 256);
		assert_true(add_device(t, ip, "mfp1@test-sample.jp", 7, &f));
	}
	assert_false(trust_seal(t, &f));
	assert_non_null(strstr(f.text, "more than " TEXT_OF(ACCOUNTS_MAX) " accounts and devices"));
	trust_free(t);
}

/* R15, R16: who an address is; the longest prefix wins, IPv4-mapped is IPv4, private networks are nobody. */
static void by_address(void **unused)
{
	static const struct {
		const char *ip, *name, *kind;
	} table[] = {
		{ "192.168.0.50", "mfp1", "device" }, { "::ffff:192.168.0.50", "mfp1", "device" },
		{ "192.168.0.51", "", "none" }, { "127.0.0.1", "", "none" }, { "::1", "", "none" },
		{ "10.9.9.9", "mailserver", "peer" }, { "10.1.2.3", "mfp1", "device" },
		{ "10.1.3.3", "mailserver", "peer" }, { "10.1.2.77", "mailserver", "peer" },
		{ "2001:db8::77", "mailserver", "peer" }, { "2001:db9::77", "", "none" },
		{ "192.168.0.5", "", "none" }, { "0.0.0.0", "", "none" }, { "::", "", "none" },
	};
	struct trust *t = f0_start(F0_ACCOUNTS);
	struct fault f = { .text = "" };

	(void)unused;
	assert_true(add_device(t, "192.168.0.50, 10.1.2.0/24", "mfp1@test-sample.jp", 30, &f));
	assert_true(add_peer(t, "10.0.0.0/8, 10.1.2.77, 2001:db8::/32", 40, &f));
	assert_true(trust_seal(t, &f));
	for (size_t i = 0; i < COUNT(table); i++) {
		struct principal p = as_address(t, table[i].ip);

		if (!slice_equal(principal_name(&p), slice_of(table[i].name)) ||
		    strcmp(principal_kind_name(p.kind), table[i].kind) != 0)
			fail_msg("%s is %.*s", table[i].ip, SLICE_ARGS(principal_name(&p)));
		assert_true(!p.account && (p.kind == PRINCIPAL_DEVICE) == (p.device != NULL) &&
			    (p.kind == PRINCIPAL_PEER) == (p.peer != NULL));
	}
	trust_free(t);
}

static void name_of_account(void **unused)
{
	struct trust *t = f0();
	struct principal p = as_account(t, "USER1");

	(void)unused;
	assert_true(slice_equal(principal_name(&p), SLICE_OF(U1)));
	trust_free(t);
}

static bool owns(const struct trust *t, const char *account, const char *address, bool with_alias)
{
	struct address_key key;
	struct identity id;

	assert_true(address_key_of(slice_of(address), &key));
	identity_find(t, &key, &id);
	return identity_is(&id, accounts_find(t, slice_of(account)), with_alias);
}

/* R6, R7, R12. Accounts: user1, user2, user1+lists, mary, mary-ann. Device: mary-scan. */
static void owners(void **unused)
{
	static const struct {
		char separator;
		const char *account, *address;
		bool own, own_with_alias;
	} table[] = {
		{ 0, "user1", U1, true, true },
		{ 0, "user1", "\"uSer1\"@TEST-SAMPLE.jp", true, true },
		{ 0, "user1", U2, false, false },
		{ 0, "user1", "info@test-sample.jp", false, true },
		{ 0, "user1", "boss@test-sample.jp", false, false },
		{ 0, "user2", "sales@test-sample.jp", false, true },
		{ 0, "user2", "info@test-sample.jp", false, false },
		{ 0, "user1", "user1+x@test-sample.jp", false, false },
		{ 0, "user1", "user10@test-sample.jp", false, false },
		{ 0, "user1", "xuser1@test-sample.jp", false, false },
		{ 0, "user1", "user@test-sample.jp", false, false },
		{ 0, "user1", "user1@test-sample.jp.evil.example", false, false },
		{ 0, "user1", "user1@sub.test-sample.jp", false, false },
		{ 0, "user1", "user1@[192.168.0.103]", false, false },
		{ '+', "user1", "user1+x@test-sample.jp", true, true },
		{ '+', "user1", "USER1+x+y@test-sample.jp", true, true },
		{ '+', "user1", "user1+@test-sample.jp", true, true },
		{ '+', "user1", "+user1@test-sample.jp", false, false },
		{ '+', "user1", "+@test-sample.jp", false, false },
		{ '+', "user1", "user1+x@elsewhere.example", false, false },
		{ '+', "user1", "user1-x@test-sample.jp", false, false },
		{ '+', "user1", "user1+lists@test-sample.jp", false, false },
		{ '+', "user1+lists", "user1+lists@test-sample.jp", true, true },
		{ '+', "user1", "user1+lists+x@test-sample.jp", false, false },
		{ '+', "user1+lists", "user1+lists+x@test-sample.jp", true, true },
		{ '+', "user1", "info+x@test-sample.jp", false, true },
		{ '+', "user2", "info+x@test-sample.jp", false, false },
		{ '+', "user2", "boss+x@test-sample.jp", false, true },
		{ '-', "mary", "mary-ann@test-sample.jp", false, false },
		{ '-', "mary", "mary-ann-lists@test-sample.jp", false, false },
		{ '-', "mary-ann", "mary-ann-lists@test-sample.jp", true, true },
		{ '-', "mary", "mary-lists@test-sample.jp", true, true },
		{ '-', "mary", "mary-scan@test-sample.jp", false, false },
		{ '-', "mary", "mary-scan-x@test-sample.jp", false, false },
		{ '-', "mary", "mary@test-sample-x.jp", false, false },
	};
	struct trust *t = f0_start(F0_ACCOUNTS "user1+lists@test-sample.jp:{PLAIN}x:\nmary@test-sample.jp:{PLAIN}x:\n"
				   "mary-ann@test-sample.jp:{PLAIN}x:\n");
	struct fault f = { .text = "" };

	(void)unused;
	assert_true(add_device(t, "192.168.0.51", "mary-scan@test-sample.jp", 31, &f));
	f0_rest(t, &f);
	for (size_t i = 0; i < COUNT(table); i++) {
		f0_policy(t, (struct trust_policy){ .level = LEVEL_FROM, .subaddress = table[i].separator });
		if (owns(t, table[i].account, table[i].address, false) != table[i].own ||
		    owns(t, table[i].account, table[i].address, true) != table[i].own_with_alias)
			fail_msg("%s as %s", table[i].account, table[i].address);
	}
	trust_free(t);
}

static void sixty_four_share(void **unused)
{
	char accounts[ALIAS_ACCOUNTS_MAX * 64] = "", list[ALIAS_ACCOUNTS_MAX * 32] = "", name[64];
	struct fault f = { .text = "" };
	struct trust *t;

	(void)unused;
	for (int i = 0; i < ALIAS_ACCOUNTS_MAX; i++) {
		snprintf(name, sizeof(name), "u%d@test-sample.jp:{PLAIN}x:\n", i);
		strcat(accounts, name);
		snprintf(name, sizeof(name), "%su%d@test-sample.jp", i > 0 ? "," : "", i);
		strcat(list, name);
	}
	strcat(accounts, "other@test-sample.jp:{PLAIN}x:\n");
	t = f0_start(accounts);
	assert_true(add_alias(t, "all@test-sample.jp", list, 7, &f) && trust_seal(t, &f));
	for (int i = 0; i < ALIAS_ACCOUNTS_MAX; i++) {
		snprintf(name, sizeof(name), "u%d", i);
		assert_true(owns(t, name, "all@test-sample.jp", true));
	}
	assert_false(owns(t, "other", "all@test-sample.jp", true));
	trust_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names), cmocka_unit_test(defaults), cmocka_unit_test(domains),
		cmocka_unit_test(faults), cmocka_unit_test(accepts), cmocka_unit_test(bounds),
		cmocka_unit_test(counts_devices), cmocka_unit_test(by_address),
		cmocka_unit_test(name_of_account), cmocka_unit_test(owners), cmocka_unit_test(sixty_four_share),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
