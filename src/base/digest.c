/* MD5's state is read and set for half-way HMACs; mbedTLS 3 has no accessor for it. */
#define MBEDTLS_ALLOW_PRIVATE_ACCESS

#include "base/digest.h"

#include <stdlib.h>
#include <string.h>

#include <mbedtls/md.h>
#include <mbedtls/md5.h>
#include <mbedtls/version.h>

#include "base/secret.h"

#if MBEDTLS_VERSION_NUMBER < 0x03000000
#define mbedtls_md5_starts mbedtls_md5_starts_ret
#define mbedtls_md5_update mbedtls_md5_update_ret
#define mbedtls_md5_finish mbedtls_md5_finish_ret
#endif

#define MD5_BLOCK_SIZE 64

static const struct {
	mbedtls_md_type_t type;
	size_t size;
} kinds[] = {
	[DIGEST_MD5] = { MBEDTLS_MD_MD5, DIGEST_MD5_SIZE },
	[DIGEST_SHA1] = { MBEDTLS_MD_SHA1, 20 },
	[DIGEST_SHA256] = { MBEDTLS_MD_SHA256, DIGEST_SHA256_SIZE },
};

static const mbedtls_md_info_t *info_of(enum digest kind)
{
	return mbedtls_md_info_from_type(kinds[kind].type);
}

/* mbedTLS takes octets, and never a null pointer even for none of them. */
static const unsigned char *octets(struct slice s)
{
	return (const unsigned char *)(s.at ? s.at : "");
}

size_t digest_size(enum digest kind)
{
	return kinds[kind].size;
}

bool digest_hash(enum digest kind, struct slice data, uint8_t *out)
{
	const mbedtls_md_info_t *info = info_of(kind);

	return info && mbedtls_md(info, octets(data), data.len, out) == 0;
}

struct digest_run {
	mbedtls_md_context_t md;
	bool failed;		/* remembered until digest_finish */
};

struct digest_run *digest_start(enum digest kind)
{
	const mbedtls_md_info_t *info = info_of(kind);
	struct digest_run *run = info ? calloc(1, sizeof(*run)) : NULL;

	if (!run)
		return NULL;
	mbedtls_md_init(&run->md);
	if (mbedtls_md_setup(&run->md, info, 0) == 0 && mbedtls_md_starts(&run->md) == 0)
		return run;
	digest_drop(run);
	return NULL;
}

bool digest_add(struct digest_run *run, struct slice data)
{
	if (!run)
		return false;
	run->failed |= mbedtls_md_update(&run->md, octets(data), data.len) != 0;
	return !run->failed;
}

bool digest_finish(struct digest_run *run, uint8_t *out)
{
	bool good = run && mbedtls_md_finish(&run->md, out) == 0 && !run->failed;

	digest_drop(run);
	return good;
}

void digest_drop(struct digest_run *run)
{
	if (!run)
		return;
	mbedtls_md_free(&run->md);
	free(run);
}

bool digest_hmac(enum digest kind, struct slice key, struct slice data, uint8_t *out)
{
	const mbedtls_md_info_t *info = info_of(kind);

	return info &&
	       mbedtls_md_hmac(info, octets(key), key.len, octets(data), data.len, out) == 0;
}

/* U1 = HMAC(password, salt, INT(1)): RFC 8018 section 5.2. */
static bool first_round(mbedtls_md_context_t *hmac, struct slice password, struct slice salt,
			uint8_t *u)
{
	static const unsigned char block_number[4] = { 0, 0, 0, 1 };

	return mbedtls_md_hmac_starts(hmac, octets(password), password.len) == 0 &&
	       mbedtls_md_hmac_update(hmac, octets(salt), salt.len) == 0 &&
	       mbedtls_md_hmac_update(hmac, block_number, sizeof(block_number)) == 0 &&
	       mbedtls_md_hmac_finish(hmac, u) == 0;
}

static bool next_round(mbedtls_md_context_t *hmac, uint8_t *u)
{
	return mbedtls_md_hmac_reset(hmac) == 0 &&
	       mbedtls_md_hmac_update(hmac, u, DIGEST_SHA256_SIZE) == 0 &&
	       mbedtls_md_hmac_finish(hmac, u) == 0;
}

static bool all_rounds(mbedtls_md_context_t *hmac, struct slice password, struct slice salt,
		       unsigned iterations, uint8_t *out)
{
	uint8_t u[DIGEST_SHA256_SIZE];
	bool ok = first_round(hmac, password, salt, u);

	memcpy(out, u, sizeof(u));
	for (unsigned i = 1; ok && i < iterations; i++) {
		ok = next_round(hmac, u);
		for (size_t k = 0; k < sizeof(u); k++)
			out[k] ^= u[k];
	}
	secret_wipe(u, sizeof(u));
	return ok;
}

bool digest_pbkdf2(struct slice password, struct slice salt, unsigned iterations,
		   uint8_t out[DIGEST_SHA256_SIZE])
{
	const mbedtls_md_info_t *info = info_of(DIGEST_SHA256);
	mbedtls_md_context_t hmac;
	bool ok;

	if (!info || iterations == 0)
		return false;
	mbedtls_md_init(&hmac);
	ok = mbedtls_md_setup(&hmac, info, 1) == 0 &&
	     all_rounds(&hmac, password, salt, iterations, out);
	mbedtls_md_free(&hmac);
	if (!ok)
		secret_wipe(out, DIGEST_SHA256_SIZE);
	return ok;
}

#if defined(MBEDTLS_MD5_C)

static void put_state(const mbedtls_md5_context *md5, uint8_t *out)
{
	for (size_t i = 0; i < DIGEST_MD5_SIZE; i++)
		out[i] = (uint8_t)(md5->state[i / 4] >> (i % 4 * 8));
}

/* A hash that has taken in one block, the key's. */
static void get_state(mbedtls_md5_context *md5, const uint8_t *in)
{
	memset(md5->state, 0, sizeof(md5->state));
	for (size_t i = 0; i < DIGEST_MD5_SIZE; i++)
		md5->state[i / 4] |= (uint32_t)in[i] << (i % 4 * 8);
	md5->total[0] = MD5_BLOCK_SIZE;
	md5->total[1] = 0;
}

/* The state after the key, padded to a block, each octet changed by `pad` (RFC 2104 section 2). */
static bool key_state(const uint8_t *key, size_t len, uint8_t pad, uint8_t *out)
{
	uint8_t block[MD5_BLOCK_SIZE];
	mbedtls_md5_context md5;
	bool ok;

	for (size_t i = 0; i < sizeof(block); i++)
		block[i] = (i < len ? key[i] : 0) ^ pad;
	mbedtls_md5_init(&md5);
	ok = mbedtls_md5_starts(&md5) == 0 &&
	     mbedtls_md5_update(&md5, block, sizeof(block)) == 0;
	put_state(&md5, out);
	mbedtls_md5_free(&md5);
	secret_wipe(block, sizeof(block));
	return ok;
}

bool digest_cram_context(struct slice password, uint8_t out[DIGEST_CRAM_SIZE])
{
	uint8_t hashed[DIGEST_MD5_SIZE];
	const uint8_t *key = octets(password);
	size_t len = password.len;
	bool ok = true;

	if (len > MD5_BLOCK_SIZE) {
		ok = digest_hash(DIGEST_MD5, password, hashed);
		key = hashed;
		len = sizeof(hashed);
	}
	ok = ok && key_state(key, len, 0x5c, out) &&
	     key_state(key, len, 0x36, out + DIGEST_MD5_SIZE);
	secret_wipe(hashed, sizeof(hashed));
	return ok;
}

static bool finish_from(const uint8_t *state, const uint8_t *data, size_t len, uint8_t *out)
{
	mbedtls_md5_context md5;
	bool ok;

	mbedtls_md5_init(&md5);
	get_state(&md5, state);
	ok = mbedtls_md5_update(&md5, data, len) == 0 && mbedtls_md5_finish(&md5, out) == 0;
	mbedtls_md5_free(&md5);
	return ok;
}

bool digest_cram_finish(const uint8_t context[DIGEST_CRAM_SIZE], struct slice challenge,
			uint8_t out[DIGEST_MD5_SIZE])
{
	const uint8_t *outer = context, *inner = context + DIGEST_MD5_SIZE;
	uint8_t hash[DIGEST_MD5_SIZE];
	bool ok = finish_from(inner, octets(challenge), challenge.len, hash) &&
		  finish_from(outer, hash, sizeof(hash), out);

	secret_wipe(hash, sizeof(hash));
	return ok;
}

#else /* MBEDTLS_MD5_C */

bool digest_cram_context(struct slice password, uint8_t out[DIGEST_CRAM_SIZE])
{
	(void)password;
	(void)out;
	return false;
}

bool digest_cram_finish(const uint8_t context[DIGEST_CRAM_SIZE], struct slice challenge,
			uint8_t out[DIGEST_MD5_SIZE])
{
	(void)context;
	(void)challenge;
	(void)out;
	return false;
}

#endif
