#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"

/*
 * In this program connect(2) leads to a logger of the test's own, whatever path log.c asks for
 * (which has to be /dev/log).
 */
int connect_to_test(int fd, const struct sockaddr *address, socklen_t len) __asm__("connect");

static struct sockaddr_un logger;	/* an abstract name */
static socklen_t logger_len;

int connect_to_test(int fd, const struct sockaddr *address, socklen_t len)
{
	const struct sockaddr_un *asked = (const void *)address;

	if (len != sizeof(*asked) || strcmp(asked->sun_path, "/dev/log") != 0) {
		errno = ENOENT;
		return -1;
	}
	return (int)syscall(SYS_connect, fd, &logger, logger_len);
}

static int listen_again(void)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&logger, logger_len), 0);
	return fd;
}

static int start_logger(void)
{
	int fd;

	/* Linux chooses a free abstract name when none is given: unix(7), autobind. */
	memset(&logger, 0, sizeof(logger));
	logger.sun_family = AF_UNIX;
	logger_len = sizeof(sa_family_t);
	fd = listen_again();
	logger_len = sizeof(logger);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&logger, &logger_len), 0);
	return fd;
}

/* The next datagram, "" when there is none. */
static const char *next(int fd)
{
	static char text[2048];
	ssize_t n = recv(fd, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

/* What follows "<PRI>Mon dd hh:mm:ss ident[pid]: ", which must be there. */
static const char *body(const char *datagram, const char *pri, const char *ident)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	static const char shape[] = " dd hh:mm:ss ";
	const char *at = datagram + strlen(pri);
	char month[4] = "", tag[64];

	assert_memory_equal(datagram, pri, strlen(pri));
	memcpy(month, at, 3);
	assert_non_null(strstr(months, month));
	at += 3;
	for (size_t i = 0; shape[i]; i++, at++) {
		if (shape[i] == ' ' || shape[i] == ':')
			assert_int_equal(*at, shape[i]);
		else
			assert_true(ascii_is_digit(*at) || (i == 1 && *at == ' '));
	}
	snprintf(tag, sizeof(tag), "%s[%ld]: ", ident, (long)getpid());
	assert_memory_equal(at, tag, strlen(tag));
	return at + strlen(tag);
}

static void nothing_before_open(void **unused)
{
	int fd = start_logger();

	(void)unused;
	log_line(SEVERITY_ERR, "early");
	assert_string_equal(next(fd), "");
	close(fd);
}

static void lines(void **unused)
{
	int fd = start_logger();
	struct record r;

	(void)unused;
	log_open("sekimori", 2, SEVERITY_INFO, false);
	errno = EDOM;
	log_line(SEVERITY_INFO, "start version=%d", 1);
	assert_int_equal(errno, EDOM);
	assert_string_equal(body(next(fd), "<22>", "sekimori"), "start version=1");
	log_line(SEVERITY_DEBUG, "not wanted");
	assert_string_equal(next(fd), "");
	record_start(&r, "mail");
	record_text(&r, "from", slice_of("a\nb"));
	log_record(SEVERITY_WARNING, &r);
	assert_string_equal(body(next(fd), "<20>", "sekimori"), "mail from=\"a\\x0Ab\"");
	log_line(SEVERITY_ERR, "%s", "two\nlines");
	assert_string_equal(body(next(fd), "<19>", "sekimori"), "two?lines");
	log_open("other", 16, SEVERITY_ERR, false);
	log_line(SEVERITY_WARNING, "not wanted");
	log_line(SEVERITY_ERR, "wanted");
	assert_string_equal(body(next(fd), "<131>", "other"), "wanted");
	close(fd);
}

static void longest_line(void **unused)
{
	char text[2 * LOG_LINE_MAX];
	int fd = start_logger();

	(void)unused;
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	log_open("12345678901234567890123456789012345", 23, SEVERITY_DEBUG, false);
	log_line(SEVERITY_DEBUG, "%s", text);
	assert_int_equal(strlen(body(next(fd), "<191>", "12345678901234567890123456789012")),
			 LOG_LINE_MAX);
	close(fd);
}

/* A logger that doesn't read: no wait, and each line that is missing is counted. */
static void loss_is_told(void **unused)
{
	int fd = start_logger(), sent = 3000, got = 0;
	char want[40];

	(void)unused;
	log_open("sekimori", 2, SEVERITY_ERR, false);
	for (int i = 0; i < sent; i++)
		log_line(SEVERITY_ERR, "%d", i);
	while (next(fd)[0] != '\0')
		got++;
	assert_in_range(got, 1, sent - 1);
	log_line(SEVERITY_ERR, "after");
	snprintf(want, sizeof(want), "log lost=%d", sent - got);
	assert_string_equal(body(next(fd), "<20>", "sekimori"), want);
	assert_string_equal(body(next(fd), "<19>", "sekimori"), "after");
	log_line(SEVERITY_ERR, "more");
	assert_string_equal(body(next(fd), "<19>", "sekimori"), "more");
	close(fd);
}

static void logger_restarts(void **unused)
{
	int fd = start_logger();

	(void)unused;
	log_open("sekimori", 2, SEVERITY_INFO, false);
	close(fd);
	fd = listen_again();
	log_line(SEVERITY_INFO, "found again");
	assert_string_equal(body(next(fd), "<22>", "sekimori"), "found again");
	close(fd);
	errno = EDOM;
	log_line(SEVERITY_INFO, "lost");
	assert_int_equal(errno, EDOM);
	log_line(SEVERITY_INFO, "lost");
	fd = listen_again();
	usleep(250000);		/* longer than a logger is left alone that was not there */
	log_line(SEVERITY_INFO, "back");
	assert_string_equal(body(next(fd), "<20>", "sekimori"), "log lost=2");
	assert_string_equal(body(next(fd), "<22>", "sekimori"), "back");
	close(fd);
}

static void echo(void **unused)
{
	int keep = dup(STDERR_FILENO), fd = start_logger(), pipes[2];
	char text[65536 * 2] = "";
	ssize_t n;

	(void)unused;
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	dup2(pipes[1], STDERR_FILENO);
	log_open("sekimori", 2, SEVERITY_INFO, true);
	log_line(SEVERITY_INFO, "to both");
	log_line(SEVERITY_DEBUG, "to none");
	n = read(pipes[0], text, sizeof(text) - 1);
	/* A pipe nobody reads: this returns. */
	for (int i = 0; i < 10000; i++)
		log_line(SEVERITY_INFO, "0123456789");
	dup2(keep, STDERR_FILENO);
	log_open("sekimori", 2, SEVERITY_INFO, false);
	assert_int_equal(n, strlen("sekimori: to both\n"));
	assert_string_equal(text, "sekimori: to both\n");
	assert_string_equal(body(next(fd), "<22>", "sekimori"), "to both");
	close(keep);
	close(pipes[0]);
	close(pipes[1]);
	close(fd);
}

static void echo_to_file(void **unused)
{
	int keep = dup(STDERR_FILENO), fd = start_logger(), file = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	char text[100] = "";

	(void)unused;
	assert_true(file >= 0);
	dup2(file, STDERR_FILENO);
	log_open("sekimori", 2, SEVERITY_INFO, true);
	log_line(SEVERITY_INFO, "one");
	close(fd);
	log_line(SEVERITY_INFO, "two");
	dup2(keep, STDERR_FILENO);
	log_open("sekimori", 2, SEVERITY_INFO, false);
	assert_true(pread(file, text, sizeof(text) - 1, 0) > 0);
	assert_string_equal(text, "sekimori: one\nsekimori: two\n");
	close(file);
	close(keep);
}

/* Each process that opens the log has its own number in it; each line has its own second. */
static void number_and_time(void **unused)
{
	int fd = start_logger();
	char first[20] = "", tag[64];
	pid_t pid;

	(void)unused;
	log_open("sekimori", 2, SEVERITY_INFO, false);
	log_line(SEVERITY_INFO, "after those that were lost before");
	while (next(fd)[0] != '\0')
		;
	pid = fork();
	if (pid == 0) {
		log_open("sekimori", 2, SEVERITY_INFO, false);
		log_line(SEVERITY_INFO, "child");
		_exit(0);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	snprintf(tag, sizeof(tag), "[%ld]: child", (long)pid);
	assert_non_null(strstr(next(fd), tag));
	log_line(SEVERITY_INFO, "parent");
	memcpy(first, next(fd), sizeof(first) - 1);
	for (int i = 0; i < 40; i++) {
		char now[20] = "";

		usleep(50000);
		log_line(SEVERITY_INFO, "later");
		memcpy(now, next(fd), sizeof(now) - 1);
		if (strcmp(first, now) != 0)
			break;
		assert_true(i < 39);
	}
	close(fd);
}

static void names(void **unused)
{
	(void)unused;
	assert_int_equal(log_facility(slice_of("mail")), 2);
	assert_int_equal(log_facility(slice_of("kern")), 0);
	assert_int_equal(log_facility(slice_of("local7")), 23);
	assert_int_equal(log_facility(slice_of("local8")), -1);
	assert_int_equal(log_facility(slice_of("")), -1);
	assert_int_equal(log_severity(slice_of("err")), SEVERITY_ERR);
	assert_int_equal(log_severity(slice_of("warning")), SEVERITY_WARNING);
	assert_int_equal(log_severity(slice_of("notice")), SEVERITY_NOTICE);
	assert_int_equal(log_severity(slice_of("info")), SEVERITY_INFO);
	assert_int_equal(log_severity(slice_of("debug")), SEVERITY_DEBUG);
	assert_int_equal(log_severity(slice_of("inf")), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_before_open), cmocka_unit_test(lines),
		cmocka_unit_test(longest_line), cmocka_unit_test(loss_is_told),
		cmocka_unit_test(logger_restarts), cmocka_unit_test(echo), cmocka_unit_test(echo_to_file),
		cmocka_unit_test(number_and_time), cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
