#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/crc32.h"
#include "base/lean.h"

/* KiB of code in memory, of the program and all its libraries. */
static unsigned long code(void)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	char line[512];
	unsigned long total = 0, n;
	int in_code = 0;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (strstr(line, " r-xp "))
			in_code = strstr(line, ".so") != NULL || strstr(line, "test_base_lean") != NULL;
		else if (strstr(line, " r--p ") || strstr(line, " rw-p ") || strstr(line, " ---p "))
			in_code = 0;
		else if (in_code && sscanf(line, "Rss: %lu kB", &n) == 1)
			total += n;
	}
	fclose(f);
	return total;
}

static const char *const relocated[] = { "one", "two", "three" };

static void gives_back(void **unused)
{
	uint32_t before = crc32c_tables(0, slice_of("123456789"));
	unsigned long had = code(), has;

	(void)unused;
	lean_code();
	has = code();
	assert_true(had > 0);
	assert_true(has < had);
	assert_int_equal(crc32c_tables(0, slice_of("123456789")), before);
	for (size_t i = 0; i < 3; i++)
		assert_true(relocated[i][0] != '\0');
	lean_code();
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(gives_back) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
