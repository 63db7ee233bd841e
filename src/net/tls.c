/* Connections. */
#include "net/tls_inner.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <mbedtls/net_sockets.h>

#define TICKETS_MAX	8	/* new tickets of a peer taken in one call; the next call takes more */

/* What differs between 2.28 and 3.6. */
#if MBEDTLS_VERSION_NUMBER >= 0x03000000

/* 3.6.6 before its repair (Mbed-TLS issue 10668) finds the RSA-PSS signature of a 1.2 server at fault. */
static bool is_false_alarm(int code)
{
	return code == MBEDTLS_ERR_SSL_ILLEGAL_PARAMETER;
}

static bool is_ticket(int code)
{
	return code == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET;
}

static bool is_13(const struct tls *t)
{
	return mbedtls_ssl_get_version_number(&t->ssl) == MBEDTLS_SSL_VERSION_TLS1_3;
}

#else

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

static bool is_13(const struct tls *t)
{
	(void)t;
	return false;
}

#endif

/*
 * A peer that refuses us in the handshake, as for our certificate, sends an alert and is gone; our next message then fails before mbedTLS
 * has read why. So that message is as good as sent: what has come is read, and behind it the end.
 */
static bool was_cut_off(struct tls *t, int error)
{
	if (t->done || (error != EPIPE && error != ECONNRESET))
		return false;
	t->cut_off = error;
	return true;
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
	if (was_cut_off(t, errno))
		return (int)len;
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
	if (n > 0 || (n == 0 && !t->cut_off))
		return (int)n;
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return MBEDTLS_ERR_SSL_WANT_READ;
	t->network = n < 0 ? errno : t->cut_off;
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
	/* As one writes it or another, it is one name; 3.6 resumes no session whose name differs in case. */
	for (char *c = t->name; *c; c++)
		*c = ascii_fold(*c);
	t->is_client = true;
	t->address_len = parse_address(t->name, t->address);
	mbedtls_ssl_set_verify(&t->ssl, tls_verify, t);
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
	t->only_12 = tls_context_is_12(c);
	mbedtls_ssl_init(&t->ssl);
	if (mbedtls_ssl_setup(&t->ssl, t->only_12 ? &c->conf_12 : &c->conf) != 0 ||
	    (name && !set_name(t, name))) {
		tls_free(t);
		return NULL;
	}
	mbedtls_ssl_set_bio(&t->ssl, t, send_some, recv_some, NULL);
	if (name)
		tls_offer_session(t);
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

/*
 * Who was refused behind the handshake, as TLS 1.3 refuses a client's certificate, may notice it in writing: the alert that says why
 * has come before the end.
 */
static int last_words(struct tls *t, int code)
{
	unsigned char octet;

	if (code != MBEDTLS_ERR_NET_SEND_FAILED || !t->done)
		return code;
	for (int i = 0; i < TICKETS_MAX; i++) {
		int heard = mbedtls_ssl_read(&t->ssl, &octet, 1);

		if (heard == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE)
			return heard;
		if (!is_ticket(heard))
			break;
	}
	return code;
}

static int fail(struct tls *t, int code)
{
	t->failed = true;
	tls_explain(t, last_words(t, code));
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

/* A ticket of TLS 1.3 is a session; those that come in the handshake itself are taken at its end. */
static bool took_ticket(struct tls *t, int code)
{
	if (!is_ticket(code))
		return false;
	if (t->done)
		tls_save_session(t);
	return true;
}

/*
 * A server that takes up a session shows no certificate again; that of the session was judged by the same rules, which belong to the
 * context. No other suite of ours does without one.
 */
static int accept_server(struct tls *t)
{
	t->resumed = t->offered && !t->judged;
	if (t->resumed)
		t->verified = true;
	if (!t->verified) {
		tls_complain(t, "the server showed no certificate that could be checked");
		return fail(t, MBEDTLS_ERR_X509_FATAL_ERROR);
	}
	t->done = true;
	if (!is_13(t))
		tls_save_session(t);
	return 0;
}

static int end_handshake(struct tls *t, int code)
{
	if (code == MBEDTLS_ERR_SSL_WANT_READ || code == MBEDTLS_ERR_SSL_WANT_WRITE)
		return take_code(t, code);
	if (code == 0 && t->is_client)
		return accept_server(t);
	if (code == 0) {
		t->done = true;
		return 0;
	}
	if (t->offered)
		tls_forget_session(t);
	t->wants_anew = t->offered;
	t->wants_12 = t->is_client && !t->only_12 && !t->context->min_13 && is_false_alarm(code);
	return fail(t, code);
}

int tls_handshake(struct tls *t)
{
	int code;

	if (t->failed)
		return TLS_FAILED;
	for (int i = 0; i < TICKETS_MAX; i++) {
		code = mbedtls_ssl_handshake(&t->ssl);
		if (!took_ticket(t, code))
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
		if (!took_ticket(t, code))
			break;
	}
	if (code > 0)
		return code;
	/* An end that anybody on the way can make: truncation. (As one conditional, Debian 12's gcc for ARM drops half of the constant.) */
	if (code == 0)
		return fail(t, MBEDTLS_ERR_SSL_CONN_EOF);
	return take_code(t, code);
}

/*
 * mbedtls_ssl_write that could not send its record whole wants to be called again, and knows the record from what is left to be sent
 * (out_left). That goes wrong both ways. What another call has left, a ticket of ours or an alert, would be taken for the record, and the octets
 * lost; and a record that another call has sent to its end, as reading a ticket of TLS 1.3 does, would be made again, and the octets doubled.
 */
static bool has_left(const struct tls *t)
{
	return t->ssl.MBEDTLS_PRIVATE(out_left) > 0;
}

/* Octets of the record under way, when it has gone. */
static size_t take_gone(struct tls *t)
{
	size_t n = has_left(t) ? 0 : t->pending;

	if (n)
		t->pending = 0;
	return n;
}

/* A ticket that has come in part, then what is no record of ours. 0, or mbedTLS' code. */
static int clear_way(struct tls *t)
{
	int code = 0;

	for (int i = 0; i < TICKETS_MAX && t->ssl.MBEDTLS_PRIVATE(state) != MBEDTLS_SSL_HANDSHAKE_OVER; i++) {
		code = mbedtls_ssl_handshake(&t->ssl);
		if (code && !took_ticket(t, code))
			return code;
	}
	if (t->ssl.MBEDTLS_PRIVATE(state) != MBEDTLS_SSL_HANDSHAKE_OVER)
		return MBEDTLS_ERR_SSL_WANT_READ;
	return !t->pending && has_left(t) ? mbedtls_ssl_write(&t->ssl, (const unsigned char *)"", 0) : 0;
}

static int write_record(struct tls *t, const void *in, size_t len)
{
	int most = mbedtls_ssl_get_max_out_record_payload(&t->ssl);
	int code = mbedtls_ssl_write(&t->ssl, in, len);

	t->pending = 0;
	if (code == MBEDTLS_ERR_SSL_WANT_WRITE && most > 0)
		t->pending = len < (size_t)most ? len : (size_t)most;
	return code;
}

ssize_t tls_write(struct tls *t, const void *in, size_t len)
{
	size_t gone;
	int code;

	if (t->failed)
		return TLS_FAILED;
	code = clear_way(t);
	gone = take_gone(t);
	if (gone)
		return (ssize_t)gone;
	if (!code && len)
		code = write_record(t, in, len);
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

void tls_show(struct tls *t, struct tls_shown *out)
{
	*out = (struct tls_shown){ .shown = false };
	t->shown = out;
}

bool tls_prepare_retry(const struct tls *t)
{
	if (t->wants_12)
		tls_context_only_12(t->context);
	return t->wants_12 || t->wants_anew;
}

bool tls_resumed(const struct tls *t)
{
	return t->resumed;
}
