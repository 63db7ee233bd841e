/*
 * TLS by mbedTLS 2.28 or 3.6, which nobody knows besides the files of net/tls, base/digest.c and base/secret.c. A context
 * (certificate and key, or CA and rules) is counted: connections that use it keep it alive after a reload has replaced it. Contexts
 * with the same CA file share what was read of it. A client's context remembers the last session of each server, in memory
 * only, to be resumed; a session was verified under the very rules of its context.
 */
#ifndef NET_TLS_H
#define NET_TLS_H

#include <sys/types.h>

#include "base/digest.h"
#include "base/fault.h"
#include "base/slice.h"

struct tls_context;
struct tls;

struct tls_client_rules {
	const char *ca;			/* PEM file; required unless pin is set */
	const char *pin;		/* sha256 of the certificate (DER) in hex, colons allowed; when set, neither CA nor name is looked at */
	const char *certificate, *key;	/* our own, for servers that ask for one; PEM files, both or none */
	bool min_13;
};

enum tls_wrong {		/* bits: what is wrong with a certificate */
	TLS_WRONG_NAME = 1 << 0, TLS_WRONG_EXPIRED = 1 << 1, TLS_WRONG_FUTURE = 1 << 2, TLS_WRONG_CA = 1 << 3,
	TLS_WRONG_PIN = 1 << 4, TLS_WRONG_OTHER = 1 << 5, TLS_NOT_TLS = 1 << 6
};
/* The certificate that a server shows, whether it is accepted or not. */
struct tls_shown {
	bool shown;			/* not when a session was resumed, or the handshake ended before */
	unsigned wrong;			/* enum tls_wrong */
	int64_t valid_to;		/* wall, s */
	char names[FAULT_MAX / 2];	/* "mail.example, *.mail.example, 192.0.2.1"; printable, may be cut */
	char issuer[128];		/* its common name; likewise */
	char sha256[65];		/* of its DER, in hex: what tls_pin wants */
};

/* Results of the calls below, other than a count of octets. */
enum { TLS_WANT_READ = -1, TLS_WANT_WRITE = -2, TLS_CLOSED = -3, TLS_FAILED = -4 };

#if CONFIG_TLS
/*
 * Must be called after the last fork of a process that goes on to use TLS, before any other call. 0 or -errno; -EAGAIN: the
 * kernel's generator is not ready yet (early at boot), call again later.
 */
int tls_start(void);

/* Our own side: certificate chain and key in PEM. Faults name the file: unreadable, damaged, key that doesn't fit, key readable by others. */
struct tls_context *tls_server_new(const char *certificate, const char *key, bool min_13, struct fault *f);
/*
 * The same for clients that show who they are by a certificate: from a CA of the PEM file `ca`, or NULL: each has to be known
 * by its digest. The handshake takes any, or none, so that the owner can say what is wrong; tls_peer_is and tls_peer_digest
 * judge. No session is resumed.
 */
struct tls_context *tls_mutual_new(const char *certificate, const char *key, const char *ca, bool min_13, struct fault *f);

/* Without CA and pin there is no context: "verify" without a CA refuses to start (lesson 25). */
struct tls_context *tls_client_new(const struct tls_client_rules *rules, struct fault *f);
/*
 * From the next tls_new on, TLS 1.2 at most (no change with min_13): mbedTLS 3.6.6 as Debian 13 has it can't talk to a TLS
 * 1.2 server with an RSA certificate while it offers 1.3 as well; see tls_prepare_retry. For an
 * hour: an alert that anybody can send shall not keep us from 1.3 for ever.
 */
void tls_context_only_12(struct tls_context *c);
/* Wall time at which our own certificate, the first of its file, ends; INT64_MAX without one. */
int64_t tls_context_valid_to(const struct tls_context *c);
void tls_context_hold(struct tls_context *c);
void tls_context_release(struct tls_context *c);	/* NULL is ignored */

/*
 * A connection over a connected, non-blocking socket, which stays the caller's. `name` (clients): what the certificate must be
 * for, a host name or a numeric address; never NULL for clients. NULL without memory.
 */
struct tls *tls_new(struct tls_context *c, int fd, const char *name);
void tls_free(struct tls *t);

/* 0 when done. CLOSED: the peer ended TLS properly (close_notify); an end without it is FAILED (truncation). */
int tls_handshake(struct tls *t);
ssize_t tls_read(struct tls *t, void *out, size_t size);
/* May take less than all; after WANT_* call again with the same octets. */
ssize_t tls_write(struct tls *t, const void *in, size_t len);
/* Octets already decrypted that poll can't see. */
bool tls_pending(const struct tls *t);
/* Tells the peer, once, without waiting. */
void tls_shutdown(struct tls *t);

/* For a client, before its first octet: `out`, which outlives it, gets what the server shows. */
void tls_show(struct tls *t, struct tls_shown *out);

/* "TLSv1.3", and the cipher's name; after the handshake. */
const char *tls_version(const struct tls *t);
const char *tls_cipher(const struct tls *t);
/* A saved session was taken up: no certificates were exchanged; after the handshake. */
bool tls_resumed(const struct tls *t);
/* Of a client, after the handshake: the sha256 of its certificate (DER), whose key it has. False: it has shown none. */
bool tls_peer_digest(const struct tls *t, uint8_t out[DIGEST_SHA256_SIZE]);
/* It is from the CA, valid now, meant for clients, and for this name, which it spells out. */
bool tls_peer_is(const struct tls *t, const char *name);
/* Why it failed, for a person: "certificate is for mail.example, not smtp.example"; empty when it did not. */
const char *tls_error(const struct tls *t);
/* At most so many handshakes more with one host, without a pause: see tls_prepare_retry. */
#define TLS_RETRIES_MAX	2
/*
 * After a client's handshake that failed: true when another one may go otherwise, at once and to the same host. A session that was offered
 * did no good, and is forgotten; or it failed as that of 3.6.6 does, and tls_context_only_12 has been called.
 */
bool tls_prepare_retry(const struct tls *t);
/* True when the failure may go away by itself with the clock ("not yet valid" before NTP). */
bool tls_error_is_clock(const struct tls *t);
#else
static inline int tls_start(void)
{
	return 0;
}

static inline struct tls_context *tls_server_new(const char *certificate, const char *key, bool min_13,
			struct fault *f)
{
	(void)certificate, (void)key, (void)min_13, (void)f;
	return NULL;
}

static inline struct tls_context *tls_client_new(const struct tls_client_rules *rules, struct fault *f)
{
	(void)rules, (void)f;
	return NULL;
}

static inline struct tls_context *tls_mutual_new(const char *certificate, const char *key, const char *ca, bool min_13,
						 struct fault *f)
{
	(void)certificate, (void)key, (void)ca, (void)min_13, (void)f;
	return NULL;
}

static inline bool tls_peer_digest(const struct tls *t, uint8_t out[DIGEST_SHA256_SIZE])
{
	(void)t, (void)out;
	return false;
}

static inline bool tls_peer_is(const struct tls *t, const char *name)
{
	(void)t, (void)name;
	return false;
}

static inline void tls_context_only_12(struct tls_context *c)
{
	(void)c;
}

static inline int64_t tls_context_valid_to(const struct tls_context *c)
{
	(void)c;
	return INT64_MAX;
}

static inline void tls_context_hold(struct tls_context *c)
{
	(void)c;
}

static inline void tls_context_release(struct tls_context *c)
{
	(void)c;
}

static inline struct tls *tls_new(struct tls_context *c, int fd, const char *name)
{
	(void)c, (void)fd, (void)name;
	return NULL;
}

static inline void tls_free(struct tls *t)
{
	(void)t;
}

static inline int tls_handshake(struct tls *t)
{
	(void)t;
	return TLS_FAILED;
}

static inline ssize_t tls_read(struct tls *t, void *out, size_t size)
{
	(void)t, (void)out, (void)size;
	return TLS_FAILED;
}

static inline ssize_t tls_write(struct tls *t, const void *in, size_t len)
{
	(void)t, (void)in, (void)len;
	return TLS_FAILED;
}

static inline bool tls_pending(const struct tls *t)
{
	(void)t;
	return false;
}

static inline void tls_shutdown(struct tls *t)
{
	(void)t;
}

static inline void tls_show(struct tls *t, struct tls_shown *out)
{
	(void)t, (void)out;
}

static inline const char *tls_version(const struct tls *t)
{
	(void)t;
	return "";
}

static inline const char *tls_cipher(const struct tls *t)
{
	(void)t;
	return "";
}

static inline bool tls_resumed(const struct tls *t)
{
	(void)t;
	return false;
}

static inline const char *tls_error(const struct tls *t)
{
	(void)t;
	return "";
}

#define TLS_RETRIES_MAX	0
static inline bool tls_prepare_retry(const struct tls *t)
{
	(void)t;
	return false;
}

static inline bool tls_error_is_clock(const struct tls *t)
{
	(void)t;
	return false;
}
#endif

#endif
