/* relay/attempt: groups by route, what replies mean for recipients (R30, R42), give-up. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "relay/attempt.h"

static char path[64];
static struct spool *spool;
static uint64_t id;

static struct relay_route routes[] = {
	{ .name = "" },
	{ .name = "partner", .domain_count = 1, .domains = { "partner.example" } },
};

static const struct relay_settings settings = {
	.route_count = 2, .routes = routes, .return_from = "postmaster@test-sample.jp",
};

static uint64_t queue_mail(const char *sender, bool no_return)
{
	struct spool_writer w = { .id = 0 };
	struct envelope e = {
		.sender = slice_of(sender), .account = slice_of("user1@test-sample.jp"), .trust = slice_of("account"),
		.no_return = no_return, .ends_in_crlf = true, .recipient_count = 4,
		.recipients = slice_of("a@example.com\nb@partner.example\nc@example.com\nd@partner.example\n"),
	};
	char memory[2048];
	struct buffer text;

	buffer_init(&text, memory, sizeof(memory));
	assert_true(envelope_write(&text, &e));
	assert_int_equal(spool_begin(spool, &w, 0), 0);
	assert_int_equal(spool_append(spool, &w, slice_of("Subject: x\r\n\r\nx\r\n")), 0);
	assert_int_equal(spool_commit(spool, &w, slice_of(""), buffer_bytes(&text)), 0);
	while (spool_flush_begin(spool) >= 0)
		spool_flush_end(spool, 0);
	while (spool_committed(spool))
		;
	return w.id;
}

static struct attempt *make(void)
{
	struct attempt *a;
	int error;

	a = attempt_new(spool, id, 0, &error);
	assert_non_null(a);
	assert_int_equal(a->count, 4);
	return a;
}

static void test_groups_by_route(void **state)
{
	struct attempt *a = make();

	(void)state;
	assert_int_equal(attempt_group(a, &settings), 0);
	assert_int_equal(a->group_count, 2);
	assert_true(slice_equal(a->group[1], slice_of("c@example.com")));
	assert_string_equal(a->route_name, "default");
	attempt_group_verdict(a, 250, slice_of("ok"), false);
	assert_int_equal(attempt_count(a, RECIPIENT_DELIVERED), 2);
	assert_int_equal(attempt_group(a, &settings), 1);
	assert_int_equal(a->group_count, 2);
	assert_string_equal(a->route_name, "partner");
	attempt_group_verdict(a, 451, slice_of("later"), false);
	assert_int_equal(attempt_group(a, &settings), -1);
	assert_int_equal(a->group_count, 0);
	assert_int_equal(attempt_count(a, RECIPIENT_PENDING), 2);
	attempt_free(a);
}

/* One recipient refused, one accepted; then the message's own verdict is for the accepted one only. */
static void test_partial(void **state)
{
	static const struct {
		unsigned code;
		enum recipient_state state;
	} rows[] = {
		{ 250, RECIPIENT_DELIVERED }, { 450, RECIPIENT_PENDING }, { 550, RECIPIENT_FAILED },
		{ 554, RECIPIENT_FAILED }, { 0, RECIPIENT_PENDING }, { 421, RECIPIENT_PENDING },
		/* Our login is not the mail's fault: never a bounce. */
		{ 530, RECIPIENT_PENDING }, { 534, RECIPIENT_PENDING }, { 535, RECIPIENT_PENDING },
		{ 538, RECIPIENT_PENDING },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct attempt *a = make();

		attempt_group(a, &settings);
		attempt_recipient_reply(a, 0, 550, slice_of("5.1.1 no such user"));
		attempt_recipient_reply(a, 1, 250, slice_of("ok"));
		assert_int_equal(a->recipients[2].state, RECIPIENT_PENDING);
		attempt_group_verdict(a, rows[i].code, slice_of("words"), false);
		assert_int_equal(a->recipients[0].state, RECIPIENT_FAILED);
		assert_true(slice_equal(attempt_words(a, &a->recipients[0]), slice_of("5.1.1 no such user")));
		assert_int_equal(a->recipients[2].state, rows[i].state);
		assert_true(slice_equal(attempt_words(a, &a->recipients[2]), slice_of("words")));
		assert_int_equal(a->recipients[1].state, RECIPIENT_PENDING);
		attempt_free(a);
	}
}

static void test_words_are_bounded(void **state)
{
	struct attempt *a = make();
	char words[SMTP_REPLY_TEXT_MAX];

	(void)state;
	attempt_group(a, &settings);
	for (int i = 0; i < 100; i++) {
		memset(words, 'a' + i % 26, sizeof(words));
		attempt_recipient_reply(a, 0, 450, slice_bytes(words, sizeof(words)));
	}
	assert_true(a->words_len <= sizeof(a->words));
	attempt_free(a);
}

static void test_give_up_and_returnable(void **state)
{
	uint64_t first = id;
	struct attempt *a = make();

	(void)state;
	attempt_give_up(a, false);
	assert_int_equal(attempt_count(a, RECIPIENT_FAILED), 4);
	assert_true(a->recipients[3].expired);
	assert_true(attempt_returnable(a));
	attempt_free(a);
	id = queue_mail("", false);
	a = make();
	assert_false(attempt_returnable(a));
	attempt_free(a);
	id = queue_mail("robot@test-sample.jp", true);
	a = make();
	assert_false(attempt_returnable(a));
	attempt_free(a);
	/* Return mail with an address in its envelope ([return] envelope = address) makes none either (R49). */
	id = first;
	a = make();
	a->message.envelope.is_return = true;
	assert_false(attempt_returnable(a));
	attempt_free(a);
}

/* What one host said is not put into the mouth of the next. */
static void test_hosts_of_groups(void **state)
{
	struct attempt *a = make();

	(void)state;
	attempt_group(a, &settings);
	attempt_group_verdict(a, 550, slice_of("5.1.1 no"), false);
	attempt_group_host(a, "mx.example.com");
	attempt_group(a, &settings);
	attempt_group_verdict(a, 0, slice_of("time-out"), false);
	attempt_group_host(a, "mx.partner.example");
	assert_true(slice_equal(attempt_remote(a, &a->recipients[0]), slice_of("mx.example.com")));
	assert_true(slice_equal(attempt_remote(a, &a->recipients[2]), slice_of("mx.example.com")));
	assert_int_equal(attempt_remote(a, &a->recipients[1]).len, 0);
	assert_string_equal(a->remote, "mx.partner.example");
	attempt_free(a);
}

/* A route that couldn't be used says nothing: only what somebody has put off makes the message wait its time. */
static void test_skipped_is_not_deferred(void **state)
{
	struct attempt *a = make();

	(void)state;
	attempt_group(a, &settings);
	attempt_skip_group(a, slice_of("down"));
	assert_false(attempt_was_deferred(a));
	attempt_group(a, &settings);
	attempt_group_verdict(a, 451, slice_of("later"), false);
	assert_true(attempt_was_deferred(a));
	attempt_free(a);
}

static void test_sender(void **state)
{
	struct attempt *a = make();

	(void)state;
	assert_true(slice_equal(attempt_sender(a, &settings), slice_of("user1@test-sample.jp")));
	a->null_refused = true;
	assert_true(slice_equal(attempt_sender(a, &settings), slice_of("postmaster@test-sample.jp")));
	attempt_free(a);
}

static int setup(void **state)
{
	struct spool_settings s = { .path = path, .size = 16 << 20 };
	struct fault f = { .text = "" };

	(void)state;
	memcpy(path, "/tmp/sekimori-attempt-XXXXXX", 29);
	assert_non_null(mkdtemp(path));
	assert_int_equal(spool_open(&s, 1800000000, 0, &spool, &f), 0);
	id = queue_mail("user1@test-sample.jp", false);
	return 0;
}

static int teardown(void **state)
{
	struct dirent *e;
	DIR *dir;

	(void)state;
	spool_close(spool);
	dir = opendir(path);
	while (dir && (e = readdir(dir)))
		unlinkat(dirfd(dir), e->d_name, 0);
	closedir(dir);
	return rmdir(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_groups_by_route),
		cmocka_unit_test(test_partial),
		cmocka_unit_test(test_words_are_bounded),
		cmocka_unit_test(test_give_up_and_returnable),
		cmocka_unit_test(test_hosts_of_groups),
		cmocka_unit_test(test_skipped_is_not_deferred), cmocka_unit_test(test_sender),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
