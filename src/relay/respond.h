/*
 * Our answers to challenges that are hashed with MD5, as the gate and `sekimori probe` give them: CRAM-MD5 (RFC 2195), and POP's APOP
 * (RFC 1939 section 7).
 */
#ifndef RELAY_RESPOND_H
#define RELAY_RESPOND_H

#include "base/digest.h"

#define RESPOND_SIZE	(2 * DIGEST_MD5_SIZE + 1)	/* octets of hex digits, with a NUL */

/* False without memory. */
bool respond_cram(struct slice password, struct slice challenge, char hex[RESPOND_SIZE]);
/* `timestamp` is the greeting's, at most POP3_TIMESTAMP_MAX octets. */
bool respond_apop(struct slice password, struct slice timestamp, char hex[RESPOND_SIZE]);

#endif
