#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mail/address.h"

#define X10	"xxxxxxxxxx"
#define X60	X10 X10 X10 X10 X10 X10
#define L63	X60 "xxx"

struct path {
	const char *in;
	enum address_error error;
	const char *text;		/* NULL when refused */
	bool well_formed;
	const char *rest;
};

static const struct path paths[] = {
	{ "<user1@test-sample.jp>", ADDRESS_OK, "user1@test-sample.jp", true, "" },
	{ " \t<user1@test-sample.jp> SIZE=1", ADDRESS_OK, "user1@test-sample.jp", true, " SIZE=1" },
	{ "<user1@test-sample.jp>SIZE=1", ADDRESS_OK, "user1@test-sample.jp", true, "SIZE=1" },
	{ "<>", ADDRESS_OK, "", true, "" },
	{ "<> BODY=7BIT", ADDRESS_OK, "", true, " BODY=7BIT" },
	{ "<USER1@Test-Sample.JP>", ADDRESS_OK, "USER1@Test-Sample.JP", true, "" },
	{ "<\"user1\"@test-sample.jp>", ADDRESS_OK, "\"user1\"@test-sample.jp", true, "" },
	{ "<\"a b\"@x.jp>", ADDRESS_OK, "\"a b\"@x.jp", true, "" },
	{ "<\"a>b\"@x.jp> Y", ADDRESS_OK, "\"a>b\"@x.jp", true, " Y" },
	{ "<\"a\\\"b\"@x.jp>", ADDRESS_OK, "\"a\\\"b\"@x.jp", true, "" },
	{ "<\"a\\\\\"@x.jp>", ADDRESS_OK, "\"a\\\\\"@x.jp", true, "" },
	{ "<\"\"@x.jp>", ADDRESS_OK, "\"\"@x.jp", true, "" },
	{ "<\"a@b\"@x.jp>", ADDRESS_OK, "\"a@b\"@x.jp", true, "" },
	/* R67 */
	{ "<a..b@docomo.ne.jp>", ADDRESS_OK, "a..b@docomo.ne.jp", true, "" },
	{ "<.a@ezweb.ne.jp>", ADDRESS_OK, ".a@ezweb.ne.jp", true, "" },
	{ "<a.@ezweb.ne.jp>", ADDRESS_OK, "a.@ezweb.ne.jp", true, "" },
	{ "<a!b%c=d/e?f{g}h|i~j^k_l`m+n-o'p*q&r$s#t@x.jp>", ADDRESS_OK,
	  "a!b%c=d/e?f{g}h|i~j^k_l`m+n-o'p*q&r$s#t@x.jp", true, "" },
	{ "<a@localhost>", ADDRESS_OK, "a@localhost", true, "" },
	{ "<a@[192.0.2.1]>", ADDRESS_OK, "a@[192.0.2.1]", true, "" },
	{ "<a@[IPv6:2001:db8::1]>", ADDRESS_OK, "a@[IPv6:2001:db8::1]", true, "" },
	/* safe to repeat, no address */
	{ "<user1>", ADDRESS_OK, "user1", false, "" },
	{ "<postmaster>", ADDRESS_OK, "postmaster", false, "" },
	{ "<user1@>", ADDRESS_OK, "user1@", false, "" },
	{ "<@test-sample.jp>", ADDRESS_OK, "@test-sample.jp", false, "" },
	{ "<@>", ADDRESS_OK, "@", false, "" },
	{ "<user1@test-sample.jp.>", ADDRESS_OK, "user1@test-sample.jp.", false, "" },
	{ "<user1@.test-sample.jp>", ADDRESS_OK, "user1@.test-sample.jp", false, "" },
	{ "<user1@test_sample.jp>", ADDRESS_OK, "user1@test_sample.jp", false, "" },
	{ "<user1@x.jp@y.jp>", ADDRESS_OK, "user1@x.jp@y.jp", false, "" },
	{ "<a(b)@x.jp>", ADDRESS_OK, "a(b)@x.jp", false, "" },
	{ "<a,b@x.jp>", ADDRESS_OK, "a,b@x.jp", false, "" },
	{ "<\"a@x.jp\">", ADDRESS_OK, "\"a@x.jp\"", false, "" },
	{ "<\"a\"@b@c>", ADDRESS_OK, "\"a\"@b@c", false, "" },
	{ "<a@[192.0.2.1>", ADDRESS_OK, "a@[192.0.2.1", false, "" },
	/* not safe */
	{ "", ADDRESS_SYNTAX, NULL, false, "" },
	{ "user1@test-sample.jp", ADDRESS_SYNTAX, NULL, false, "" },
	{ "<user1@test-sample.jp", ADDRESS_SYNTAX, NULL, false, "" },
	{ "user1@test-sample.jp>", ADDRESS_SYNTAX, NULL, false, "" },
	{ "<<user1@test-sample.jp>>", ADDRESS_SYNTAX, NULL, false, "" },
	{ "<user1@test-sample.jp >", ADDRESS_SYNTAX, NULL, false, "" },
	{ "< user1@test-sample.jp>", ADDRESS_SYNTAX, NULL, false, "" },
	{ "<us er1@test-sample.jp>", ADDRESS_SYNTAX, NULL, false, "" },
	{ "< >", ADDRESS_SYNTAX, NULL, false, "" },
	{ "<us\ter1@test-sample.jp>", ADDRESS_SYNTAX, NULL, false, "" },
	{ "<us\rer1@test-sample.jp>", ADDRESS_SYNTAX, NULL, false, "" },
	{ "<us\x7f" "er1@test-sample.jp>", ADDRESS_SYNTAX, NULL, false, "" },
	{ "<\"us\ter1\"@test-sample.jp>", ADDRESS_SYNTAX, NULL, false, "" },
	{ "<us\\er1@test-sample.jp>", ADDRESS_SYNTAX, NULL, false, "" },
	{ "<user1\\>@test-sample.jp>", ADDRESS_SYNTAX, NULL, false, "" },
	{ "<us\"e\"r1@test-sample.jp>", ADDRESS_SYNTAX, NULL, false, "" },
	{ "<\"user\"1@test-sample.jp>", ADDRESS_SYNTAX, NULL, false, "" },
	{ "<\"user1@test-sample.jp>", ADDRESS_SYNTAX, NULL, false, "" },
	{ "<\"user1\\\"@test-sample.jp>", ADDRESS_SYNTAX, NULL, false, "" },
	{ "<user1@\"test-sample.jp\">", ADDRESS_SYNTAX, NULL, false, "" },
	{ "<us\xc3\xa9r1@test-sample.jp>", ADDRESS_NON_ASCII, NULL, false, "" },
	{ "<\"\x8e\x52\"@test-sample.jp>", ADDRESS_NON_ASCII, NULL, false, "" },
	{ "<user1@\xc3\xa9.jp>", ADDRESS_NON_ASCII, NULL, false, "" },
	{ "<@a,@b:user1@test-sample.jp>", ADDRESS_ROUTE, NULL, false, "" },
	{ "<@a:user1@test-sample.jp>", ADDRESS_ROUTE, NULL, false, "" },
	/* limits */
	{ "<" X60 "xxxx@x.jp>", ADDRESS_OK, X60 "xxxx@x.jp", true, "" },
	{ "<" X60 "xxxxx@x.jp>", ADDRESS_TOO_LONG, NULL, false, "" },
	{ "<a@" L63 "." L63 "." L63 "." X60 ">", ADDRESS_OK, "a@" L63 "." L63 "." L63 "." X60, true, "" },
	{ "<a@" L63 "." L63 "." L63 "." L63 ">", ADDRESS_TOO_LONG, NULL, false, "" },
	{ "<a@x" L63 ".jp>", ADDRESS_OK, "a@x" L63 ".jp", false, "" },
};

static void reads_paths(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		const struct path *p = &paths[i];
		struct address a;
		struct slice rest;
		enum address_error e = address_parse_path(slice_of(p->in), &a, &rest);

		if (e != p->error)
			fail_msg("%s: error %d, expected %d", p->in, e, p->error);
		if (strcmp(a.text, p->text != NULL ? p->text : "") != 0 || a.len != strlen(a.text))
			fail_msg("%s: text %s", p->in, a.text);
		if (a.well_formed != p->well_formed)
			fail_msg("%s: well_formed %d", p->in, a.well_formed);
		if (!slice_equal(rest, slice_of(p->rest)))
			fail_msg("%s: rest %.*s", p->in, SLICE_ARGS(rest));
	}
}

static void reads_bare_addresses(void **state)
{
	static const char *const good[] = {
		"user1@test-sample.jp", "\"a b\"@x.jp", "a..b@docomo.ne.jp", "a@[192.0.2.1]",
	};
	static const char *const bad[] = {
		"", "user1", "<user1@test-sample.jp>", "user1@test-sample.jp>", "user1@test-sample.jp.",
		" user1@test-sample.jp", "user1@test-sample.jp ", "user1@test-sample.jp\n", "@x.jp", "a@",
		"a@b@c", "us\xc3\xa9r@x.jp", "@a:b@c", "a@-x.jp", "a@x-.jp", "a@x..jp", "\"a@x.jp",
	};
	struct address a;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		if (!address_parse(slice_of(good[i]), &a) || strcmp(a.text, good[i]) != 0)
			fail_msg("%s", good[i]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (address_parse(slice_of(bad[i]), &a) || a.len != 0)
			fail_msg("%s", bad[i]);
	}
	assert_false(address_parse(SLICE_OF("a\0b@x.jp"), &a));
	assert_false(address_parse(SLICE_OF("user1@test-sample.jp\0"), &a));
	assert_false(address_parse(slice_bytes(NULL, 0), &a));
}

static void judges_domains(void **state)
{
	static const struct { const char *domain; bool good; } table[] = {
		{ "x.jp", true }, { "localhost", true }, { "1.2.3", true }, { "a-b.c", true }, { "A.B", true },
		{ L63 ".jp", true },
		{ "", false }, { ".", false }, { "x.jp.", false }, { ".x.jp", false }, { "x..jp", false },
		{ "-x.jp", false }, { "x-.jp", false }, { "x_y.jp", false }, { "x y.jp", false },
		{ "x.jp\n", false }, { "\xe5.jp", false }, { "[192.0.2.1]", false }, { "x" L63 ".jp", false },
		{ L63 "." L63 "." L63 "." L63, true }, { L63 "." L63 "." L63 "." L63 ".x", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (address_is_domain(slice_of(table[i].domain)) != table[i].good)
			fail_msg("%s", table[i].domain);
	}
}

static void judges_literals(void **state)
{
	static const struct { const char *literal; bool good; } table[] = {
		{ "[0.0.0.0]", true }, { "[255.255.255.255]", true }, { "[001.002.003.004]", true },
		{ "[IPv6:::1]", true }, { "[IPv6:::]", true }, { "[ipv6:1:2:3:4:5:6:7:8]", true },
		{ "[IPv6:1:2:3:4:5:6:192.0.2.1]", true }, { "[IPv6:::ffff:192.0.2.1]", true },
		{ "[IPv6:1::8]", true }, { "[IPv6:1:2:3:4:5:6::]", true },
		{ "[]", false }, { "[", false }, { "]", false }, { "[1.2.3]", false }, { "[1.2.3.4.5]", false },
		{ "[1.2.3.256]", false }, { "[1.2.3.]", false }, { "[1.2.3.0004]", false }, { "[1.2.3.+4]", false },
		{ "[ 1.2.3.4]", false }, { "1.2.3.4]", false }, { "[IPv6:]", false }, { "[IPv6::]", false },
		{ "[IPv6:1:2:3:4:5:6:7]", false }, { "[IPv6:1:2:3:4:5:6:7:8:9]", false },
		{ "[IPv6:1::2::3]", false }, { "[IPv6:1:::2]", false }, { "[IPv6:12345::1]", false },
		{ "[IPv6:g::1]", false }, { "[IPv6:1:2:3:4:5:6:7::]", false }, { "[IPv6:192.0.2.1::1]", false },
		{ "[IPv6:1:2:3:4:5:6:7:192.0.2.1]", false }, { "[2001:db8::1]", false }, { "[tag:content]", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		char text[80] = "a@";
		struct address a;

		memcpy(text + 2, table[i].literal, strlen(table[i].literal) + 1);
		if (address_parse(slice_of(text), &a) != table[i].good)
			fail_msg("%s", text);
	}
}

static void compares_keys(void **state)
{
	static const struct { const char *a, *b; bool same; } table[] = {
		{ "user1@test-sample.jp", "user1@test-sample.jp", true },
		{ "User1@Test-Sample.JP", "user1@test-sample.jp", true },
		{ "\"user1\"@test-sample.jp", "user1@test-sample.jp", true },
		{ "\"US\\ER1\"@test-sample.jp", "user1@test-sample.jp", true },
		{ "\"a\\\"b\"@x.jp", "\"\\a\\\"\\b\"@x.jp", true },
		{ "user10@test-sample.jp", "user1@test-sample.jp", false },
		{ "user1@test-sample.jp", "user10@test-sample.jp", false },
		{ "xuser1@test-sample.jp", "user1@test-sample.jp", false },
		{ "user1@test-sample.jp.evil.example", "user1@test-sample.jp", false },
		{ "user1@sub.test-sample.jp", "user1@test-sample.jp", false },
		{ "user1@test-sample.j", "user1@test-sample.jp", false },
		{ "user1@[192.0.2.1]", "user1@test-sample.jp", false },
		{ "\"user1 \"@test-sample.jp", "user1@test-sample.jp", false },
		{ "\" user1\"@test-sample.jp", "user1@test-sample.jp", false },
		{ "user.1@test-sample.jp", "user1@test-sample.jp", false },
		{ "user1+x@test-sample.jp", "user1@test-sample.jp", false },
		{ "\"user1@test-sample.jp\"@x", "user1@test-sample.jp", false },
		{ "\"a@b\"@c", "\"a\"@c", false },
		{ "\"\"@x.jp", "x@x.jp", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct address_key a, b;

		assert_true(address_key_of(slice_of(table[i].a), &a));
		assert_true(address_key_of(slice_of(table[i].b), &b));
		if (address_key_equal(&a, &b) != table[i].same || address_key_equal(&b, &a) != table[i].same)
			fail_msg("%s and %s", table[i].a, table[i].b);
		assert_true((address_key_compare(&a, &b) < 0) == (address_key_compare(&b, &a) > 0));
		assert_true((address_key_compare(&a, &b) == 0) == table[i].same);
	}
}

/* The same text, divided elsewhere, can only be made by hand: it is still another address. */
static void divides_keys(void **state)
{
	struct address_key a, b;

	(void)state;
	assert_true(address_key_of(SLICE_OF("\"a@b\"@c"), &a));
	assert_string_equal(a.text, "a@b@c");
	assert_int_equal(a.local_len, 3);
	assert_true(slice_equal(address_key_local(&a), SLICE_OF("a@b")));
	assert_true(slice_equal(address_key_domain(&a), SLICE_OF("c")));
	b = a;
	b.local_len = 1;
	assert_false(address_key_equal(&a, &b));
}

static void has_no_key_without_address(void **state)
{
	static const char *const none[] = { "<>", "<user1>", "<user1@test-sample.jp.>", "<@x.jp>", "<a@b@c>" };

	(void)state;
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		struct address a;
		struct address_key key;
		struct slice rest;

		assert_int_equal(address_parse_path(slice_of(none[i]), &a, &rest), ADDRESS_OK);
		if (address_key(&a, &key) || key.len != 0)
			fail_msg("%s", none[i]);
	}
}

static void finds_the_local_part(void **state)
{
	static const struct { const char *in; size_t local_len; } table[] = {
		{ "<user1@x.jp>", 5 }, { "<user1>", 5 }, { "<a@b@c>", 3 }, { "<\"a@b\"@c>", 5 },
		{ "<\"a@b\">", 5 }, { "<>", 0 }, { "<@x>", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct address a;
		struct slice rest;

		assert_int_equal(address_parse_path(slice_of(table[i].in), &a, &rest), ADDRESS_OK);
		if (a.local_len != table[i].local_len)
			fail_msg("%s: %d", table[i].in, a.local_len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_paths),
		cmocka_unit_test(reads_bare_addresses),
		cmocka_unit_test(judges_domains),
		cmocka_unit_test(judges_literals),
		cmocka_unit_test(compares_keys),
		cmocka_unit_test(divides_keys),
		cmocka_unit_test(has_no_key_without_address),
		cmocka_unit_test(finds_the_local_part),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
