/*
 * What a TLS handshake costs a server that does nothing else: mbedTLS with itself over two buffers in memory,
 * the processor time of the server's side alone. Usage: handshake CERTIFICATE KEY COUNT; prints microseconds
 * of one handshake. Suites and groups are those of src/net/tls.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
#include <psa/crypto.h>
#endif

#include "number.h"

#define WIRE_SIZE	65536
#define TURNS_MAX	64	/* of both sides; a handshake needs about six */

struct wire {
	unsigned char data[WIRE_SIZE];
	size_t from, to;
};

struct side {
	mbedtls_ssl_config conf;
	mbedtls_ssl_context ssl;
	struct wire *in, *out;
};

static mbedtls_entropy_context entropy;
static mbedtls_ctr_drbg_context drbg;
static mbedtls_x509_crt certificate;
static mbedtls_pk_context key;
static struct wire up, down;
static struct side server = { .in = &up, .out = &down }, client = { .in = &down, .out = &up };

static const int suites[] = {
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
	MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256,
#endif
	MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	0
};

#if MBEDTLS_VERSION_NUMBER >= 0x03000000
static int parse_key(const char *path)
{
	return mbedtls_pk_parse_keyfile(&key, path, NULL, mbedtls_ctr_drbg_random, &drbg);
}

static int start(void)
{
	return psa_crypto_init();
}

static void set_groups(mbedtls_ssl_config *conf)
{
	static const uint16_t groups[] = {
		MBEDTLS_SSL_IANA_TLS_GROUP_X25519, MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1,
		MBEDTLS_SSL_IANA_TLS_GROUP_NONE
	};

	mbedtls_ssl_conf_groups(conf, groups);
}
#else
static int parse_key(const char *path)
{
	return mbedtls_pk_parse_keyfile(&key, path, NULL);
}

static int start(void)
{
	return 0;
}

static void set_groups(mbedtls_ssl_config *conf)
{
	static const mbedtls_ecp_group_id groups[] = {
		MBEDTLS_ECP_DP_CURVE25519, MBEDTLS_ECP_DP_SECP256R1, MBEDTLS_ECP_DP_NONE
	};

	mbedtls_ssl_conf_curves(conf, groups);
}
#endif

static int put(void *arg, const unsigned char *data, size_t len)
{
	struct wire *w = ((struct side *)arg)->out;

	if (len > sizeof(w->data) - w->to)
		return MBEDTLS_ERR_SSL_WANT_WRITE;
	memcpy(w->data + w->to, data, len);
	w->to += len;
	return (int)len;
}

static int get(void *arg, unsigned char *data, size_t len)
{
	struct wire *w = ((struct side *)arg)->in;
	size_t have = w->to - w->from;

	if (have == 0)
		return MBEDTLS_ERR_SSL_WANT_READ;
	if (len > have)
		len = have;
	memcpy(data, w->data + w->from, len);
	w->from += len;
	return (int)len;
}

static int configure(struct side *s, int endpoint)
{
	mbedtls_ssl_config_init(&s->conf);
	if (mbedtls_ssl_config_defaults(&s->conf, endpoint, MBEDTLS_SSL_TRANSPORT_STREAM,
					MBEDTLS_SSL_PRESET_DEFAULT) != 0)
		return -1;
	mbedtls_ssl_conf_rng(&s->conf, mbedtls_ctr_drbg_random, &drbg);
	mbedtls_ssl_conf_ciphersuites(&s->conf, suites);
	set_groups(&s->conf);
	if (endpoint == MBEDTLS_SSL_IS_SERVER)
		return mbedtls_ssl_conf_own_cert(&s->conf, &certificate, &key);
	mbedtls_ssl_conf_authmode(&s->conf, MBEDTLS_SSL_VERIFY_NONE);
	return 0;
}

static int open_side(struct side *s)
{
	mbedtls_ssl_init(&s->ssl);
	if (mbedtls_ssl_setup(&s->ssl, &s->conf) != 0)
		return -1;
	mbedtls_ssl_set_bio(&s->ssl, s, put, get, NULL);
	return 0;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* The seconds that the server worked; below 0 when it failed. */
static double one(void)
{
	int heard = MBEDTLS_ERR_SSL_WANT_READ, said = MBEDTLS_ERR_SSL_WANT_READ;
	double from, spent;

	up.from = up.to = down.from = down.to = 0;
	if (open_side(&client) != 0)
		return -1;
	from = now();
	if (open_side(&server) != 0)
		return -1;
	spent = now() - from;
	for (int turn = 0; turn < TURNS_MAX && (heard != 0 || said != 0); turn++) {
		if (said != 0)
			said = mbedtls_ssl_handshake(&client.ssl);
		from = now();
		if (heard != 0)
			heard = mbedtls_ssl_handshake(&server.ssl);
		spent += now() - from;
	}
	from = now();
	mbedtls_ssl_free(&server.ssl);
	spent += now() - from;
	mbedtls_ssl_free(&client.ssl);
	return heard == 0 && said == 0 ? spent : -1;
}

int main(int argc, char **argv)
{
	int count = argc == 4 ? number(argv[3]) : 0;
	double total = 0;

	if (count < 1 || count > 100000)
		return 64;
	mbedtls_entropy_init(&entropy);
	mbedtls_ctr_drbg_init(&drbg);
	mbedtls_x509_crt_init(&certificate);
	mbedtls_pk_init(&key);
	if (mbedtls_ctr_drbg_seed(&drbg, mbedtls_entropy_func, &entropy, NULL, 0) != 0 || start() != 0 ||
	    mbedtls_x509_crt_parse_file(&certificate, argv[1]) != 0 || parse_key(argv[2]) != 0 ||
	    configure(&server, MBEDTLS_SSL_IS_SERVER) != 0 || configure(&client, MBEDTLS_SSL_IS_CLIENT) != 0)
		return 1;
	for (int i = 0; i < count; i++) {
		double spent = one();

		if (spent < 0)
			return 1;
		total += spent;
	}
	printf("%.1f\n", total * 1e6 / count);
	return 0;
}
