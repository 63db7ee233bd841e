#include "net_common.h"

#include <errno.h>
#include <signal.h>

#include "base/digest.h"
#include "net/tls.h"

#include <mbedtls/version.h>

#define HAS_13 (MBEDTLS_VERSION_NUMBER >= 0x03000000)

struct session {
	int fds[2];
	struct tls *client, *server;
	int client_end, server_end;	/* last results of the handshakes */
};

static struct tls_context *server_context(const char *name)
{
	struct fault f = { .text = "" };
	char pem[64], key[64];
	struct tls_context *c;

	snprintf(pem, sizeof(pem), "%s.pem", name);
	snprintf(key, sizeof(key), "%s.key", name);
	c = tls_server_new(in_certificates(pem), in_certificates(key), false, &f);
	if (!c)
		fail_msg("%s", f.text);
	return c;
}

static struct tls_context *client_context(const char *ca, const char *pin, bool min_13)
{
	struct tls_client_rules rules = { .ca = ca ? in_certificates(ca) : NULL, .pin = pin,
					  .min_13 = min_13 };
	struct fault f = { .text = "" };
	struct tls_context *c = tls_client_new(&rules, &f);

	if (!c)
		fail_msg("%s", f.text);
	return c;
}

/* The session holds the contexts; the caller's own hold is given up. */
static void open_session(struct session *s, struct tls_context *server, struct tls_context *client,
			 const char *name)
{
	tcp_pair(s->fds);
	s->client = tls_new(client, s->fds[0], name);
	s->server = tls_new(server, s->fds[1], NULL);
	assert_non_null(s->client);
	assert_non_null(s->server);
	tls_context_release(server);
	tls_context_release(client);
}

static void close_session(struct session *s)
{
	tls_free(s->client);
	tls_free(s->server);
	close(s->fds[0]);
	close(s->fds[1]);
}

static bool is_under_way(int result)
{
	return result == TLS_WANT_READ || result == TLS_WANT_WRITE;
}

static void shake(struct session *s)
{
	s->client_end = s->server_end = TLS_WANT_READ;
	for (int i = 0; i < 1000; i++) {
		if (is_under_way(s->client_end))
			s->client_end = tls_handshake(s->client);
		if (is_under_way(s->server_end))
			s->server_end = tls_handshake(s->server);
		/* In TLS 1.3 a client that refuses tells it after its own end. */
		if (!is_under_way(s->client_end) && !is_under_way(s->server_end))
			return;
		if (s->client_end == TLS_FAILED)
			shutdown(s->fds[0], SHUT_WR);
	}
	fail_msg("the handshake has no end");
}

static void exchange(struct tls *from, int fd, struct tls *to, const char *text)
{
	char got[64];
	size_t len = strlen(text), n = 0;
	ssize_t result;

	assert_int_equal(tls_write(from, text, len), (ssize_t)len);
	while (n < len) {
		result = tls_read(to, got + n, sizeof(got) - n);
		if (result == TLS_WANT_READ) {
			wait_for(fd, POLLIN);
			continue;
		}
		if (result <= 0)
			fail_msg("read: %zd %s", result, tls_error(to));
		n += (size_t)result;
	}
	assert_int_equal(n, len);
	assert_memory_equal(got, text, len);
	assert_false(tls_pending(to));
}

static void test_verdicts(void **state)
{
	static const struct {
		const char *certificate, *name, *ca;
		const char *error;	/* NULL: accepted */
		bool clock;
	} rows[] = {
		{ "good", "mail.example", "ca.pem", NULL, false },
		{ "good", "MAIL.Example.", "ca.pem", NULL, false },
		{ "good", "any.wild.example", "ca.pem", NULL, false },
		{ "rsa", "mail.example", "ca.pem", NULL, false },
		{ "address", "127.0.0.1", "ca.pem", NULL, false },
		{ "address", "::1", "ca.pem", NULL, false },
		{ "address", "0:0::0:1", "ca.pem", NULL, false },
		{ "address", "mail.example", "ca.pem", NULL, false },
		{ "address", "127.0.0.2", "ca.pem",
		  "certificate is for 127.0.0.1, ::1, mail.example, not 127.0.0.2", false },
		{ "address", "::127.0.0.1", "ca.pem", "not ::127.0.0.1", false },
		{ "text", "127.0.0.1", "ca.pem", "not 127.0.0.1", false },
		{ "good", "127.0.0.1", "ca.pem", "certificate is for mail.example, *.wild.example, not 127.0.0.1",
		  false },
		{ "good", "example", "ca.pem", "not example", false },
		{ "good", "a.mail.example", "ca.pem", "not a.mail.example", false },
		{ "good", "a.b.wild.example", "ca.pem", "not a.b.wild.example", false },
		{ "good", "common.example", "ca.pem", "not common.example", false },
		{ "wrong", "mail.example", "ca.pem",
		  "certificate is for other.example, 192.0.2.7, not mail.example", false },
		{ "expired", "mail.example", "ca.pem", "certificate expired on 2021-02-03", false },
		{ "future", "mail.example", "ca.pem", "certificate is not yet valid, only from 2044-05-06",
		  true },
		{ "future", "other.example", "ca.pem", "not yet valid", false },
		{ "good", "mail.example", "stranger.pem",
		  "certificate is from a CA that is not in the CA file: Test CA", false },
		{ "expired", "other.example", "stranger.pem", "expired on", false },
	};

	(void)state;
	need_certificates();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct tls_shown shown;
		struct session s;

		open_session(&s, server_context(rows[i].certificate),
			     client_context(rows[i].ca, NULL, false), rows[i].name);
		tls_show(s.client, &shown);
		shake(&s);
		if ((s.client_end == 0) != (rows[i].error == NULL))
			fail_msg("%s for %s: %d %s", rows[i].certificate, rows[i].name, s.client_end,
				 tls_error(s.client));
		if (rows[i].error) {
			assert_int_equal(s.client_end, TLS_FAILED);
			if (!strstr(tls_error(s.client), rows[i].error))
				fail_msg("%s for %s: %s", rows[i].certificate, rows[i].name,
					 tls_error(s.client));
		} else {
			assert_int_equal(s.server_end, 0);
			assert_string_equal(tls_error(s.client), "");
			exchange(s.client, s.fds[1], s.server, "EHLO there");
			exchange(s.server, s.fds[0], s.client, "250 here");
		}
		assert_true(shown.shown && shown.names[0] && strlen(shown.sha256) == 64);
		assert_int_equal(shown.wrong != 0, rows[i].error != NULL);
		assert_int_equal(tls_error_is_clock(s.client), rows[i].clock);
		assert_false(tls_prepare_retry(s.client));
		close_session(&s);
	}
}

static void fingerprint(const char *name, char *hex, size_t size, bool colons)
{
	uint8_t der[4096], digest[DIGEST_SHA256_SIZE];
	char pem[64], file[128];
	int fd, used = 0;
	ssize_t n;

	snprintf(pem, sizeof(pem), "%s.pem", name);
	snprintf(file, sizeof(file), "%s", in_certificates("der"));
	assert_int_equal(run(in_certificates("log"), (char *[]){ "openssl", "x509", "-outform", "DER", "-in",
			     (char *)(uintptr_t)in_certificates(pem), "-out", file, NULL }), 0);
	fd = open(file, O_RDONLY);
	n = read(fd, der, sizeof(der));
	close(fd);
	assert_true(n > 0);
	assert_true(digest_hash(DIGEST_SHA256, slice_bytes((char *)der, (size_t)n), digest));
	for (size_t i = 0; i < sizeof(digest); i++)
		used += snprintf(hex + used, size - (size_t)used, colons && i > 0 ? ":%02X" : "%02x", digest[i]);
}

static void test_pin(void **state)
{
	/* The pin is all that counts: name, dates and CA are not looked at. */
	static const char *const names[] = { "good", "expired", "wrong", "rsa" };
	char pin[128];
	struct session s;

	(void)state;
	need_certificates();
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		fingerprint(names[i], pin, sizeof(pin), i % 2 == 0);
		open_session(&s, server_context(names[i]), client_context(NULL, pin, false),
			     i % 2 ? "unheard.example" : "192.0.2.200");
		shake(&s);
		if (s.client_end != 0)
			fail_msg("%s: %s", names[i], tls_error(s.client));
		exchange(s.client, s.fds[1], s.server, "EHLO there");
		close_session(&s);
	}
	/* The right name and CA don't help a wrong pin. */
	open_session(&s, server_context("good"), client_context("ca.pem", pin, false), "mail.example");
	shake(&s);
	assert_int_equal(s.client_end, TLS_FAILED);
	fingerprint("good", pin, sizeof(pin), false);
	assert_non_null(strstr(tls_error(s.client), "not the pinned one"));
	assert_non_null(strstr(tls_error(s.client), pin));
	assert_int_equal(tls_read(s.client, pin, 1), TLS_FAILED);
	assert_int_equal(tls_write(s.client, pin, 1), TLS_FAILED);
	close_session(&s);
}

static void test_versions(void **state)
{
	struct tls_context *client;
	struct session s;

	(void)state;
	need_certificates();
	open_session(&s, server_context("good"), client_context("ca.pem", NULL, false), "mail.example");
	shake(&s);
	assert_int_equal(s.client_end, 0);
	assert_string_equal(tls_version(s.client), HAS_13 ? "TLSv1.3" : "TLSv1.2");
	assert_string_equal(tls_version(s.client), tls_version(s.server));
	assert_string_equal(tls_cipher(s.client), tls_cipher(s.server));
	assert_non_null(strstr(tls_cipher(s.client), "CHACHA20"));
	close_session(&s);

	client = client_context("ca.pem", NULL, false);
	tls_context_only_12(client);
	open_session(&s, server_context("rsa"), client, "mail.example");
	shake(&s);
	assert_int_equal(s.client_end, 0);
	assert_string_equal(tls_version(s.client), "TLSv1.2");
	exchange(s.server, s.fds[0], s.client, "250 here");
	close_session(&s);

	if (!HAS_13)
		return;
	client = client_context("ca.pem", NULL, true);
	tls_context_only_12(client);
	open_session(&s, server_context("good"), client, "mail.example");
	shake(&s);
	assert_int_equal(s.client_end, 0);
	assert_string_equal(tls_version(s.client), "TLSv1.3");
	close_session(&s);
}

static void open_good(struct session *s)
{
	open_session(s, server_context("good"), client_context("ca.pem", NULL, false), "mail.example");
	shake(s);
	assert_int_equal(s->client_end, 0);
	assert_int_equal(s->server_end, 0);
}

static ssize_t read_end(struct tls *t, int fd)
{
	char octet;
	ssize_t n;

	while ((n = tls_read(t, &octet, 1)) == TLS_WANT_READ)
		wait_for(fd, POLLIN);
	return n;
}

static void test_ends(void **state)
{
	struct session s;

	(void)state;
	need_certificates();
	/* Said properly. */
	open_good(&s);
	tls_shutdown(s.client);
	tls_shutdown(s.client);
	assert_int_equal(read_end(s.server, s.fds[1]), TLS_CLOSED);
	assert_string_equal(tls_error(s.server), "");
	close_session(&s);
	/* Cut off, as anybody on the way can do. */
	open_good(&s);
	shutdown(s.fds[0], SHUT_WR);
	assert_int_equal(read_end(s.server, s.fds[1]), TLS_FAILED);
	assert_non_null(strstr(tls_error(s.server), "without the end of TLS"));
	close_session(&s);
	/* Changed on the way: one octet of a record. */
	open_good(&s);
	assert_int_equal(send(s.fds[0], "\x17\x03\x03\x00\x20" "01234567890123456789012345678901", 37, 0), 37);
	assert_int_equal(read_end(s.server, s.fds[1]), TLS_FAILED);
	assert_string_not_equal(tls_error(s.server), "");
	close_session(&s);
}

/* The peer has refused us and gone before our next message: its words are read all the same, and without words, the end. */
static void test_refused_while_writing(void **state)
{
	static const struct {
		const char *record, *error;
		size_t len;
	} rows[] = {
		{ "\x15\x03\x03\x00\x02\x02\x30", "our certificate is from a CA it doesn't know (unknown_ca)", 7 },
		{ "", "Broken pipe", 0 },
	};

	(void)state;
	need_certificates();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct tls_context *c = client_context("ca.pem", NULL, false);
		struct tls *t;
		int fds[2];

		/* Here a write to who has gone fails at once. */
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
		t = tls_new(c, fds[0], "mail.example");
		assert_int_equal(send(fds[1], rows[i].record, rows[i].len, 0), rows[i].len);
		close(fds[1]);
		assert_int_equal(tls_handshake(t), TLS_FAILED);
		if (!strstr(tls_error(t), rows[i].error))
			fail_msg("%s", tls_error(t));
		tls_free(t);
		tls_context_release(c);
		close(fds[0]);
	}
}

static void test_not_tls(void **state)
{
	struct tls_context *c;
	struct tls *t;
	int fds[2];

	(void)state;
	need_certificates();
	tcp_pair(fds);
	c = server_context("good");
	t = tls_new(c, fds[1], NULL);
	assert_int_equal(send(fds[0], "EHLO client.example\r\n", 21, 0), 21);
	wait_for(fds[1], POLLIN);
	assert_int_equal(tls_handshake(t), TLS_FAILED);
	assert_string_equal(tls_error(t), "what came is not TLS");
	assert_int_equal(tls_handshake(t), TLS_FAILED);
	tls_free(t);
	/* A client that hangs up in the middle. */
	t = tls_new(c, fds[1], NULL);
	shutdown(fds[0], SHUT_WR);
	while (tls_handshake(t) == TLS_WANT_READ)
		wait_for(fds[1], POLLIN);
	assert_int_equal(tls_handshake(t), TLS_FAILED);
	tls_free(t);
	tls_context_release(c);
	close(fds[0]);
	close(fds[1]);
}

static void expect_fault(struct tls_context *c, struct fault *f, const char *text)
{
	assert_null(c);
	assert_int_equal(f->status, STATUS_CONFIG);
	if (!strstr(f->text, text))
		fail_msg("%s", f->text);
	f->text[0] = '\0';
}

static struct tls_context *server(const char *certificate, const char *key, struct fault *f)
{
	return tls_server_new(in_certificates(certificate), in_certificates(key), false, f);
}

static void test_server_faults(void **state)
{
	struct fault f = { .text = "" };
	struct tls_context *c;

	(void)state;
	need_certificates();
	write_file("rubbish", "-----BEGIN CERTIFICATE-----\nrubbish\n-----END CERTIFICATE-----\n", 0600);
	write_file("nothing", "", 0600);
	expect_fault(server("none.pem", "good.key", &f), &f, "/none.pem: No such file");
	expect_fault(server("good.pem", "none.key", &f), &f, "/none.key: No such file");
	expect_fault(server("rubbish", "good.key", &f), &f, "/rubbish: ");
	expect_fault(server("nothing", "good.key", &f), &f, "/nothing: ");
	expect_fault(server("good.pem", "rubbish", &f), &f, "/rubbish: no private key");
	expect_fault(server("good.pem", "nothing", &f), &f, "/nothing: ");
	expect_fault(server("good.pem", "rsa.key", &f), &f, "/rsa.key: does not fit");
	expect_fault(server("good.pem", "expired.key", &f), &f, "/expired.key: does not fit");
	expect_fault(server("good.key", "good.key", &f), &f, "/good.key: ");
	expect_fault(server("", "good.key", &f), &f, "not a file");
	assert_int_equal(chmod(in_certificates("good.key"), 0604), 0);
	expect_fault(server("good.pem", "good.key", &f), &f, "open to everybody (mode 0604)");
	assert_int_equal(chmod(in_certificates("good.key"), 0640), 0);
	c = server("good.pem", "good.key", &f);
	assert_non_null(c);
	tls_context_release(c);
	assert_int_equal(run(in_certificates("log"), (char *[]){ "openssl", "pkey", "-aes128", "-passout",
			     "pass:x", "-in", (char *)(uintptr_t)in_certificates("good.key"), "-out",
			     (char *)(uintptr_t)in_certificates("locked"), NULL }), 0);
	expect_fault(server("good.pem", "locked", &f), &f, "/locked: the key is encrypted");
	if (!HAS_13)
		expect_fault(tls_server_new(in_certificates("good.pem"), in_certificates("good.key"), true,
					    &f), &f, "needs mbedTLS 3.6");
}

static void test_client_faults(void **state)
{
	static const char *const pins[] = {
		"12", "zz", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde",
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0",
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdeg",
		":0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
	};
	struct tls_client_rules none = { 0 }, empty = { .ca = "", .pin = "" };
	struct fault f = { .text = "" };

	(void)state;
	need_certificates();
	expect_fault(tls_client_new(&none, &f), &f, "needs a CA file or a pin");
	expect_fault(tls_client_new(&empty, &f), &f, "needs a CA file or a pin");
	none.ca = in_certificates("none");
	expect_fault(tls_client_new(&none, &f), &f, "/none: No such file");
	none.ca = in_certificates("ca.key");
	expect_fault(tls_client_new(&none, &f), &f, "/ca.key: no CA certificate");
	none.ca = in_certificates("ca.pem");
	none.key = in_certificates("good.key");
	expect_fault(tls_client_new(&none, &f), &f, "go together");
	for (size_t i = 0; i < sizeof(pins) / sizeof(pins[0]); i++) {
		empty.pin = pins[i];
		expect_fault(tls_client_new(&empty, &f), &f, "not 64 hexadecimal digits");
	}
}

/* A reload replaces the context while connections use it. */
static void test_context_outlives(void **state)
{
	struct tls_context *context;
	struct session s;

	(void)state;
	need_certificates();
	context = server_context("good");
	tls_context_hold(context);
	open_session(&s, context, client_context("ca.pem", NULL, false), "mail.example");
	tls_context_release(context);
	shake(&s);
	assert_int_equal(s.client_end, 0);
	exchange(s.client, s.fds[1], s.server, "NOOP");
	close_session(&s);
	tls_context_release(NULL);
}

/* A connection between the two; what is said over it brings the tickets of TLS 1.3. */
static void connect_once(struct tls_context *server, struct tls_context *client, const char *name, bool expected)
{
	struct session s;

	tls_context_hold(server);
	tls_context_hold(client);
	open_session(&s, server, client, name);
	shake(&s);
	if (s.client_end != 0)
		fail_msg("%s", tls_error(s.client));
	exchange(s.server, s.fds[0], s.client, "220 here");
	exchange(s.client, s.fds[1], s.server, "EHLO there");
	if (tls_resumed(s.client) != expected)
		fail_msg("%s: %sresumed", name, expected ? "not " : "");
	close_session(&s);
}

static void test_resumption(void **state)
{
	char pin[128];

	(void)state;
	need_certificates();
	fingerprint("rsa", pin, sizeof(pin), false);
	for (int i = 0; i < 4; i++) {
		struct tls_context *server = server_context("rsa"), *other = server_context("rsa");
		struct tls_context *client = client_context(i & 1 ? NULL : "ca.pem", i & 1 ? pin : NULL, false);

		if (i & 2)
			tls_context_only_12(client);
		connect_once(server, client, "mail.example", false);
		for (int k = 0; k < 3; k++)
			connect_once(server, client, k == 1 ? "Mail.Example." : "mail.example", true);
		/* A server that has forgotten its keys is met afresh, and taken up again. */
		connect_once(other, client, "mail.example", false);
		connect_once(other, client, "mail.example", true);
		if (i == 0) {
			tls_context_only_12(client);
			connect_once(other, client, "mail.example", false);
		}
		tls_context_release(server);
		tls_context_release(other);
		tls_context_release(client);
	}
}

/* A session is of one name and one context: neither a name that wasn't verified nor other rules can have it. */
static void test_resumption_keeps_the_rules(void **state)
{
	struct tls_context *server, *client, *stranger, *later;
	struct session s;

	(void)state;
	need_certificates();
	server = server_context("good");
	client = client_context("ca.pem", NULL, false);
	stranger = client_context("stranger.pem", NULL, false);
	connect_once(server, client, "mail.example", false);
	connect_once(server, client, "x.wild.example", false);
	connect_once(server, client, "x.wild.example", true);
	connect_once(server, client, "mail.example", true);
	for (int i = 0; i < 2; i++) {		/* a failed one saves nothing */
		tls_context_hold(server);
		tls_context_hold(client);
		open_session(&s, server, client, "other.example");
		shake(&s);
		assert_int_equal(s.client_end, TLS_FAILED);
		assert_false(tls_resumed(s.client));
		close_session(&s);
		tls_context_hold(server);
		tls_context_hold(stranger);
		open_session(&s, server, stranger, "mail.example");
		shake(&s);
		assert_int_equal(s.client_end, TLS_FAILED);
		close_session(&s);
	}
	/* After a reload nothing is left. */
	later = client_context("ca.pem", NULL, false);
	connect_once(server, later, "mail.example", false);
	/* More names than rows: the oldest gives way, and nothing grows. */
	for (int i = 0; i < 3 * TLS_SAVED_MAX; i++) {
		char name[32];

		snprintf(name, sizeof(name), "n%d.wild.example", i);
		connect_once(server, later, name, false);
		connect_once(server, later, name, true);
	}
	connect_once(server, later, "mail.example", false);
	tls_context_release(server);
	tls_context_release(client);
	tls_context_release(stranger);
	tls_context_release(later);
}

/* A handshake that fails with a session offered takes it along: the next one is a full one. */
static void test_resumption_that_fails(void **state)
{
	struct tls_context *server, *client;
	struct session s;

	(void)state;
	need_certificates();
	server = server_context("good");
	client = client_context("ca.pem", NULL, false);
	connect_once(server, client, "mail.example", false);
	tls_context_hold(server);
	tls_context_hold(client);
	open_session(&s, server, client, "mail.example");
	assert_int_equal(tls_handshake(s.client), TLS_WANT_READ);
	shutdown(s.fds[1], SHUT_WR);
	while (is_under_way(s.client_end = tls_handshake(s.client)))
		wait_for(s.fds[0], POLLIN);
	assert_int_equal(s.client_end, TLS_FAILED);
	close_session(&s);
	connect_once(server, client, "mail.example", false);
	tls_context_release(server);
	tls_context_release(client);
}

static void test_valid_to(void **state)
{
	struct tls_context *good, *expired, *client;

	(void)state;
	need_certificates();
	good = server_context("good");
	expired = server_context("expired");
	client = client_context("ca.pem", NULL, false);
	assert_int_equal(tls_context_valid_to(good), INT64_C(2366841600));	/* 2045-01-01 */
	assert_int_equal(tls_context_valid_to(expired), INT64_C(1612310400));	/* 2021-02-03 */
	assert_int_equal(tls_context_valid_to(client), INT64_MAX);
	tls_context_release(good);
	tls_context_release(expired);
	tls_context_release(client);
}

/* The other library as server, TLS 1.2 only, RSA: what mbedTLS 3.6.6 stumbles over. */
static pid_t start_s_server(uint16_t port)
{
	char accept_at[32];
	pid_t pid;

	snprintf(accept_at, sizeof(accept_at), "127.0.0.1:%u", port);
	pid = fork();
	if (pid == 0) {
		int log = open(in_certificates("log"), O_WRONLY | O_CREAT | O_APPEND, 0600);

		dup2(log, 1);
		dup2(log, 2);
		execlp("openssl", "openssl", "s_server", "-tls1_2", "-quiet", "-accept", accept_at, "-cert",
		       in_certificates("rsa.pem"), "-key", in_certificates("rsa.key"), (char *)NULL);
		_exit(127);
	}
	return pid;
}

static int connect_to(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				 .sin_port = htons(port) };

	/* It takes a moment until it listens. */
	for (int i = 0; i < 1000; i++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0) {
			assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
			return fd;
		}
		close(fd);
		poll(NULL, 0, 10);
	}
	return -1;
}

static int shake_with(struct tls *t, int fd)
{
	int result;

	while (is_under_way(result = tls_handshake(t)))
		wait_for(fd, result == TLS_WANT_READ ? POLLIN : POLLOUT);
	return result;
}

static uint16_t free_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	close(fd);
	return ntohs(a.sin_port);
}

static void test_openssl_12_rsa(void **state)
{
	struct tls_context *c;
	uint16_t port = free_port();
	struct tls *t;
	pid_t pid;
	int fd, result;

	(void)state;
	need_certificates();
	c = client_context("ca.pem", NULL, false);
	pid = start_s_server(port);
	fd = connect_to(port);
	assert_true(fd >= 0);
	t = tls_new(c, fd, "mail.example");
	result = shake_with(t, fd);
	if (result != 0) {
		print_message("TLS 1.2 with RSA, first attempt: %s\n", tls_error(t));
		assert_true(tls_prepare_retry(t));
		tls_free(t);
		close(fd);
		fd = connect_to(port);
		t = tls_new(c, fd, "mail.example");
		result = shake_with(t, fd);
	}
	if (result != 0)
		print_message("%s\n", tls_error(t));
	assert_int_equal(result, 0);
	assert_false(tls_prepare_retry(t));
	assert_string_equal(tls_version(t), "TLSv1.2");
	tls_free(t);
	close(fd);
	tls_context_release(c);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static struct tls_context *client_with(const char *own)
{
	char pem[64], key[64];
	struct tls_client_rules rules = { .ca = in_certificates("ca.pem") };
	struct fault f = { .text = "" };
	struct tls_context *c;

	snprintf(pem, sizeof(pem), "%s.pem", own ? own : "");
	snprintf(key, sizeof(key), "%s.key", own ? own : "");
	if (own) {
		rules.certificate = in_certificates(pem);
		rules.key = in_certificates(key);
	}
	c = tls_client_new(&rules, &f);
	if (!c)
		fail_msg("%s", f.text);
	return c;
}

/* Any client gets through the handshake; who it is, is judged then. */
static void test_mutual(void **state)
{
	static const struct {
		const char *own, *ca, *name;
		bool known;
	} rows[] = {
		{ "good", "ca.pem", "mail.example", true }, { "good", "ca.pem", "MAIL.example", true },
		{ "rsa", "ca.pem", "mail.example", true },
		{ "good", "ca.pem", "other.example", false }, { "good", "ca.pem", "a.wild.example", false },
		{ "good", "ca.pem", "common.example", false }, { "good", NULL, "mail.example", false },
		{ "good", "stranger.pem", "mail.example", false },
		{ "expired", "ca.pem", "mail.example", false }, { "future", "ca.pem", "mail.example", false },
		{ NULL, "ca.pem", "mail.example", false },
	};
	uint8_t digest[DIGEST_SHA256_SIZE];
	struct fault f = { .text = "" };
	struct session s;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *ca = rows[i].ca ? in_certificates(rows[i].ca) : NULL;
		struct tls_context *server = tls_mutual_new(in_certificates("good.pem"), in_certificates("good.key"), ca,
							    false, &f);

		if (!server)
			fail_msg("%s", f.text);
		open_session(&s, server, client_with(rows[i].own), "mail.example");
		assert_false(tls_peer_digest(s.server, digest));
		shake(&s);
		assert_int_equal(s.client_end, 0);
		assert_int_equal(s.server_end, 0);
		assert_int_equal(tls_peer_digest(s.server, digest), rows[i].own != NULL);
		if (tls_peer_is(s.server, rows[i].name) != rows[i].known)
			fail_msg("%s is %s, CA %s", rows[i].own, rows[i].name, rows[i].ca);
		exchange(s.client, s.fds[1], s.server, "7 <22>1 a");
		exchange(s.server, s.fds[0], s.client, "ok 7");
		close_session(&s);
	}
	assert_null(tls_mutual_new(in_certificates("good.pem"), in_certificates("good.key"), in_certificates("none.pem"), false,
				   &f));
	assert_non_null(strstr(f.text, "none.pem"));
}

static int start(void **state)
{
	if (make_certificates(state) != 0)
		return -1;
	/* Twice, as after a fork. */
	return tls_start() == 0 && tls_start() == 0 ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_verdicts, descriptors_counted, descriptors_closed),
		cmocka_unit_test_setup_teardown(test_pin, descriptors_counted, descriptors_closed),
		cmocka_unit_test_setup_teardown(test_versions, descriptors_counted, descriptors_closed),
		cmocka_unit_test_setup_teardown(test_ends, descriptors_counted, descriptors_closed),
		cmocka_unit_test_setup_teardown(test_refused_while_writing, descriptors_counted, descriptors_closed),
		cmocka_unit_test_setup_teardown(test_not_tls, descriptors_counted, descriptors_closed),
		cmocka_unit_test_setup_teardown(test_server_faults, descriptors_counted, descriptors_closed),
		cmocka_unit_test_setup_teardown(test_client_faults, descriptors_counted, descriptors_closed),
		cmocka_unit_test_setup_teardown(test_context_outlives, descriptors_counted, descriptors_closed),
		cmocka_unit_test_setup_teardown(test_resumption, descriptors_counted, descriptors_closed),
		cmocka_unit_test_setup_teardown(test_resumption_keeps_the_rules, descriptors_counted, descriptors_closed),
		cmocka_unit_test_setup_teardown(test_resumption_that_fails, descriptors_counted, descriptors_closed),
		cmocka_unit_test_setup_teardown(test_mutual, descriptors_counted, descriptors_closed),
		cmocka_unit_test_setup_teardown(test_valid_to, descriptors_counted, descriptors_closed),
		cmocka_unit_test_setup_teardown(test_openssl_12_rsa, descriptors_counted, descriptors_closed),
	};

	return cmocka_run_group_tests_name("net_tls", tests, start, remove_certificates);
}
