#include "trust_fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "trust/network.h"

static void addresses(void **unused)
{
	static const struct {
		const char *text, *shown;	/* shown NULL: refused */
	} table[] = {
		{ "192.0.2.1", "192.0.2.1" },
		{ "0.0.0.0", "0.0.0.0" },
		{ "::1", "::1" },
		{ "2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1" },
		{ "::ffff:192.0.2.1", "192.0.2.1" },
		{ "::FFFF:c000:0201", "192.0.2.1" },
		{ "::fffe:192.0.2.1", "::fffe:c000:201" },
		{ "", NULL },
		{ "192.0.2", NULL },
		{ "192.0.2.256", NULL },
		{ "192.0.2.01", NULL },
		{ "192.0.2.1.", NULL },
		{ " 192.0.2.1", NULL },
		{ "192.0.2.1 ", NULL },
		{ "0x7f.0.0.1", NULL },
		{ "2130706433", NULL },
		{ "[::1]", NULL },
		{ "::1%lo", NULL },
		{ "::1/128", NULL },
		{ ":::1", NULL },
		{ "1:2:3:4:5:6:7:8:9", NULL },
		{ "localhost", NULL },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(table); i++) {
		struct ip_address a;
		char text[46];

		if (ip_parse(slice_of(table[i].text), &a) != (table[i].shown != NULL))
			fail_msg("[%s]", table[i].text);
		if (!table[i].shown)
			continue;
		ip_text(&a, text, sizeof(text));
		assert_string_equal(text, table[i].shown);
	}
	assert_false(ip_parse(slice_bytes("1.2.3.4\0x", 9), &(struct ip_address){ .v6 = false }));
}

static void folded_from_sockets(void **unused)
{
	static const uint8_t v4[4] = { 192, 0, 2, 1 };
	static const uint8_t v6[16] = { [10] = 0xff, [11] = 0xff, 192, 0, 2, 1 };
	struct ip_address a = ip_from_v4(v4), b = ip_from_v6(v6);

	(void)unused;
	assert_false(a.v6);
	assert_false(b.v6);
	assert_memory_equal(a.bytes, b.bytes, sizeof(a.bytes));
}

static void parses_networks(void **unused)
{
	static const struct {
		const char *text;
		int prefix;		/* -1: refused */
	} table[] = {
		{ "192.168.0.0/24", 24 }, { "192.168.0.50", 32 }, { "0.0.0.0/0", 0 }, { "::/0", 0 },
		{ "2001:db8::/32", 32 }, { "2001:db8::1", 128 }, { "::ffff:10.0.0.0/104", 8 },
		{ "::ffff:0.0.0.0/96", 0 }, { "10.0.0.0/7", 7 }, { "::1/128", 128 },
		{ "192.168.0.1/24", -1 }, { "192.168.0.0/33", -1 }, { "192.168.0.0/", -1 },
		{ "192.168.0.0/-1", -1 }, { "192.168.0.0/ 24", -1 }, { "192.168.0.0/24/1", -1 },
		{ "192.168.0.0/0x8", -1 }, { "2001:db8::1/32", -1 }, { "::/129", -1 },
		{ "::ffff:10.0.0.0/95", -1 }, { "/24", -1 }, { "", -1 }, { "10.0.0.0/99999999999999999999", -1 },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(table); i++) {
		struct network n;
		bool ok = network_parse(slice_of(table[i].text), &n);

		if (ok != (table[i].prefix >= 0) || (ok && n.prefix != table[i].prefix))
			fail_msg("[%s]", table[i].text);
	}
}

static void contains(void **unused)
{
	static const struct {
		const char *network, *address;
		bool within;
	} table[] = {
		{ "192.168.0.0/24", "192.168.0.255", true },
		{ "192.168.0.0/24", "192.168.1.0", false },
		{ "192.168.0.0/24", "::ffff:192.168.0.9", true },
		{ "192.168.0.50", "192.168.0.50", true },
		{ "192.168.0.50", "192.168.0.51", false },
		{ "10.128.0.0/9", "10.127.255.255", false },
		{ "10.128.0.0/9", "10.200.0.1", true },
		{ "0.0.0.0/0", "203.0.113.9", true },
		{ "0.0.0.0/0", "2001:db8::1", false },
		{ "::/0", "203.0.113.9", false },
		{ "2001:db8:8000::/33", "2001:db8:7fff::1", false },
		{ "2001:db8:8000::/33", "2001:db8:ffff::1", true },
		{ "::1", "::1", true },
		{ "::1", "::2", false },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(table); i++) {
		struct ip_address a;
		struct network n;

		assert_true(network_parse(slice_of(table[i].network), &n));
		assert_true(ip_parse(slice_of(table[i].address), &a));
		if (network_contains(&n, &a) != table[i].within)
			fail_msg("%s in %s", table[i].address, table[i].network);
	}
}

static void lists(void **unused)
{
	struct network_list l;
	struct ip_address a;
	char many[512] = "";

	(void)unused;
	assert_true(network_list_parse(SLICE_OF("127.0.0.0/8, ::1/128,10.0.0.0/8,10.1.0.0/16"), &l));
	assert_int_equal(l.count, 4);
	assert_true(ip_parse(SLICE_OF("10.1.2.3"), &a));
	assert_int_equal(network_list_match(&l, &a), 16);
	assert_true(ip_parse(SLICE_OF("192.0.2.1"), &a));
	assert_int_equal(network_list_match(&l, &a), -1);
	assert_true(network_list_parse(SLICE_OF("none"), &l));
	assert_int_equal(l.count, 0);
	assert_int_equal(network_list_match(&l, &a), -1);
	assert_false(network_list_parse(SLICE_OF(""), &l));
	assert_false(network_list_parse(SLICE_OF("10.0.0.1,"), &l));
	assert_false(network_list_parse(SLICE_OF("10.0.0.1,,10.0.0.2"), &l));
	assert_false(network_list_parse(SLICE_OF("10.0.0.1, none"), &l));
	for (size_t i = 0; i < COUNT(l.at); i++)
		strcat(many, "10.0.0.1,");
	assert_false(network_list_parse(slice_of(strcat(many, "10.0.0.1")), &l));
}

static void of_sockets(void **unused)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	struct sockaddr_un local = { .sun_family = AF_UNIX };
	struct ip_address a;
	char text[48];

	(void)unused;
	inet_pton(AF_INET, "192.0.2.1", &v4.sin_addr);
	assert_true(ip_of_socket((const struct sockaddr *)&v4, &a));
	ip_text(&a, text, sizeof(text));
	assert_string_equal(text, "192.0.2.1");
	inet_pton(AF_INET6, "::ffff:192.0.2.2", &v6.sin6_addr);
	assert_true(ip_of_socket((const struct sockaddr *)&v6, &a));
	ip_text(&a, text, sizeof(text));
	assert_string_equal(text, "192.0.2.2");
	assert_false(ip_of_socket((const struct sockaddr *)&local, &a));
}

static void same_hosts(void **unused)
{
	static const struct {
		const char *a, *b;
		bool same;
	} table[] = {
		{ "192.0.2.1", "192.0.2.1", true }, { "192.0.2.1", "192.0.2.2", false },
		{ "2001:db8::1", "2001:db8::ffff:1", true }, { "2001:db8::1", "2001:db8:0:1::1", false },
		{ "192.0.2.1", "2001:db8::1", false }, { "::ffff:192.0.2.1", "192.0.2.1", true },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct ip_address a, b;

		assert_true(ip_parse(slice_of(table[i].a), &a) && ip_parse(slice_of(table[i].b), &b));
		assert_int_equal(ip_is_same_host(&a, &b), table[i].same);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses), cmocka_unit_test(folded_from_sockets),
		cmocka_unit_test(of_sockets), cmocka_unit_test(same_hosts),
		cmocka_unit_test(parses_networks), cmocka_unit_test(contains), cmocka_unit_test(lists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
