/*
 * The keys of the stamp (R17): a file of lines `ID:SECRET`, empty ones and those that begin with `#` left out. The first one seals,
 * all of them check, so that a new key is put on top and stamps of years ago are still known. The secret is used as it is written.
 */
#ifndef TRUST_KEYRING_H
#define TRUST_KEYRING_H

#include "base/buffer.h"
#include "base/fault.h"
#include "base/limits.h"

#define KEYRING_FILE_MAX	65536	/* octets: all keys, and room for remarks */

struct keyring {
	unsigned count;			/* at least 1 */
	struct keyring_key {
		char id[STAMP_KEY_ID_MAX + 1];
		char secret[STAMP_SECRET_MAX + 1];
	} key[STAMP_KEYS_MAX];
};

enum keyring_result { KEYRING_GOOD, KEYRING_FORGED, KEYRING_UNKNOWN };	/* UNKNOWN: there is no key of this name */

#if CONFIG_STAMP
/* False with FILE:LINE: what. The caller wipes the ring. */
bool keyring_parse(struct slice text, const char *path, struct keyring *ring, struct fault *f);
/* A line for a new key of this name, with LF. False without room or randomness. */
bool keyring_line(struct buffer *out, const char *id);

/* The id of the key that seals, and its HMAC-SHA-256 over `text` in Base64. */
struct slice keyring_id(const struct keyring *ring);
bool keyring_seal(const struct keyring *ring, struct slice text, struct buffer *out);

enum keyring_result keyring_check(const struct keyring *ring, struct slice id, struct slice text, struct slice seal);
#else
static inline bool keyring_parse(struct slice text, const char *path, struct keyring *ring, struct fault *f)
{
	(void)text, (void)path, (void)ring, (void)f;
	return false;
}

static inline bool keyring_line(struct buffer *out, const char *id)
{
	(void)out, (void)id;
	return false;
}

static inline struct slice keyring_id(const struct keyring *ring)
{
	(void)ring;
	return slice_bytes("", 0);
}

static inline bool keyring_seal(const struct keyring *ring, struct slice text, struct buffer *out)
{
	(void)ring, (void)text, (void)out;
	return false;
}

static inline enum keyring_result keyring_check(const struct keyring *ring, struct slice id, struct slice text,
			struct slice seal)
{
	(void)ring, (void)id, (void)text, (void)seal;
	return KEYRING_UNKNOWN;
}
#endif

#endif
