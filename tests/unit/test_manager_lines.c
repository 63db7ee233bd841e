#include "audit_fixture.h"

#include "manager/lines.h"

#define WINDOW	(1u << 20)	/* octets of one read, manager/lines.c */

static char seen[2048];
static size_t seen_len;

/* FILE/LINE@OFFSET:text, `~` for what isn't whole. */
static void note(void *context, const struct lines_place *at, struct slice line)
{
	(void)context;
	seen_len += (size_t)snprintf(seen + seen_len, sizeof(seen) - seen_len, "%u/%u@%u:%.*s%s ", at->file, (unsigned)at->line,
				     (unsigned)at->offset, SLICE_ARGS(slice_first(line, 8)), at->whole ? "" : "~");
	assert_true(seen_len < sizeof(seen));
}

static struct lines *open_lines(void)
{
	struct fault f = { .text = "" };
	struct lines *l = lines_open("audit", &f);

	if (!l)
		fail_msg("%s", f.text);
	return l;
}

static void read_all(struct lines *l, const char *expected)
{
	struct fault f;

	seen_len = 0;
	seen[0] = '\0';
	assert_true(lines_read(l, note, NULL, &f));
	assert_string_equal(seen, expected);
}

static void test_oldest_first(void **state)
{
	struct lines *l;
	char again[3];

	(void)state;
	add_octets("audit.2", SLICE_OF("one\ntwo\n"));
	add_octets("audit.1", SLICE_OF("three\n\n"));
	add_octets("audit", SLICE_OF("four\nfi"));
	l = open_lines();
	assert_int_equal(lines_count(l), 3);
	assert_string_equal(lines_name(l, 0), "audit.2");
	read_all(l, "0/1@0:one 0/2@4:two 1/1@0:three 1/2@6: 2/1@0:four 2/2@5:fi~ ");
	assert_true(lines_again(l, 0, 4, 3, again));
	assert_memory_equal(again, "two", 3);
	assert_false(lines_again(l, 0, 6, 3, again));
	/* The gate goes on meanwhile: what was opened stays what it was. */
	assert_int_equal(rotation_shift("audit", 3), 0);
	add_octets("audit", SLICE_OF("six\n"));
	read_all(l, "0/1@0:one 0/2@4:two 1/1@0:three 1/2@6: 2/1@0:four 2/2@5:fi~ ");
	lines_close(l);
	l = open_lines();
	assert_int_equal(lines_count(l), 4);
	lines_close(l);
}

/* A line that is longer than any of ours comes in pieces, and what is behind it is found. */
static void test_long_line(void **state)
{
	struct lines *l;
	char expected[256];

	(void)state;
	add_octets("audit", SLICE_OF("one\n"));
	add_many("audit", 'x', WINDOW + 10);
	add_octets("audit", SLICE_OF("\ntwo\n"));
	l = open_lines();
	snprintf(expected, sizeof(expected), "0/1@0:one 0/2@4:xxxxxxxx~ 0/2@%u:xxxxxxxx 0/3@%u:two ", WINDOW, 4 + WINDOW + 11);
	read_all(l, expected);
	lines_close(l);
}

static unsigned whole_lines;
static size_t most;

static void measure(void *context, const struct lines_place *at, struct slice line)
{
	(void)context;
	whole_lines += at->whole;
	most = line.len > most ? line.len : most;
}

/* Lines across the ends of what is read at once: none is cut, none is met twice. */
static void test_across_the_window(void **state)
{
	enum { LINE = 997, LINES = 3 * WINDOW / LINE };
	char text[LINE + 1];
	struct lines *l;
	struct fault f;

	(void)state;
	memset(text, 'x', LINE);
	text[LINE] = '\n';
	for (unsigned i = 0; i < LINES; i++)
		add_octets("audit", slice_bytes(text, sizeof(text)));
	l = open_lines();
	assert_true(lines_read(l, measure, NULL, &f));
	assert_int_equal(whole_lines, LINES);
	assert_int_equal(most, LINE);
	lines_close(l);
}

static void test_none(void **state)
{
	struct fault none = { .text = "" }, directory = { .text = "" };

	(void)state;
	assert_null(lines_open("audit", &none));
	assert_int_equal(none.status, STATUS_NO);
	assert_int_equal(symlink("/", "audit"), 0);
	assert_null(lines_open("audit", &directory));
	assert_int_equal(directory.status, STATUS_TEMPORARY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_oldest_first, begin_audit),
		cmocka_unit_test_setup(test_long_line, begin_audit),
		cmocka_unit_test_setup(test_across_the_window, begin_audit),
		cmocka_unit_test_setup(test_none, begin_audit),
	};

	return cmocka_run_group_tests_name("manager_lines", tests, enter_audit, leave_audit);
}
