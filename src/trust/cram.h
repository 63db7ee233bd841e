/*
 * CRAM-MD5 (RFC 2195): secrets as the accounts file keeps them, 64 hexadecimal digits, as Dovecot
 * writes them, and the check of a response.
 */
#ifndef TRUST_CRAM_H
#define TRUST_CRAM_H

#include "base/buffer.h"
#include "base/digest.h"

#if CONFIG_CRAM_MD5
bool cram_parse(struct slice hex, uint8_t context[DIGEST_CRAM_SIZE]);
bool cram_write(struct buffer *out, const uint8_t context[DIGEST_CRAM_SIZE]);
/* `response` is the digest of the challenge in hexadecimal. */
bool cram_check(const uint8_t context[DIGEST_CRAM_SIZE], struct slice challenge,
		struct slice response);
#else
static inline bool cram_parse(struct slice hex, uint8_t context[DIGEST_CRAM_SIZE])
{
	(void)hex, (void)context;
	return false;
}

static inline bool cram_write(struct buffer *out, const uint8_t context[DIGEST_CRAM_SIZE])
{
	(void)out, (void)context;
	return false;
}

static inline bool cram_check(const uint8_t context[DIGEST_CRAM_SIZE], struct slice challenge,
			      struct slice response)
{
	(void)context, (void)challenge, (void)response;
	return false;
}
#endif

#endif
