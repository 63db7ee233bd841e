#include "net_common.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/un.h>

#include "net/listener.h"

static const struct {
	const char *text;
	bool good;
	const char *host;
	uint16_t port;
} addresses[] = {
	{ "127.0.0.1:2525", true, "127.0.0.1", 2525 },
	{ "0.0.0.0:1", true, "0.0.0.0", 1 },
	{ "255.255.255.255:65535", true, "255.255.255.255", 65535 },
	{ "[::1]:2525", true, "::1", 2525 },
	{ "[::]:587", true, "::", 587 },
	{ "[::ffff:192.0.2.1]:25", true, "192.0.2.1", 25 },
	{ "[2001:db8:1111:2222:3333:4444:5555:6666]:25", true, "2001:db8:1111:2222:3333:4444:5555:6666", 25 },
	{ "", false, "", 0 }, { ":", false, "", 0 }, { "127.0.0.1", false, "", 0 },
	{ "127.0.0.1:", false, "", 0 }, { "127.0.0.1:0", false, "", 0 },
	{ "127.0.0.1:65536", false, "", 0 }, { "127.0.0.1:000025", false, "", 0 },
	{ "127.0.0.1:+25", false, "", 0 }, { "127.0.0.1: 25", false, "", 0 },
	{ "127.0.0.1:25 ", false, "", 0 }, { " 127.0.0.1:25", false, "", 0 },
	{ "127.1:25", false, "", 0 }, { "127.0.0.256:25", false, "", 0 },
	{ "localhost:25", false, "", 0 }, { ":25", false, "", 0 }, { "*:25", false, "", 0 },
	{ "::1:25", false, "", 0 }, { "[::1:25", false, "", 0 }, { "[::1]25", false, "", 0 },
	{ "[]:25", false, "", 0 }, { "[:25", false, "", 0 }, { "[127.0.0.1]:25", false, "", 0 },
	{ "[::1]x:25", false, "", 0 },
	{ "[1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc]:25", false, "", 0 },
};

static void test_parse(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		struct sockaddr_storage a;
		socklen_t len;
		char host[46];
		uint16_t port;

		if (listener_parse(slice_of(addresses[i].text), &a, &len) != addresses[i].good)
			fail_msg("%s", addresses[i].text);
		if (!addresses[i].good)
			continue;
		listener_peer_text(&a, host, sizeof(host), &port);
		assert_string_equal(host, addresses[i].host);
		assert_int_equal(port, addresses[i].port);
	}
}

/* A free port: bound once with port 0. */
static void free_address(struct sockaddr_in *a)
{
	socklen_t len = sizeof(*a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	*a = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	assert_int_equal(bind(fd, (struct sockaddr *)a, sizeof(*a)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)a, &len), 0);
	close(fd);
}

static void test_tcp(void **state)
{
	struct sockaddr_storage address = { 0 }, peer;
	struct sockaddr_in a;
	struct fault f = { .text = "" };
	char host[46], expected[32];
	uint16_t port;
	int l, c, s;

	(void)state;
	free_address(&a);
	memcpy(&address, &a, sizeof(a));
	l = listener_open(&address, sizeof(a), &f);
	assert_true(l >= 0);
	assert_false(fault_is(&f));
	assert_true(fcntl(l, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(listener_accept(l, &peer), -EAGAIN);
	c = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(c, (struct sockaddr *)&a, sizeof(a)), 0);
	wait_for(l, POLLIN);
	s = listener_accept(l, &peer);
	assert_true(s >= 0);
	assert_true(fcntl(s, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(s, F_GETFL) & O_NONBLOCK);
	listener_peer_text(&peer, host, sizeof(host), &port);
	assert_string_equal(host, "127.0.0.1");
	assert_true(port > 0);
	assert_int_equal(listener_accept(l, &peer), -EAGAIN);

	assert_int_equal(listener_open(&address, sizeof(a), &f), -1);
	snprintf(expected, sizeof(expected), "127.0.0.1:%u: ", ntohs(a.sin_port));
	assert_memory_equal(f.text, expected, strlen(expected));
	assert_non_null(strstr(f.text, "another program"));
	assert_int_equal(f.status, STATUS_UNAVAILABLE);
	close(c);
	close(s);
	close(l);
	/* A port just left (TIME_WAIT) can be had again. */
	f.text[0] = '\0';
	l = listener_open(&address, sizeof(a), &f);
	assert_true(l >= 0);
	close(l);
}

static void test_not_ours(void **state)
{
	struct sockaddr_storage a;
	struct fault f = { .text = "" };
	socklen_t len;
	int fd;

	(void)state;
	assert_true(listener_parse(SLICE_OF("[2001:db8::1]:2525"), &a, &len));
	fd = listener_open(&a, len, &f);
	assert_true(fd >= 0);
	assert_int_equal(f.status, STATUS_OK);
	assert_memory_equal(f.text, "[2001:db8::1]:2525: ", 20);
	close(fd);
	f.text[0] = '\0';
	assert_true(listener_parse(SLICE_OF("192.0.2.77:2525"), &a, &len));
	fd = listener_open(&a, len, &f);
	assert_true(fd >= 0);
	assert_memory_equal(f.text, "192.0.2.77:2525: ", 17);
	close(fd);
}

static void test_unix(void **state)
{
	char directory[] = "/tmp/sekimori-test-XXXXXX", path[64], file[64], text[300];
	struct sockaddr_storage peer;
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct fault f = { .text = "" };
	struct stat st;
	char host[46];
	uint16_t port;
	int l, c, s;
	mode_t old = umask(077);

	(void)state;
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/control", directory);
	snprintf(file, sizeof(file), "%s/file", directory);
	l = listener_open_unix(path, &f);
	assert_true(l >= 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	umask(old);
	/* Alive: refused. */
	assert_int_equal(listener_open_unix(path, &f), -1);
	assert_non_null(strstr(f.text, "running already"));
	/* The knock above is a connection that has ended. */
	s = listener_accept(l, &peer);
	assert_true(s >= 0);
	close(s);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	c = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(connect(c, (struct sockaddr *)&a, sizeof(a)), 0);
	s = listener_accept(l, &peer);
	assert_true(s >= 0);
	listener_peer_text(&peer, host, sizeof(host), &port);
	assert_string_equal(host, "local");
	close(s);
	close(c);
	/* Left behind: replaced. */
	close(l);
	f.text[0] = '\0';
	l = listener_open_unix(path, &f);
	assert_true(l >= 0);
	close(l);
	unlink(path);
	/* A file is nothing to be removed. */
	close(open(file, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(listener_open_unix(file, &f), -1);
	assert_non_null(strstr(f.text, "not a socket"));
	assert_int_equal(access(file, F_OK), 0);
	unlink(file);
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	f.text[0] = '\0';
	assert_int_equal(listener_open_unix(text, &f), -1);
	assert_non_null(strstr(f.text, "too long"));
	assert_int_equal(rmdir(directory), 0);
}

/* The listener was killed; a process that was born of it has its socket still. */
static void test_orphaned(void **state)
{
	char directory[] = "/tmp/sekimori-test-XXXXXX", path[64];
	struct fault f = { .text = "" };
	int ends[2], l, status;
	pid_t listener, heir;

	(void)state;
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/control", directory);
	assert_int_equal(pipe(ends), 0);
	listener = fork();
	if (listener == 0) {
		l = listener_open_unix(path, &f);
		heir = l >= 0 ? fork() : -1;
		if (heir == 0)
			pause();
		_exit(heir > 0 && write(ends[1], &heir, sizeof(heir)) == sizeof(heir) ? 0 : 1);
	}
	assert_int_equal(waitpid(listener, &status, 0), listener);
	assert_int_equal(status, 0);
	assert_int_equal(read(ends[0], &heir, sizeof(heir)), sizeof(heir));
	l = listener_open_unix(path, &f);
	kill(heir, SIGKILL);
	if (l < 0)
		fail_msg("%s", f.text);
	close(l);
	close(ends[0]);
	close(ends[1]);
	unlink(path);
	assert_int_equal(rmdir(directory), 0);
}

static void test_peer_texts(void **state)
{
	struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_port = htons(25) };
	struct sockaddr_storage peer = { 0 };
	char host[46];
	uint16_t port;

	(void)state;
	assert_int_equal(inet_pton(AF_INET6, "::ffff:203.0.113.9", &a.sin6_addr), 1);
	memcpy(&peer, &a, sizeof(a));
	listener_peer_text(&peer, host, sizeof(host), &port);
	assert_string_equal(host, "203.0.113.9");
	assert_int_equal(port, 25);
	memset(&a.sin6_addr, 0xff, sizeof(a.sin6_addr));
	memcpy(&peer, &a, sizeof(a));
	listener_peer_text(&peer, host, sizeof(host), &port);
	assert_string_equal(host, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test_setup_teardown(test_tcp, descriptors_counted, descriptors_closed),
		cmocka_unit_test_setup_teardown(test_not_ours, descriptors_counted, descriptors_closed),
		cmocka_unit_test_setup_teardown(test_unix, descriptors_counted, descriptors_closed),
		cmocka_unit_test_setup_teardown(test_orphaned, descriptors_counted, descriptors_closed),
		cmocka_unit_test(test_peer_texts),
	};

	return cmocka_run_group_tests_name("net_listener", tests, NULL, NULL);
}
