/*
 * What a client says in AUTH, decoded from base64 already: PLAIN (RFC 4616), LOGIN (its draft's two answers),
 * CRAM-MD5 (RFC 2195); and the names of these mechanisms. Pure.
 */
#ifndef SMTP_SASL_H
#define SMTP_SASL_H

#include "base/buffer.h"
#include "base/limits.h"
#include "smtp/server.h"	/* enum smtp_mechanism, struct smtp_login */

/* Octets of a CRAM-MD5 challenge of ours: `<counter.nonce@hostname>`. */
#define SASL_CHALLENGE_MAX	(1 + 10 + 1 + 16 + 1 + HOST_MAX + 1)

/* The bit of enum smtp_mechanism with that name in any case; 0 when we know none. */
unsigned sasl_find(struct slice name);
/* Appends ` PLAIN LOGIN …`: the names of the mechanisms given, each behind a blank. */
bool sasl_put_names(struct buffer *out, unsigned mechanisms);

/*
 * These fill in *login, with slices into `message`. False when the message is not of the mechanism's form or a part is
 * empty, over its bound or holds NUL: nobody can be meant by it, so it is a failed login (R24).
 */
bool sasl_plain(struct slice message, struct smtp_login *login);
bool sasl_login(struct slice user, struct slice password, struct smtp_login *login);
bool sasl_cram_md5(struct slice message, struct smtp_login *login);

/* An identity: 1 to LOGIN_MAX octets without NUL. */
bool sasl_is_identity(struct slice user);

#endif
