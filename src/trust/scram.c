#include "trust/scram.h"

#include "base/base64.h"
#include "base/secret.h"

static struct slice octets(const uint8_t *at, size_t len)
{
	return slice_bytes((const char *)at, len);
}

static bool read_key(struct slice text, uint8_t out[DIGEST_SHA256_SIZE])
{
	size_t len;

	return base64_decode(text, out, DIGEST_SHA256_SIZE, &len) && len == DIGEST_SHA256_SIZE;
}

bool scram_parse(struct slice text, struct trust_scram *s)
{
	struct slice iterations, salt, stored, server;
	uint64_t value;
	size_t len;

	if (!slice_cut(&text, ',', &iterations) || !slice_cut(&text, ',', &salt) ||
	    !slice_cut(&text, ',', &stored) || !slice_cut(&text, ',', &server) || text.at)
		return false;
	if (!slice_number(iterations, SCRAM_ITERATIONS_MAX, &value) || value < SCRAM_ITERATIONS_MIN)
		return false;
	if (!base64_decode(salt, s->salt, sizeof(s->salt), &len) || len == 0)
		return false;
	s->iterations = (uint32_t)value;
	s->salt_len = (uint8_t)len;
	return read_key(stored, s->stored) && read_key(server, s->server);
}

bool scram_write(struct buffer *out, const struct trust_scram *s)
{
	return buffer_putf(out, "%lu,", (unsigned long)s->iterations) &&
	       base64_encode(out, octets(s->salt, s->salt_len)) && buffer_put_text(out, ",") &&
	       base64_encode(out, octets(s->stored, sizeof(s->stored))) &&
	       buffer_put_text(out, ",") &&
	       base64_encode(out, octets(s->server, sizeof(s->server)));
}

static const struct slice client = SLICE("Client Key"), server = SLICE("Server Key");

/* RFC 5802 section 3: StoredKey := H(HMAC(SaltedPassword, "Client Key")), ServerKey likewise. */
bool scram_derive(struct trust_scram *s, struct slice password)
{
	uint8_t salted[DIGEST_SHA256_SIZE], key[DIGEST_SHA256_SIZE];
	bool ok;

	ok = digest_pbkdf2(password, octets(s->salt, s->salt_len), s->iterations, salted) &&
	     digest_hmac(DIGEST_SHA256, octets(salted, sizeof(salted)), client, key) &&
	     digest_hash(DIGEST_SHA256, octets(key, sizeof(key)), s->stored) &&
	     digest_hmac(DIGEST_SHA256, octets(salted, sizeof(salted)), server, s->server);
	secret_wipe(salted, sizeof(salted));
	secret_wipe(key, sizeof(key));
	return ok;
}

bool scram_check(const struct trust_scram *s, struct slice password)
{
	struct trust_scram typed = *s;
	bool right = scram_derive(&typed, password) &&
		     secret_equal(typed.stored, s->stored, sizeof(s->stored));

	secret_wipe(&typed, sizeof(typed));
	return right;
}

bool scram_prove(const uint8_t salted[DIGEST_SHA256_SIZE], struct slice message, uint8_t proof[DIGEST_SHA256_SIZE],
		 uint8_t signature[DIGEST_SHA256_SIZE])
{
	struct slice password = octets(salted, DIGEST_SHA256_SIZE);
	uint8_t key[DIGEST_SHA256_SIZE], stored[DIGEST_SHA256_SIZE];
	bool ok;

	ok = digest_hmac(DIGEST_SHA256, password, server, key) &&
	     digest_hmac(DIGEST_SHA256, octets(key, sizeof(key)), message, signature) &&
	     digest_hmac(DIGEST_SHA256, password, client, key) &&
	     digest_hash(DIGEST_SHA256, octets(key, sizeof(key)), stored) &&
	     digest_hmac(DIGEST_SHA256, octets(stored, sizeof(stored)), message, proof);
	for (size_t i = 0; ok && i < sizeof(key); i++)
		proof[i] ^= key[i];
	secret_wipe(key, sizeof(key));
	secret_wipe(stored, sizeof(stored));
	return ok;
}
