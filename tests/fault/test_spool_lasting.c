/*
 * A disk that fails for a long time, and is well again without anybody starting the gate anew: what was acknowledged is
 * there, the rest was refused, and mail is taken again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "work.h"

#define WALL		1800000000
#define BAD_ROUNDS	200u
#define GROUP		4u

static struct spool *open_spool(void)
{
	struct spool_settings st;
	struct spool *s;
	struct fault f;

	work_settings(&st, NULL, NULL);
	if (spool_open(&st, WALL, 1000, &s, &f) < 0)
		fail_msg("does not open: %s", f.text);
	return s;
}

static unsigned take_committed(struct spool *s)
{
	struct spool_writer *w;
	unsigned good = 0;

	while ((w = spool_committed(s)))
		good += w->result == 0;
	return good;
}

/* A group of messages from number n on; how many were acknowledged. */
static unsigned group(struct spool *s, unsigned n)
{
	struct spool_writer w[GROUP] = { 0 };
	unsigned good = 0;

	for (unsigned i = 0; i < GROUP; i++)
		if (work_write(s, &w[i], n + i) < 0)
			spool_abort(s, &w[i]);
	for (int i = 0; i < 10 && spool_flush_due(s); i++) {
		int fd = spool_flush_begin(s);

		if (fd >= 0)
			spool_flush_end(s, disk_files.fdatasync(fd));
		good += take_committed(s);
	}
	return good + take_committed(s);
}

static unsigned check_all(struct spool *s)
{
	unsigned count = 0, n;

	for (const struct spool_entry *e = spool_next(s, 0); e; e = spool_next(s, e->id), count++)
		assert_int_equal(work_check(s, e->id, &n), 0);
	return count;
}

/* Only flushes fail, or all calls; `before` groups were kept until then, the first with an outcome not yet flushed. */
static void lasting(bool only_flush, unsigned before)
{
	struct spool *s;
	unsigned kept = 0, n = 0;

	disk_clear();
	s = open_spool();
	for (unsigned i = 0; i < before; i++, n += GROUP)
		kept += group(s, n);
	assert_int_equal(kept, before * GROUP);
	if (before > 0)
		spool_outcome(s, spool_next(s, 0)->id, SLICE_OF("DP"), WALL + 5, 5000, SLICE_OF("450 later"));
	disk.only_flush = only_flush;
	disk.fail_at = disk.calls + 1;
	disk.fail_count = UINT32_MAX / 2;
	for (unsigned i = 0; i < BAD_ROUNDS; i++)
		assert_int_equal(group(s, 900), 0);
	disk.fail_at = 0;
	disk.only_flush = false;
	/* The first finds the room, and the one that was refused for want of it made some. */
	group(s, 900);
	for (unsigned i = 0; i < 5; i++, n += GROUP)
		kept += group(s, n);
	if (kept < (before + 3) * GROUP)
		fail_msg("only_flush %d, %u groups before: %u kept", only_flush, before, kept);
	/* What can't be read back from a bad segment either is tried again: a second mail rather than a lost one. */
	if (before > 0 && only_flush) {
		char memory[8192];
		struct spool_message m;
		struct buffer b;

		buffer_init(&b, memory, sizeof(memory));
		assert_int_equal(spool_load(s, spool_next(s, 0)->id, &b, &m), 0);
		assert_true(slice_equal(m.states, SLICE_OF("DP")));
		spool_message_end(&m);
	}
	check_all(s);
	disk.frozen = true;
	spool_close(s);
	disk_cut(0);
	s = open_spool();
	assert_true(check_all(s) >= kept);
	spool_close(s);
	disk_clear();
}

static void test_flushes_fail(void **state)
{
	(void)state;
	lasting(true, 0);
	lasting(true, 1);
	lasting(true, 7);
}

static void test_all_calls_fail(void **state)
{
	(void)state;
	lasting(false, 0);
	lasting(false, 1);
	lasting(false, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flushes_fail),
		cmocka_unit_test(test_all_calls_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
