/* relay/prove and smtp/proof: SCRAM-SHA-256 with the example of RFC 7677 section 3, and what can't be said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/base64.h"
#include "base/digest.h"
#include "relay/prove.h"
#include "trust/scram.h"

#define USER		SLICE_OF("user")
#define NONCE		SLICE_OF("rOprNGfwEbeRWgbNEkqO")
#define SERVER_FIRST	"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
#define CLIENT_LAST	"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0," \
			"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
#define SERVER_LAST	"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="

static char memory[2 * SMTP_AUTH_LINE_MAX];
static struct buffer out;

static void begin(void)
{
	buffer_init(&out, memory, sizeof(memory));
}

/* What was put, decoded. */
static void assert_said(const char *text, size_t len)
{
	char plain[8192];
	size_t got;

	assert_false(out.overflow);
	assert_true(base64_decode(buffer_bytes(&out), plain, sizeof(plain), &got));
	assert_int_equal(got, len);
	assert_memory_equal(plain, text, len);
	begin();
}

static void the_example(void **unused)
{
	uint8_t salted[DIGEST_SHA256_SIZE], proof[PROOF_KEY_SIZE];
	struct proof_scram s;

	(void)unused;
	begin();
	proof_scram_begin(&s, USER, NONCE);
	proof_scram_put_first(&s, &out);
	assert_said("n,,n=user,r=rOprNGfwEbeRWgbNEkqO", 32);
	assert_null(proof_scram_challenged(&s, slice_of(SERVER_FIRST), NONCE));
	assert_int_equal(s.iterations, 4096);
	assert_true(digest_pbkdf2(slice_of("pencil"), slice_bytes((const char *)s.salt, s.salt_len), s.iterations, salted));
	assert_true(prove_finish(&s, salted, sizeof(salted), proof, s.signature));
	proof_scram_put_last(&s, &out, proof);
	assert_said(CLIENT_LAST, strlen(CLIENT_LAST));
	assert_null(proof_scram_signed(&s, slice_of(SERVER_LAST)));
	s.signature[31] ^= 1;
	assert_non_null(proof_scram_signed(&s, slice_of(SERVER_LAST)));
}

static void an_answer_that_is_none(void **unused)
{
	uint8_t proof[PROOF_KEY_SIZE], signature[PROOF_KEY_SIZE], short_one[4] = { 0 };
	struct proof_scram s;

	(void)unused;
	proof_scram_begin(&s, USER, NONCE);
	assert_false(prove_finish(&s, NULL, 0, proof, signature));
	assert_false(prove_finish(&s, short_one, sizeof(short_one), proof, signature));
}

/* In the daemon: what the helper is asked is what relay_hash understands. */

static struct {
	bool answered;
	uint8_t salted[DIGEST_SHA256_SIZE];
	size_t len;
} heard;

static void hear(void *context, const void *answer, size_t len)
{
	(void)context;
	heard.answered = true;
	heard.len = answer ? len : 0;
	if (answer && len <= sizeof(heard.salted))
		memcpy(heard.salted, answer, len);
}

static void through_the_helper(void **unused)
{
	struct loop *loop = loop_new(8);
	struct helper *h = helper_start(loop, "hash", relay_hash);
	struct proof_scram s;
	uint8_t want[DIGEST_SHA256_SIZE];

	(void)unused;
	assert_non_null(h);
	proof_scram_begin(&s, USER, NONCE);
	assert_null(proof_scram_challenged(&s, slice_of(SERVER_FIRST), NONCE));
	assert_true(prove_ask(h, &s, slice_of("pencil"), hear, NULL));
	for (int i = 0; i < 100 && !heard.answered; i++)
		assert_int_equal(loop_turn(loop), 0);
	assert_int_equal(heard.len, sizeof(want));
	assert_true(digest_pbkdf2(slice_of("pencil"), slice_bytes((const char *)s.salt, s.salt_len), 4096, want));
	assert_memory_equal(heard.salted, want, sizeof(want));
	assert_int_equal(relay_hash("x", 1, -1, memory), 0);
	helper_stop(h);
	loop_free(loop);
}

static void what_can_not_be_said(void **unused)
{
	char longest[3 * LOGIN_MAX];
	struct proof_scram s;

	(void)unused;
	memset(longest, '=', sizeof(longest));
	begin();
	proof_scram_begin(&s, slice_bytes("us\0er", 5), NONCE);
	proof_scram_put_first(&s, &out);
	assert_true(out.overflow);
	begin();
	proof_scram_begin(&s, USER, slice_of(""));
	proof_scram_put_first(&s, &out);
	assert_true(out.overflow);
	begin();
	proof_scram_begin(&s, slice_bytes(longest, LOGIN_MAX), NONCE);
	proof_scram_put_first(&s, &out);
	assert_false(out.overflow);
	begin();
	proof_put_plain(&out, USER, slice_bytes("a\0b", 3));
	assert_true(out.overflow);
	begin();
	proof_put_xoauth2(&out, USER, slice_of("a\1b"));
	assert_true(out.overflow);
	begin();
	proof_put_xoauth2(&out, USER, slice_of(""));
	assert_true(out.overflow);
	begin();
	proof_put_xoauth2(&out, USER, slice_of("ya29.token"));
	assert_said("user=user\1auth=Bearer ya29.token\1\1", proof_xoauth2_length(USER, slice_of("ya29.token")));
}

/* The longest challenge with the longest user still fits the message that is signed. */
static void the_longest(void **unused)
{
	char user[LOGIN_MAX], text[PROOF_SERVER_MAX + 1];
	struct buffer challenge;
	struct proof_scram s;

	(void)unused;
	memset(user, ',', sizeof(user));
	buffer_init(&challenge, text, sizeof(text));
	buffer_put_text(&challenge, "r=nonce");
	while (buffer_length(&challenge) < PROOF_SERVER_MAX - 16)
		buffer_put_text(&challenge, "x");
	buffer_put_text(&challenge, ",s=c2FsdA==,i=4096");
	proof_scram_begin(&s, slice_bytes(user, sizeof(user)), slice_of("nonce"));
	assert_non_null(proof_scram_challenged(&s, buffer_bytes(&challenge), slice_of("nonce")));
	buffer_init(&challenge, text, sizeof(text));
	buffer_put_text(&challenge, "r=nonce");
	while (buffer_length(&challenge) < PROOF_SERVER_MAX - 18)
		buffer_put_text(&challenge, "x");
	buffer_put_text(&challenge, ",s=c2FsdA==,i=4096");
	assert_int_equal(buffer_length(&challenge), PROOF_SERVER_MAX);
	assert_null(proof_scram_challenged(&s, buffer_bytes(&challenge), slice_of("nonce")));
	begin();
	proof_scram_put_last(&s, &out, (const uint8_t *)"01234567890123456789012345678901");
	assert_false(out.overflow);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_example),
		cmocka_unit_test(an_answer_that_is_none),
		cmocka_unit_test(through_the_helper),
		cmocka_unit_test(what_can_not_be_said),
		cmocka_unit_test(the_longest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
