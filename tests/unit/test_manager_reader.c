#include "audit_fixture.h"

#include "manager/reader.h"

static struct reader reader;

/* The numbers that come from `least` on, and no more. */
static void numbers(uint64_t least, const char *expected)
{
	struct chain_line line;
	struct buffer got;
	char memory[256];
	int result;

	buffer_init(&got, memory, sizeof(memory));
	while ((result = reader_next(&reader, least, &line)) == 1) {
		buffer_putf(&got, "%u ", (unsigned)line.number);
		least = line.number + 1;
	}
	assert_int_equal(result, 0);
	buffer_put(&got, slice_bytes("", 1));
	assert_string_equal(memory, expected);
}

static void add(const char *path, unsigned count)
{
	while (count--)
		add_line(path, SLICE_OF("message id=B1"));
}

static int open_reader(void **state)
{
	reader_open(&reader, "audit", 3);
	return begin_audit(state);
}

static int close_reader(void **state)
{
	(void)state;
	reader_close(&reader);
	return 0;
}

static void test_as_it_grows(void **state)
{
	(void)state;
	numbers(1, "");
	add("audit", 2);
	numbers(1, "1 2 ");
	numbers(3, "");
	add("audit", 1);
	numbers(3, "3 ");
	reader_close(&reader);
	numbers(2, "2 3 ");
}

/* A line that is being written is none yet. */
static void test_half_a_line(void **state)
{
	struct slice whole;

	(void)state;
	add("audit", 1);
	whole = audit_line(SLICE_OF("message id=B2"));
	add_octets("audit", slice_first(whole, 30));
	numbers(1, "1 ");
	add_octets("audit", slice_skip(whole, 30));
	numbers(2, "2 ");
}

static void test_what_is_no_line(void **state)
{
	static const struct {
		char octet;
		size_t count;
	} junk[] = {
		{ '\0', 40 }, { '\n', 3 }, { 'x', CHAIN_LINE_MAX }, { 'x', READER_ROOM - 1 }, { 'x', READER_ROOM }, { 'x', READER_ROOM + 1 },
		{ 'x', 3 * READER_ROOM },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(junk) / sizeof(*junk); i++) {
		begin_audit(state);
		reader_close(&reader);
		add("audit", 1);
		add_many("audit", junk[i].octet, junk[i].count);
		add_octets("audit", SLICE_OF("\n"));
		add("audit", 1);
		numbers(1, "1 2 ");
	}
}

/* The end of a line that is too long is no line either, however well it reads. */
static void test_end_of_a_long_line(void **state)
{
	struct slice line;

	(void)state;
	add("audit", 1);
	for (size_t before = READER_ROOM - 400; before < READER_ROOM + 400; before += 50) {
		add_many("audit", 'x', before);
		line = audit_line(SLICE_OF("message id=B2"));
		add_octets("audit", line);
		audit_chain.number--;
	}
	add("audit", 1);
	numbers(1, "1 2 ");
}

static void test_rotation(void **state)
{
	(void)state;
	add("audit", 3);
	numbers(1, "1 2 3 ");
	add("audit", 1);
	assert_int_equal(rotation_shift("audit", 3), 0);
	numbers(4, "4 ");			/* the last ones of the old file, while there is no new one */
	add("audit", 2);
	numbers(5, "5 6 ");
	assert_int_equal(rotation_shift("audit", 3), 0);
	add("audit", 1);
	reader_close(&reader);
	numbers(1, "1 2 3 4 5 6 7 ");
	reader_close(&reader);
	numbers(4, "4 5 6 7 ");
	reader_close(&reader);
	numbers(7, "7 ");
	reader_close(&reader);
	numbers(8, "");
}

/* What is gone shows as a jump. */
static void test_rotated_away(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		add("audit", 1);
		assert_int_equal(rotation_shift("audit", 3), 0);
	}
	add("audit", 1);
	numbers(1, "4 5 6 7 ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_as_it_grows, open_reader, close_reader),
		cmocka_unit_test_setup_teardown(test_half_a_line, open_reader, close_reader),
		cmocka_unit_test_setup_teardown(test_what_is_no_line, open_reader, close_reader),
		cmocka_unit_test_setup_teardown(test_end_of_a_long_line, open_reader, close_reader),
		cmocka_unit_test_setup_teardown(test_rotation, open_reader, close_reader),
		cmocka_unit_test_setup_teardown(test_rotated_away, open_reader, close_reader),
	};

	return cmocka_run_group_tests_name("manager_reader", tests, enter_audit, leave_audit);
}
