#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "feature.h"
#include "manager/mend.h"

#define WALL	INT64_C(1795000000)

static struct chain_key key;
static char directory[] = "/tmp/test-mend-XXXXXX";

/* Lines up to `last`, at the end of `name`; octets of it. */
static size_t put(const char *name, struct chain *c, uint64_t last, const char *key_id)
{
	static char memory[1 << 20];
	struct buffer out;
	FILE *f = fopen(name, "a");
	long size;

	buffer_init(&out, memory, sizeof(memory));
	while (c->number < last) {
		char record[64];

		snprintf(record, sizeof(record), "file version=1 key=%s before=%s", key_id, c->link);
		assert_true(chain_put(c, &key, WALL, 0, key_id ? slice_of(record) : SLICE_OF("refused at=mail"), &out));
		key_id = NULL;
	}
	assert_int_equal(fwrite(memory, 1, buffer_length(&out), f), buffer_length(&out));
	fseek(f, 0, SEEK_END);	/* with nothing to add, where one is depends on the libc */
	size = ftell(f);
	fclose(f);
	return (size_t)size;
}

static size_t load(const char *name, char *memory, size_t size)
{
	int fd = open(name, O_RDONLY);
	ssize_t n = read(fd, memory, size);

	close(fd);
	return n < 0 ? 0 : (size_t)n;
}

static void spoil(const char *name, off_t at, const char *octets, size_t len)
{
	int fd = open(name, O_WRONLY);

	assert_int_equal(pwrite(fd, octets, len, at), len);
	close(fd);
}

static int run(struct mend *m, unsigned n, uint64_t kept)
{
	int result = mend_begin(m, "log", n, kept, &key);

	while (!result)
		result = mend_step(m);
	return result;
}

static void end(struct mend *m, bool is_last)
{
	int fd = mend_take(m, is_last);

	assert_true(fd >= 0);
	close(fd);
	assert_false(mend_was_on("log"));
}

static void test_as_it_was(void **state)
{
	static char before[1 << 20], after[1 << 20];
	struct chain c;
	struct mend m;
	size_t size;

	(void)state;
	unlink("log");
	chain_begin(&c);
	put("log", &c, 5000, "none");		/* several pieces */
	assert_int_equal(run(&m, 0, 4000), 1);
	assert_int_equal(m.good.number, 5000);
	assert_int_equal(m.rewritten, 1000);
	assert_true(mend_was_on("log"));
	put("log", &c, 5010, NULL);		/* it has grown meanwhile */
	assert_int_equal(mend_step(&m), 1);
	assert_int_equal(m.good.number, 5010);
	assert_string_equal(m.good.link, c.link);
	size = load("log", before, sizeof(before));
	assert_int_equal(m.at, size);
	end(&m, false);
	assert_int_equal(load("log", after, sizeof(after)), size);
	assert_memory_equal(before, after, size);
	/* Given up. */
	assert_int_equal(run(&m, 0, 4000), 1);
	mend_drop(&m);
	assert_true(mend_was_on("log"));
	assert_int_equal(load("log.mend", after, sizeof(after)), 0);
	assert_int_equal(load("log", after, sizeof(after)), size);
	assert_int_equal(run(&m, 1, 1), -ENOENT);
	assert_false(mend_is_on(&m));
	unlink("log.mend");
}

/* What is read back isn't what was written: it ends with the last line that is. */
static void test_damaged(void **state)
{
	static const struct { uint64_t at, last; const char *octets; size_t len; const char *key; uint64_t good; } rows[] = {
		{ 1500, 2000, "\0\0\0\0\0\0\0\0", 8, "none", 1500 },	/* in the middle, its LF too */
		{ 1500, 2000, "2026-11-22T01:00:00Z 9", 22, "none", 1500 },
		{ 2000, 2000, "", 0, "none", 2000 },
		{ 900, 2000, "\0\0\0", 3, "none", 2000 },		/* what is on disk isn't looked at */
		{ 1500, 2000, "2", 1, "another", 2000 },		/* without the key only the numbers are */
	};
	static char memory[1 << 20];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct chain c;
		struct mend m;
		size_t good, size;

		unlink("log");
		chain_begin(&c);
		good = put("log", &c, rows[i].at, rows[i].key);
		size = put("log", &c, rows[i].last, NULL);
		spoil("log", (off_t)good, rows[i].octets, rows[i].len);
		assert_int_equal(run(&m, 0, 1000), 1);
		if (m.good.number != rows[i].good)
			fail_msg("row %zu: %u", i, (unsigned)m.good.number);
		end(&m, true);
		assert_int_equal(load("log", memory, sizeof(memory)), rows[i].good == 2000 ? size : good);
	}
}

/* Behind the last line there may be octets of none. */
static void test_the_end(void **state)
{
	static char memory[1 << 20], zeros[70000];
	struct chain c;
	struct mend m;
	size_t good;

	(void)state;
	unlink("log");
	chain_begin(&c);
	good = put("log", &c, 20, "none");
	spoil("log", (off_t)good, zeros, sizeof(zeros));
	assert_int_equal(run(&m, 0, 10), 1);
	assert_int_equal(m.good.number, 20);
	end(&m, true);
	assert_int_equal(load("log", memory, sizeof(memory)), good);
	/* As after a power cut: a torn line, ended, and lines behind it that go on. Nothing is known of what is kept. */
	spoil("log", (off_t)good, "2026-11-\n", 9);
	good = put("log", &c, 25, NULL);
	assert_int_equal(run(&m, 0, 0), 1);
	assert_int_equal(m.good.number, 25);
	assert_int_equal(m.rewritten, 25);
	end(&m, true);
	assert_int_equal(load("log", memory, sizeof(memory)), good);
}

static void test_where(void **state)
{
	static const struct { uint64_t number; unsigned n; } rows[] = {
		{ 0, 0 }, { 1, 2 }, { 10, 2 }, { 11, 1 }, { 20, 1 }, { 21, 0 }, { 99, 0 },
	};
	struct chain c;

	(void)state;
	unlink("log");
	chain_begin(&c);
	put("log.2", &c, 10, "none");
	put("log.1", &c, 20, "none");
	put("log", &c, 30, "none");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(mend_where("log", 4, rows[i].number), rows[i].n);
	assert_int_equal(mend_where("log", 1, 5), 0);
	assert_int_equal(mend_first("log", 1), 11);
	assert_int_equal(mend_first("log", 3), 0);
	unlink("log.1");
	unlink("log.2");
}

static int enter(void **state)
{
	(void)state;
	return !chain_key_of(NULL, 0, &key) || !mkdtemp(directory) || chdir(directory) < 0;
}

static int leave(void **state)
{
	(void)state;
	unlink("log");
	unlink("log.mend");
	return chdir("/") < 0 || rmdir(directory) < 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		unit_test_of(CONFIG_AUDIT, test_as_it_was), unit_test_of(CONFIG_AUDIT, test_damaged),
		unit_test_of(CONFIG_AUDIT, test_the_end), unit_test_of(CONFIG_AUDIT, test_where),
	};

	return cmocka_run_group_tests_name("manager_mend", tests, enter, leave);
}
