#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "command_common.h"

#if CONFIG_SCRAM
#define SCRAM_NAME	", SCRAM-SHA-256"
#else
#define SCRAM_NAME	""
#endif

#if CONFIG_RETURN_JA
#define LANGUAGES	"in Japanese and English"
#else
#define LANGUAGES	"in English"
#endif

static void check_summary(void)
{
	assert_non_null(strstr(said, "listen main: 127.0.0.1:2525, without TLS, login required; passwords without TLS from 127.0.0.0/8, ::1/128\n"));
	assert_non_null(strstr(said, "listen main: [::1]:2525, "));
	assert_non_null(strstr(said, "level 3 (auth=envelope=from): the envelope sender and From: must both be addresses of the account"));
	assert_non_null(strstr(said, "accounts: 3 in accounts, 2 can log in; 1 devices, 1 peers\n"));
	assert_non_null(strstr(said, "relay default: 127.0.0.1, ::1 port 2526, without TLS, login as office by PLAIN, LOGIN, CRAM-MD5" SCRAM_NAME ", up to 4 connections\n"));
	assert_non_null(strstr(said, "spool: spool, at most 64M; messages up to 30M; the directory will be made\n"));
	assert_non_null(strstr(said, "retry after 1m, 5m; given up after 2d\n"));
	assert_non_null(strstr(said, "return mail: from postmaster@test-sample.jp, envelope <>, or its own address where that is refused, " LANGUAGES "\n"));
}

static void test_check(void **state)
{
	(void)state;
	restore();
	assert_int_equal(run(command_check, "", SLICE_OF("")), STATUS_OK);
	assert_string_equal(complained, "");
	assert_non_null(strstr(said, "notice: accounts:3: user2@test-sample.jp has level auth=envelope"));
	assert_non_null(strstr(said, "s.ini is good\n"));
	if (CONFIG_SUMMARY)
		check_summary();
	else
		assert_null(strstr(said, "listen main"));
	assert_null(strstr(said, "geheim"));

	assert_int_equal(write_config("s.ini", 6, "max_sessions = 0\nfoo = 1"), 0);
	assert_int_equal(run(command_check, "", SLICE_OF("")), STATUS_CONFIG);
	assert_string_equal(complained, "sekimori: s.ini:6: max_sessions = 0: must be 1 to 10000\n"
				 "sekimori: s.ini:7: unknown key foo in [server]\n");
	assert_int_equal(run(command_check, "x", SLICE_OF("")), STATUS_USAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check),
	};

	return cmocka_run_group_tests(tests, enter_directory, leave_directory);
}
