#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "manager/search.h"

/* Line n of the file has the time T00:00:0n. */
static const struct slice records[] = {
	SLICE("file version=1 key=none"),
	SLICE("login result=ok account=user1@test-sample.jp"),
	SLICE("message id=B1 account=user1@test-sample.jp from=user1@test-sample.jp header_from=info@test-sample.jp msgid=<one@x> verdict=accepted"),
	SLICE("delivery id=B1 to=friend@example.net status=delivered"),
	SLICE("message id=B2 account=user2@test-sample.jp from=\"\" header_from=\"\\\"a b\\\"@test-sample.jp\" msgid=two@x verdict=refused"),
	SLICE("refused at=mail account=user1@test-sample.jp from=boss@test-sample.jp"),
	SLICE("delivery id=B1 to=other@partner.example status=failed"),
	SLICE("message id=B1 agent=branch account=user3@test-sample.jp from=user3@test-sample.jp verdict=accepted"),
	SLICE("return id=B9 of=B1 to=user1@test-sample.jp"),
};
#define COUNT (sizeof(records) / sizeof(*records))

static struct chain_line line_of(size_t i, char time[24])
{
	snprintf(time, 24, "2026-11-22T00:00:%02uZ", (unsigned)i % 60);
	return (struct chain_line){ .time = slice_of(time), .record = records[i % COUNT], .number = i + 1 };
}

static void found(struct search *s, const char *expected)
{
	char memory[64] = "", time[24];
	size_t len = 0;

	search_begin(s);
	for (size_t i = 0; i < COUNT; i++) {
		struct chain_line line = line_of(i, time);

		search_look(s, &line);
	}
	for (size_t i = 0; i < COUNT; i++) {
		struct chain_line line = line_of(i, time);
		uint32_t group;

		if (search_takes(s, &line, &group))
			len += (size_t)snprintf(memory + len, sizeof(memory) - len, "%zu:%u ", i, (unsigned)group);
	}
	search_end(s);
	assert_false(s->failed);
	assert_string_equal(memory, expected);
}

/* LINE:GROUP of what is shown. */
static void test_conditions(void **state)
{
	static const struct {
		enum search_for first;
		struct slice wanted;
		enum search_for second;
		struct slice also;
		const char *expected;
	} rows[] = {
		{ SEARCH_KINDS, SLICE(""), SEARCH_KINDS, SLICE(""), "0:1 1:2 2:3 3:3 4:4 5:5 6:3 7:6 8:7 " },
		{ SEARCH_ID, SLICE("B1"), SEARCH_KINDS, SLICE(""), "2:1 3:1 6:1 7:2 8:3 " },
		{ SEARCH_ID, SLICE("b2"), SEARCH_KINDS, SLICE(""), "4:1 " },
		{ SEARCH_ID, SLICE("B"), SEARCH_KINDS, SLICE(""), "" },
		{ SEARCH_ACCOUNT, SLICE("USER1@test-sample.jp"), SEARCH_KINDS, SLICE(""), "1:1 2:2 3:2 5:3 6:2 " },
		{ SEARCH_ACCOUNT, SLICE("user1"), SEARCH_KINDS, SLICE(""), "" },
		{ SEARCH_ACCOUNT, SLICE("\"user1\"@test-sample.jp"), SEARCH_KINDS, SLICE(""), "1:1 2:2 3:2 5:3 6:2 " },
		{ SEARCH_FROM, SLICE("info@test-sample.jp"), SEARCH_KINDS, SLICE(""), "2:1 3:1 6:1 " },
		{ SEARCH_FROM, SLICE("\"a b\"@test-sample.jp"), SEARCH_KINDS, SLICE(""), "4:1 " },
		{ SEARCH_FROM, SLICE(""), SEARCH_KINDS, SLICE(""), "4:1 " },
		{ SEARCH_TO, SLICE("@partner.example"), SEARCH_KINDS, SLICE(""), "2:1 3:1 6:1 " },
		{ SEARCH_TO, SLICE("@example"), SEARCH_KINDS, SLICE(""), "" },
		{ SEARCH_TO, SLICE("@"), SEARCH_KINDS, SLICE(""), "" },
		{ SEARCH_VERDICT, SLICE("refused"), SEARCH_KINDS, SLICE(""), "4:1 5:2 " },
		{ SEARCH_VERDICT, SLICE("failed"), SEARCH_KINDS, SLICE(""), "2:1 3:1 6:1 " },
		{ SEARCH_MSGID, SLICE("one@x"), SEARCH_KINDS, SLICE(""), "2:1 3:1 6:1 " },
		{ SEARCH_MSGID, SLICE("<one@x>"), SEARCH_KINDS, SLICE(""), "2:1 3:1 6:1 " },
		{ SEARCH_MSGID, SLICE("ONE@x"), SEARCH_KINDS, SLICE(""), "" },
		{ SEARCH_AGENT, SLICE("branch"), SEARCH_KINDS, SLICE(""), "7:1 " },
		/* Each holds for some record of the message; not for the messages of others. */
		{ SEARCH_ACCOUNT, SLICE("user1@test-sample.jp"), SEARCH_TO, SLICE("friend@example.net"), "2:1 3:1 6:1 " },
		{ SEARCH_ACCOUNT, SLICE("user2@test-sample.jp"), SEARCH_TO, SLICE("friend@example.net"), "" },
		{ SEARCH_ACCOUNT, SLICE("user3@test-sample.jp"), SEARCH_TO, SLICE("friend@example.net"), "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct search s = { .used = 0 };

		if (rows[i].first != SEARCH_KINDS)
			s.wanted[rows[i].first] = rows[i].wanted;
		if (rows[i].second != SEARCH_KINDS)
			s.wanted[rows[i].second] = rows[i].also;
		found(&s, rows[i].expected);
	}
}

static void test_times(void **state)
{
	struct search since = { .since = "2026-11-22T00:00:06Z" }, until = { .until = "2026-11-22T00:00:01Z" };
	struct search both = { .since = "2026-11-22T00:00:04Z", .until = "2026-11-22T00:00:05Z" };

	(void)state;
	found(&since, "2:1 3:1 6:1 7:2 8:3 ");		/* B1 had an event then: all of it is shown */
	found(&until, "0:1 1:2 ");
	found(&both, "4:1 5:2 ");
}

/* More messages than there are rows at first: none is lost, none taken for another. */
static void test_many(void **state)
{
	enum { MESSAGES = 5000 };
	struct search s = { .used = 0 };
	char text[64], time[24];
	struct chain_line line = line_of(0, time);
	uint32_t group;

	(void)state;
	s.wanted[SEARCH_VERDICT] = SLICE_OF("failed");
	search_begin(&s);
	for (unsigned i = 0; i < MESSAGES; i++) {
		line.record = slice_bytes(text, (size_t)snprintf(text, sizeof(text), "delivery id=M%u status=%s", i, i % 3 ? "failed" : "delivered"));
		search_look(&s, &line);
	}
	for (unsigned i = 0, groups = 0; i < MESSAGES; i++) {
		line.record = slice_bytes(text, (size_t)snprintf(text, sizeof(text), "message id=M%u", i));
		assert_int_equal(search_takes(&s, &line, &group), i % 3 != 0);
		if (i % 3)
			assert_int_equal(group, ++groups);
	}
	search_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_conditions),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests_name("manager_search", tests, NULL, NULL);
}
