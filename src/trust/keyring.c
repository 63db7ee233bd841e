#include "trust/keyring.h"

#include <string.h>

#include "base/base64.h"
#include "base/digest.h"
#include "base/secret.h"

#define SECRET_OCTETS	32	/* as many as the hash has: RFC 2104 3 */
#define SEAL_LENGTH	BASE64_LENGTH(DIGEST_SHA256_SIZE)

static bool is_id(struct slice id)
{
	for (size_t i = 0; i < id.len; i++)
		if (!ascii_is_alnum(id.at[i]) && !memchr("-_.", id.at[i], 3))
			return false;
	return id.len > 0 && id.len <= STAMP_KEY_ID_MAX;
}

static bool is_secret(struct slice secret)
{
	for (size_t i = 0; i < secret.len; i++)
		if (!ascii_is_print(secret.at[i]) || secret.at[i] == ' ')
			return false;
	return secret.len >= STAMP_SECRET_MIN && secret.len <= STAMP_SECRET_MAX;
}

static const struct keyring_key *find_key(const struct keyring *ring, struct slice id)
{
	for (unsigned i = 0; i < ring->count; i++)
		if (slice_equal(slice_of(ring->key[i].id), id))
			return &ring->key[i];
	return NULL;
}

/* Faults never repeat the line: it may hold the secret. */
static bool add_line(struct keyring *ring, struct slice line, const char *path, unsigned number, struct fault *f)
{
	struct slice id = slice_first(line, slice_find(line, ':')), secret = slice_skip(line, id.len + 1);
	struct keyring_key *key = &ring->key[ring->count];

	if (id.len == line.len || !is_id(id))
		return fault_at(f, path, number, "must be ID:SECRET, an ID of up to %d letters, digits, - _ .",
				STAMP_KEY_ID_MAX);
	if (!is_secret(secret))
		return fault_at(f, path, number, "the secret of %.*s must have %d to %d printable characters, no blank",
				SLICE_ARGS(id), STAMP_SECRET_MIN, STAMP_SECRET_MAX);
	if (find_key(ring, id))
		return fault_at(f, path, number, "there are two keys %.*s", SLICE_ARGS(id));
	if (ring->count == STAMP_KEYS_MAX)
		return fault_at(f, path, number, "more than %d keys", STAMP_KEYS_MAX);
	slice_copy(id, key->id, sizeof(key->id));
	slice_copy(secret, key->secret, sizeof(key->secret));
	ring->count++;
	return true;
}

bool keyring_parse(struct slice text, const char *path, struct keyring *ring, struct fault *f)
{
	struct slice line;
	unsigned number = 0;

	memset(ring, 0, sizeof(*ring));
	while (slice_cut(&text, '\n', &line)) {
		number++;
		if (line.len > 0 && line.at[0] != '#' && !add_line(ring, line, path, number, f))
			return false;
	}
	return ring->count > 0 || fault_at(f, path, 1, "there is no key: sekimori verify --new-key");
}

bool keyring_line(struct buffer *out, const char *id)
{
	uint8_t secret[SECRET_OCTETS];
	bool good = secret_random(secret, sizeof(secret)) && buffer_putf(out, "%s:", id) &&
		    base64_encode(out, slice_bytes((const char *)secret, sizeof(secret))) && buffer_put_text(out, "\n");

	secret_wipe(secret, sizeof(secret));
	return good;
}

struct slice keyring_id(const struct keyring *ring)
{
	return slice_of(ring->key[0].id);
}

static bool seal_with(const struct keyring_key *key, struct slice text, struct buffer *out)
{
	uint8_t mac[DIGEST_SHA256_SIZE];

	return digest_hmac(DIGEST_SHA256, slice_of(key->secret), text, mac) &&
	       base64_encode(out, slice_bytes((const char *)mac, sizeof(mac)));
}

bool keyring_seal(const struct keyring *ring, struct slice text, struct buffer *out)
{
	return seal_with(&ring->key[0], text, out);
}

enum keyring_result keyring_check(const struct keyring *ring, struct slice id, struct slice text, struct slice seal)
{
	const struct keyring_key *key = find_key(ring, id);
	char memory[SEAL_LENGTH + 1];
	struct buffer own;

	if (!key)
		return KEYRING_UNKNOWN;
	buffer_init(&own, memory, sizeof(memory));
	if (!seal_with(key, text, &own) || seal.len != SEAL_LENGTH || !secret_equal(own.at, seal.at, SEAL_LENGTH))
		return KEYRING_FORGED;
	return KEYRING_GOOD;
}
