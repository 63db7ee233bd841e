/*
 * Shared by the tests of net/: descriptors counted, sockets on loopback, certificates made by the openssl command in a
 * directory of their own.
 */
#ifndef TESTS_NET_COMMON_H
#define TESTS_NET_COMMON_H

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define UNUSED __attribute__((unused))

/* qemu-user gives some calls' results as the host knows them: what such a test would see is not the program. */
static UNUSED bool emulated(const char *what)
{
	if (!getenv("RUNNER"))
		return false;
	print_message("SKIPPED under %s: %s\n", getenv("RUNNER"), what);
	return true;
}

static UNUSED size_t count_descriptors(void)
{
	size_t n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* Setup and teardown of a test that leaves no descriptor open. */
static UNUSED size_t descriptors_before;

static UNUSED int descriptors_counted(void **state)
{
	(void)state;
	descriptors_before = count_descriptors();
	return 0;
}

static UNUSED int descriptors_closed(void **state)
{
	(void)state;
	return count_descriptors() == descriptors_before ? 0 : -1;
}

/* Two ends of one TCP connection on 127.0.0.1, non-blocking. */
static UNUSED void tcp_pair(int ends[2])
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	const int on = 1;
	int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(l, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(l, 1), 0);
	assert_int_equal(getsockname(l, (struct sockaddr *)&a, &len), 0);
	ends[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(ends[0], (struct sockaddr *)&a, len), 0);
	ends[1] = accept4(l, NULL, NULL, SOCK_CLOEXEC);
	assert_true(ends[1] >= 0);
	close(l);
	for (int i = 0; i < 2; i++)
		assert_int_equal(fcntl(ends[i], F_SETFL, O_NONBLOCK) +
				 setsockopt(ends[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), 0);
}

static UNUSED void wait_for(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	assert_int_equal(poll(&p, 1, 10000), 1);
}

/* Runs a program with its output in `log`; its exit status, 127 when there is none. */
static UNUSED int run(const char *log, char *const argv[])
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
		int null = open("/dev/null", O_RDONLY);

		dup2(null, 0);
		dup2(fd, 1);
		dup2(fd, 2);
		execvp(argv[0], argv);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return 126;
	return WEXITSTATUS(status);
}

static UNUSED char certificates[64];	/* the directory; empty without openssl */

static UNUSED const char *in_certificates(const char *name)
{
	static char paths[8][128];
	static unsigned next;
	char *path = paths[next++ % 8];

	snprintf(path, sizeof(paths[0]), "%s/%s", certificates, name);
	return path;
}

static UNUSED void write_file(const char *name, const char *text, mode_t mode)
{
	int fd = open(in_certificates(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static UNUSED int make_ca(const char *name, const char *subject)
{
	char key[128], pem[128];

	snprintf(key, sizeof(key), "%s/%s.key", certificates, name);
	snprintf(pem, sizeof(pem), "%s/%s.pem", certificates, name);
	return run(in_certificates("log"), (char *[]){
		"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
		"-nodes", "-days", "3650", "-subj", (char *)(uintptr_t)subject, "-keyout", key, "-out", pem,
		"-config", (char *)(uintptr_t)in_certificates("ca.cnf"), "-extensions", "v3_ca", NULL });
}

/* NAME.key and NAME.pem by the CA; dates as YYYYMMDDHHMMSSZ. */
static UNUSED int make_leaf(const char *name, const char *kind, const char *san, const char *from,
			    const char *to)
{
	char key[128], csr[128], pem[128], alternative[256];
	int status;

	snprintf(key, sizeof(key), "%s/%s.key", certificates, name);
	snprintf(csr, sizeof(csr), "%s/%s.csr", certificates, name);
	snprintf(pem, sizeof(pem), "%s/%s.pem", certificates, name);
	snprintf(alternative, sizeof(alternative), "subjectAltName=%s", san);
	status = run(in_certificates("log"), (char *[]){
		"openssl", "req", "-new", "-newkey", (char *)(uintptr_t)kind, "-pkeyopt",
		strcmp(kind, "ec") == 0 ? "ec_paramgen_curve:prime256v1" : "rsa_keygen_bits:2048", "-nodes",
		"-subj", "/CN=common.example", "-addext", alternative, "-keyout", key, "-out", csr,
		"-config", (char *)(uintptr_t)in_certificates("ca.cnf"), NULL });
	if (status != 0)
		return status;
	return run(in_certificates("log"), (char *[]){
		"openssl", "ca", "-batch", "-notext", "-config", (char *)(uintptr_t)in_certificates("ca.cnf"),
		"-startdate", (char *)(uintptr_t)from, "-enddate", (char *)(uintptr_t)to, "-in", csr, "-out", pem,
		NULL });
}

static UNUSED bool write_ca_config(void)
{
	char text[1024];

	snprintf(text, sizeof(text),
		 "[req]\ndistinguished_name=dn\n[dn]\n"
		 "[v3_ca]\nbasicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier=hash\n"
		 "[ca]\ndefault_ca=d\n"
		 "[d]\ndatabase=%s/index\nnew_certs_dir=%s\nrand_serial=yes\ndefault_md=sha256\n"
		 "policy=p\nunique_subject=no\ncopy_extensions=copy\ncertificate=%s/ca.pem\n"
		 "private_key=%s/ca.key\nemail_in_dn=no\n[p]\ncommonName=supplied\n",
		 certificates, certificates, certificates, certificates);
	write_file("ca.cnf", text, 0600);
	write_file("index", "", 0600);
	return true;
}

#define LONG_AGO	"20200101000000Z"
#define FAR_AHEAD	"20450101000000Z"

static UNUSED const struct {
	const char *name, *kind, *san, *from, *to;
} leaves[] = {
	{ "good", "ec", "DNS:mail.example,DNS:*.wild.example", LONG_AGO, FAR_AHEAD },
	{ "rsa", "rsa", "DNS:mail.example", LONG_AGO, FAR_AHEAD },
	{ "address", "ec", "IP:127.0.0.1,IP:::1,DNS:mail.example", LONG_AGO, FAR_AHEAD },
	{ "text", "ec", "DNS:127.0.0.1", LONG_AGO, FAR_AHEAD },
	{ "expired", "ec", "DNS:mail.example", LONG_AGO, "20210203000000Z" },
	{ "future", "ec", "DNS:mail.example", "20440506000000Z", FAR_AHEAD },
	{ "wrong", "ec", "DNS:other.example,IP:192.0.2.7", LONG_AGO, FAR_AHEAD },
};

static UNUSED void show_log(void)
{
	FILE *f = fopen(in_certificates("log"), "r");
	char line[256];

	while (f && fgets(line, sizeof(line), f))
		fprintf(stderr, "%s", line);
	if (f)
		fclose(f);
}

/* A group's set-up: 0 with or without openssl, -1 when it is there and fails. */
static UNUSED int make_certificates(void **state)
{
	(void)state;
	if (run("/dev/null", (char *[]){ "openssl", "version", NULL }) != 0) {
		fprintf(stderr, "SKIPPED: no openssl command, so no certificates and no TLS tests\n");
		return 0;
	}
	strcpy(certificates, "/tmp/sekimori-test-XXXXXX");
	if (!mkdtemp(certificates) || !write_ca_config())
		return -1;
	if (make_ca("ca", "/CN=Test CA") != 0 || make_ca("stranger", "/CN=Strange CA") != 0) {
		show_log();
		return -1;
	}
	for (size_t i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++)
		if (make_leaf(leaves[i].name, leaves[i].kind, leaves[i].san, leaves[i].from,
			      leaves[i].to) != 0) {
			show_log();
			return -1;
		}
	return 0;
}

static UNUSED int remove_certificates(void **state)
{
	(void)state;
	if (!certificates[0])
		return 0;
	return run("/dev/null", (char *[]){ "rm", "-r", certificates, NULL });
}

static UNUSED void need_certificates(void)
{
	if (!certificates[0])
		skip();
}

#endif
