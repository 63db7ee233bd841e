/* What people are told to change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "relay/advice.h"

static void test_login(void **state)
{
	static const struct {
		unsigned code;
		const char *words, *advice;
		bool token;
	} rows[] = {
		{ 535, "5.7.8 Error: authentication failed:", "user or password is wrong", false },
		{ 535, "5.7.3 Authentication unsuccessful [TYAPR01CA0001.jpnprd01.prod.outlook.com]", "user or password is wrong", false },
		{ 535, "5.7.139 Authentication unsuccessful, basic authentication is disabled. [x]", "token_command", false },
		{ 535, "5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.", "administrator", false },
		{ 534, "5.7.9 Application-specific password required. For more information, go to", "app password", false },
		{ 534, "5.7.14 <https://accounts.google.com/signin/continue?sarp=1> Please log in", "app password", false },
		{ 535, "5.7.8 Username and Password not accepted.", "user or password is wrong", false },
		{ 535, "5.7.3 Authentication unsuccessful", "the token is refused", true },
		{ 530, "5.7.0 Must issue a STARTTLS command first", "tls = starttls", false },
		{ 538, "encryption required", "tls = starttls", false },
		{ 504, "5.5.4 what", "mechanism", false },
		{ 454, "4.7.0 Temporary authentication failure", "try again later", false },
		{ 0, "no AUTH mechanism is offered that is allowed", "see what ehlo offers", false },
		{ 0, "the server did not prove that it knows our password", "may not be the server", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *said = advice_login(rows[i].code, slice_of(rows[i].words), rows[i].token);

		if (!strstr(said, rows[i].advice))
			fail_msg("%u %s: %s", rows[i].code, rows[i].words, said);
	}
}

static void test_connect(void **state)
{
	(void)state;
	assert_non_null(strstr(advice_connect(SLICE_OF("no such host"), 587), "host"));
	assert_non_null(strstr(advice_connect(SLICE_OF("name lookup: no answer from the name server"), 587), "resolv.conf"));
	assert_non_null(strstr(advice_connect(SLICE_OF("no answer"), 25), "587"));
	assert_non_null(strstr(advice_connect(SLICE_OF("connection refused"), 587), "port"));
	assert_non_null(strstr(advice_connect(SLICE_OF("the address to leave from is not this machine's"), 587), "bind"));
}

static void test_tls(void **state)
{
	struct tls_shown s = { .shown = true, .names = "a.example, b.example", .sha256 = "0123" };
	char out[FAULT_MAX];

	(void)state;
	s.wrong = TLS_WRONG_NAME;
	assert_string_equal(advice_tls(&s, "", out, sizeof(out)), "if the server is the one that is meant: tls_name = a.example");
	assert_non_null(strstr(advice_tls(&s, "pop_", out, sizeof(out)), "pop_tls_name = a.example"));
	s.wrong = TLS_WRONG_CA | TLS_WRONG_NAME;
	assert_non_null(strstr(advice_tls(&s, "", out, sizeof(out)), "tls_pin = 0123"));
	assert_non_null(strstr(advice_tls(&s, "pop_", out, sizeof(out)), "pop_tls_pin = 0123"));
	s.wrong = TLS_WRONG_EXPIRED;
	assert_non_null(strstr(advice_tls(&s, "", out, sizeof(out)), "renew"));
	s.wrong = TLS_NOT_TLS;
	assert_non_null(strstr(advice_tls(&s, "", out, sizeof(out)), "tls = starttls"));
	s.wrong = 0;
	assert_string_equal(advice_tls(&s, "", out, sizeof(out)), "");
	/* Names that end in nothing, or are cut, do no harm. */
	memset(s.names, 'x', sizeof(s.names) - 1);
	s.wrong = TLS_WRONG_NAME;
	assert_non_null(strstr(advice_tls(&s, "", out, sizeof(out)), "tls_name = xxx"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_login), cmocka_unit_test(test_connect), cmocka_unit_test(test_tls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
