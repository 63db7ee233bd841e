#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "smtp/sasl.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static void names(void **unused)
{
	char memory[64];
	struct buffer out;

	(void)unused;
	assert_int_equal(sasl_find(slice_of("PLAIN")), SASL_PLAIN);
	assert_int_equal(sasl_find(slice_of("login")), SASL_LOGIN);
	assert_int_equal(sasl_find(slice_of("Cram-Md5")), SASL_CRAM_MD5);
	assert_int_equal(sasl_find(slice_of("scram-SHA-256")), SASL_SCRAM_SHA_256);
	assert_int_equal(sasl_find(slice_of("XOAUTH2")), SASL_XOAUTH2);
	assert_int_equal(sasl_find(slice_of("SCRAM-SHA-256-PLUS")), 0);
	assert_int_equal(sasl_find(slice_of("CRAM-MD")), 0);
	assert_int_equal(sasl_find(slice_of("")), 0);
	assert_string_equal(smtp_mechanism_name(SASL_CRAM_MD5), "CRAM-MD5");
	buffer_init(&out, memory, sizeof memory);
	assert_true(sasl_put_names(&out, SASL_CRAM_MD5 | SASL_PLAIN));
	assert_true(slice_equal(buffer_bytes(&out), slice_of(" PLAIN CRAM-MD5")));
	buffer_init(&out, memory, 5);
	assert_false(sasl_put_names(&out, SASL_PLAIN));
}

static void plain(void **unused)
{
	static const struct {
		struct slice message;
		bool good;
		const char *authzid, *authcid, *password;
	} rows[] = {
		{ SLICE("\0user\0pass"), true, "", "user", "pass" },
		{ SLICE("user\0user\0pass"), true, "user", "user", "pass" },
		{ SLICE("\0us er\0pa ss "), true, "", "us er", "pa ss " },
		{ SLICE("\0\xe3\x81\x82\0\xff"), true, "", "\xe3\x81\x82", "\xff" },
		{ SLICE(""), false, "", "", "" },
		{ SLICE("user"), false, "", "", "" },
		{ SLICE("user\0pass"), false, "", "", "" },
		{ SLICE("\0user\0pass\0"), false, "", "", "" },
		{ SLICE("\0user\0pa\0ss"), false, "", "", "" },
		{ SLICE("\0\0pass"), false, "", "", "" },
		{ SLICE("user\0\0pass"), false, "", "", "" },
		{ SLICE("\0user\0"), false, "", "", "" },
		{ SLICE("\0\0"), false, "", "", "" },
		{ SLICE("\0\0\0"), false, "", "", "" },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct smtp_login login = { .mechanism = SASL_LOGIN };

		assert_int_equal(sasl_plain(rows[i].message, &login), rows[i].good);
		if (!rows[i].good)
			continue;
		assert_int_equal(login.mechanism, SASL_PLAIN);
		assert_true(slice_equal(login.authzid, slice_of(rows[i].authzid)));
		assert_true(slice_equal(login.authcid, slice_of(rows[i].authcid)));
		assert_true(slice_equal(login.password, slice_of(rows[i].password)));
	}
}

static void bounds(void **unused)
{
	char x[PASSWORD_MAX + 1], message[LOGIN_MAX + 8];
	struct smtp_login login;

	(void)unused;
	memset(x, 'x', sizeof x);
	memcpy(message, x, LOGIN_MAX + 1);
	memcpy(message + LOGIN_MAX + 1, "\0u\0p", 4);
	assert_false(sasl_plain(slice_bytes(message, LOGIN_MAX + 5), &login));
	assert_true(sasl_plain(slice_bytes(message + 1, LOGIN_MAX + 4), &login));
	assert_true(sasl_is_identity(slice_bytes(x, LOGIN_MAX)));
	assert_false(sasl_is_identity(slice_bytes(x, LOGIN_MAX + 1)));
	assert_false(sasl_is_identity(slice_of("")));
	assert_true(sasl_login(slice_of("u"), slice_bytes(x, PASSWORD_MAX), &login));
	assert_int_equal(login.mechanism, SASL_LOGIN);
	assert_false(sasl_login(slice_of("u"), slice_bytes(x, PASSWORD_MAX + 1), &login));
	assert_false(sasl_login(slice_of("u"), slice_of(""), &login));
	assert_false(sasl_login(slice_of(""), slice_of("p"), &login));
	assert_false(sasl_login(SLICE_OF("u\0"), slice_of("p"), &login));
	assert_false(sasl_login(slice_of("u"), SLICE_OF("p\0"), &login));
}

static void cram_md5(void **unused)
{
	static const char digest[] = "b913a602c7eda7a495b4e6e7334d3890";
	static const struct {
		struct slice message;
		const char *user;	/* NULL: refused */
	} rows[] = {
		{ SLICE("tim b913a602c7eda7a495b4e6e7334d3890"), "tim" },
		{ SLICE("tim t b913a602c7eda7a495b4e6e7334d3890"), "tim t" },
		{ SLICE("tim  b913a602c7eda7a495b4e6e7334d3890"), "tim " },
		{ SLICE(" b913a602c7eda7a495b4e6e7334d3890"), NULL },
		{ SLICE("b913a602c7eda7a495b4e6e7334d3890"), NULL },
		{ SLICE("timb913a602c7eda7a495b4e6e7334d3890"), NULL },
		{ SLICE("tim B913A602C7EDA7A495B4E6E7334D3890"), NULL },
		{ SLICE("tim b913a602c7eda7a495b4e6e7334d389"), NULL },
		{ SLICE("tim b913a602c7eda7a495b4e6e7334d3890 "), NULL },
		{ SLICE("tim b913a602c7eda7a495b4e6e7334d389g"), NULL },
		{ SLICE("t\0m b913a602c7eda7a495b4e6e7334d3890"), NULL },
		{ SLICE(""), NULL }, { SLICE(" "), NULL },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct smtp_login login = { .mechanism = SASL_PLAIN };

		assert_int_equal(sasl_cram_md5(rows[i].message, &login), rows[i].user != NULL);
		if (!rows[i].user)
			continue;
		assert_int_equal(login.mechanism, SASL_CRAM_MD5);
		assert_true(slice_equal(login.authcid, slice_of(rows[i].user)));
		assert_true(slice_equal(login.response, slice_of(digest)));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names), cmocka_unit_test(plain), cmocka_unit_test(bounds), cmocka_unit_test(cram_md5),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
