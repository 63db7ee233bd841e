#include "net_common.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>

#include "base/clock.h"
#include "net/helper.h"

/* In the child: the first octet says what to do. */
static size_t serve(const void *request, size_t len, int fd, void *answer)
{
	const char *at = request;
	pid_t pid = getpid();
	size_t n;

	switch (len > 0 ? at[0] : 'e') {
	case 'x':
		_exit(3);
	case 'n':
		return 0;
	case 'w':
		n = fd >= 0 ? (size_t)write(fd, at, len) : 0;
		memcpy(answer, &n, sizeof(n));
		return sizeof(n);
	case 'd':
		n = count_descriptors();
		memcpy(answer, &n, sizeof(n));
		return sizeof(n);
	case 'p':
		memcpy(answer, &pid, sizeof(pid));
		return sizeof(pid);
	case 'c':
		memset(answer, 0, 16);
		prctl(PR_GET_NAME, answer);
		return 16;
	case 'D':
		n = (size_t)prctl(PR_GET_DUMPABLE);
		memcpy(answer, &n, sizeof(n));
		return sizeof(n);
	case 'i': {
		unsigned ids[] = { getuid(), geteuid(), getgid(), getegid(), (unsigned)getgroups(0, NULL),
				   setuid(0) == 0, (unsigned)prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 0,
				   (unsigned)prctl(PR_GET_DUMPABLE) };
		int sig = 0;

		prctl(PR_GET_PDEATHSIG, &sig);
		ids[7] = (unsigned)sig;
		memcpy(answer, ids, sizeof(ids));
		return sizeof(ids);
	}
	default:
		memcpy(answer, request, len);
		return len;
	}
}

struct result {
	unsigned answers, nothings;
	char last[HELPER_MESSAGE_MAX];
	size_t len;
	struct helper *again;		/* ask once more from within */
};

static void done(void *context, const void *answer, size_t len)
{
	struct result *r = context;

	r->answers++;
	if (!answer) {
		r->nothings++;
		if (r->again)
			assert_true(helper_ask(r->again, "again", 5, -1, done, r));
		r->again = NULL;
		return;
	}
	memcpy(r->last, answer, len);
	r->len = len;
}

static struct loop *l;
static struct helper *h;

static int start(void **state)
{
	descriptors_counted(state);
	l = loop_new(4);
	h = helper_start(l, "test", serve);
	return h ? 0 : -1;
}

static int stop(void **state)
{
	helper_stop(h);
	loop_free(l);
	return descriptors_closed(state);
}

/* Turns until n answers have come. */
static void await(struct result *r, unsigned n)
{
	while (r->answers < n)
		assert_int_equal(loop_turn(l), 0);
}

static void ask(struct result *r, const char *request)
{
	unsigned n = r->answers;

	assert_true(helper_ask(h, request, strlen(request), -1, done, r));
	await(r, n + 1);
}

static void test_echo(void **state)
{
	struct result r = { 0 };
	char big[HELPER_MESSAGE_MAX + 1];

	(void)state;
	memset(big, 'b', sizeof(big));
	ask(&r, "hello");
	assert_int_equal(r.len, 5);
	assert_memory_equal(r.last, "hello", 5);
	ask(&r, "");
	assert_int_equal(r.len, 0);
	ask(&r, "nothing to say");
	assert_int_equal(r.len, 0);
	assert_int_equal(r.nothings, 0);
	assert_true(helper_ask(h, big, HELPER_MESSAGE_MAX, -1, done, &r));
	await(&r, 4);
	assert_int_equal(r.len, HELPER_MESSAGE_MAX);
	assert_false(helper_ask(h, big, sizeof(big), -1, done, &r));
	assert_int_equal(helper_busy(h), 0);
}

static void test_many(void **state)
{
	struct result r[HELPER_PENDING_MAX + 1] = { 0 };
	size_t asked = 0;

	(void)state;
	for (; asked <= HELPER_PENDING_MAX; asked++) {
		char request[24];

		snprintf(request, sizeof(request), "#%zu", asked);
		if (!helper_ask(h, request, sizeof(request), -1, done, &r[asked]))
			break;
	}
	assert_true(asked > 16);
	assert_true(asked <= HELPER_PENDING_MAX);
	assert_int_equal(helper_busy(h), asked);
	await(&r[asked - 1], 1);
	for (size_t i = 0; i < asked; i++) {
		char expected[24];

		assert_int_equal(r[i].answers, 1);
		snprintf(expected, sizeof(expected), "#%zu", i);
		assert_string_equal(r[i].last, expected);
	}
	assert_int_equal(helper_busy(h), 0);
}

static void test_descriptor(void **state)
{
	struct result r = { 0 };
	char text[8];
	int ends[2];
	size_t n;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_true(helper_ask(h, "written", 7, ends[1], done, &r));
	assert_int_equal(write(ends[1], "", 0), 0);
	close(ends[1]);
	await(&r, 1);
	memcpy(&n, r.last, sizeof(n));
	assert_int_equal(n, 7);
	assert_int_equal(read(ends[0], text, sizeof(text)), 7);
	assert_memory_equal(text, "written", 7);
	/* The child has closed its copy before it answered. */
	assert_int_equal(read(ends[0], text, sizeof(text)), 0);
	close(ends[0]);
}

static void test_child(void **state)
{
	struct result r = { 0 };
	size_t n, here;
	int extra = dup(0);

	(void)state;
	here = count_descriptors();
	assert_true(here > 4);
	ask(&r, "descriptors");
	memcpy(&n, r.last, sizeof(n));
	/* 0, 1, 2 and its socket. */
	assert_int_equal(n, 4);
	ask(&r, "call");
	assert_string_equal(r.last, "sekimori: test");
	ask(&r, "Dump");
	memcpy(&n, r.last, sizeof(n));
	assert_int_equal(n, 0);
	close(extra);
}

static void test_signals(void **state)
{
	static const int sent[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGPIPE };
	struct result r = { 0 };
	pid_t pid, same;

	(void)state;
	ask(&r, "pid");
	memcpy(&pid, r.last, sizeof(pid));
	for (size_t i = 0; i < sizeof(sent) / sizeof(sent[0]); i++)
		assert_int_equal(kill(pid, sent[i]), 0);
	ask(&r, "pid");
	memcpy(&same, r.last, sizeof(same));
	assert_int_equal(pid, same);
	assert_int_equal(r.nothings, 0);
}

/* It dies: open requests get nothing, a new one takes over, but not twice within a second. */
static void test_restart(void **state)
{
	struct result r = { 0 }, early = { 0 }, lost = { 0 }, forgotten = { 0 };
	pid_t first, second;
	int64_t started = loop_now(l), down;
	siginfo_t ended;

	(void)state;
	ask(&r, "pid");
	memcpy(&first, r.last, sizeof(first));
	assert_true(helper_ask(h, "before", 6, -1, done, &early));
	assert_true(helper_ask(h, "x", 1, -1, done, &lost));
	helper_ask(h, "behind", 6, -1, done, &lost);
	helper_ask(h, "never told", 10, -1, done, &forgotten);
	helper_forget(h, &forgotten);
	assert_int_equal(waitid(P_PID, (id_t)first, &ended, WEXITED | WNOWAIT), 0);
	await(&lost, 1);
	assert_int_equal(lost.nothings, lost.answers);
	assert_int_equal(early.answers, 1);
	assert_int_equal(early.nothings, 0);
	assert_int_equal(helper_busy(h), 0);
	down = loop_now(l);
	while (!helper_ask(h, "pid", 3, -1, done, &r))
		assert_int_equal(loop_turn(l), 0);
	await(&r, 2);
	memcpy(&second, r.last, sizeof(second));
	assert_int_not_equal(first, second);
	assert_true(loop_now(l) >= started + HELPER_RESTART || down >= started + HELPER_RESTART);
	assert_int_equal(forgotten.answers, 0);
	assert_int_equal(waitpid(first, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

/* Old enough to be restarted at once: a request made by the one that is told of the death goes to the new one. */
static void test_ask_from_done(void **state)
{
	struct result r = { .again = h };
	int64_t until = loop_now(l) + HELPER_RESTART;

	(void)state;
	while (clock_monotonic() < until)
		poll(NULL, 0, 10);
	assert_true(helper_ask(h, "x", 1, -1, done, &r));
	await(&r, 2);
	assert_int_equal(r.nothings, 1);
	assert_memory_equal(r.last, "again", 5);
}

static void test_forget(void **state)
{
	struct result a = { 0 }, b = { 0 };

	(void)state;
	assert_true(helper_ask(h, "a", 1, -1, done, &a));
	assert_true(helper_ask(h, "b", 1, -1, done, &b));
	assert_true(helper_ask(h, "a", 1, -1, done, &a));
	helper_forget(h, &a);
	await(&b, 1);
	while (helper_busy(h) > 0)
		assert_int_equal(loop_turn(l), 0);
	assert_int_equal(a.answers, 0);
}

static void test_stop_after_loop(void **state)
{
	struct loop *own = loop_new(1);
	struct helper *other = helper_start(own, "other", serve);
	struct result r = { 0 };

	(void)state;
	assert_non_null(other);
	assert_null(helper_start(own, "full", serve));
	assert_true(helper_ask(other, "a", 1, -1, done, &r));
	loop_free(own);
	helper_forget(other, &r);
	assert_false(helper_ask(other, "a", 1, -1, done, &r));
	helper_stop(other);
	helper_stop(NULL);
	assert_int_equal(r.answers, 0);
}

/* Nothing of root is left, and what the kernel forgets at that is in force again. */
static void test_become(void **state)
{
	static const unsigned want[] = { 65534, 65534, 65533, 65533, 0, 0, 1, SIGKILL, 0 };
	struct result r = { 0 };

	(void)state;
	if (geteuid() != 0)
		skip();
	helper_become(h, 65534, 65533);
	ask(&r, "id");
	assert_int_equal(r.len, sizeof(want));
	assert_memory_equal(r.last, want, sizeof(want));
	ask(&r, "still serves");
	assert_int_equal(r.nothings, 0);
	/* It can't become anybody any more: it ends, and another takes its place. */
	helper_become(h, 0, 0);
	for (unsigned before_it = r.answers - r.nothings; r.answers - r.nothings == before_it;) {
		if (helper_ask(h, "id", 2, -1, done, &r))
			await(&r, r.answers + 1);
		else
			assert_int_equal(loop_turn(l), 0);
	}
	assert_memory_not_equal(r.last, want, sizeof(want));
}

/* The daemon is killed: the helper goes too. Orphans come to us, so that we see it. */
static void test_orphan(void **state)
{
	int ends[2];
	pid_t daemon, helper, seen;

	(void)state;
	if (emulated("there is no PR_SET_CHILD_SUBREAPER"))
		skip();
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	assert_int_equal(pipe(ends), 0);
	daemon = fork();
	assert_true(daemon >= 0);
	if (daemon == 0) {
		struct result r = { 0 };

		l = loop_new(1);
		h = helper_start(l, "orphan", serve);
		helper_ask(h, "pid", 3, -1, done, &r);
		while (r.answers == 0)
			loop_turn(l);
		if (write(ends[1], r.last, sizeof(pid_t)) < 0)
			_exit(1);
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(read(ends[0], &helper, sizeof(helper)), (ssize_t)sizeof(helper));
	assert_int_equal(waitpid(daemon, NULL, 0), daemon);
	do {
		seen = waitpid(helper, NULL, 0);
	} while (seen < 0 && errno == EINTR);
	assert_int_equal(seen, helper);
	close(ends[0]);
	close(ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_echo, start, stop),
		cmocka_unit_test_setup_teardown(test_many, start, stop),
		cmocka_unit_test_setup_teardown(test_descriptor, start, stop),
		cmocka_unit_test_setup_teardown(test_child, start, stop),
		cmocka_unit_test_setup_teardown(test_signals, start, stop),
		cmocka_unit_test_setup_teardown(test_restart, start, stop),
		cmocka_unit_test_setup_teardown(test_ask_from_done, start, stop),
		cmocka_unit_test_setup_teardown(test_forget, start, stop),
		cmocka_unit_test_setup_teardown(test_stop_after_loop, start, stop),
		cmocka_unit_test_setup_teardown(test_become, start, stop),
		cmocka_unit_test_setup_teardown(test_orphan, start, stop),
	};

	return cmocka_run_group_tests_name("net_helper", tests, NULL, NULL);
}
