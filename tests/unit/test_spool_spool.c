#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../fault/work.h"
#include "spool/journal.h"
#include "spool/record.h"

#define WALL	1700000000

static char reports[40][200];
static unsigned report_count;

static void keep_report(void *context, const char *line)
{
	(void)context;
	snprintf(reports[report_count++ % 40], sizeof(reports[0]), "%s", line);
}

static struct spool *reopen_at(struct spool *s, int64_t wall, int64_t mono)
{
	struct spool_settings st;
	struct fault f = { "", 0 };

	spool_close(s);
	work_settings(&st, keep_report, NULL);
	if (spool_open(&st, wall, mono, &s, &f) < 0)
		fail_msg("spool_open: %s", f.text);
	return s;
}

static struct spool *fresh(void)
{
	disk_clear();
	report_count = 0;
	return reopen_at(NULL, WALL, 0);
}

/* As after kill -9: what was written is there, what was only buffered isn't. */
static struct spool *killed(struct spool *s)
{
	disk.frozen = true;
	spool_close(s);
	disk_cut(1);
	return reopen_at(NULL, WALL, 0);
}

static uint64_t put(struct spool *s, unsigned n)
{
	struct spool_writer w = { 0 };

	assert_int_equal(work_write(s, &w, n), 0);
	work_flush(s);
	assert_ptr_equal(spool_committed(s), &w);
	assert_int_equal(w.result, 0);
	assert_null(spool_committed(s));
	return w.id;
}

static void expect(struct spool *s, uint64_t id, unsigned n)
{
	unsigned found = ~n;

	assert_non_null(spool_find(s, id));
	assert_int_equal(work_check(s, id, &found), 0);
	assert_int_equal(found, n);
}

static void finish(struct spool *s, uint64_t id)
{
	assert_int_equal(spool_outcome(s, id, SLICE_OF("DF"), 0, 0, SLICE_OF("")), 0);
	assert_null(spool_find(s, id));
}

static void test_survives(void **state)
{
	struct spool *s = fresh();
	uint64_t ids[30];

	(void)state;
	for (unsigned n = 0; n < 30; n++)
		ids[n] = put(s, n);
	for (unsigned n = 0; n < 30; n++)
		expect(s, ids[n], n);
	s = reopen_at(s, WALL, 0);
	assert_int_equal(spool_count(s), 30);
	for (unsigned n = 0; n < 30; n++)
		expect(s, ids[n], n);
	s = killed(s);
	assert_int_equal(spool_count(s), 30);
	for (unsigned n = 0; n < 30; n++)
		expect(s, ids[n], n);
	assert_int_equal(report_count, 0);
	spool_close(s);
}

static void test_not_flushed_is_not_there(void **state)
{
	struct spool *s = fresh();
	struct spool_writer w = { 0 };

	(void)state;
	assert_int_equal(work_write(s, &w, 4), 0);
	assert_null(spool_find(s, w.id));
	assert_null(spool_committed(s));
	disk.frozen = true;
	work_flush(s);
	assert_non_null(spool_committed(s));
	spool_close(s);
	disk_cut(0);
	s = reopen_at(NULL, WALL, 0);
	assert_int_equal(spool_count(s), 0);
	spool_close(s);
}

/* A flush that is under way when a message is committed says nothing of it, even where its octets are written meanwhile (R50). */
static void test_committed_during_a_flush(void **state)
{
	struct spool *s = fresh();
	struct spool_writer first = { 0 }, small = { 0 }, large[JOURNAL_BUFFER / 70000 + 1] = { 0 };
	int fd;

	(void)state;
	put(s, 0);				/* the directory has been flushed */
	assert_int_equal(work_write(s, &first, 1), 0);
	fd = spool_flush_begin(s);
	assert_true(fd >= 0);
	assert_int_equal(disk_files.fdatasync(fd), 0);
	assert_int_equal(work_write(s, &small, 2), 0);
	for (size_t i = 0; i < sizeof(large) / sizeof(*large); i++)
		assert_int_equal(work_write(s, &large[i], 4), 0);
	assert_null(spool_committed(s));
	spool_flush_end(s, 0);
	assert_ptr_equal(spool_committed(s), &first);
	assert_null(spool_committed(s));
	assert_true(spool_flush_due(s));
	work_flush(s);
	assert_ptr_equal(spool_committed(s), &small);
	assert_int_equal(small.result, 0);
	for (size_t i = 0; i < sizeof(large) / sizeof(*large); i++) {
		assert_ptr_equal(spool_committed(s), &large[i]);
		assert_int_equal(large[i].result, 0);
	}
	s = killed(s);
	assert_int_equal(spool_count(s), 3 + sizeof(large) / sizeof(*large));
	spool_close(s);
}

/* A flush that failed has saved nothing: who waited for it is told so, and nothing of it is there later. */
static void test_failed_flush(void **state)
{
	struct spool *s = fresh();
	struct spool_writer w = { 0 };
	uint64_t kept = put(s, 0);
	int fd;

	(void)state;
	assert_int_equal(work_write(s, &w, 1), 0);
	fd = spool_flush_begin(s);
	assert_true(fd >= 0);
	spool_flush_end(s, -EIO);
	assert_ptr_equal(spool_committed(s), &w);
	assert_int_equal(w.result, -EIO);
	assert_int_equal(spool_count(s), 1);
	work_flush(s);
	put(s, 2);
	s = killed(s);
	assert_int_equal(spool_count(s), 2);
	expect(s, kept, 0);
	spool_close(s);
}

static void test_interleaved(void **state)
{
	struct spool *s = fresh();
	struct spool_writer w[8] = { 0 };
	uint64_t ids[8];

	(void)state;
	for (unsigned n = 0; n < 8; n++)
		assert_int_equal(spool_begin(s, &w[n], 0), 0);
	for (size_t at = 0; at < 80000; at += 1000)
		for (unsigned n = 0; n < 8; n++) {
			size_t length = work_length(n), len = at >= length ? 0 : length - at < 1000 ? length - at : 1000;

			assert_int_equal(work_append(s, &w[n], n, at, len), 0);
		}
	for (unsigned n = 0; n < 8; n++) {
		ids[n] = w[n].id;
		if (n % 3 == 0)
			spool_abort(s, &w[n]);
		else
			assert_int_equal(work_commit(s, &w[n], n), 0);
	}
	work_flush(s);
	while (spool_committed(s))
		;
	s = killed(s);
	for (unsigned n = 0; n < 8; n++) {
		if (n % 3 == 0)
			assert_null(spool_find(s, ids[n]));
		else
			expect(s, ids[n], n);
	}
	spool_close(s);
}

/* Small pieces of one session make one extent; the bound on extents is an error, not a crash. */
static void test_extents(void **state)
{
	struct spool *s = fresh();
	struct spool_writer a = { 0 }, b = { 0 };
	int error = 0;

	(void)state;
	assert_int_equal(spool_begin(s, &a, 0), 0);
	assert_int_equal(spool_begin(s, &b, 0), 0);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(spool_append(s, &a, SLICE_OF("x")), 0);
	assert_int_equal(a.extent_count, 1);
	for (int i = 0; i < SPOOL_EXTENTS_MAX + 1 && error == 0; i++) {
		error = spool_append(s, &a, SLICE_OF("x"));
		assert_int_equal(spool_append(s, &b, SLICE_OF("y")), i < SPOOL_EXTENTS_MAX ? 0 : -EFBIG);
	}
	assert_int_equal(error, -EFBIG);
	spool_abort(s, &a);
	assert_int_equal(work_commit(s, &b, 1), -EFBIG);
	spool_abort(s, &b);
	spool_abort(s, &b);
	spool_close(s);
}

static void test_outcomes(void **state)
{
	struct spool *s = fresh();
	uint64_t id = put(s, 3), other = put(s, 4);
	static char memory[SPOOL_RECORD_MAX];
	struct spool_message m;
	struct buffer b;

	(void)state;
	assert_int_equal(spool_take(s, 5)->id, id);
	assert_int_equal(spool_take(s, 5)->id, other);
	assert_null(spool_take(s, 5));
	assert_int_equal(spool_outcome(s, id, SLICE_OF("P"), 0, 0, SLICE_OF("")), -EINVAL);
	assert_int_equal(spool_outcome(s, id, SLICE_OF("DP"), WALL + 60, 60000, SLICE_OF("450 later")), 0);
	assert_int_equal(spool_outcome(s, id, SLICE_OF("DP"), WALL + 90, 90000, SLICE_OF("451 later")), 0);
	assert_int_equal(spool_next_due(s), 90000);
	finish(s, other);
	work_flush(s);
	s = killed(s);
	assert_int_equal(spool_count(s), 1);
	assert_int_equal(spool_find(s, id)->attempts, 2);
	assert_int_equal(spool_find(s, id)->pending, 1);
	assert_int_equal(spool_find(s, id)->next_attempt, 90000);
	buffer_init(&b, memory, 100);
	assert_int_equal(spool_load(s, id, &b, &m), -EMSGSIZE);
	buffer_init(&b, memory, sizeof(memory));
	assert_int_equal(spool_load(s, id, &b, &m), 0);
	assert_true(slice_equal(m.states, SLICE_OF("DP")));
	assert_true(slice_equal(m.last_reply, SLICE_OF("451 later")));
	spool_message_end(&m);
	finish(s, id);
	assert_int_equal(spool_load(s, id, &b, &m), -ENOENT);
	spool_close(s);
}

/* The clock was stepped: never lost in the far future. A router starts in 1970 each time: its mail must not wait a day for that. */
static void test_clock(void **state)
{
	struct spool *s = fresh();
	uint64_t id = put(s, 1);

	(void)state;
	spool_outcome(s, id, SLICE_OF("PP"), WALL + 600, 600000, SLICE_OF(""));
	work_flush(s);
	s = reopen_at(s, WALL + 100, 7000);
	assert_int_equal(spool_next_due(s), 7000 + 500000);
	s = reopen_at(s, WALL + 1000000, 7000);
	assert_int_equal(spool_next_due(s), 7000);
	s = reopen_at(s, 5, 7000);
	assert_int_equal(spool_next_due(s), 7000);
	assert_true(spool_hasten(s, id, 6000));
	assert_int_equal(spool_next_due(s), 6000);
	assert_non_null(spool_take(s, 9000));
	assert_false(spool_hasten(s, id, 9000));
	assert_int_equal(spool_next_due(s), INT64_MAX);
	spool_untake(s, id, 9500);
	assert_int_equal(spool_next_due(s), 9500);
	spool_close(s);
}

static void test_ids(void **state)
{
	static const struct { uint64_t id; const char *text; } rows[] = {
		{ 0, "B0000000000" }, { 31, "B000000000V" }, { 32, "B0000000010" },
		{ (UINT64_C(1) << 50) - 1, "BVVVVVVVVVV" },
	};
	static const char *const bad[] = { "", "B", "B000000000", "B00000000000", "A0000000000", "B000000000W",
		"B000000000v", "B 000000000" };
	char text[SPOOL_ID_TEXT];
	struct spool *s;
	uint64_t id, before;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		spool_id_text(rows[i].id, text);
		assert_string_equal(text, rows[i].text);
		assert_true(spool_id_parse(slice_of(text), &id));
		assert_true(id == rows[i].id);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(spool_id_parse(slice_of(bad[i]), &id));
	s = fresh();
	before = put(s, 1);
	assert_true(put(s, 2) > before);
	before = put(s, 3);
	s = reopen_at(s, WALL - 1000000, 0);	/* the clock went back: ids don't */
	assert_true(put(s, 4) > before);
	spool_close(s);
}

/* As many as it opens, when it is full. */
static void test_descriptors(void **state)
{
	struct spool *s = fresh();
	struct spool_writer w = { 0 };
	unsigned n, open = 1;

	(void)state;
	for (n = 0; work_write(s, &w, n) == 0; n++) {
		work_flush(s);
		assert_non_null(spool_committed(s));
	}
	spool_abort(s, &w);
	for (n = 0; n < DISK_FDS; n++)
		open += disk.fds[n] != 0;
	assert_in_range(open, 8, spool_descriptors(WORK_SIZE));
	assert_in_range(spool_descriptors((uint64_t)16 << 30), 256, 300);
	spool_close(s);
}

/* Zeros are written ahead of small mail, so that its flushes are short, and not of bulk, which would be written twice. */
static void test_written_ahead(void **state)
{
	const size_t segment = WORK_SIZE / 16;
	struct spool *s = fresh();
	struct spool_writer w = { 0 };
	size_t before = disk.octets;

	(void)state;
	put(s, 1);
	assert_true(disk.octets - before > segment);
	before = disk.octets;
	for (unsigned n = 0; n < 20; n++)
		put(s, 1);
	assert_true(disk.octets - before < segment);
	s = reopen_at(s, WALL, 0);
	before = disk.octets;
	put(s, 1);
	assert_true(disk.octets - before > segment / 2);
	spool_close(s);
	s = fresh();
	before = disk.octets;
	assert_int_equal(spool_begin(s, &w, 0), 0);
	for (size_t at = 0; at < 10 * CHUNK_SIZE; at += CHUNK_SIZE)
		assert_int_equal(work_append(s, &w, 4, at, CHUNK_SIZE), 0);
	assert_int_equal(work_commit(s, &w, 4), 0);
	work_flush(s);
	assert_ptr_equal(spool_committed(s), &w);
	assert_true(disk.octets - before < 11 * CHUNK_SIZE);
	spool_close(s);
}

/* The same files again and again, and a message that stays is carried along. */
static void test_goes_round(void **state)
{
	struct spool *s = fresh();
	uint64_t stays = put(s, 9), used, budget;

	(void)state;
	for (unsigned n = 0; n < 2000; n++) {
		uint64_t id = put(s, n % 50);

		expect(s, id, n % 50);
		if (n % 400 == 50)
			s = killed(s);
		finish(s, id);
	}
	work_flush(s);
	expect(s, stays, 9);
	spool_usage(s, &used, &budget);
	assert_int_equal(budget, WORK_SIZE);
	assert_true(disk_used() <= WORK_SIZE);
	s = killed(s);
	expect(s, stays, 9);
	assert_int_equal(spool_count(s), 1);
	assert_int_equal(report_count, 0);
	spool_close(s);
}

/* A delivery that hangs while the log goes round: nobody else is refused, and its mail is read to its end. */
static void test_hanging_delivery(void **state)
{
	static char memory[SPOOL_RECORD_MAX];
	const size_t front = strlen("Received: 9\r\n");
	struct spool *s = fresh();
	uint64_t stays = put(s, 9);
	struct spool_message m;
	ssize_t got;
	struct buffer b;
	char chunk[100];

	(void)state;
	assert_int_equal(spool_take(s, INT64_MAX - 1)->id, stays);
	buffer_init(&b, memory, sizeof(memory));
	assert_int_equal(spool_load(s, stays, &b, &m), 0);
	assert_int_equal(spool_read(s, &m, 0, chunk, front), front);
	for (unsigned n = 0; n < 2000; n++)
		finish(s, put(s, n % 50));
	for (uint64_t at = front; at < m.size; at += (uint64_t)got) {
		got = spool_read(s, &m, at, chunk, sizeof(chunk));
		assert_true(got > 0);
		assert_memory_equal(chunk, work_octets(9, at - front), (size_t)got);
	}
	finish(s, stays);
	spool_message_end(&m);
	work_flush(s);
	s = killed(s);
	assert_int_equal(spool_count(s), 0);
	assert_int_equal(report_count, 0);
	spool_close(s);
}

/* Whose record goes bad while it is being delivered is not given up: its outcome is still to come. */
static void test_damaged_delivery(void **state)
{
	struct spool *s = fresh();
	uint64_t id = put(s, 9);
	struct disk_file *g = disk_named("seg-0000");
	struct spool_writer w = { 0 };
	size_t size = g->size;

	(void)state;
	assert_int_equal(spool_take(s, INT64_MAX - 1)->id, id);
	while (size > 0 && g->now[size - 1] == 0)
		size--;
	for (size_t at = 200; at < size; at += 50)
		g->now[at] ^= 0x41;
	for (unsigned n = 0; n < 2000 && work_write(s, &w, n % 50) == 0; n++) {
		work_flush(s);
		assert_ptr_equal(spool_committed(s), &w);
		finish(s, w.id);
		w = (struct spool_writer){ 0 };
	}
	spool_abort(s, &w);
	assert_non_null(spool_find(s, id));
	assert_int_equal(spool_outcome(s, id, SLICE_OF("DF"), 0, 0, SLICE_OF("")), 0);
	spool_close(s);
}

/* Nothing is delivered until it is full; then all can still be recorded, and there is room again. */
static void test_budget(void **state)
{
	struct spool *s = fresh();
	struct spool_writer w = { 0 };
	static uint64_t ids[1000];
	unsigned count = 0;
	int error;

	(void)state;
	assert_int_equal(spool_begin(s, &w, WORK_SIZE), -ENOSPC);
	while ((error = work_write(s, &w, count)) == 0) {
		work_flush(s);
		assert_non_null(spool_committed(s));
		ids[count++] = w.id;
	}
	assert_int_equal(error, -ENOSPC);
	spool_abort(s, &w);
	assert_true(count > 80);
	w.is_return = true;
	assert_int_equal(work_write(s, &w, 1), 0);
	work_flush(s);
	assert_ptr_equal(spool_committed(s), &w);
	for (int round = 0; round < 100; round++)
		for (unsigned i = 0; i < count; i++) {
			assert_int_equal(spool_outcome(s, ids[i], SLICE_OF("DP"), WALL, 0,
						       SLICE_OF("451 4.4.1 no answer from the upstream")), 0);
			if (i % 10 == 0)
				work_flush(s);
		}
	assert_true(disk_used() <= WORK_SIZE);
	s = killed(s);
	assert_int_equal(spool_count(s), count + 1);
	for (unsigned i = 0; i < count; i++) {
		expect(s, ids[i], i);
		assert_in_range(spool_find(s, ids[i])->attempts, 99, 100);
	}
	for (unsigned i = 0; i < count; i++)
		finish(s, ids[i]);
	work_flush(s);
	put(s, 4);
	assert_int_equal(report_count, 0);
	spool_close(s);
}

/* The disk is full before the budget is: nothing is lost, and outcomes still fit. */
static void test_disk_full(void **state)
{
	struct spool *s = fresh();
	struct spool_writer w = { 0 };
	static uint64_t ids[1000];
	unsigned count = 0;

	(void)state;
	disk.room = disk_used() + (1u << 20);
	while (work_write(s, &w, count) == 0) {
		work_flush(s);
		assert_non_null(spool_committed(s));
		ids[count++] = w.id;
	}
	spool_abort(s, &w);
	assert_int_equal(spool_begin(s, &w, 600000), -ENOSPC);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(spool_outcome(s, ids[i], SLICE_OF("PP"), WALL, 0, SLICE_OF("")), 0);
	work_flush(s);
	s = killed(s);
	for (unsigned i = 0; i < count; i++) {
		expect(s, ids[i], i);
		finish(s, ids[i]);
	}
	spool_close(s);
}

static void test_full_at_start(void **state)
{
	struct spool_settings st;
	struct fault f = { "", 0 };
	struct spool *s;

	(void)state;
	disk_clear();
	disk.room = 600000;
	work_settings(&st, NULL, NULL);
	assert_true(spool_open(&st, WALL, 0, &s, &f) < 0);
	assert_int_equal(f.status, STATUS_TEMPORARY);
	assert_null(s);
}

/*
 * Each octet of a segment in turn is changed (a stride that meets every kind of place): no other message is
 * touched, none appears twice or changed.
 */
static void test_damage(void **state)
{
	struct spool *s = fresh();
	struct disk_file *g;
	uint64_t ids[12], size;

	(void)state;
	for (unsigned n = 0; n < 12; n++)
		ids[n] = put(s, n % 4);
	finish(s, ids[2]);
	spool_outcome(s, ids[3], SLICE_OF("DP"), WALL, 0, SLICE_OF("450"));
	work_flush(s);
	spool_close(s);
	g = disk_named("seg-0000");
	for (size = g->size; size > 0 && g->now[size - 1] == 0; size--)
		;
	assert_true(size > 20000);
	for (uint64_t at = 0; at < size; at += at < 200 ? 1 : 61) {
		unsigned lost = 0;

		report_count = 0;
		g->now[at] ^= 0x41;
		s = reopen_at(NULL, WALL, 0);
		for (unsigned n = 0; n < 12; n++) {
			unsigned found;

			if (n == 2)
				continue;
			if (!spool_find(s, ids[n]) || work_check(s, ids[n], &found) != 0)
				lost++;
			else
				assert_int_equal(found, n % 4);
		}
		assert_true(lost <= 1);
		assert_true(lost == 0 || report_count > 0);
		disk.frozen = true;
		spool_close(s);
		disk.frozen = false;
		g->now[at] ^= 0x41;
	}
}

static int open_fault(struct fault *f)
{
	struct spool_settings st;
	struct spool *s;
	int error;

	*f = (struct fault){ "", 0 };
	work_settings(&st, NULL, NULL);
	error = spool_open(&st, WALL, 0, &s, f);
	spool_close(s);
	return error;
}

static void set32(uint8_t *at, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> 8 * i);
}

static void test_refused(void **state)
{
	struct segment_head newer = { SPOOL_VERSION + 1, 512u << 10, 1, 1 };
	uint8_t head[SEGMENT_HEAD], other[SEGMENT_HEAD];
	struct spool *s = fresh();
	struct fault f;
	uint8_t *at;

	(void)state;
	put(s, 1);
	spool_close(s);
	disk.locked = true;
	assert_true(open_fault(&f) < 0);
	assert_int_equal(f.status, STATUS_TEMPORARY);
	disk.locked = false;
	at = disk_named("seg-0000")->now;
	memcpy(head, at, sizeof(head));
	at[12] = 2;
	assert_int_equal(open_fault(&f), 0);	/* a damaged header is no newer format */
	segment_head_encode(&newer, other);
	memcpy(at, other, sizeof(other));
	assert_true(open_fault(&f) < 0);
	assert_int_equal(f.status, STATUS_CONFIG);
	memcpy(at, head, sizeof(head));
	set32(at + 8, 0x04030201);
	assert_true(open_fault(&f) < 0);
	assert_int_equal(f.status, STATUS_CONFIG);
	disk_clear();
}

static void test_system(void **state)
{
	char path[] = "/tmp/test-spool-XXXXXX";
	struct spool_settings st = { .path = path, .size = WORK_SIZE };
	struct fault f = { "", 0 };
	struct spool *s, *second;
	int status;
	pid_t pid;

	(void)state;
	assert_non_null(mkdtemp(path));
	assert_int_equal(spool_open(&st, WALL, 0, &s, &f), 0);
	pid = fork();
	if (pid == 0)
		_exit(spool_open(&st, WALL, 0, &second, &f) < 0 ? f.status : 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), STATUS_TEMPORARY);
	for (unsigned n = 0; n < 5; n++) {
		struct spool_writer w = { 0 };
		int fd;

		assert_int_equal(work_write(s, &w, n), 0);
		while ((fd = spool_flush_begin(s)) >= 0)
			spool_flush_end(s, spool_files_system()->fdatasync(fd));
		assert_ptr_equal(spool_committed(s), &w);
		assert_int_equal(w.result, 0);
	}
	spool_close(s);
	assert_int_equal(spool_open(&st, WALL, 0, &s, &f), 0);
	assert_int_equal(spool_count(s), 5);
	for (const struct spool_entry *e = spool_next(s, 0); e; e = spool_next(s, e->id)) {
		unsigned n;

		assert_int_equal(work_check(s, e->id, &n), 0);
	}
	spool_close(s);
	for (unsigned i = 0; i < 40; i++) {
		char name[64];

		snprintf(name, sizeof(name), "%s/seg-%04u", path, i);
		unlink(name);
		snprintf(name, sizeof(name), "%s/lock", path);
		unlink(name);
	}
	assert_int_equal(rmdir(path), 0);
	assert_true(spool_open(&st, WALL, 0, &s, &f) < 0);
	assert_int_equal(f.status, STATUS_CONFIG);
	st.size = 1;
	f = (struct fault){ "", 0 };
	assert_true(spool_open(&st, WALL, 0, &s, &f) < 0);
	assert_int_equal(f.status, STATUS_CONFIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_survives),
		cmocka_unit_test(test_not_flushed_is_not_there),
		cmocka_unit_test(test_committed_during_a_flush),
		cmocka_unit_test(test_failed_flush),
		cmocka_unit_test(test_interleaved),
		cmocka_unit_test(test_extents),
		cmocka_unit_test(test_outcomes),
		cmocka_unit_test(test_clock),
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_descriptors),
		cmocka_unit_test(test_written_ahead),
		cmocka_unit_test(test_goes_round),
		cmocka_unit_test(test_hanging_delivery),
		cmocka_unit_test(test_damaged_delivery),
		cmocka_unit_test(test_budget),
		cmocka_unit_test(test_disk_full),
		cmocka_unit_test(test_full_at_start),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_system),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
