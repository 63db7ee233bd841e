/*
 * What the files of net/tls share, and nobody else includes: tls_context.c, which reads files and makes contexts; tls_session.c,
 * which keeps sessions for resumption; tls_reason.c, which judges certificates and finds words for failures; tls.c, the
 * connections. They and base/digest.c and base/secret.c know mbedTLS.
 */
#ifndef NET_TLS_INNER_H
#define NET_TLS_INNER_H

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/pk.h>
#include <mbedtls/ssl.h>
#include <mbedtls/ssl_ticket.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>

#include <netinet/in.h>

#include "base/clock.h"
#include "base/digest.h"
#include "net/tls.h"

#if MBEDTLS_VERSION_NUMBER < 0x03000000
#define MBEDTLS_PRIVATE(member) member
#endif

#define TLS_ONLY_12_MS	(60 * 60 * 1000)	/* then 1.3 is offered again: a failed handshake more an hour is little */
#define TLS_ERROR_MAX	160	/* octets of mbedtls_strerror */

/* A session of a server that was verified under the rules of its context, which never change. */
struct tls_saved {
	bool used;
	char name[HOST_MAX + 1];		/* it was verified for */
	int64_t saved_at;			/* wall, s */
	mbedtls_x509_time valid_to;		/* of the server's certificate */
	mbedtls_ssl_session session;
};

struct tls_context {
	unsigned holders;
	bool min_13;
	int64_t only_12_until;			/* monotonic ms: new connections take conf_12 */
	bool pinned;
	uint8_t pin[DIGEST_SHA256_SIZE];
	mbedtls_ssl_config conf;
	mbedtls_ssl_config conf_12;		/* clients; a conf in use is never touched */
	mbedtls_ssl_ticket_context tickets;
	mbedtls_x509_crt own;
	mbedtls_pk_context key;
	struct tls_bundle *ca;			/* shared; NULL with a pin, and for servers */
	struct tls_saved saved[TLS_SAVED_MAX];	/* clients */
	unsigned next_saved;			/* gives way when all are used */
};

struct tls {
	struct tls_context *context;
	mbedtls_ssl_context ssl;
	int fd;
	int network;				/* errno of the last send or recv that failed */
	int cut_off;				/* errno of a send in the handshake that met the peer's end; 0: none did */
	bool is_client, only_12;
	bool offered;				/* a saved session, for resumption */
	bool judged;				/* the peer's own certificate has come before verify() */
	bool verified;				/* and was found good; or the session that was resumed had been */
	bool resumed, done;			/* done: the handshake */
	bool failed, closed;
	bool wants_12, wants_anew;		/* another handshake may go otherwise: by conf_12, without the session offered */
	size_t pending;				/* octets of a record that WANT_WRITE has cut short */
	bool heard, foreign;			/* the first octet came; it was not TLS */
	uint32_t flags;				/* MBEDTLS_X509_BADCERT_… of the whole chain */
	mbedtls_x509_time valid_to;		/* of the peer's certificate, once verified */
	char name[HOST_MAX + 1];
	uint8_t address[sizeof(struct in6_addr)]; /* `name` when it is one */
	size_t address_len;			/* 4, 16; 0: a host name */
	struct tls_shown *shown;		/* clients that want to see it; or NULL */
	char error[FAULT_MAX];
};

/* New connections take conf_12. */
static inline bool tls_context_is_12(const struct tls_context *c)
{
	return clock_monotonic() < c->only_12_until;
}

/* tls_context.c */

/* Wall, s. */
int64_t tls_wall_of(const mbedtls_x509_time *t);

/* tls_reason.c */

/* mbedTLS' call for each certificate of the chain, the peer's own (depth 0) last; `context` is a struct tls. */
int tls_verify(void *context, mbedtls_x509_crt *crt, int depth, uint32_t *flags);
/* A new reason behind those given already. */
void tls_complain(struct tls *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Words for a call that failed with `code`, unless verify() has given some. */
void tls_explain(struct tls *t, int code);

/* tls_session.c */

/* Before the handshake: offers the session saved for t->name, when there is one that may be. */
void tls_offer_session(struct tls *t);
/* The verified session as it is now; with TLS 1.2 when the handshake is over, with 1.3 when a ticket has come. */
void tls_save_session(struct tls *t);
/* What was offered did no good. */
void tls_forget_session(struct tls *t);
void tls_forget_sessions(struct tls_context *c);

#endif
