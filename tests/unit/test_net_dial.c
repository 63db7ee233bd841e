#include "net_common.h"

#include <arpa/inet.h>
#include <netdb.h>

#include "net/dial.h"

struct result {
	unsigned calls;
	int fd;
	char address[64], error[200];
};

static void done(void *context, int fd, const char *address, const char *error)
{
	struct result *r = context;

	r->calls++;
	r->fd = fd;
	snprintf(r->address, sizeof(r->address), "%s", address);
	snprintf(r->error, sizeof(r->error), "%s", error);
}

static struct loop *l;
static struct helper *resolver;

static int start(void **state)
{
	descriptors_counted(state);
	l = loop_new(3);
	resolver = dial_resolver_start(l);
	return resolver ? 0 : -1;
}

static int stop(void **state)
{
	loop_free(l);
	helper_stop(resolver);
	return descriptors_closed(state);
}

static int listening(uint16_t *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 4), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	*port = ntohs(a.sin_port);
	return fd;
}

/* A bare chroot has no /etc/hosts. */
static bool lacks_localhost(const char *host)
{
	struct addrinfo *list;

	if (strcmp(host, "localhost") != 0)
		return false;
	if (getaddrinfo(host, NULL, NULL, &list) == 0) {
		freeaddrinfo(list);
		return false;
	}
	fprintf(stderr, "SKIPPED: this machine doesn't know localhost\n");
	return true;
}

static struct dial *begin(const char *host, uint16_t port, const char *bind_to, struct result *r)
{
	*r = (struct result){ .fd = -2 };
	return dial_start(l, resolver, host, port, bind_to, 20000, done, r);
}

static void await(struct result *r)
{
	assert_int_equal(r->calls, 0);
	while (r->calls == 0)
		assert_int_equal(loop_turn(l), 0);
	assert_int_equal(r->calls, 1);
	/* Gone, all but the resolver. */
	assert_int_equal(loop_count(l), 1);
}

static void test_connects(void **state)
{
	static const char *const hosts[] = { "127.0.0.1", "localhost" };
	uint16_t port;
	int fd = listening(&port);

	(void)state;
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		struct result r;
		char expected[32];
		int peer;

		if (lacks_localhost(hosts[i]))
			continue;
		assert_non_null(begin(hosts[i], port, "", &r));
		await(&r);
		assert_string_equal(r.error, "");
		assert_true(r.fd >= 0);
		snprintf(expected, sizeof(expected), "127.0.0.1:%u", port);
		assert_string_equal(r.address, expected);
		assert_true(fcntl(r.fd, F_GETFL) & O_NONBLOCK);
		assert_true(fcntl(r.fd, F_GETFD) & FD_CLOEXEC);
		peer = accept(fd, NULL, NULL);
		assert_int_equal(write(peer, "220", 3), 3);
		wait_for(r.fd, POLLIN);
		close(peer);
		close(r.fd);
	}
	close(fd);
}

static char shown[200];

static void show(void *context, const char *address, const char *error)
{
	size_t used = strlen(shown);

	(void)context;
	snprintf(shown + used, sizeof(shown) - used, "%s %s;", address, error ? error : "found");
}

/* Who watches is told each address of a name, and each that failed. */
static void test_show(void **state)
{
	char failed[64];
	uint16_t port;
	struct result r;

	(void)state;
	if (emulated("SO_ERROR isn't translated"))
		skip();
	close(listening(&port));
	snprintf(failed, sizeof(failed), "127.0.0.1:%u connection refused;", (unsigned)port);
	dial_show(begin("127.0.0.1", port, "", &r), show);
	await(&r);
	assert_string_equal(shown, failed);
	if (lacks_localhost("localhost"))
		return;
	shown[0] = '\0';
	dial_show(begin("localhost", port, "", &r), show);
	await(&r);
	assert_non_null(strstr(shown, "127.0.0.1 found;"));
	assert_non_null(strstr(shown, failed));
}

static void test_bind(void **state)
{
	struct sockaddr_in a;
	socklen_t len = sizeof(a);
	struct result r;
	uint16_t port;
	int fd = listening(&port), peer;

	(void)state;
	assert_non_null(begin("127.0.0.1", port, "127.0.0.2", &r));
	await(&r);
	assert_true(r.fd >= 0);
	peer = accept(fd, (struct sockaddr *)&a, &len);
	assert_true(peer >= 0);
	assert_int_equal(a.sin_addr.s_addr, inet_addr("127.0.0.2"));
	close(peer);
	close(r.fd);
	close(fd);
}

static void test_failures(void **state)
{
	static const struct {
		const char *host, *bind_to, *error;
	} rows[] = {
		{ "127.0.0.1", "", "connection refused" },
		{ "::1", "127.0.0.1", "no address of the family" },
		{ "127.0.0.1", "::1", "no address of the family" },
		{ "127.0.0.1", "eth0", "is not numeric" },
		{ "127.0.0.1", "192.0.2.55", "not this machine's" },
		{ "", "", "no such host" },
		{ "localhost", "", "connection refused" },
		{ "localhost", "127.0.0.1", "connection refused" },
		/* No name at all, so no name server is asked. */
		{ "a..b", "", "no such host" },
	};
	uint16_t port;
	int fd = listening(&port);

	(void)state;
	close(fd);
	if (emulated("SO_ERROR isn't translated"))
		skip();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct result r;

		if (lacks_localhost(rows[i].host))
			continue;
		assert_non_null(begin(rows[i].host, port, rows[i].bind_to, &r));
		await(&r);
		assert_int_equal(r.fd, -1);
		if (!strstr(r.error, rows[i].error))
			fail_msg("%s from %s: %s", rows[i].host, rows[i].bind_to, r.error);
	}
}

static void test_long_host(void **state)
{
	struct result r;
	char host[HOST_MAX + 2];

	(void)state;
	memset(host, 'a', sizeof(host) - 1);
	host[sizeof(host) - 1] = '\0';
	assert_non_null(begin(host, 25, "", &r));
	await(&r);
	assert_string_equal(r.error, "no such host");
}

static void test_cancel(void **state)
{
	struct result r;
	uint16_t port;
	int fd = listening(&port);
	struct dial *d;

	(void)state;
	/* Before its first turn, while it is looked up, and while it connects. */
	for (int turns = 0; turns < 3; turns++) {
		d = begin(turns == 1 ? "localhost" : "127.0.0.1", port, "", &r);
		assert_non_null(d);
		for (int i = 0; i < turns && r.calls == 0; i++)
			assert_int_equal(loop_turn(l), 0);
		if (r.calls > 0) {
			close(r.fd);
			continue;
		}
		dial_cancel(d);
		assert_int_equal(loop_turn(l), 0);
		assert_int_equal(loop_count(l), 1);
		assert_int_equal(r.calls, 0);
	}
	while (helper_busy(resolver) > 0)
		assert_int_equal(loop_turn(l), 0);
	close(fd);
}

static void test_loop_full(void **state)
{
	struct result a, b, c;

	(void)state;
	assert_non_null(begin("localhost", 1, "", &a));
	assert_non_null(begin("localhost", 1, "", &b));
	assert_null(begin("localhost", 1, "", &c));
	assert_int_equal(loop_turn(l), 0);
	/* The end of the loop is told. */
	loop_free(l);
	assert_int_equal(a.calls, 1);
	assert_int_equal(a.fd, -1);
	assert_int_equal(b.calls, 1);
	assert_int_equal(c.calls, 0);
	l = NULL;
}

static size_t never(const void *request, size_t len, int fd, void *answer)
{
	(void)request;
	(void)len;
	(void)fd;
	(void)answer;
	for (;;)
		pause();
	return 0;
}

static void test_resolver_hangs(void **state)
{
	struct loop *own = loop_new(2);
	struct helper *stuck = helper_start(own, "stuck", never);
	struct result r = { .fd = -2 };

	(void)state;
	assert_non_null(stuck);
	assert_non_null(dial_start(own, stuck, "localhost", 25, NULL, 30, done, &r));
	while (r.calls == 0)
		assert_int_equal(loop_turn(own), 0);
	assert_int_equal(r.fd, -1);
	assert_string_equal(r.error, "name lookup: no answer in time");
	loop_free(own);
	helper_stop(stuck);
}

static size_t die(const void *request, size_t len, int fd, void *answer)
{
	(void)request;
	(void)len;
	(void)fd;
	(void)answer;
	_exit(1);
}

static void test_resolver_dies(void **state)
{
	struct loop *own = loop_new(2);
	struct helper *weak = helper_start(own, "weak", die);
	struct result r = { .fd = -2 };

	(void)state;
	assert_non_null(weak);
	assert_non_null(dial_start(own, weak, "localhost", 25, NULL, 300, done, &r));
	while (r.calls == 0)
		assert_int_equal(loop_turn(own), 0);
	assert_int_equal(r.fd, -1);
	assert_string_equal(r.error, "name lookup: the resolver died");
	loop_free(own);
	helper_stop(weak);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_connects, start, stop),
		cmocka_unit_test_setup_teardown(test_show, start, stop),
		cmocka_unit_test_setup_teardown(test_bind, start, stop),
		cmocka_unit_test_setup_teardown(test_failures, start, stop),
		cmocka_unit_test_setup_teardown(test_long_host, start, stop),
		cmocka_unit_test_setup_teardown(test_cancel, start, stop),
		cmocka_unit_test_setup_teardown(test_loop_full, start, stop),
		cmocka_unit_test_setup_teardown(test_resolver_hangs, start, stop),
		cmocka_unit_test_setup_teardown(test_resolver_dies, start, stop),
	};

	return cmocka_run_group_tests_name("net_dial", tests, NULL, NULL);
}
