/*
 * What we say in AUTH as a client: PLAIN (RFC 4616), LOGIN, CRAM-MD5 (RFC 2195), SCRAM-SHA-256 (RFC 5802, RFC 7677),
 * XOAUTH2 (as Google and Microsoft describe it). Pure: digests come from the caller. The functions that put
 * append the answer in Base64; one that can't be said, for a NUL inside or its length, sets out->overflow.
 */
#ifndef SMTP_PROOF_H
#define SMTP_PROOF_H

#include "base/buffer.h"
#include "base/limits.h"

#define PROOF_KEY_SIZE		32	/* octets of what SHA-256 makes */
#define PROOF_NONCE_LENGTH	24	/* characters of a nonce of ours: 18 random octets in Base64 */
#define PROOF_SALT_MAX		64	/* octets; servers take 8 to 32 */
#define PROOF_SERVER_MAX	SMTP_REPLY_TEXT_MAX	/* octets of a server's SCRAM message, decoded */
/* Octets of the three messages that both sides sign: a user of which each octet is escaped, two nonces of the server. */
#define PROOF_MESSAGE_MAX	(CONFIG_SCRAM ? 3 * LOGIN_MAX + 2 * PROOF_SERVER_MAX + PROOF_NONCE_LENGTH + 32 : 1)

/* Appends *raw in Base64, unless it overflowed: then *out has. */
void proof_put_encoded(struct buffer *out, const struct buffer *raw);
/* A NUL inside would let the upstream read other names than were meant. */
void proof_put_plain(struct buffer *out, struct slice user, struct slice password);
/* `hex`: HMAC-MD5 of the challenge, 32 digits. */
void proof_put_cram(struct buffer *out, struct slice user, struct slice hex);
void proof_put_xoauth2(struct buffer *out, struct slice user, struct slice token);

/* Octets of the answers before Base64. */
static inline size_t proof_plain_length(struct slice user, struct slice password)
{
	return user.len + password.len + 2;
}
static inline size_t proof_xoauth2_length(struct slice user, struct slice token)
{
	return sizeof("user=\1auth=Bearer \1\1") - 1 + user.len + token.len;
}

/* One SCRAM exchange; all zero before it. */
struct proof_scram {
	char message[PROOF_MESSAGE_MAX];	/* AuthMessage, as far as it has come */
	uint16_t first, last, len;		/* octets of the client's first message; where its last one begins; all. 0: unsayable */
	uint8_t salt_len;
	uint8_t salt[PROOF_SALT_MAX];
	uint32_t iterations;
	uint8_t signature[PROOF_KEY_SIZE];	/* what the server has to show */
};

static inline struct slice proof_scram_message(const struct proof_scram *s)
{
	return slice_bytes(s->message, s->len);
}

#if CONFIG_SCRAM
/*
 * `nonce`: printable, without comma, never used before. No channel binding: what the certificate proves is
 * checked by TLS.
 */
void proof_scram_begin(struct proof_scram *s, struct slice user, struct slice nonce);
/* The client's first message. */
void proof_scram_put_first(const struct proof_scram *s, struct buffer *out);
/*
 * The server's first message, decoded. NULL, and salt, iterations and the complete message are there; or what is
 * wrong with it, for a person. What it may ask of us is bounded (SCRAM_ITERATIONS_MIN to _MAX): a low count would
 * sell the password cheaply, a high one stop us.
 */
const char *proof_scram_challenged(struct proof_scram *s, struct slice text, struct slice nonce);
/* The client's last message, with ClientProof. */
void proof_scram_put_last(const struct proof_scram *s, struct buffer *out, const uint8_t proof[PROOF_KEY_SIZE]);
/* The server's last message, decoded: NULL when it proves that the server knows the password, else what is wrong. */
const char *proof_scram_signed(const struct proof_scram *s, struct slice text);
#else
static inline void proof_scram_begin(struct proof_scram *s, struct slice user, struct slice nonce)
{
	(void)s, (void)user, (void)nonce;
}

static inline void proof_scram_put_first(const struct proof_scram *s, struct buffer *out)
{
	(void)s, (void)out;
}

static inline const char *proof_scram_challenged(struct proof_scram *s, struct slice text, struct slice nonce)
{
	(void)s, (void)text, (void)nonce;
	return "SCRAM is left out";
}

static inline void proof_scram_put_last(const struct proof_scram *s, struct buffer *out,
			const uint8_t proof[PROOF_KEY_SIZE])
{
	(void)s, (void)out, (void)proof;
}

static inline const char *proof_scram_signed(const struct proof_scram *s, struct slice text)
{
	(void)s, (void)text;
	return "SCRAM is left out";
}
#endif

#endif
