/* What the tests of manager/ share: a directory of their own with a good configuration in it. */
#ifndef TESTS_MANAGER_COMMON_H
#define TESTS_MANAGER_COMMON_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/slice.h"

/* Line numbers below count from 1. */
static const char *const good_lines[] = {
	"[server]",						/* 1 */
	"hostname = mail.test-sample.jp",
	"domains = test-sample.jp, other.test-sample.jp",
	"accounts = accounts",
	"spool = spool",					/* 5 */
	"max_sessions = 10",
	"[listen main]",
	"address = 127.0.0.1:2525, [::1]:2525",
	"tls = none",
	"[trust]",						/* 10 */
	"level = auth=envelope=from",
	"[alias]",
	"info@test-sample.jp = user1@test-sample.jp",
	"[device mfp1]",
	"ip = 192.168.0.50",					/* 15 */
	"sender = mfp1@test-sample.jp",
	"[peer mailserver]",
	"ip = 192.168.100.10",
	"[relay]",
	"host = 127.0.0.1, ::1",				/* 20 */
	"port = 2526",
	"tls = none",
	"user = office",
	"password_file = secret",
	"[return]",						/* 25 */
	"from = postmaster@test-sample.jp",
	"[queue]",
	"retry = 1m, 5m",
	"[manager]",
	"role = combined",					/* 30 */
};
#define GOOD_LINES ((unsigned)(sizeof(good_lines) / sizeof(good_lines[0])))

static char manager_directory[] = "/tmp/test-manager-XXXXXX";
static int manager_root = -1;		/* where the test was started */

static inline int write_text(const char *path, struct slice text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	bool good = fd >= 0 && write(fd, text.at, text.len) == (ssize_t)text.len && fchmod(fd, mode) == 0;

	if (fd >= 0)
		close(fd);
	return good ? 0 : -1;
}

/* The good file with line `line` (0: none) replaced by `text`. */
static inline int write_config(const char *path, unsigned line, const char *text)
{
	char all[4096];
	size_t used = 0;

	for (unsigned i = 1; i <= GOOD_LINES; i++)
		used += (size_t)snprintf(all + used, sizeof(all) - used, "%s\n", i == line ? text : good_lines[i - 1]);
	return write_text(path, slice_bytes(all, used), 0644);
}

/* {PLAIN} keeps the tests quick. */
static inline int write_accounts(void)
{
	return write_text("accounts", SLICE_OF("# ours\n"
					       "user1@test-sample.jp:{PLAIN}user1234:comment=first\n"
					       "user2@test-sample.jp:{PLAIN}user2345:level=2 login=zwei\n"
					       "desk@test-sample.jp::\n"), 0640);
}

static inline int enter_directory(void **state)
{
	(void)state;
	manager_root = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (manager_root < 0 || !mkdtemp(manager_directory) || chdir(manager_directory) < 0)
		return -1;
	return write_accounts() || write_text("secret", SLICE_OF("geheim\n"), 0600) || write_config("s.ini", 0, NULL);
}

static inline int leave_directory(void **state)
{
	static const char *const files[] = { "accounts", "secret", "s.ini", "mail", "out", "err", "in", "link", "key.pem" };

	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		unlink(files[i]);
	if (fchdir(manager_root) < 0)
		return -1;
	close(manager_root);
	return rmdir(manager_directory);
}

#endif
