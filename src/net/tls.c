#include "net/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/error.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/oid.h>
#include <mbedtls/pk.h>
#include <mbedtls/ssl.h>
#include <mbedtls/ssl_ciphersuites.h>
#include <mbedtls/ssl_ticket.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>

#include "base/buffer.h"
#include "base/digest.h"
#include "base/secret.h"

#define TICKET_LIFETIME	14400	/* s: tickets and the keys behind them; who steals a key reads no more than two of these */
#define TICKETS_MAX	8	/* new tickets of a peer taken in one call; the next call takes more */
#define ERROR_MAX	160	/* octets of mbedtls_strerror */

struct tls_context {
	unsigned holders;
	bool min_13;
	bool only_12;			/* new connections take conf_12 */
	bool pinned;
	uint8_t pin[DIGEST_SHA256_SIZE];
	mbedtls_ssl_config conf;
	mbedtls_ssl_config conf_12;	/* clients; a conf in use is never touched */
	mbedtls_ssl_ticket_context tickets;
	mbedtls_x509_crt own, ca;
	mbedtls_pk_context key;
};

struct tls {
	struct tls_context *context;
	mbedtls_ssl_context ssl;
	int fd;
	int network;			/* errno of the last send or recv that failed */
	bool is_client, only_12;
	bool verified;			/* the peer's own certificate was judged, and found good */
	bool failed, closed;
	bool wants_12;
	bool heard, foreign;		/* the first octet came; it was not TLS */
	uint32_t flags;			/* MBEDTLS_X509_BADCERT_… of the whole chain */
	char name[HOST_MAX + 1];
	uint8_t address[sizeof(struct in6_addr)]; /* `name` when it is one */
	size_t address_len;		/* 4, 16; 0: a host name */
	char error[FAULT_MAX];
};

/* mbedTLS wants one generator; it is seeded in the process that uses it, never before a fork. */
static struct {
	bool seeded;
	mbedtls_entropy_context entropy;
	mbedtls_ctr_drbg_context drbg;
} rng;

/* ECDHE with AEAD only; ChaCha20 first, as most boards have no AES instructions. */
static const int suites[] = {
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
	MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256,
	MBEDTLS_TLS1_3_AES_256_GCM_SHA384,
	MBEDTLS_TLS1_3_AES_128_GCM_SHA256,
#endif
	MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	0
};

/* What differs between 2.28 and 3.6. */
#if MBEDTLS_VERSION_NUMBER >= 0x03000000

#define ERR_VERSION	MBEDTLS_ERR_SSL_BAD_PROTOCOL_VERSION

static const bool has_13 = true;

static int start_psa(void)
{
	return psa_crypto_init() == PSA_SUCCESS ? 0 : -EIO;
}

static void set_versions(mbedtls_ssl_config *conf, bool min_13, bool max_12)
{
	mbedtls_ssl_conf_min_tls_version(conf, min_13 ? MBEDTLS_SSL_VERSION_TLS1_3 :
							MBEDTLS_SSL_VERSION_TLS1_2);
	mbedtls_ssl_conf_max_tls_version(conf, max_12 ? MBEDTLS_SSL_VERSION_TLS1_2 :
							MBEDTLS_SSL_VERSION_TLS1_3);
}

static void set_groups(mbedtls_ssl_config *conf)
{
	static const uint16_t groups[] = {
		MBEDTLS_SSL_IANA_TLS_GROUP_X25519, MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1,
		MBEDTLS_SSL_IANA_TLS_GROUP_SECP384R1, MBEDTLS_SSL_IANA_TLS_GROUP_NONE
	};

	mbedtls_ssl_conf_groups(conf, groups);
}

static int parse_key(mbedtls_pk_context *key, const char *path)
{
	return mbedtls_pk_parse_keyfile(key, path, NULL, mbedtls_ctr_drbg_random, &rng.drbg);
}

static bool is_pair(const mbedtls_x509_crt *crt, const mbedtls_pk_context *key)
{
	return mbedtls_pk_check_pair(&crt->pk, key, mbedtls_ctr_drbg_random, &rng.drbg) == 0;
}

/* 3.6.6 before its repair (Mbed-TLS issue 10668) finds the RSA-PSS signature of a 1.2 server at fault. */
static bool is_false_alarm(int code)
{
	return code == MBEDTLS_ERR_SSL_ILLEGAL_PARAMETER;
}

static bool is_ticket(int code)
{
	return code == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET;
}

#else

#define ERR_VERSION	MBEDTLS_ERR_SSL_BAD_HS_PROTOCOL_VERSION

static const bool has_13 = false;

static int start_psa(void)
{
	return 0;
}

static void set_versions(mbedtls_ssl_config *conf, bool min_13, bool max_12)
{
	(void)min_13;
	(void)max_12;
	mbedtls_ssl_conf_min_version(conf, MBEDTLS_SSL_MAJOR_VERSION_3,
				     MBEDTLS_SSL_MINOR_VERSION_3);
}

static void set_groups(mbedtls_ssl_config *conf)
{
	static const mbedtls_ecp_group_id groups[] = {
		MBEDTLS_ECP_DP_CURVE25519, MBEDTLS_ECP_DP_SECP256R1, MBEDTLS_ECP_DP_SECP384R1,
		MBEDTLS_ECP_DP_NONE
	};

	mbedtls_ssl_conf_curves(conf, groups);
}

static int parse_key(mbedtls_pk_context *key, const char *path)
{
	return mbedtls_pk_parse_keyfile(key, path, NULL);
}

static bool is_pair(const mbedtls_x509_crt *crt, const mbedtls_pk_context *key)
{
	return mbedtls_pk_check_pair(&crt->pk, key) == 0;
}

static bool is_false_alarm(int code)
{
	(void)code;
	return false;
}

static bool is_ticket(int code)
{
	(void)code;
	return false;
}

#endif

int tls_start(void)
{
	uint8_t probe;

	/* mbedTLS would wait for the kernel's generator without an end. */
	if (!secret_random(&probe, sizeof(probe)))
		return -EAGAIN;
	if (rng.seeded) {
		mbedtls_ctr_drbg_free(&rng.drbg);
		mbedtls_entropy_free(&rng.entropy);
	}
	rng.seeded = true;
	mbedtls_entropy_init(&rng.entropy);
	mbedtls_ctr_drbg_init(&rng.drbg);
	if (mbedtls_ctr_drbg_seed(&rng.drbg, mbedtls_entropy_func, &rng.entropy, NULL, 0) != 0)
		return -EIO;
	return start_psa();
}

/* A file that could not be used, in mbedTLS' words when errno has none. */
static bool refuse_file(struct fault *f, const char *path, const char *what, int code)
{
	char words[ERROR_MAX];

	mbedtls_strerror(code, words, sizeof(words));
	return fault_set(f, STATUS_CONFIG, "%s: %s: %s", path, what, words);
}

static bool check_file(const char *path, bool secret, struct fault *f)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return fault_set(f, STATUS_CONFIG, "%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return fault_set(f, STATUS_CONFIG, "%s: not a file", path);
	if (secret && (st.st_mode & S_IRWXO))
		return fault_set(f, STATUS_CONFIG, "%s: open to everybody (mode %04o): chmod o= %s",
				 path, (unsigned)(st.st_mode & 07777), path);
	return true;
}

static bool load_certificates(mbedtls_x509_crt *crt, const char *path, struct fault *f)
{
	int code;

	if (!check_file(path, false, f))
		return false;
	code = mbedtls_x509_crt_parse_file(crt, path);
	if (code > 0)
		return fault_set(f, STATUS_CONFIG, "%s: %d of its certificates are damaged", path,
				 code);
	return code == 0 || refuse_file(f, path, "no certificate in PEM", code);
}

/* A system's bundle may hold a few that mbedTLS has no algorithm for; the others do their work. */
static bool load_ca(mbedtls_x509_crt *ca, const char *path, struct fault *f)
{
	int code;

	if (!check_file(path, false, f))
		return false;
	code = mbedtls_x509_crt_parse_file(ca, path);
	if (code < 0 || ca->raw.len == 0)
		return refuse_file(f, path, "no CA certificate in PEM", code < 0 ? code : 0);
	return true;
}

static bool load_key(mbedtls_pk_context *key, const char *path, struct fault *f)
{
	int code;

	if (!check_file(path, true, f))
		return false;
	code = parse_key(key, path);
	if (code == MBEDTLS_ERR_PK_PASSWORD_REQUIRED)
		return fault_set(f, STATUS_CONFIG,
				 "%s: the key is encrypted; store it without passphrase", path);
	return code == 0 || refuse_file(f, path, "no private key in PEM", code);
}

static bool load_own(struct tls_context *c, const char *certificate, const char *key,
		     struct fault *f)
{
	if (!load_certificates(&c->own, certificate, f) || !load_key(&c->key, key, f))
		return false;
	if (!is_pair(&c->own, &c->key))
		return fault_set(f, STATUS_CONFIG, "%s: does not fit the first certificate of %s",
				 key, certificate);
	return true;
}

static struct tls_context *context_new(bool min_13, struct fault *f)
{
	struct tls_context *c;

	if (min_13 && !has_13) {
		fault_set(f, STATUS_CONFIG, "TLS 1.3 at least needs mbedTLS 3.6; this is built "
			  "with " MBEDTLS_VERSION_STRING);
		return NULL;
	}
	c = calloc(1, sizeof(*c));
	if (!c) {
		fault_set(f, STATUS_TEMPORARY, "TLS: no memory");
		return NULL;
	}
	c->holders = 1;
	c->min_13 = min_13;
	mbedtls_ssl_config_init(&c->conf);
	mbedtls_ssl_config_init(&c->conf_12);
	mbedtls_ssl_ticket_init(&c->tickets);
	mbedtls_x509_crt_init(&c->own);
	mbedtls_x509_crt_init(&c->ca);
	mbedtls_pk_init(&c->key);
	return c;
}

/* What both sides share; false with a fault. */
static bool configure(struct tls_context *c, mbedtls_ssl_config *conf, int side, bool max_12,
		      struct fault *f)
{
	if (mbedtls_ssl_config_defaults(conf, side, MBEDTLS_SSL_TRANSPORT_STREAM,
					MBEDTLS_SSL_PRESET_DEFAULT) != 0)
		return fault_set(f, STATUS_TEMPORARY, "TLS: no memory");
	mbedtls_ssl_conf_rng(conf, mbedtls_ctr_drbg_random, &rng.drbg);
	mbedtls_ssl_conf_ciphersuites(conf, suites);
	set_versions(conf, c->min_13, max_12);
	set_groups(conf);
	if (c->own.raw.len > 0 && mbedtls_ssl_conf_own_cert(conf, &c->own, &c->key) != 0)
		return fault_set(f, STATUS_TEMPORARY, "TLS: no memory");
	return true;
}

static bool set_up_server(struct tls_context *c, struct fault *f)
{
	if (!configure(c, &c->conf, MBEDTLS_SSL_IS_SERVER, false, f))
		return false;
	if (mbedtls_ssl_ticket_setup(&c->tickets, mbedtls_ctr_drbg_random, &rng.drbg,
				     MBEDTLS_CIPHER_AES_256_GCM, TICKET_LIFETIME) != 0)
		return fault_set(f, STATUS_TEMPORARY, "TLS: no keys for session tickets");
	mbedtls_ssl_conf_session_tickets_cb(&c->conf, mbedtls_ssl_ticket_write,
					    mbedtls_ssl_ticket_parse, &c->tickets);
	return true;
}

struct tls_context *tls_server_new(const char *certificate, const char *key, bool min_13,
				   struct fault *f)
{
	struct tls_context *c = context_new(min_13, f);

	if (!c)
		return NULL;
	if (load_own(c, certificate, key, f) && set_up_server(c, f))
		return c;
	tls_context_release(c);
	return NULL;
}

static int hex_value(char c)
{
	c = ascii_fold(c);
	if (ascii_is_digit(c))
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Colons between octets, as `openssl x509 -fingerprint` writes them, are allowed. */
static bool parse_pin(const char *text, uint8_t out[DIGEST_SHA256_SIZE])
{
	struct slice s = slice_of(text);

	for (size_t i = 0; i < DIGEST_SHA256_SIZE; i++) {
		int high, low;

		if (i > 0 && s.len > 0 && s.at[0] == ':')
			s = slice_skip(s, 1);
		if (s.len < 2)
			return false;
		high = hex_value(s.at[0]);
		low = hex_value(s.at[1]);
		if (high < 0 || low < 0)
			return false;
		out[i] = (uint8_t)(high << 4 | low);
		s = slice_skip(s, 2);
	}
	return s.len == 0;
}

static bool is_set(const char *text)
{
	return text && text[0] != '\0';
}

static bool load_rules(struct tls_context *c, const struct tls_client_rules *rules, struct fault *f)
{
	c->pinned = is_set(rules->pin);
	if (is_set(rules->certificate) != is_set(rules->key))
		return fault_set(f, STATUS_CONFIG, "TLS: a certificate and its key go together");
	if (is_set(rules->certificate) && !load_own(c, rules->certificate, rules->key, f))
		return false;
	if (c->pinned)
		return parse_pin(rules->pin, c->pin) ||
		       fault_set(f, STATUS_CONFIG, "pin \"%.100s\": not 64 hexadecimal digits",
				 rules->pin);
	if (!is_set(rules->ca))
		return fault_set(f, STATUS_CONFIG,
				 "TLS needs a CA file or a pin to know the server by");
	return load_ca(&c->ca, rules->ca, f);
}

/*
 * A pin is judged by verify() alone, which breaks the handshake off; mbedTLS' own verdict, that no CA is known, is
 * not asked for then.
 */
static bool set_up_client(struct tls_context *c, mbedtls_ssl_config *conf, bool max_12,
			  struct fault *f)
{
	if (!configure(c, conf, MBEDTLS_SSL_IS_CLIENT, max_12, f))
		return false;
	mbedtls_ssl_conf_authmode(conf, c->pinned ? MBEDTLS_SSL_VERIFY_OPTIONAL :
						    MBEDTLS_SSL_VERIFY_REQUIRED);
	if (!c->pinned)
		mbedtls_ssl_conf_ca_chain(conf, &c->ca, NULL);
	mbedtls_ssl_conf_session_tickets(conf, MBEDTLS_SSL_SESSION_TICKETS_DISABLED);
	return true;
}

struct tls_context *tls_client_new(const struct tls_client_rules *rules, struct fault *f)
{
	struct tls_context *c = context_new(rules->min_13, f);

	if (!c)
		return NULL;
	if (load_rules(c, rules, f) && set_up_client(c, &c->conf, false, f) &&
	    (c->min_13 || set_up_client(c, &c->conf_12, true, f)))
		return c;
	tls_context_release(c);
	return NULL;
}

void tls_context_only_12(struct tls_context *c)
{
	c->only_12 = !c->min_13;
}

void tls_context_hold(struct tls_context *c)
{
	c->holders++;
}

void tls_context_release(struct tls_context *c)
{
	if (!c || --c->holders > 0)
		return;
	mbedtls_ssl_config_free(&c->conf);
	mbedtls_ssl_config_free(&c->conf_12);
	mbedtls_ssl_ticket_free(&c->tickets);
	mbedtls_x509_crt_free(&c->own);
	mbedtls_x509_crt_free(&c->ca);
	mbedtls_pk_free(&c->key);
	free(c);
}

/* A new reason behind those given already. */
static void complain(struct tls *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void complain(struct tls *t, const char *format, ...)
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
	complain(t, "certificate is for %.*s%s, not %s", SLICE_ARGS(buffer_bytes(&b)),
		 b.overflow ? "..." : "", t->name);
}

static void explain_expired(struct tls *t, const mbedtls_x509_crt *crt, const char *whose)
{
	const mbedtls_x509_time *d = &crt->valid_to;

	complain(t, "%s expired on %04d-%02d-%02d", whose, d->year, d->mon, d->day);
}

static void explain_future(struct tls *t, const mbedtls_x509_crt *crt, const char *whose)
{
	const mbedtls_x509_time *d = &crt->valid_from;

	complain(t, "%s is not yet valid, only from %04d-%02d-%02d: is the clock right?", whose,
		 d->year, d->mon, d->day);
}

static void explain_untrusted(struct tls *t, const mbedtls_x509_crt *crt, const char *whose)
{
	char issuer[128];
	struct buffer b;

	buffer_init(&b, issuer, sizeof(issuer));
	put_common_name(&b, &crt->issuer);
	complain(t, "%s is from a CA that is not in the CA file: %.*s", whose,
		 SLICE_ARGS(buffer_bytes(&b)));
}

static void explain_weak(struct tls *t, const mbedtls_x509_crt *crt, const char *whose)
{
	(void)crt;
	complain(t, "%s has a hash or key too weak or unknown", whose);
}

static void explain_usage(struct tls *t, const mbedtls_x509_crt *crt, const char *whose)
{
	(void)crt;
	complain(t, "%s is not meant for this use", whose);
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
	struct slice der = { (const char *)crt->raw.p, crt->raw.len };
	uint8_t digest[DIGEST_SHA256_SIZE];
	char hex[2 * DIGEST_SHA256_SIZE + 1];

	*flags = 0;
	if (depth > 0)
		return 0;
	if (!digest_hash(DIGEST_SHA256, der, digest))
		return MBEDTLS_ERR_X509_FATAL_ERROR;
	t->verified = secret_equal(digest, t->context->pin, sizeof(digest));
	if (t->verified)
		return 0;
	for (size_t i = 0; i < sizeof(digest); i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	complain(t, "certificate is not the pinned one; its sha256 is %s", hex);
	return MBEDTLS_ERR_X509_FATAL_ERROR;
}

/* Called by mbedTLS for each certificate of the chain, the peer's own (depth 0) last. */
static int verify(void *context, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
	struct tls *t = context;

	if (t->context->pinned)
		return verify_pin(t, crt, depth, flags);
	if (depth == 0 && t->address_len > 0 && !is_for_address(crt, t))
		*flags |= MBEDTLS_X509_BADCERT_CN_MISMATCH;
	t->flags |= *flags;
	if (depth == 0)
		t->verified = t->flags == 0;
	explain(t, crt, depth, *flags);
	return 0;
}

/* mbedtls_net_send uses write(2), and a peer that left would kill us with SIGPIPE. */
static int send_some(void *context, const unsigned char *at, size_t len)
{
	struct tls *t = context;
	ssize_t n;

	do {
		n = send(t->fd, at, len, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n >= 0)
		return (int)n;
	if (errno == EAGAIN || errno == EWOULDBLOCK)
		return MBEDTLS_ERR_SSL_WANT_WRITE;
	t->network = errno;
	return MBEDTLS_ERR_NET_SEND_FAILED;
}

static int recv_some(void *context, unsigned char *at, size_t len)
{
	struct tls *t = context;
	ssize_t n;

	do {
		n = recv(t->fd, at, len, 0);
	} while (n < 0 && errno == EINTR);
	if (n > 0 && !t->heard) {
		t->heard = true;
		t->foreign = at[0] != MBEDTLS_SSL_MSG_HANDSHAKE && at[0] != MBEDTLS_SSL_MSG_ALERT;
	}
	if (n >= 0)
		return (int)n;
	if (errno == EAGAIN || errno == EWOULDBLOCK)
		return MBEDTLS_ERR_SSL_WANT_READ;
	t->network = errno;
	return MBEDTLS_ERR_NET_RECV_FAILED;
}

static size_t parse_address(const char *name, uint8_t out[sizeof(struct in6_addr)])
{
	if (inet_pton(AF_INET, name, out) == 1)
		return sizeof(struct in_addr);
	return inet_pton(AF_INET6, name, out) == 1 ? sizeof(struct in6_addr) : 0;
}

/*
 * The name to verify goes to mbedTLS, and with it into the client's greeting; an address must not (RFC 6066 section 3), it is
 * judged in verify(), and NULL says that this is on purpose.
 */
static bool set_name(struct tls *t, const char *name)
{
	struct slice s = slice_of(name);

	/* "mail.example." is how DNS writes it; certificates leave the dot out. */
	if (s.len > 1 && s.at[s.len - 1] == '.')
		s.len--;
	if (s.len == 0 || !slice_copy(s, t->name, sizeof(t->name)))
		return false;
	t->is_client = true;
	t->address_len = parse_address(t->name, t->address);
	mbedtls_ssl_set_verify(&t->ssl, verify, t);
	return mbedtls_ssl_set_hostname(&t->ssl, t->address_len > 0 ? NULL : t->name) == 0;
}

struct tls *tls_new(struct tls_context *c, int fd, const char *name)
{
	struct tls *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	tls_context_hold(c);
	t->context = c;
	t->fd = fd;
	t->only_12 = c->only_12;
	mbedtls_ssl_init(&t->ssl);
	if (mbedtls_ssl_setup(&t->ssl, c->only_12 ? &c->conf_12 : &c->conf) != 0 ||
	    (name && !set_name(t, name))) {
		tls_free(t);
		return NULL;
	}
	mbedtls_ssl_set_bio(&t->ssl, t, send_some, recv_some, NULL);
	return t;
}

void tls_free(struct tls *t)
{
	if (!t)
		return;
	mbedtls_ssl_free(&t->ssl);
	tls_context_release(t->context);
	free(t);
}

static const struct {
	int code;
	const char *words;
} failures[] = {
	{ MBEDTLS_ERR_SSL_CONN_EOF, "connection closed without the end of TLS (cut off?)" },
	{ ERR_VERSION, "no version of TLS in common: 1.2 or later is needed" },
	{ MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE,
	  "the other side refused (TLS alert): it may not accept the certificate, version or "
	  "ciphers" },
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

static int fail(struct tls *t, int code)
{
	char space[ERROR_MAX];

	t->failed = true;
	if (t->error[0] == '\0')
		complain(t, "%s", failure_words(t, code, space, sizeof(space)));
	return TLS_FAILED;
}

static int take_code(struct tls *t, int code)
{
	switch (code) {
	case MBEDTLS_ERR_SSL_WANT_READ:
		return TLS_WANT_READ;
	case MBEDTLS_ERR_SSL_WANT_WRITE:
		return TLS_WANT_WRITE;
	case MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY:
		return TLS_CLOSED;
	default:
		return is_ticket(code) ? TLS_WANT_READ : fail(t, code);
	}
}

/* Flags that mbedTLS sets after it has asked verify(), such as the key's usage. */
static void explain_late(struct tls *t)
{
	uint32_t flags = mbedtls_ssl_get_verify_result(&t->ssl);

	if (t->is_client && !t->context->pinned && t->error[0] == '\0' && flags != UINT32_MAX)
		explain(t, NULL, 0, flags & (MBEDTLS_X509_BADCERT_KEY_USAGE |
					     MBEDTLS_X509_BADCERT_EXT_KEY_USAGE |
					     MBEDTLS_X509_BADCERT_NS_CERT_TYPE));
}

static int end_handshake(struct tls *t, int code)
{
	if (code == 0) {
		if (!t->is_client || t->verified)
			return 0;
		complain(t, "the server showed no certificate that could be checked");
		return fail(t, MBEDTLS_ERR_X509_FATAL_ERROR);
	}
	if (code == MBEDTLS_ERR_SSL_WANT_READ || code == MBEDTLS_ERR_SSL_WANT_WRITE)
		return take_code(t, code);
	t->wants_12 = t->is_client && !t->only_12 && !t->context->min_13 && is_false_alarm(code);
	explain_late(t);
	return fail(t, code);
}

int tls_handshake(struct tls *t)
{
	int code;

	if (t->failed)
		return TLS_FAILED;
	for (int i = 0; i < TICKETS_MAX; i++) {
		code = mbedtls_ssl_handshake(&t->ssl);
		if (!is_ticket(code))
			return end_handshake(t, code);
	}
	return TLS_WANT_READ;
}

ssize_t tls_read(struct tls *t, void *out, size_t size)
{
	int code = MBEDTLS_ERR_SSL_WANT_READ;

	if (t->failed)
		return TLS_FAILED;
	if (size == 0)
		return 0;
	for (int i = 0; i < TICKETS_MAX; i++) {
		code = mbedtls_ssl_read(&t->ssl, out, size);
		if (!is_ticket(code))
			break;
	}
	if (code > 0)
		return code;
	/* 0 is an end that anybody on the way can make: truncation. */
	return take_code(t, code == 0 ? MBEDTLS_ERR_SSL_CONN_EOF : code);
}

ssize_t tls_write(struct tls *t, const void *in, size_t len)
{
	int code = MBEDTLS_ERR_SSL_WANT_WRITE;

	if (t->failed)
		return TLS_FAILED;
	for (int i = 0; i < TICKETS_MAX; i++) {
		code = mbedtls_ssl_write(&t->ssl, in, len);
		if (!is_ticket(code))
			break;
	}
	return code >= 0 ? code : take_code(t, code);
}

bool tls_pending(const struct tls *t)
{
	return !t->failed && mbedtls_ssl_check_pending(&t->ssl) != 0;
}

void tls_shutdown(struct tls *t)
{
	if (t->failed || t->closed)
		return;
	t->closed = true;
	mbedtls_ssl_close_notify(&t->ssl);
}

const char *tls_version(const struct tls *t)
{
	return mbedtls_ssl_get_version(&t->ssl);
}

const char *tls_cipher(const struct tls *t)
{
	const char *name = mbedtls_ssl_get_ciphersuite(&t->ssl);

	return name ? name : "";
}

const char *tls_error(const struct tls *t)
{
	return t->error;
}

bool tls_error_is_clock(const struct tls *t)
{
	return t->failed && t->flags == MBEDTLS_X509_BADCERT_FUTURE;
}

bool tls_wants_12_retry(const struct tls *t)
{
	return t->wants_12;
}
