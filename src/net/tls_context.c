/* Files and contexts: what is read from the disk and lives as long as the configuration. */
#include "net/tls_inner.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include <mbedtls/error.h>
#include <mbedtls/ssl_ciphersuites.h>

#include "base/clock.h"
#include "base/secret.h"

#define TICKET_LIFETIME	14400	/* s: tickets and the keys behind them; who steals a key reads no more than two of these */

/* mbedTLS wants one generator; it is seeded in the process that uses it, never before a fork. */
static struct {
	bool seeded;
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

/* 3.6.0 tells of new tickets unasked. */
static void want_tickets(mbedtls_ssl_config *conf)
{
	mbedtls_ssl_conf_session_tickets(conf, MBEDTLS_SSL_SESSION_TICKETS_ENABLED);
#if MBEDTLS_VERSION_NUMBER >= 0x03060100
	mbedtls_ssl_conf_tls13_enable_signal_new_session_tickets(
		conf, MBEDTLS_SSL_TLS1_3_SIGNAL_NEW_SESSION_TICKETS_ENABLED);
#endif
}

static int parse_key(mbedtls_pk_context *key, const char *path)
{
	return mbedtls_pk_parse_keyfile(key, path, NULL, mbedtls_ctr_drbg_random, &rng.drbg);
}

static bool is_pair(const mbedtls_x509_crt *crt, const mbedtls_pk_context *key)
{
	return mbedtls_pk_check_pair(&crt->pk, key, mbedtls_ctr_drbg_random, &rng.drbg) == 0;
}

#else

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

static void want_tickets(mbedtls_ssl_config *conf)
{
	mbedtls_ssl_conf_session_tickets(conf, MBEDTLS_SSL_SESSION_TICKETS_ENABLED);
}

static int parse_key(mbedtls_pk_context *key, const char *path)
{
	return mbedtls_pk_parse_keyfile(key, path, NULL);
}

static bool is_pair(const mbedtls_x509_crt *crt, const mbedtls_pk_context *key)
{
	return mbedtls_pk_check_pair(&crt->pk, key) == 0;
}

#endif

/* Of the kernel's, and nothing else: 2.28's own pool holds 32 KiB that it fills with timings of itself. */
static int draw(void *unused, unsigned char *out, size_t len)
{
	(void)unused;
	return secret_random(out, len) ? 0 : MBEDTLS_ERR_CTR_DRBG_ENTROPY_SOURCE_FAILED;
}

int tls_start(void)
{
	uint8_t probe;

	/* mbedTLS would wait for the kernel's generator without an end. */
	if (!secret_random(&probe, sizeof(probe)))
		return -EAGAIN;
	if (rng.seeded)
		mbedtls_ctr_drbg_free(&rng.drbg);
	rng.seeded = true;
	mbedtls_ctr_drbg_init(&rng.drbg);
	if (mbedtls_ctr_drbg_seed(&rng.drbg, draw, NULL, NULL, 0) != 0)
		return -EIO;
	return start_psa();
}

static bool load_certificates(mbedtls_x509_crt *crt, const char *path, struct fault *f)
{
	struct stat file;
	int code;

	if (!tls_check_file(path, false, &file, f))
		return false;
	code = mbedtls_x509_crt_parse_file(crt, path);
	if (code > 0)
		return fault_set(f, STATUS_CONFIG, "%s: %d of its certificates are damaged", path,
				 code);
	return code == 0 || tls_refuse_file(f, path, "no certificate in PEM", code);
}

static bool load_key(mbedtls_pk_context *key, const char *path, struct fault *f)
{
	struct stat file;
	int code;

	if (!tls_check_file(path, true, &file, f))
		return false;
	code = parse_key(key, path);
	if (code == MBEDTLS_ERR_PK_PASSWORD_REQUIRED)
		return fault_set(f, STATUS_CONFIG,
				 "%s: the key is encrypted; store it without passphrase: openssl pkey -in %s -out NEW",
				 path, path);
	return code == 0 || tls_refuse_file(f, path, "no private key in PEM", code);
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
	mbedtls_ssl_conf_cert_profile(conf, TLS_PROFILE);
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

static bool set_up_mutual(struct tls_context *c, const char *ca, struct fault *f)
{
	if (ca)
		c->ca = tls_bundle_get(ca, true, f);
	if ((ca && !c->ca) || !configure(c, &c->conf, MBEDTLS_SSL_IS_SERVER, false, f))
		return false;
	mbedtls_ssl_conf_authmode(&c->conf, MBEDTLS_SSL_VERIFY_OPTIONAL);
	if (ca)
		mbedtls_ssl_conf_ca_chain(&c->conf, tls_bundle_chain(c->ca), NULL);
	return true;
}

struct tls_context *tls_mutual_new(const char *certificate, const char *key, const char *ca, bool min_13, struct fault *f)
{
	struct tls_context *c = context_new(min_13, f);

	if (!c)
		return NULL;
	if (load_own(c, certificate, key, f) && set_up_mutual(c, ca, f))
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
	c->ca = tls_bundle_get(rules->ca, false, f);
	return c->ca != NULL;
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
		mbedtls_ssl_conf_ca_chain(conf, tls_bundle_chain(c->ca), NULL);
	want_tickets(conf);
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
	if (c->min_13)
		return;
	if (!tls_context_is_12(c))
		tls_forget_sessions(c);		/* of 1.3 */
	c->only_12_until = clock_monotonic() + TLS_ONLY_12_MS;
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
	tls_bundle_release(c->ca);
	tls_forget_sessions(c);
	mbedtls_pk_free(&c->key);
	free(c);
}

/* DER has no zone but UTC (RFC 5280 section 4.1.2.5). */
int64_t tls_wall_of(const mbedtls_x509_time *t)
{
	struct tm tm = { .tm_year = t->year - 1900, .tm_mon = t->mon - 1, .tm_mday = t->day,
			 .tm_hour = t->hour, .tm_min = t->min, .tm_sec = t->sec };

	return timegm(&tm);
}

int64_t tls_context_valid_to(const struct tls_context *c)
{
	int64_t earliest = INT64_MAX;

	for (const mbedtls_x509_crt *crt = &c->own; crt && crt->raw.len > 0; crt = crt->next)
		if (tls_wall_of(&crt->valid_to) < earliest)
			earliest = tls_wall_of(&crt->valid_to);
	return earliest;
}
