#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/digest.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static void assert_hex(const uint8_t *octets, size_t len, const char *hex)
{
	static const char digits[] = "0123456789abcdef";
	char text[2 * 64 + 1];

	assert_true(len <= 64);
	for (size_t i = 0; i < len; i++) {
		text[2 * i] = digits[octets[i] >> 4];
		text[2 * i + 1] = digits[octets[i] & 15];
	}
	text[2 * len] = '\0';
	assert_string_equal(text, hex);
}

static void hashes(void **unused)
{
	static const struct {
		enum digest kind;
		const char *data, *hex;
	} rows[] = {
		/* RFC 1321 A.5, FIPS 180 */
		{ DIGEST_MD5, NULL, "d41d8cd98f00b204e9800998ecf8427e" },
		{ DIGEST_MD5, "abc", "900150983cd24fb0d6963f7d28e17f72" },
		{ DIGEST_SHA1, "abc", "a9993e364706816aba3e25717850c26c9cd0d89d" },
		{ DIGEST_SHA256, NULL,
		  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
		{ DIGEST_SHA256, "abc",
		  "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(rows); i++) {
		uint8_t out[DIGEST_MAX];

		assert_true(digest_hash(rows[i].kind, slice_of(rows[i].data), out));
		assert_hex(out, digest_size(rows[i].kind), rows[i].hex);
	}
}

static void hmacs(void **unused)
{
	static const struct {
		enum digest kind;
		const char *key, *data, *hex;
	} rows[] = {
		/* RFC 2202 and RFC 4231, case 2 */
		{ DIGEST_MD5, "Jefe", "what do ya want for nothing?",
		  "750c783e6ab0b503eaa86e310a5db738" },
		{ DIGEST_SHA1, "Jefe", "what do ya want for nothing?",
		  "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79" },
		{ DIGEST_SHA256, "Jefe", "what do ya want for nothing?",
		  "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" },
		{ DIGEST_SHA256, NULL, NULL,
		  "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad" },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(rows); i++) {
		uint8_t out[DIGEST_MAX];

		assert_true(digest_hmac(rows[i].kind, slice_of(rows[i].key),
					slice_of(rows[i].data), out));
		assert_hex(out, digest_size(rows[i].kind), rows[i].hex);
	}
}

/* base64 W22ZaJ0SNY7soEsUEjb6gQ==, the salt of RFC 7677 section 3 */
static const char salt[] = "\x5b\x6d\x99\x68\x9d\x12\x35\x8e"
			   "\xec\xa0\x4b\x14\x12\x36\xfa\x81";

static void pbkdf2(void **unused)
{
	uint8_t out[DIGEST_SHA256_SIZE];

	(void)unused;
	/* RFC 7914 section 11, its first block */
	assert_true(digest_pbkdf2(slice_of("passwd"), slice_of("salt"), 1, out));
	assert_hex(out, sizeof(out),
		   "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc");
	assert_true(digest_pbkdf2(slice_of("pencil"), slice_bytes(salt, 16), 4096, out));
	assert_hex(out, sizeof(out),
		   "c4a49510323ab4f952cac1fa99441939e78ea74d6be81ddf7096e87513dc615d");
	assert_false(digest_pbkdf2(slice_of("pencil"), slice_of("salt"), 0, out));
}

/* The server's signature of RFC 7677 section 3 comes out of the salted password. */
static void scram(void **unused)
{
	static const char dialogue[] =
		"n=user,r=rOprNGfwEbeRWgbNEkqO,"
		"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
		"s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,"
		"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
	uint8_t salted[DIGEST_SHA256_SIZE], key[DIGEST_SHA256_SIZE], out[DIGEST_SHA256_SIZE];

	(void)unused;
	assert_true(digest_pbkdf2(slice_of("pencil"), slice_bytes(salt, 16), 4096, salted));
	assert_true(digest_hmac(DIGEST_SHA256, slice_bytes((const char *)salted, sizeof(salted)),
				slice_of("Server Key"), key));
	assert_true(digest_hmac(DIGEST_SHA256, slice_bytes((const char *)key, sizeof(key)),
				slice_of(dialogue), out));
	/* v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4= */
	assert_hex(out, sizeof(out),
		   "eabae24d1062db75a9451ff0b6ea7e98c8546549ff741e672d3251b2397de46e");
}

static void cram_as_dovecot_stores_it(void **unused)
{
	uint8_t context[DIGEST_CRAM_SIZE];

	(void)unused;
	/* doveadm pw -s CRAM-MD5 -p password */
	assert_true(digest_cram_context(slice_of("password"), context));
	assert_hex(context, sizeof(context),
		   "9186d855e11eba527a7a52ca82b313e180d62234f0acc9051b527243d41e2740");
}

static void cram_answer(void **unused)
{
	uint8_t context[DIGEST_CRAM_SIZE], out[DIGEST_MD5_SIZE];

	(void)unused;
	/* RFC 2195 section 2 */
	assert_true(digest_cram_context(slice_of("tanstaaftanstaaf"), context));
	assert_true(digest_cram_finish(context,
				       slice_of("<1896.697170952@postoffice.reston.mci.net>"),
				       out));
	assert_hex(out, sizeof(out), "b913a602c7eda7a495b4e6e7334d3890");
}

/* Passwords and challenges of all lengths round MD5's block. */
static void cram_is_hmac(void **unused)
{
	static const size_t lengths[] = { 0, 1, 55, 56, 63, 64, 65, 127, 128, 255 };
	char text[255];

	(void)unused;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)(i * 7 + 200);
	for (size_t i = 0; i < COUNT(lengths); i++) {
		for (size_t k = 0; k < COUNT(lengths); k++) {
			struct slice password = slice_bytes(text, lengths[i]);
			struct slice challenge = slice_bytes(text, lengths[k]);
			uint8_t context[DIGEST_CRAM_SIZE];
			uint8_t got[DIGEST_MD5_SIZE], want[DIGEST_MD5_SIZE];

			assert_true(digest_cram_context(password, context));
			assert_true(digest_cram_finish(context, challenge, got));
			assert_true(digest_hmac(DIGEST_MD5, password, challenge, want));
			assert_memory_equal(got, want, sizeof(want));
		}
	}
}

static void hashes_in_pieces(void **unused)
{
	static const char text[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
	uint8_t whole[DIGEST_SHA256_SIZE], pieces[DIGEST_SHA256_SIZE];
	struct slice all = slice_of(text);

	(void)unused;
	assert_true(digest_hash(DIGEST_SHA256, all, whole));
	assert_hex(whole, sizeof(whole), "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
	for (size_t cut = 0; cut <= all.len; cut++) {
		struct digest_run *run = digest_start(DIGEST_SHA256);

		assert_true(digest_add(run, slice_first(all, cut)));
		assert_true(digest_add(run, slice_skip(all, cut)));
		assert_true(digest_finish(run, pieces));
		assert_memory_equal(pieces, whole, sizeof(whole));
	}
	digest_drop(digest_start(DIGEST_SHA256));
	digest_drop(NULL);
	assert_false(digest_add(NULL, all));
	assert_false(digest_finish(NULL, pieces));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hashes), cmocka_unit_test(hashes_in_pieces), cmocka_unit_test(hmacs), cmocka_unit_test(pbkdf2),
		cmocka_unit_test(scram), cmocka_unit_test(cram_as_dovecot_stores_it),
		cmocka_unit_test(cram_answer), cmocka_unit_test(cram_is_hmac),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
