/* relay/route: by sender, then by recipient domain, then the default (R37). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "relay/route.h"

static struct relay_route routes[] = {
	{ .name = "" },
	{ .name = "partner", .domain_count = 2, .domains = { "partner.example", "other.example" } },
	{ .name = "sales", .sender_count = 2, .senders = { "sales@test-sample.jp", "shop.example" } },
};

static const struct relay_settings settings = { .route_count = 3, .routes = routes };

static void test_rows(void **state)
{
	static const struct {
		const char *sender, *recipient;
		int route;
	} rows[] = {
		{ "user1@test-sample.jp", "x@example.com", 0 },
		{ "user1@test-sample.jp", "x@partner.example", 1 },
		{ "user1@test-sample.jp", "x@PARTNER.Example", 1 },
		{ "user1@test-sample.jp", "x@sub.partner.example", 0 },
		{ "user1@test-sample.jp", "x@other.example", 1 },
		{ "sales@test-sample.jp", "x@partner.example", 2 },
		{ "Sales@Test-Sample.JP", "x@example.com", 2 },
		{ "\"sales\"@test-sample.jp", "x@example.com", 2 },
		{ "\"sa\\les\"@test-sample.jp", "x@example.com", 2 },
		{ "\"x@shop.example\"@test-sample.jp", "x@example.com", 0 },
		{ "xsales@test-sample.jp", "x@example.com", 0 },
		{ "anybody@shop.example", "x@example.com", 2 },
		{ "anybody@myshop.example", "x@example.com", 0 },
		{ "", "x@example.com", 0 },
		{ "", "x@partner.example", 1 },
		{ "user1@test-sample.jp", "\"a@partner.example\"@example.com", 0 },
		{ "user1@test-sample.jp", "nodomain", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(route_find(&settings, slice_of(rows[i].sender), slice_of(rows[i].recipient)),
				 rows[i].route);
}

static void test_without_default(void **state)
{
	const struct relay_settings few = { .route_count = 1, .routes = routes + 1 };

	(void)state;
	assert_int_equal(route_find(&few, slice_of("a@b.example"), slice_of("x@partner.example")), 0);
	assert_int_equal(route_find(&few, slice_of("a@b.example"), slice_of("x@example.com")), -1);
}

static void test_name(void **state)
{
	(void)state;
	assert_string_equal(route_name(&routes[0]), "default");
	assert_string_equal(route_name(&routes[1]), "partner");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_without_default),
		cmocka_unit_test(test_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
