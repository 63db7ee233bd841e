/*
 * The same day in the life of a spool again and again, while its k-th file call fails, for all k, and
 * while the power is cut after the k-th call. Afterwards every acknowledged message that was
 * not finished must be there whole, and none that was finished, and flushed as such.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "work.h"

#define WALL		1700000000
#define MESSAGES	140u
#define TOGETHER	5u		/* writers in a group */

enum fate { NOT_YET, REFUSED, UNHEARD, ACKNOWLEDGED, FINISHING, FINISHED };

struct day {
	enum fate fates[MESSAGES];
	uint64_t ids[MESSAGES];
	unsigned acknowledged;
};

static void ignore(void *context, const char *line)
{
	(void)context;
	(void)line;
}

static struct spool *try_open(struct fault *f)
{
	struct spool_settings st;
	struct spool *s;

	*f = (struct fault){ "", 0 };
	work_settings(&st, ignore, NULL);
	return spool_open(&st, WALL, 0, &s, f) < 0 ? NULL : s;
}

static void hear(struct spool *s, struct day *d)
{
	struct spool_writer *w;

	while ((w = spool_committed(s))) {
		unsigned n = (unsigned)(uintptr_t)w->owner;

		d->fates[n] = disk.frozen ? UNHEARD : w->result == 0 ? ACKNOWLEDGED : REFUSED;
		d->ids[n] = w->id;
		d->acknowledged += d->fates[n] == ACKNOWLEDGED;
	}
}

static bool is_failing(void)
{
	return disk.fail_at != 0 && disk.calls >= disk.fail_at && disk.calls <= disk.fail_at + disk.fail_count;
}

static bool is_cut(unsigned calls)
{
	if (calls != 0 && disk.calls >= calls)
		disk.frozen = true;
	return disk.frozen;
}

/* What was finished before counts when a flush is through and none is due. */
static void flush(struct spool *s, struct day *d, unsigned cut)
{
	struct spool_writer client = { 0 };

	/* A spool without a segment to write tries again with the next client. */
	if (spool_begin(s, &client, 0) == 0)
		spool_abort(s, &client);
	for (int i = 0; i < 50 && spool_flush_due(s); i++) {
		int fd = spool_flush_begin(s);
		int result = fd < 0 ? 0 : disk_files.fdatasync(fd);

		is_cut(cut);
		if (fd >= 0)
			spool_flush_end(s, result);
		hear(s, d);
	}
	if (disk.frozen || spool_flush_due(s) || is_failing())
		return;
	for (unsigned n = 0; n < MESSAGES; n++)
		if (d->fates[n] == FINISHING)
			d->fates[n] = FINISHED;
}

static void finish(struct spool *s, struct day *d, unsigned n)
{
	if (n >= MESSAGES || d->fates[n] != ACKNOWLEDGED)
		return;
	spool_outcome(s, d->ids[n], SLICE_OF("DP"), WALL + 5, 5000, SLICE_OF("450 later"));
	if (n % 7 == 0)
		return;				/* these stay and are carried along */
	spool_outcome(s, d->ids[n], SLICE_OF("DD"), 0, 0, SLICE_OF(""));
	d->fates[n] = FINISHING;
}

static void live(struct spool *s, struct day *d, unsigned cut)
{
	for (unsigned n = 0; n < MESSAGES && !is_cut(cut); n += TOGETHER) {
		struct spool_writer w[TOGETHER] = { 0 };

		for (unsigned i = 0; i < TOGETHER; i++) {
			w[i].owner = (void *)(uintptr_t)(n + i);
			if (work_write(s, &w[i], n + i) < 0)
				spool_abort(s, &w[i]);
			hear(s, d);
			is_cut(cut);
		}
		finish(s, d, n - 2 * TOGETHER);
		finish(s, d, n - 2 * TOGETHER + 1);
		finish(s, d, n - 2 * TOGETHER + 2);
		finish(s, d, n - 2 * TOGETHER + 3);
		finish(s, d, n - 2 * TOGETHER + 4);
		flush(s, d, cut);
	}
}

static char what[80];			/* is tried now */

static void check(struct spool *s, const struct day *d, bool may_appear)
{
	bool seen[MESSAGES] = { false };

	for (const struct spool_entry *e = spool_next(s, 0); e; e = spool_next(s, e->id)) {
		unsigned n = MESSAGES;
		int error = work_check(s, e->id, &n);

		if (error != 0 || n >= MESSAGES)
			fail_msg("%s: message %u damaged (%d)", what, n, error);
		assert_false(seen[n]);
		seen[n] = true;
		if (d->fates[n] == FINISHED)
			fail_msg("%s: message %u is finished, and there", what, n);
		if (!may_appear && (d->fates[n] == REFUSED || d->fates[n] == NOT_YET))
			fail_msg("%s: message %u was refused, and is there", what, n);
	}
	for (unsigned n = 0; n < MESSAGES; n++)
		if (d->fates[n] == ACKNOWLEDGED && !seen[n])
			fail_msg("%s: message %u was acknowledged, and is lost", what, n);
}

/* Kills it where it stands, cuts the power, and looks at what is left. */
static void reckon(struct spool *s, const struct day *d, uint32_t luck)
{
	struct fault f;

	disk.frozen = true;
	spool_close(s);
	disk.fail_at = 0;
	disk_cut(luck);
	s = try_open(&f);
	if (!s)
		fail_msg("%s: does not open again: %s", what, f.text);
	check(s, d, luck != 0);
	spool_close(s);
	s = try_open(&f);		/* and what was repaired by replay stays so */
	assert_non_null(s);
	check(s, d, luck != 0);
	spool_close(s);
}

/* FAULT_STEP=1 tries every call, some minutes long; without it every 11th. */
static unsigned step(void)
{
	const char *text = getenv("FAULT_STEP");
	uint64_t n = 11;

	if (text && slice_number(slice_of(text), 1000, &n) && n > 0)
		return (unsigned)n;
	return 11;
}

static unsigned calls_of_a_day(void)
{
	struct day d = { 0 };
	struct fault f;
	struct spool *s;

	disk_clear();
	s = try_open(&f);
	live(s, &d, 0);
	assert_int_equal(d.acknowledged, MESSAGES);
	reckon(s, &d, 0);
	return disk.calls;
}

static void a_day_with(unsigned k, enum disk_fault fault, unsigned count, uint32_t luck)
{
	struct day d = { 0 };
	struct fault f;
	struct spool *s;

	snprintf(what, sizeof(what), "call %u of kind %d, %u more, luck %u", k, (int)fault, count, (unsigned)luck);
	disk_clear();
	disk.fail_at = k;
	disk.fail_count = count;
	disk.fault = fault;
	s = try_open(&f);
	if (!s) {
		assert_int_not_equal(f.status, 0);
		disk.fail_at = 0;
		memset(disk.fds, 0, sizeof(disk.fds));
		s = try_open(&f);
		assert_non_null(s);
	}
	live(s, &d, 0);
	/* One failure is one group's, the rest goes on. */
	if (count == 0)
		if (d.acknowledged < MESSAGES - 4 * TOGETHER)
			fail_msg("%s: only %u acknowledged", what, d.acknowledged);
	reckon(s, &d, luck);
}

static void test_a_call_fails(void **state)
{
	unsigned calls = calls_of_a_day();

	(void)state;
	for (unsigned k = 1; k <= calls; k += step())
		for (unsigned fault = 0; fault < DISK_FAULTS; fault++)
			a_day_with(k, (enum disk_fault)fault, 0, (k + fault) % 3);
	disk_clear();
}

/* EINTR for ever is the kernel's bug, not ours to survive; the others can last. */
static void test_calls_fail(void **state)
{
	static const unsigned counts[] = { 1, 3, 10, 1000000 };
	unsigned calls = calls_of_a_day();

	(void)state;
	for (unsigned k = 1; k <= calls; k += 13 * step())
		for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
			a_day_with(k, DISK_EIO, counts[i], k % 3);
			a_day_with(k, DISK_ENOSPC, counts[i], 0);
		}
	disk_clear();
}

static void test_power_cut(void **state)
{
	unsigned calls = calls_of_a_day();

	(void)state;
	for (unsigned k = 1; k <= calls; k += step())
		for (uint32_t luck = 0; luck < 4; luck++) {
			struct day d = { 0 };
			struct fault f;
			struct spool *s;

			snprintf(what, sizeof(what), "cut after call %u, luck %u", k, (unsigned)luck);
			disk_clear();
			s = try_open(&f);
			live(s, &d, k);
			reckon(s, &d, luck == 0 ? 0 : luck == 1 ? 1 : luck * 1000 + k);
		}
	disk_clear();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_call_fails),
		cmocka_unit_test(test_calls_fail),
		cmocka_unit_test(test_power_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
