#include "audit_fixture.h"

#include <errno.h>
#include <sys/stat.h>

#include "manager/resume.h"

static const struct slice head = SLICE("file version=1 key=k7 first=1 before=" CHAIN_BEGINS);

static uint64_t size_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return (uint64_t)st.st_size;
}

static void test_nothing_yet(void **state)
{
	struct resume r;

	(void)state;
	assert_int_equal(resume_find("audit", &r), 0);
	assert_int_equal(r.newest, RESUME_NONE);
	assert_int_equal(r.chain.number, 0);
	assert_string_equal(r.chain.link, CHAIN_BEGINS);
	add_octets("audit", SLICE_OF(""));
	assert_int_equal(resume_find("audit", &r), 0);
	assert_int_equal(r.newest, RESUME_NONE);
}

/* What a power cut may leave behind the last line: it goes on there, and says how much is torn. */
static void test_torn(void **state)
{
	static const struct {
		const char *what;
		struct slice octets;
		size_t zeros;		/* behind them: blocks of the file that were never written */
		bool lf;		/* and an LF */
	} rows[] = {
		{ "nothing", SLICE(""), 0, false },
		{ "half a line", SLICE("2026-11-22T01:00:00Z 4 mess"), 0, false },
		{ "a line of somebody else", SLICE("what is this\n"), 0, true },
		{ "zeros", SLICE(""), 4096, false },
		{ "half a line, zeros, LF", SLICE("2026-11-22T01:00"), 5000, true },
		{ "more than is looked at first", SLICE("x"), 200000, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		uint64_t good, whole;
		struct resume r;

		begin_audit(state);
		add_line("audit", head);
		add_line("audit", SLICE_OF("message id=B1"));
		add_line("audit", SLICE_OF("message id=B2"));
		good = size_of("audit");
		add_octets("audit", rows[i].octets);
		if (rows[i].zeros)
			add_many("audit", '\0', rows[i].zeros);
		if (rows[i].zeros && rows[i].lf)
			add_octets("audit", SLICE_OF("\n"));
		whole = size_of("audit");
		assert_int_equal(resume_find("audit", &r), 0);
		if (r.chain.number != 3 || r.size != good || r.torn != whole - good || r.newest != 0)
			fail_msg("%s: number %u, size %u, torn %u", rows[i].what, (unsigned)r.chain.number, (unsigned)r.size, (unsigned)r.torn);
		assert_string_equal(r.chain.link, audit_chain.link);
		assert_string_equal(r.key, "k7");
		assert_int_equal(r.ends_in_lf, whole == good || rows[i].lf);
	}
}

/* Power went between the rotation and the first line of the new file. */
static void test_rotated_just_now(void **state)
{
	struct resume r;

	(void)state;
	add_line("audit", head);
	add_line("audit", SLICE_OF("message id=B1"));
	assert_int_equal(rotation_shift("audit", 2), 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(resume_find("audit", &r), 0);
		assert_int_equal(r.newest, 1);
		assert_int_equal(r.chain.number, 2);
		if (i == 0)
			add_octets("audit", SLICE_OF(""));
		else
			add_many("audit", '\0', 100);
	}
}

/* Nothing is ever put behind a file that is somebody else's. */
static void test_foreign(void **state)
{
	static const struct slice rows[] = {
		SLICE("hello\n"), SLICE("[server]\nhostname = x\n"), SLICE("\n"),
		SLICE("2026-11-22T01:00:00Z 1 message id=B1 chain=AAAAAAAAAAAAAAAAAAAAAAA\n"),
	};
	struct resume r;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		begin_audit(state);
		add_octets("audit", rows[i]);
		assert_int_equal(resume_find("audit", &r), -EINVAL);
	}
	begin_audit(state);
	add_many("audit", 'x', CHAIN_LINE_MAX);
	assert_int_equal(resume_find("audit", &r), -EINVAL);
	begin_audit(state);
	assert_int_equal(symlink("/dev/null", "audit"), 0);
	assert_true(resume_find("audit", &r) < 0);
}

/* A log of the gate's that isn't ours from its first line on: the key isn't known, and its numbers go on. */
static void test_without_a_head(void **state)
{
	struct resume r;

	(void)state;
	add_line("audit", SLICE_OF("message id=B1"));
	assert_int_equal(resume_find("audit", &r), 0);
	assert_int_equal(r.chain.number, 1);
	assert_string_equal(r.key, "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_nothing_yet, begin_audit),
		cmocka_unit_test_setup(test_torn, begin_audit),
		cmocka_unit_test_setup(test_rotated_just_now, begin_audit),
		cmocka_unit_test_setup(test_foreign, begin_audit),
		cmocka_unit_test_setup(test_without_a_head, begin_audit),
	};

	return cmocka_run_group_tests_name("manager_resume", tests, enter_audit, leave_audit);
}
