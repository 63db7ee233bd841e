/*
 * SCRAM-SHA-256 secrets (RFC 5802, RFC 7677), as the accounts file keeps them:
 * iterations,salt,stored,server, the last three in Base64, as Dovecot writes them.
 */
#ifndef TRUST_SCRAM_H
#define TRUST_SCRAM_H

#include "base/buffer.h"
#include "base/digest.h"
#include "base/limits.h"

#define SCRAM_SALT_MAX 48

struct trust_scram {
	uint32_t iterations;		/* 0: none */
	uint8_t salt_len;
	uint8_t salt[SCRAM_SALT_MAX];
	uint8_t stored[DIGEST_SHA256_SIZE], server[DIGEST_SHA256_SIZE];
};

/* False unless all four parts are well-formed, iterations within SCRAM_ITERATIONS_MIN and _MAX. */
bool scram_parse(struct slice text, struct trust_scram *s);
bool scram_write(struct buffer *out, const struct trust_scram *s);
/* Fills stored and server from a password; iterations and salt are given. Costs one PBKDF2. */
bool scram_derive(struct trust_scram *s, struct slice password);
/* Costs one PBKDF2, right or wrong. */
bool scram_check(const struct trust_scram *s, struct slice password);
/*
 * The client's half: ClientProof and ServerSignature for an AuthMessage, of the salted password (Hi() of RFC 5802
 * section 2.2, digest_pbkdf2).
 */
bool scram_prove(const uint8_t salted[DIGEST_SHA256_SIZE], struct slice message, uint8_t proof[DIGEST_SHA256_SIZE],
		 uint8_t signature[DIGEST_SHA256_SIZE]);

#endif
