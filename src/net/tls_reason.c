/* What is wrong, for a person: the verdict on a certificate, and words for a failure. */
#include "net/tls_inner.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <mbedtls/error.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/oid.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/secret.h"

#if MBEDTLS_VERSION_NUMBER >= 0x03000000
#define ERR_VERSION	MBEDTLS_ERR_SSL_BAD_PROTOCOL_VERSION
#else
#define ERR_VERSION	MBEDTLS_ERR_SSL_BAD_HS_PROTOCOL_VERSION
#endif

void tls_complain(struct tls *t, const char *format, ...)
{
	size_t used = strlen(t->error);
	va_list arguments;

	if (used > 0 && used + 2 < sizeof(t->error)) {
		memcpy(t->error + used, "; ", 3);
		used += 2;
	}
	va_start(arguments, format);
	vsnprintf(t->error + used, sizeof(t->error) - used, format, arguments);
	va_end(arguments);
}

/* A certificate's own words: nothing in them may end a line or hide. */
static void put_words(struct buffer *out, const mbedtls_x509_buf *words)
{
	for (size_t i = 0; i < words->len; i++) {
		char c = (char)words->p[i];

		buffer_put(out, ascii_is_print(c) ? slice_bytes(&c, 1) : SLICE_OF("?"));
	}
}

static void put_common_name(struct buffer *out, const mbedtls_x509_name *name)
{
	for (; name; name = name->next)
		if (MBEDTLS_OID_CMP(MBEDTLS_OID_AT_CN, &name->oid) == 0) {
			put_words(out, &name->val);
			return;
		}
	buffer_put_text(out, "without a name");
}

/* RFC 5280 section 4.2.1.6: the choices of a GeneralName, as context-specific tags. */
enum { NAME_DNS = 2, NAME_ADDRESS = 7 };

static bool is_choice(const mbedtls_x509_buf *name, int choice)
{
	return name->tag == (MBEDTLS_ASN1_CONTEXT_SPECIFIC | choice);
}

static void put_address(struct buffer *out, const mbedtls_x509_buf *name)
{
	char text[INET6_ADDRSTRLEN];
	int family = name->len == sizeof(struct in_addr) ? AF_INET : AF_INET6;

	if (name->len != sizeof(struct in_addr) && name->len != sizeof(struct in6_addr))
		return;
	buffer_put_text(out, inet_ntop(family, name->p, text, sizeof(text)));
}

static bool has_alternative_names(const mbedtls_x509_crt *crt)
{
	return crt->subject_alt_names.buf.p != NULL;
}

static void put_names(struct buffer *out, const mbedtls_x509_crt *crt)
{
	if (!has_alternative_names(crt)) {
		put_common_name(out, &crt->subject);
		return;
	}
	for (const mbedtls_x509_sequence *s = &crt->subject_alt_names; s; s = s->next) {
		if (!is_choice(&s->buf, NAME_DNS) && !is_choice(&s->buf, NAME_ADDRESS))
			continue;
		if (buffer_length(out) > 0)
			buffer_put_text(out, ", ");
		if (is_choice(&s->buf, NAME_DNS))
			put_words(out, &s->buf);
		else
			put_address(out, &s->buf);
	}
}

/* 2.28 compares host names only, so addresses are compared here for both versions (RFC 9110 section 4.3.5). */
static bool is_for_address(const mbedtls_x509_crt *crt, const struct tls *t)
{
	if (!has_alternative_names(crt))
		return false;
	for (const mbedtls_x509_sequence *s = &crt->subject_alt_names; s; s = s->next)
		if (is_choice(&s->buf, NAME_ADDRESS) && s->buf.len == t->address_len &&
		    memcmp(s->buf.p, t->address, t->address_len) == 0)
			return true;
	return false;
}

static void explain_name(struct tls *t, const mbedtls_x509_crt *crt, const char *whose)
{
	char names[FAULT_MAX / 2];
	struct buffer b;

	(void)whose;
	buffer_init(&b, names, sizeof(names) - 4);
	put_names(&b, crt);
	tls_complain(t, "certificate is for %.*s%s, not %s: is host or tls_name right?",
		     SLICE_ARGS(buffer_bytes(&b)), b.overflow ? "..." : "", t->name);
}

/* The clock is part of the judgement: who reads the reason shall not have to look for it. */
static void explain_expired(struct tls *t, const mbedtls_x509_crt *crt, const char *whose)
{
	const mbedtls_x509_time *d = &crt->valid_to;
	char today[16];

	tls_complain(t, "%s expired on %04d-%02d-%02d; this machine's clock says %s", whose, d->year,
		     d->mon, d->day, clock_date(clock_wall(), today));
}

static void explain_future(struct tls *t, const mbedtls_x509_crt *crt, const char *whose)
{
	const mbedtls_x509_time *d = &crt->valid_from;
	char today[16], built[16];

	if (clock_is_sane(clock_wall()))
		tls_complain(t, "%s is not yet valid, only from %04d-%02d-%02d; this machine's clock says %s: "
			     "is it right?", whose, d->year, d->mon, d->day,
			     clock_date(clock_wall(), today));
	else if (t->error[0] == '\0')	/* said once for the whole chain */
		tls_complain(t, "this machine's clock says %s, which can't be, this program was made on %s: "
			     "set the clock", clock_date(clock_wall(), today), clock_date(CLOCK_FLOOR, built));
}

static bool digest_of(const mbedtls_x509_crt *crt, uint8_t digest[DIGEST_SHA256_SIZE])
{
	return digest_hash(DIGEST_SHA256, slice_bytes((const char *)crt->raw.p, crt->raw.len),
			   digest);
}

static bool is_self_signed(const mbedtls_x509_crt *crt)
{
	return crt->subject_raw.len == crt->issuer_raw.len &&
	       memcmp(crt->subject_raw.p, crt->issuer_raw.p, crt->issuer_raw.len) == 0;
}

static void explain_untrusted(struct tls *t, const mbedtls_x509_crt *crt, const char *whose)
{
	uint8_t digest[DIGEST_SHA256_SIZE];
	char hex[2 * DIGEST_SHA256_SIZE + 1], issuer[128];
	struct buffer b;

	if (is_self_signed(crt) && digest_of(crt, digest)) {
		ascii_hex(digest, DIGEST_SHA256_SIZE, hex);
		tls_complain(t, "%s is self-signed, sha256 %s: name its CA in tls_ca, or pin it by tls_pin "
			     "when its owner confirms that number", whose, hex);
		return;
	}
	buffer_init(&b, issuer, sizeof(issuer));
	put_common_name(&b, &crt->issuer);
	tls_complain(t, "%s is from a CA that is not in the CA file: %.*s", whose,
		     SLICE_ARGS(buffer_bytes(&b)));
}

static void explain_weak(struct tls *t, const mbedtls_x509_crt *crt, const char *whose)
{
	(void)crt;
	tls_complain(t, "%s has a hash or key too weak or unknown", whose);
}

static void explain_usage(struct tls *t, const mbedtls_x509_crt *crt, const char *whose)
{
	(void)crt;
	tls_complain(t, "%s is not meant for this use", whose);
}

static const struct {
	uint32_t flags;
	void (*explain)(struct tls *t, const mbedtls_x509_crt *crt, const char *whose);
} reasons[] = {
	{ MBEDTLS_X509_BADCERT_CN_MISMATCH, explain_name },
	{ MBEDTLS_X509_BADCERT_EXPIRED, explain_expired },
	{ MBEDTLS_X509_BADCERT_FUTURE, explain_future },
	{ MBEDTLS_X509_BADCERT_NOT_TRUSTED, explain_untrusted },
	{ MBEDTLS_X509_BADCERT_BAD_MD | MBEDTLS_X509_BADCERT_BAD_PK | MBEDTLS_X509_BADCERT_BAD_KEY,
	  explain_weak },
	{ MBEDTLS_X509_BADCERT_KEY_USAGE | MBEDTLS_X509_BADCERT_EXT_KEY_USAGE |
	  MBEDTLS_X509_BADCERT_NS_CERT_TYPE, explain_usage },
};

static void explain(struct tls *t, const mbedtls_x509_crt *crt, int depth, uint32_t flags)
{
	const char *whose = depth == 0 ? "certificate" : "a CA certificate of the chain";

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (flags & reasons[i].flags)
			reasons[i].explain(t, crt, whose);
}

/* Only the peer's own certificate counts; all else about the chain is forgiven. */
static int verify_pin(struct tls *t, const mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
	uint8_t digest[DIGEST_SHA256_SIZE];
	char hex[2 * DIGEST_SHA256_SIZE + 1];

	*flags = 0;
	if (depth > 0)
		return 0;
	if (!digest_of(crt, digest))
		return MBEDTLS_ERR_X509_FATAL_ERROR;
	t->verified = secret_equal(digest, t->context->pin, sizeof(digest));
	if (t->verified)
		return 0;
	ascii_hex(digest, DIGEST_SHA256_SIZE, hex);
	if (t->shown)
		t->shown->wrong |= TLS_WRONG_PIN;
	tls_complain(t, "certificate is not the pinned one; its sha256 is %s", hex);
	return MBEDTLS_ERR_X509_FATAL_ERROR;
}

static unsigned wrong_of(uint32_t flags)
{
	static const struct {
		uint32_t flag;
		enum tls_wrong wrong;
	} rows[] = {
		{ MBEDTLS_X509_BADCERT_CN_MISMATCH, TLS_WRONG_NAME }, { MBEDTLS_X509_BADCERT_EXPIRED, TLS_WRONG_EXPIRED },
		{ MBEDTLS_X509_BADCERT_FUTURE, TLS_WRONG_FUTURE }, { MBEDTLS_X509_BADCERT_NOT_TRUSTED, TLS_WRONG_CA },
	};
	unsigned wrong = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (flags & rows[i].flag)
			wrong |= rows[i].wrong;
		flags &= ~rows[i].flag;
	}
	return wrong | (flags ? TLS_WRONG_OTHER : 0);
}

static void show(const struct tls *t, const mbedtls_x509_crt *crt)
{
	struct tls_shown *s = t->shown;
	uint8_t digest[DIGEST_SHA256_SIZE];
	struct buffer b;

	s->shown = true;
	s->valid_to = tls_wall_of(&crt->valid_to);
	buffer_init(&b, s->names, sizeof(s->names) - 1);
	put_names(&b, crt);
	buffer_init(&b, s->issuer, sizeof(s->issuer) - 1);
	put_common_name(&b, &crt->issuer);
	if (digest_of(crt, digest))
		ascii_hex(digest, DIGEST_SHA256_SIZE, s->sha256);
}

int tls_judge(struct tls *t, const mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
	if (depth == 0) {
		t->judged = true;
		t->valid_to = crt->valid_to;
	}
	if (depth == 0 && t->shown)
		show(t, crt);
	if (t->context->pinned)
		return verify_pin(t, crt, depth, flags);
	if (depth == 0 && t->address_len > 0 && !is_for_address(crt, t))
		*flags |= MBEDTLS_X509_BADCERT_CN_MISMATCH;
	t->flags |= *flags;
	if (depth == 0)
		t->verified = t->flags == 0;
	if (t->shown)
		t->shown->wrong |= wrong_of(*flags);
	explain(t, crt, depth, *flags);
	return 0;
}

bool tls_peer_digest(const struct tls *t, uint8_t out[DIGEST_SHA256_SIZE])
{
	const mbedtls_x509_crt *crt = t->done ? mbedtls_ssl_get_peer_cert(&t->ssl) : NULL;

	return crt && digest_of(crt, out);
}

static bool spells(const mbedtls_x509_buf *words, const char *name)
{
	return slice_equal_fold(slice_bytes((const char *)words->p, words->len), slice_of(name));
}

bool tls_peer_is(const struct tls *t, const char *name)
{
	const mbedtls_x509_crt *crt = t->done ? mbedtls_ssl_get_peer_cert(&t->ssl) : NULL;

	if (!crt || !t->context->ca || mbedtls_ssl_get_verify_result(&t->ssl) != 0)
		return false;
	if (!has_alternative_names(crt)) {
		for (const mbedtls_x509_name *n = &crt->subject; n; n = n->next)
			if (MBEDTLS_OID_CMP(MBEDTLS_OID_AT_CN, &n->oid) == 0)
				return spells(&n->val, name);
		return false;
	}
	for (const mbedtls_x509_sequence *s = &crt->subject_alt_names; s; s = s->next)
		if (is_choice(&s->buf, NAME_DNS) && spells(&s->buf, name))
			return true;
	return false;
}

/* RFC 8446 section 6.2; those that a person can do something about. */
static const struct {
	uint8_t alert;
	const char *words;
} alerts[] = {
	{ 40, "no version of TLS or cipher in common: 1.2 or later with ECDHE and an AEAD is needed (handshake_failure)" },
	{ 42, "our certificate is bad (bad_certificate)" },
	{ 43, "our certificate is of a kind it doesn't take (unsupported_certificate)" },
	{ 44, "our certificate was revoked (certificate_revoked)" },
	{ 45, "our certificate has expired (certificate_expired)" },
	{ 46, "our certificate is not accepted (certificate_unknown)" },
	{ 48, "our certificate is from a CA it doesn't know (unknown_ca)" },
	{ 49, "our certificate is not allowed in (access_denied)" },
	{ 70, "no version of TLS in common: 1.2 or later is needed (protocol_version)" },
	{ 71, "our ciphers are not enough for it (insufficient_security)" },
	{ 80, "it has an error of its own (internal_error)" },
	{ 112, "it doesn't know the name that we ask for (unrecognized_name)" },
	{ 116, "it demands a client certificate: write tls_certificate and tls_key (certificate_required)" },
};

/* mbedTLS has no other way to ask what a fatal alert said; the message stays where it was read. */
static uint8_t alert_of(const struct tls *t)
{
	return t->ssl.MBEDTLS_PRIVATE(in_msg)[1];
}

/*
 * Before TLS 1.3, a server that got no client certificate says handshake_failure, as for much else; but by the time it has shown
 * its own, version and ciphers are agreed on.
 */
static bool wants_certificate(const struct tls *t, uint8_t alert)
{
	return alert == 40 && t->is_client && t->verified && t->context->own.raw.len == 0;
}

static void explain_alert(struct tls *t)
{
	uint8_t alert = alert_of(t);

	if (wants_certificate(t, alert))
		alert = 116;
	for (size_t i = 0; i < sizeof(alerts) / sizeof(alerts[0]); i++)
		if (alerts[i].alert == alert) {
			tls_complain(t, "the other side refused TLS: %s", alerts[i].words);
			return;
		}
	tls_complain(t, "the other side refused TLS (alert %u)", (unsigned)alert);
}

static const struct {
	int code;
	const char *words;
} failures[] = {
	{ MBEDTLS_ERR_SSL_CONN_EOF, "connection closed without the end of TLS (cut off?)" },
	{ ERR_VERSION, "no version of TLS in common: 1.2 or later is needed" },
};

static const char *failure_words(const struct tls *t, int code, char *space, size_t size)
{
	if (t->foreign)
		return "what came is not TLS";
	if (code == MBEDTLS_ERR_NET_SEND_FAILED || code == MBEDTLS_ERR_NET_RECV_FAILED)
		return strerror(t->network);
	for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++)
		if (failures[i].code == code)
			return failures[i].words;
	mbedtls_strerror(code, space, size);
	return space;
}

/* Flags that mbedTLS sets after it has asked verify(), such as the key's usage. */
static void explain_late(struct tls *t)
{
	uint32_t flags = mbedtls_ssl_get_verify_result(&t->ssl);

	if (t->is_client && !t->context->pinned && flags != UINT32_MAX)
		explain(t, NULL, 0, flags & (MBEDTLS_X509_BADCERT_KEY_USAGE |
					     MBEDTLS_X509_BADCERT_EXT_KEY_USAGE |
					     MBEDTLS_X509_BADCERT_NS_CERT_TYPE));
}

void tls_explain(struct tls *t, int code)
{
	char space[TLS_ERROR_MAX];

	if (t->shown && t->foreign)
		t->shown->wrong |= TLS_NOT_TLS;
	if (t->error[0] == '\0' && !t->done)
		explain_late(t);
	if (t->error[0] != '\0')
		return;
	if (code == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE && !t->foreign)
		explain_alert(t);
	else
		tls_complain(t, "%s", failure_words(t, code, space, sizeof(space)));
}
