/* manager/submission: what the gate's answers mean to a program that calls sendmail; a gate of this test says anything. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include <cmocka.h>

#include "manager/submission.h"

#define WELL	"220 gate ESMTP\r\n250-gate\r\n250-XSENDER cron@example.jp admin@example.jp\r\n250 SIZE 1000\r\n"

static char directory[] = "/tmp/test-submission-XXXXXX";

/* A gate that says all it has to say to the first who comes, and then listens to the end; its process. */
static pid_t gate(const char *says)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "gate" };
	int listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;
	char heard[512];
	pid_t pid;

	unlink("gate");
	assert_true(listening >= 0);
	assert_int_equal(bind(listening, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listening, 1), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		alarm(60);
		fd = accept(listening, NULL, NULL);
		if (fd < 0 || write(fd, says, strlen(says)) < 0 || shutdown(fd, SHUT_WR) < 0)
			_exit(1);
		while (read(fd, heard, sizeof(heard)) > 0)
			;
		_exit(0);
	}
	close(listening);
	return pid;
}

/* The reasons, which are for a person, go nowhere. */
static int quiet(void)
{
	int kept = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	fflush(stderr);
	assert_true(kept >= 0 && null >= 0 && dup2(null, STDERR_FILENO) >= 0);
	close(null);
	return kept;
}

static void loud(int kept)
{
	fflush(stderr);
	dup2(kept, STDERR_FILENO);
	close(kept);
}

static void test_greetings(void **state)
{
	static const struct {
		const char *says;
		int status;
		const char *sender, *mailbox;
	} rows[] = {
		{ WELL, EX_OK, "cron@example.jp", "admin@example.jp" },
		{ "220-gate\r\n220 ESMTP\r\n250-gate\r\n250 XSENDER cron@example.jp\r\n", EX_OK, "cron@example.jp", "" },
		{ "220 gate\r\n250 gate\r\n", EX_NOPERM, "", "" },
		{ "220 gate\r\n250 XSENDERS cron@example.jp\r\n", EX_NOPERM, "", "" },
		{ "220 gate\r\n250 XSENDER \r\n", EX_NOPERM, "", "" },
		{ "421 4.3.2 too busy\r\n", EX_TEMPFAIL, "", "" },
		{ "554 5.3.2 no\r\n", EX_UNAVAILABLE, "", "" },
		{ "554 5.7.1 not you\r\n", EX_NOPERM, "", "" },
		{ "220 gate\r\n502 what?\r\n", EX_UNAVAILABLE, "", "" },
		{ "", EX_TEMPFAIL, "", "" },
		{ "220 gate\r\n", EX_TEMPFAIL, "", "" },
		{ "220-gate\r\n", EX_TEMPFAIL, "", "" },
		{ "22", EX_TEMPFAIL, "", "" },
		{ "\r\n", EX_TEMPFAIL, "", "" },
		{ "2x0 gate\r\n", EX_TEMPFAIL, "", "" },
		{ "600 gate\r\n", EX_TEMPFAIL, "", "" },
		{ "220\r\n250 XSENDER a@b\r\n", EX_OK, "a@b", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct submission s;
		pid_t pid = gate(rows[i].says);
		int kept = quiet(), status = submission_open(&s, "gate");

		submission_close(&s);
		loud(kept);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		if (status != rows[i].status || strcmp(s.sender, rows[i].sender) || strcmp(s.mailbox, rows[i].mailbox))
			fail_msg("%s: %d, sender %s, mailbox %s", rows[i].says, status, s.sender, s.mailbox);
	}
}

/* One after the other, as the gate answers. */
static void test_steps(void **state)
{
	static const struct {
		const char *says;
		int sender, recipient, data, end;
	} rows[] = {
		{ "250 ok\r\n250 ok\r\n354 go on\r\n250 B1\r\n", EX_OK, EX_OK, EX_OK, EX_OK },
		{ "550 5.7.1 not yours\r\n550 5.1.1 who?\r\n451 4.3.0 later\r\n552 5.3.4 large\r\n", EX_NOPERM, EX_NOUSER, EX_TEMPFAIL, EX_DATAERR },
		{ "530 login\r\n452 4.5.3 many\r\n554 5.5.1 no\r\n552 5.7.1 filtered\r\n", EX_NOPERM, EX_TEMPFAIL, EX_UNAVAILABLE, EX_NOPERM },
		{ "501 5.1.7 what?\r\n550 5.\r\n503\r\n", EX_DATAERR, EX_NOUSER, EX_UNAVAILABLE, EX_TEMPFAIL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char says[1024] = WELL;
		struct submission s;
		int kept, got[4];
		pid_t pid;

		assert_true(strlen(says) + strlen(rows[i].says) < sizeof(says));
		pid = gate(strcat(says, rows[i].says));
		kept = quiet();
		assert_int_equal(submission_open(&s, "gate"), EX_OK);
		got[0] = submission_sender(&s, "cron@example.jp");
		got[1] = submission_recipient(&s, "friend@example.net");
		got[2] = submission_data(&s);
		got[3] = submission_end(&s);
		submission_close(&s);
		loud(kept);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		assert_int_equal(got[0], rows[i].sender);
		assert_int_equal(got[1], rows[i].recipient);
		assert_int_equal(got[2], rows[i].data);
		assert_int_equal(got[3], rows[i].end);
	}
}

/* What is shown to a person steers no terminal. */
static void test_reply_is_tame(void **state)
{
	struct submission s;
	pid_t pid = gate(WELL "550 5.1.1 \033[2J\a\001gone\r\n");
	int kept = quiet();

	(void)state;
	assert_int_equal(submission_open(&s, "gate"), EX_OK);
	assert_int_equal(submission_recipient(&s, "x"), EX_NOUSER);
	submission_close(&s);
	loud(kept);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	for (size_t i = 0; s.reply[i]; i++)
		assert_true(ascii_is_print(s.reply[i]));
	assert_true(slice_ends_fold(slice_of(s.reply), SLICE_OF("gone")));
}

static void test_nobody_there(void **state)
{
	char path[300];
	struct submission s;
	int kept = quiet();

	(void)state;
	unlink("gate");
	assert_int_equal(submission_open(&s, "gate"), EX_TEMPFAIL);
	submission_close(&s);
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(submission_open(&s, path), EX_TEMPFAIL);
	submission_close(&s);
	loud(kept);
}

static int enter(void **state)
{
	(void)state;
	return !mkdtemp(directory) || chdir(directory) < 0;
}

static int leave(void **state)
{
	(void)state;
	unlink("gate");
	return chdir("/") < 0 || rmdir(directory) < 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_greetings),
		cmocka_unit_test(test_steps),
		cmocka_unit_test(test_reply_is_tame),
		cmocka_unit_test(test_nobody_there),
	};

	return cmocka_run_group_tests_name("manager_submission", tests, enter, leave);
}
