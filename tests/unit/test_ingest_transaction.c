/* ingest/transaction: one object, one reset (R36, lesson 6), and what reaches the spool. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "ingest/transaction.h"

struct room {
	char path[64];
	struct loop *loop;
	struct helper *flusher;
	struct spool *spool;
	struct keeper *keeper;
	struct pool *blocks;
};

static int setup(void **state)
{
	static struct room r;
	struct spool_settings s = { .path = r.path, .size = 16 << 20 };
	struct fault f = { .text = "" };

	memcpy(r.path, "/tmp/sekimori-transaction-XXXXXX", 33);
	assert_non_null(mkdtemp(r.path));
	r.loop = loop_new(16);
	r.blocks = pool_new(CHUNK_SIZE, 8);
	assert_int_equal(spool_open(&s, 1800000000, 0, &r.spool, &f), 0);
	r.flusher = helper_start(r.loop, "flush", keeper_serve);
	assert_non_null(r.flusher);
	r.keeper = keeper_new(r.loop, r.flusher, r.spool);
	assert_non_null(r.keeper);
	*state = &r;
	return 0;
}

static int teardown(void **state)
{
	struct room *r = *state;
	struct dirent *e;
	DIR *dir;

	helper_stop(r->flusher);
	loop_free(r->loop);
	keeper_free(r->keeper);
	spool_close(r->spool);
	pool_free(r->blocks);
	dir = opendir(r->path);
	while (dir && (e = readdir(dir)))
		unlinkat(dirfd(dir), e->d_name, 0);
	closedir(dir);
	return rmdir(r->path);
}

static struct smtp_mail mail_from(const char *sender)
{
	struct smtp_mail m = { .size = 0 };

	assert_true(address_parse(slice_of(sender), &m.sender));
	return m;
}

static void begin(struct room *r, struct transaction *t)
{
	struct smtp_mail m = mail_from("user1@test-sample.jp");

	assert_int_equal(transaction_begin(t, r->keeper, r->blocks, &m, 65536), 0);
	assert_int_not_equal(t->keeping.writer.id, 0);
	assert_int_equal(t->id[0], 'B');
}

static void add(struct transaction *t, const char *to)
{
	struct address a;

	assert_true(address_parse(slice_of(to), &a));
	assert_true(transaction_add_recipient(t, &a));
}

static const struct transaction fresh;

/* After a reset at any moment, nothing is left: neither in the object nor lent from the pool. */
static void test_reset_leaves_nothing(void **state)
{
	struct room *r = *state;
	struct transaction t;

	for (int until = 0; until < 4; until++) {
		t = fresh;
		begin(r, &t);
		if (until > 0)
			add(&t, "x@example.com");
		if (until > 1)
			assert_int_equal(transaction_data(&t, slice_of("mx.test-sample.jp"), STRIP_ALL, true), 0);
		if (until > 2)
			transaction_content(&t, slice_of("From: <user1@test-sample.jp>\r\n\r\nx\r\n"), 1000);
		transaction_reset(&t);
		assert_memory_equal(&t, &fresh, sizeof(t));
		assert_int_equal(pool_lent(r->blocks), 0);
		assert_int_equal(spool_count(r->spool), 0);
	}
}

static void test_single_recipient(void **state)
{
	struct room *r = *state;
	struct transaction t = fresh;

	begin(r, &t);
	add(&t, "x@example.com");
	assert_true(slice_equal(transaction_single_recipient(&t), slice_of("x@example.com")));
	add(&t, "y@example.com");
	assert_int_equal(transaction_single_recipient(&t).len, 0);
	transaction_reset(&t);
}

static void test_recipients_are_bounded(void **state)
{
	struct room *r = *state;
	struct transaction t = fresh;
	struct address a;
	unsigned n = 0;

	begin(r, &t);
	assert_true(address_parse(slice_of("somebody@example.com"), &a));
	while (n < 10000 && transaction_add_recipient(&t, &a))
		n++;
	assert_in_range(n, 100, 9999);
	assert_int_equal(t.recipient_count, n);
	transaction_reset(&t);
}

static void test_too_large_is_drained_not_kept(void **state)
{
	struct room *r = *state;
	struct transaction t = fresh;

	begin(r, &t);
	assert_int_equal(transaction_data(&t, slice_of("mx.test-sample.jp"), STRIP_ALL, true), 0);
	for (int i = 0; i < 100; i++)
		transaction_content(&t, slice_of("0123456789abcdef\r\n"), 100);
	assert_true(t.too_large);
	assert_int_equal(t.size, 1800);
	assert_int_equal(t.keeping.writer.size, 0);
	transaction_reset(&t);
}

static int result_of_commit;
static bool was_told;

static void told(struct keeping *k, int result)
{
	(void)k;
	result_of_commit = result;
	was_told = true;
}

static void test_commit_is_mail_in_the_queue(void **state)
{
	struct room *r = *state;
	struct transaction t = fresh;
	struct principal nobody = { .kind = PRINCIPAL_PEER };
	static const struct trust_peer peer = { .name = "mailserver" };
	static const char header[] = "From: <user1@test-sample.jp>\r\nAuto-Submitted: auto-replied\r\n\r\n";
	char content[3 * CHUNK_SIZE], back[200];
	struct spool_message m;
	struct buffer memory;
	void *room = malloc(SPOOL_RECORD_MAX);

	nobody.peer = &peer;
	for (size_t i = 0; i < sizeof(content); i += 2)
		memcpy(content + i, "\r\n", 2);
	begin(r, &t);
	add(&t, "x@example.com");
	assert_int_equal(transaction_data(&t, slice_of("mx.test-sample.jp"), STRIP_ALL, true), 0);
	transaction_content(&t, slice_of(header), 1 << 20);
	transaction_content(&t, slice_bytes(content, sizeof(content)), 1 << 20);
	header_finish(&t.header);
	t.keeping.done = told;
	was_told = false;
	assert_int_equal(transaction_commit(&t, slice_of("Received: by us\r\n"), &nobody, 1800000000), 0);
	assert_int_equal(spool_count(r->spool), 0);
	for (int i = 0; i < 1000 && !was_told; i++)
		assert_int_equal(loop_turn(r->loop), 0);
	assert_true(was_told);
	assert_int_equal(result_of_commit, 0);
	assert_int_equal(spool_count(r->spool), 1);
	buffer_init(&memory, room, SPOOL_RECORD_MAX);
	assert_int_equal(spool_load(r->spool, t.keeping.writer.id, &memory, &m), 0);
	assert_int_equal(m.size, strlen("Received: by us\r\n") + strlen(header) + sizeof(content));
	assert_true(m.envelope.no_return);
	assert_true(slice_equal(m.envelope.recipients, slice_of("x@example.com\n")));
	for (size_t got = 0; got < 40;) {
		ssize_t n = spool_read(r->spool, &m, got, back + got, 40 - got);

		assert_in_range(n, 1, 40);
		got += (size_t)n;
	}
	assert_memory_equal(back, "Received: by us\r\nFrom: <user1@test-sampl", 40);
	spool_message_end(&m);
	free(room);
	t.committing = false;
	t.keeping.writer.id = 0;
	transaction_reset(&t);
	assert_int_equal(pool_lent(r->blocks), 0);
}

/* What is taken out is neither kept nor hashed; what is hashed is the body alone, as it reads. */
static void test_content_is_filtered_and_hashed(void **state)
{
	static const char content[] = "Authentication-Results: mx.test-sample.jp; none\r\nFrom: a@b\r\n\r\n..dot \r\n\r\n";
	struct room *r = *state;
	uint8_t got[DIGEST_SHA256_SIZE], expected[DIGEST_SHA256_SIZE];

	assert_true(digest_hash(DIGEST_SHA256, SLICE_OF(".dot\r\n"), expected));
	for (size_t cut = 0; cut < sizeof(content); cut++) {
		struct transaction t = { 0 };
		struct slice all = slice_of(content);

		begin(r, &t);
		assert_int_equal(transaction_data(&t, slice_of("mx.test-sample.jp"), STRIP_ALL, true), 0);
		transaction_content(&t, slice_first(all, cut), 1000);
		transaction_content(&t, slice_skip(all, cut), 1000);
		transaction_content_end(&t);
		assert_int_equal(t.came, all.len);
		assert_int_equal(t.size, all.len - 49);
		assert_int_equal(t.strip.done, STRIP_RESULTS);
		assert_true(transaction_body_hash(&t, got));
		assert_memory_equal(got, expected, sizeof(expected));
		assert_false(transaction_body_hash(&t, got));
		transaction_reset(&t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reset_leaves_nothing),
		cmocka_unit_test(test_single_recipient),
		cmocka_unit_test(test_recipients_are_bounded),
		cmocka_unit_test(test_too_large_is_drained_not_kept),
		cmocka_unit_test(test_commit_is_mail_in_the_queue),
		cmocka_unit_test(test_content_is_filtered_and_hashed),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
