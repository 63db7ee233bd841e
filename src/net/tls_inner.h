/*
 * What the files of net/tls share, and nobody else includes: tls_bundle.c, which knows CA files; tls_context.c, which reads the others and
 * makes contexts; tls_session.c, which keeps sessions for resumption; tls_reason.c, which judges certificates and finds words for failures;
 * tls_verify.c, which finds the CAs to judge by; tls.c, the connections. They and base/digest.c and base/secret.c know mbedTLS.
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
#include <sys/stat.h>

#include "base/clock.h"
#include "base/digest.h"
#include "net/tls.h"

#if MBEDTLS_VERSION_NUMBER < 0x03000000
#define MBEDTLS_PRIVATE(member) member
#endif

#define TLS_ONLY_12_MS	(60 * 60 * 1000)	/* then 1.3 is offered again: a failed handshake more an hour is little */
#define TLS_ERROR_MAX	160	/* octets of mbedtls_strerror */
#define TLS_LINKS_MAX	MBEDTLS_X509_MAX_VERIFY_CHAIN_SIZE	/* certificates of a chain */
#define TLS_PROFILE	(&mbedtls_x509_crt_profile_default)	/* hashes and keys that certificates may have */

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
	uint32_t doubts;			/* likewise, by the CAs alone that are parsed already */
	uint32_t issuers[TLS_LINKS_MAX];	/* tls_name_hash, of the certificates in that chain */
	unsigned links;				/* so many */
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

/* tls_bundle.c */

/* False with a fault, in mbedTLS' words. */
bool tls_refuse_file(struct fault *f, const char *path, const char *what, int code);
/* A file that we can read; if secret, that nobody else can. */
bool tls_check_file(const char *path, bool secret, struct stat *st, struct fault *f);
/* The CAs of a PEM file; whole: parsed, all of them. NULL with a fault. To be released. */
struct tls_bundle *tls_bundle_get(const char *path, bool whole, struct fault *f);
void tls_bundle_release(struct tls_bundle *b);	/* NULL is ignored */
bool tls_bundle_is_whole(const struct tls_bundle *b);
const char *tls_bundle_path(const struct tls_bundle *b);
/* The parsed ones, for mbedTLS: all, or those that were needed last, and perhaps none. */
mbedtls_x509_crt *tls_bundle_chain(struct tls_bundle *b);
/* The same for names that mbedTLS takes for the same, and most likely for no others. */
uint32_t tls_name_hash(const mbedtls_x509_name *name);
/*
 * Adds to the chain `out` all CAs of these n subjects. 0, or mbedTLS' code. *changed becomes true when one was left out that the
 * file doesn't hold any more as it did.
 */
int tls_bundle_find(const struct tls_bundle *b, const uint32_t *subjects, size_t n, mbedtls_x509_crt *out, bool *changed);
/* `crt` has vouched for a server: if it is one of `found`, which tls_bundle_find gave, the next handshake will find it parsed. */
void tls_bundle_keep(struct tls_bundle *b, const mbedtls_x509_crt *found, const mbedtls_x509_crt *crt);

/* tls_context.c */

/* Wall, s. */
int64_t tls_wall_of(const mbedtls_x509_time *t);

/* tls_reason.c */

/* The verdict on a certificate of the chain, the peer's own (depth 0) last, with what mbedTLS has against it. 0, or mbedTLS' code. */
int tls_judge(struct tls *t, const mbedtls_x509_crt *crt, int depth, uint32_t *flags);
/* A new reason behind those given already. */
void tls_complain(struct tls *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Words for a call that failed with `code`, unless verify() has given some. */
void tls_explain(struct tls *t, int code);

/* tls_verify.c */

/* mbedTLS' call for each certificate of the chain, the peer's own (depth 0) last; `context` is a struct tls. */
int tls_verify(void *context, mbedtls_x509_crt *crt, int depth, uint32_t *flags);

/* tls_session.c */

/* Before the handshake: offers the session saved for t->name, when there is one that may be. */
void tls_offer_session(struct tls *t);
/* The verified session as it is now; with TLS 1.2 when the handshake is over, with 1.3 when a ticket has come. */
void tls_save_session(struct tls *t);
/* What was offered did no good. */
void tls_forget_session(struct tls *t);
void tls_forget_sessions(struct tls_context *c);

#endif
