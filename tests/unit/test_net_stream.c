#include "net_common.h"
#include "feature.h"

#include <errno.h>

#include "base/limits.h"
#include "net/stream.h"

#define BLOCKS 6

static struct pool *pool;
static struct stream a, b;		/* two ends of one connection */

static int start(void **state)
{
	int ends[2];

	descriptors_counted(state);
	pool = pool_new(CHUNK_SIZE, BLOCKS);
	tcp_pair(ends);
	stream_open(&a, ends[0], pool);
	stream_open(&b, ends[1], pool);
	return 0;
}

static int stop(void **state)
{
	size_t lent;

	stream_close(&a);
	stream_close(&b);
	stream_close(&b);
	lent = pool_lent(pool);
	pool_free(pool);
	return lent == 0 ? descriptors_closed(state) : -1;
}

static void put(struct stream *s, const char *text)
{
	struct buffer *out = stream_output(s);

	assert_non_null(out);
	assert_true(buffer_put_text(out, text));
}

/* What a turn of the loop would do for this stream, hardly waiting. */
static void turn(struct stream *s, bool input)
{
	struct pollfd p = { .fd = s->fd, .events = stream_events(s, input) };

	if (stream_ready(s) && input)
		stream_read(s);
	if (!p.events || poll(&p, 1, s == &b) <= 0)
		return;
	if (p.revents & (POLLERR | POLLHUP))
		p.revents |= p.events;
	if (p.revents & POLLIN)
		stream_read(s);
	if (p.revents & POLLOUT)
		stream_write(s);
}

static void turns(int n)
{
	while (n-- > 0) {
		turn(&a, true);
		turn(&b, true);
	}
}

/* Until b holds `len` octets or is no longer open. */
static void carry(size_t len)
{
	for (int i = 0; i < 100000 && stream_input(&b).len < len && b.state == STREAM_OPEN; i++)
		turns(1);
}

static void assert_input(struct stream *s, const char *text)
{
	struct slice in = stream_input(s);

	assert_int_equal(in.len, strlen(text));
	assert_memory_equal(in.at, text, in.len);
}

static void test_plain(void **state)
{
	(void)state;
	assert_int_equal(pool_lent(pool), 0);
	assert_int_equal(stream_events(&a, true), POLLIN);
	assert_int_equal(stream_events(&a, false), 0);
	put(&a, "EHLO a\r\n");
	assert_int_equal(stream_events(&a, false), POLLOUT);
	stream_write(&a);
	assert_false(stream_has_output(&a));
	wait_for(b.fd, POLLIN);
	assert_int_equal(stream_read(&b), 8);
	assert_input(&b, "EHLO a\r\n");
	assert_int_equal(stream_read(&b), 0);
	assert_int_equal(b.state, STREAM_OPEN);
	assert_int_equal(pool_lent(pool), 2);
	stream_rest(&a);
	assert_int_equal(pool_lent(pool), 1);
	stream_rest(&b);
	assert_int_equal(pool_lent(pool), 1);
	stream_consume(&b, 5);
	assert_input(&b, "a\r\n");
	stream_consume(&b, 3);
	stream_rest(&b);
	assert_int_equal(pool_lent(pool), 0);
	assert_string_equal(stream_error(&a), "");
}

/*
 * An owner who was told that there was no room waits for POLLOUT. Had a further write in the same turn, into room that has just come, taken
 * the rest, nothing would wake it up.
 */
static void test_blocked(void **state)
{
	char big[CHUNK_SIZE];
	size_t left;

	(void)state;
	memset(big, 'x', sizeof(big));
	do {
		assert_true(buffer_put(stream_output(&a), slice_bytes(big, sizeof(big) - buffer_length(&a.out))));
		stream_write(&a);
		stream_events(&a, false);
	} while (!stream_has_output(&a));
	stream_write(&a);
	left = buffer_length(&a.out);
	while (recv(b.fd, big, sizeof(big), MSG_DONTWAIT) > 0) {
	}
	stream_write(&a);
	assert_int_equal(buffer_length(&a.out), left);
	assert_int_equal(stream_events(&a, false), POLLOUT);
	wait_for(a.fd, POLLOUT);
	stream_write(&a);
	assert_true(buffer_length(&a.out) < left);
}

static void test_back_pressure(void **state)
{
	char big[CHUNK_SIZE];

	(void)state;
	memset(big, 'x', sizeof(big));
	assert_true(buffer_put(stream_output(&a), slice_bytes(big, sizeof(big))));
	stream_write(&a);
	if (!stream_has_output(&a))
		put(&a, "more");
	carry(CHUNK_SIZE);
	assert_int_equal(stream_input(&b).len, CHUNK_SIZE);
	/* Full: nothing is read, nor asked for. */
	assert_int_equal(stream_events(&b, true), 0);
	assert_int_equal(stream_read(&b), 0);
	assert_int_equal(stream_input(&b).len, CHUNK_SIZE);
	stream_consume(&b, CHUNK_SIZE - 1);
	assert_int_equal(stream_events(&b, true), POLLIN);
	carry(5);
	assert_input(&b, "xmore");
}

static void test_empty_pool(void **state)
{
	void *blocks[BLOCKS];

	(void)state;
	for (int i = 0; i < BLOCKS; i++)
		blocks[i] = pool_get(pool);
	assert_int_equal(send(a.fd, "x", 1, 0), 1);
	wait_for(b.fd, POLLIN);
	assert_int_equal(stream_events(&b, true), 0);
	assert_int_equal(stream_read(&b), 0);
	assert_null(stream_output(&b));
	assert_int_equal(b.state, STREAM_OPEN);
	pool_put(pool, blocks[0]);
	assert_int_equal(stream_events(&b, true), POLLIN);
	assert_int_equal(stream_read(&b), 1);
	for (int i = 1; i < BLOCKS; i++)
		pool_put(pool, blocks[i]);
}

static void test_end_and_half_close(void **state)
{
	(void)state;
	put(&a, "QUIT\r\n");
	stream_write(&a);
	shutdown(a.fd, SHUT_WR);
	for (int i = 0; i < 1000 && b.state == STREAM_OPEN; i++) {
		wait_for(b.fd, POLLIN);
		stream_read(&b);
	}
	assert_int_equal(b.state, STREAM_ENDED);
	assert_input(&b, "QUIT\r\n");
	assert_int_equal(stream_events(&b, true), 0);
	put(&b, "221 bye\r\n");
	assert_int_equal(stream_events(&b, true), POLLOUT);
	stream_write(&b);
	wait_for(a.fd, POLLIN);
	assert_int_equal(stream_read(&a), 9);
	assert_string_equal(stream_error(&b), "");
}

static void test_reset(void **state)
{
	struct linger now = { .l_onoff = 1 };

	(void)state;
	setsockopt(a.fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	stream_close(&a);
	wait_for(b.fd, POLLIN);
	assert_int_equal(stream_read(&b), 0);
	assert_int_equal(b.state, STREAM_FAILED);
	assert_int_equal(b.error, ECONNRESET);
	assert_string_equal(stream_error(&b), strerror(ECONNRESET));
	assert_int_equal(stream_events(&b, true), 0);
	put(&b, "x");
	stream_write(&b);
	assert_true(stream_has_output(&b));
}

/* No signal, and the error is told. */
static void test_write_to_nobody(void **state)
{
	(void)state;
	stream_close(&a);
	for (int i = 0; i < 1000 && b.state == STREAM_OPEN; i++) {
		put(&b, "421 too busy\r\n");
		stream_write(&b);
		stream_rest(&b);
	}
	assert_int_equal(b.state, STREAM_FAILED);
	assert_true(b.error == EPIPE || b.error == ECONNRESET);
}

/* The last reply arrives although the peer's octets were never read. */
static void test_last_reply(void **state)
{
	(void)state;
	put(&a, "rubbish rubbish rubbish\r\n");
	stream_write(&a);
	wait_for(b.fd, POLLIN);
	put(&b, "500 no\r\n");
	stream_write(&b);
	stream_close(&b);
	for (int i = 0; i < 1000 && a.state == STREAM_OPEN; i++) {
		wait_for(a.fd, POLLIN);
		stream_read(&a);
	}
	assert_int_equal(a.state, STREAM_ENDED);
	assert_input(&a, "500 no\r\n");
}

/* TLS: a is the client, b the server. */

static void begin_tls(const char *name)
{
	struct tls_client_rules rules = { .ca = in_certificates("ca.pem") };
	struct fault f = { .text = "" };
	struct tls_context *s = tls_server_new(in_certificates("good.pem"), in_certificates("good.key"), false,
					       &f);
	struct tls_context *c = tls_client_new(&rules, &f);

	assert_string_equal(f.text, "");
	assert_true(stream_start_tls(&a, c, name));
	assert_true(stream_start_tls(&b, s, NULL));
	tls_context_release(s);
	tls_context_release(c);
	assert_int_equal(a.state, STREAM_HANDSHAKE);
	assert_int_equal(stream_events(&a, false), POLLOUT);
	assert_int_equal(stream_events(&b, true), POLLIN);
}

static void shake(void)
{
	for (int i = 0; i < 1000 && (a.state == STREAM_HANDSHAKE || b.state == STREAM_HANDSHAKE); i++) {
		if (a.state == STREAM_FAILED || b.state == STREAM_FAILED)
			return;
		turns(1);
	}
}

static void open_tls(void)
{
	begin_tls("mail.example");
	shake();
	assert_int_equal(a.state, STREAM_OPEN);
	assert_int_equal(b.state, STREAM_OPEN);
}

/* R34, both roles: what was there in clear is gone. */
static void test_injection(void **state)
{
	(void)state;
	need_certificates();
	put(&a, "STARTTLS\r\nMAIL FROM:<mallory@evil.example>\r\n");
	stream_write(&a);
	put(&b, "220 go\r\n250 injected\r\n");
	stream_write(&b);
	wait_for(a.fd, POLLIN);
	wait_for(b.fd, POLLIN);
	assert_true(stream_read(&a) > 0);
	assert_true(stream_read(&b) > 0);
	stream_consume(&b, 10);
	open_tls();
	assert_int_equal(stream_input(&a).len, 0);
	assert_int_equal(stream_input(&b).len, 0);
	put(&a, "EHLO a\r\n");
	carry(8);
	assert_input(&b, "EHLO a\r\n");
}

/* Clear text that arrives after the switch is no TLS and ends it. */
static void test_clear_after_switch(void **state)
{
	(void)state;
	need_certificates();
	begin_tls("mail.example");
	assert_int_equal(send(a.fd, "MAIL FROM:<mallory@evil.example>\r\n", 34, 0), 34);
	shake();
	assert_int_equal(b.state, STREAM_FAILED);
	assert_string_equal(stream_error(&b), "what came is not TLS");
	assert_int_equal(stream_input(&b).len, 0);
}

static void test_output_first(void **state)
{
	struct tls_client_rules rules = { .ca = in_certificates("ca.pem") };
	struct fault f = { .text = "" };
	struct tls_context *c;

	(void)state;
	need_certificates();
	c = tls_client_new(&rules, &f);
	put(&a, "STARTTLS\r\n");
	assert_false(stream_start_tls(&a, c, "mail.example"));
	assert_int_equal(a.state, STREAM_OPEN);
	tls_context_release(c);
}

static void test_wrong_name(void **state)
{
	(void)state;
	need_certificates();
	begin_tls("other.example");
	shake();
	assert_int_equal(a.state, STREAM_FAILED);
	assert_int_equal(a.error, 0);
	assert_non_null(strstr(stream_error(&a), "not other.example"));
	put(&a, "AUTH PLAIN secret\r\n");
	stream_write(&a);
	assert_true(stream_has_output(&a));
}

static void test_small_writes(void **state)
{
	char expected[1001];

	(void)state;
	need_certificates();
	open_tls();
	for (size_t i = 0; i < 1000; i++) {
		char octet[2] = { (char)('a' + i % 26), '\0' };

		expected[i] = octet[0];
		put(&a, octet);
		stream_write(&a);
	}
	expected[1000] = '\0';
	carry(1000);
	assert_input(&b, expected);
}

static char pattern(size_t i)
{
	return (char)(i * 31 + (i >> 8) * 7);
}

/*
 * A socket that takes little, a peer that reads late, and an owner that puts more behind a write under way: octets are neither
 * lost, doubled nor changed.
 */
static void test_partial_writes(void **state)
{
	const size_t total = 300000;
	size_t sent = 0, got = 0;
	int small = 4096;

	(void)state;
	need_certificates();
	open_tls();
	setsockopt(a.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	while (got < total) {
		struct buffer *out = stream_output(&a);
		bool blocked = false;
		struct slice in;

		assert_non_null(out);
		for (int i = 0; i < 3; i++) {
			char part[997];
			size_t n = 0;

			while (n < sizeof(part) && sent + n < total) {
				part[n] = pattern(sent + n);
				n++;
			}
			if (buffer_put(out, slice_bytes(part, n)))
				sent += n;
			stream_write(&a);
			blocked |= a.submitted > 0;
		}
		assert_int_equal(a.state, STREAM_OPEN);
		if (!blocked && sent < total)
			continue;
		turn(&a, true);
		turn(&b, true);
		in = stream_input(&b);
		for (size_t i = 0; i < in.len; i++)
			if (in.at[i] != pattern(got + i))
				fail_msg("octet %zu is wrong", got + i);
		got += in.len;
		stream_consume(&b, in.len);
	}
	assert_int_equal(sent, total);
	assert_int_equal(got, total);
	assert_false(stream_has_output(&a));
}

/* Octets decrypted but not yet taken: poll can't see them, stream_ready does. */
static void test_ready(void **state)
{
	char big[12000];

	(void)state;
	need_certificates();
	open_tls();
	memset(big, 'x', sizeof(big));
	for (int i = 0; i < 3; i++)
		assert_true(buffer_put(stream_output(&a), slice_bytes(big, sizeof(big))) || i == 2);
	carry(24000);
	assert_int_equal(stream_input(&b).len, 24000);
	assert_false(stream_ready(&b));
	assert_true(buffer_put(stream_output(&a), slice_bytes(big, sizeof(big))));
	carry(CHUNK_SIZE);
	assert_int_equal(stream_input(&b).len, CHUNK_SIZE);
	/* No room: not ready, and no poll either. */
	assert_false(stream_ready(&b));
	assert_int_equal(stream_events(&b, true), 0);
	stream_consume(&b, 20000);
	assert_true(stream_ready(&b));
	assert_int_equal(stream_read(&b), 36000 - CHUNK_SIZE);
	assert_false(stream_ready(&b));
	assert_int_equal(stream_input(&b).len, 16000);
}

static void test_tls_ends(void **state)
{
	(void)state;
	need_certificates();
	open_tls();
	put(&a, "QUIT\r\n");
	stream_write(&a);
	stream_close(&a);
	carry(100);
	assert_int_equal(b.state, STREAM_ENDED);
	assert_input(&b, "QUIT\r\n");
}

static void test_truncation(void **state)
{
	(void)state;
	need_certificates();
	open_tls();
	put(&a, "half a mess");
	stream_write(&a);
	shutdown(a.fd, SHUT_WR);
	carry(100);
	assert_int_equal(b.state, STREAM_FAILED);
	assert_input(&b, "half a mess");
	assert_non_null(strstr(stream_error(&b), "without the end of TLS"));
}

static int group_start(void **state)
{
	return make_certificates(state) == 0 && tls_start() == 0 ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_plain, start, stop),
		cmocka_unit_test_setup_teardown(test_blocked, start, stop),
		cmocka_unit_test_setup_teardown(test_back_pressure, start, stop),
		cmocka_unit_test_setup_teardown(test_empty_pool, start, stop),
		cmocka_unit_test_setup_teardown(test_end_and_half_close, start, stop),
		cmocka_unit_test_setup_teardown(test_reset, start, stop),
		cmocka_unit_test_setup_teardown(test_write_to_nobody, start, stop),
		cmocka_unit_test_setup_teardown(test_last_reply, start, stop),
		unit_test_between(CONFIG_TLS, test_injection, start, stop),
		unit_test_between(CONFIG_TLS, test_clear_after_switch, start, stop),
		cmocka_unit_test_setup_teardown(test_output_first, start, stop),
		unit_test_between(CONFIG_TLS, test_wrong_name, start, stop),
		unit_test_between(CONFIG_TLS, test_small_writes, start, stop),
		unit_test_between(CONFIG_TLS, test_partial_writes, start, stop),
		unit_test_between(CONFIG_TLS, test_ready, start, stop),
		unit_test_between(CONFIG_TLS, test_tls_ends, start, stop),
		unit_test_between(CONFIG_TLS, test_truncation, start, stop),
	};

	return cmocka_run_group_tests_name("net_stream", tests, group_start, remove_certificates);
}
