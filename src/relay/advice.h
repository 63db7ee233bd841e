/*
 * What a person can change when a step to a next hop fails, in plain words. Pure.
 */
#ifndef RELAY_ADVICE_H
#define RELAY_ADVICE_H

#include "ingest/ingest.h"	/* enum tls_use */
#include "net/tls.h"

/* A refused login at SMTP: the reply's code (0: our own reason) and words; `token`: it was made by token_command. */
const char *advice_login(unsigned code, struct slice words, bool token);
/* No connection; `error` as dial_done says it. */
const char *advice_connect(struct slice error, uint16_t port);
/* A handshake that failed; `prefix` of the keys: "" or "pop_". Into out when it holds something of the certificate. */
const char *advice_tls(const struct tls_shown *s, const char *prefix, char *out, size_t size);
/* A server that closed, or said nothing, before its greeting. */
const char *advice_silence(enum tls_use tls);

#endif
