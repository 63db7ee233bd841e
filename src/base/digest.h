/*
 * Hashes, the only file besides net/tls.c that knows mbedTLS. Functions of memory only; they
 * return false when the library lacks the hash or memory (mbedTLS allocates inside).
 */
#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H

#include "slice.h"

enum digest { DIGEST_MD5, DIGEST_SHA1, DIGEST_SHA256 };

#define DIGEST_MD5_SIZE		16
#define DIGEST_SHA256_SIZE	32
#define DIGEST_MAX		32

/* Octets that digest_hash and digest_hmac write. */
size_t digest_size(enum digest kind);
bool digest_hash(enum digest kind, struct slice data, uint8_t *out);
/*
 * The hash of what comes in pieces. digest_start gives NULL without memory; digest_finish frees it, and digest_drop
 * does when the hash isn't wanted any more. NULL is what digest_add and digest_finish fail on, and digest_drop ignores.
 */
struct digest_run;
struct digest_run *digest_start(enum digest kind);
bool digest_add(struct digest_run *run, struct slice data);
bool digest_finish(struct digest_run *run, uint8_t *out);
void digest_drop(struct digest_run *run);
/* RFC 2104. */
bool digest_hmac(enum digest kind, struct slice key, struct slice data, uint8_t *out);
/* PBKDF2 with HMAC-SHA-256 and one block of output: Hi() of RFC 5802. */
bool digest_pbkdf2(struct slice password, struct slice salt, unsigned iterations,
		   uint8_t out[DIGEST_SHA256_SIZE]);

/*
 * HMAC-MD5 kept half-way, as Dovecot stores {CRAM-MD5}: the MD5 state after the outer and after
 * the inner key block, 16 octets each, little endian. digest_cram_context makes it of a password,
 * digest_cram_finish completes it with a challenge.
 */
#define DIGEST_CRAM_SIZE	32
bool digest_cram_context(struct slice password, uint8_t out[DIGEST_CRAM_SIZE]);
bool digest_cram_finish(const uint8_t context[DIGEST_CRAM_SIZE], struct slice challenge,
			uint8_t out[DIGEST_MD5_SIZE]);

#endif
