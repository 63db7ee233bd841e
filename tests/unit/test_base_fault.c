#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/fault.h"

static void first_stays(void **unused)
{
	struct fault f = { .text = "" };

	(void)unused;
	assert_false(fault_is(&f));
	assert_false(fault_at(&f, "/etc/sekimori.ini", 7, "unknown key \"%s\"", "levl"));
	assert_true(fault_is(&f));
	assert_string_equal(f.text, "/etc/sekimori.ini:7: unknown key \"levl\"");
	assert_int_equal(f.status, STATUS_CONFIG);
	assert_false(fault_set(&f, STATUS_TEMPORARY, "other"));
	assert_false(fault_at(&f, "x", 1, "other"));
	assert_string_equal(f.text, "/etc/sekimori.ini:7: unknown key \"levl\"");
	assert_int_equal(f.status, STATUS_CONFIG);
}

static void one_line(void **unused)
{
	struct fault f = { .text = "" };

	(void)unused;
	assert_false(fault_set(&f, STATUS_DATA, "bad: %s", "a\nb\x1b[2J"));
	assert_string_equal(f.text, "bad: a?b?[2J");
	assert_int_equal(f.status, STATUS_DATA);
}

static void cut(void **unused)
{
	char name[2 * FAULT_MAX];
	struct fault f = { .text = "" }, g = { .text = "" };

	(void)unused;
	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	assert_false(fault_at(&f, name, 1, "what"));
	assert_int_equal(strlen(f.text), FAULT_MAX - 1);
	assert_false(fault_at(&g, "f", 1, "%s", name));
	assert_int_equal(strlen(g.text), FAULT_MAX - 1);
	assert_memory_equal(g.text, "f:1: nn", 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_stays), cmocka_unit_test(one_line), cmocka_unit_test(cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
