#include "net/program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/secret.h"
#include "net/helper.h"

#define ARGUMENTS_MAX	32
#define LOOK_MS		20	/* one that has closed its output ends soon after */
#define NOT_RUN		127	/* exit status of a program that could not be begun, as a shell has it */

struct words {
	char text[PROGRAM_LINE_MAX + 2];
	char *at[ARGUMENTS_MAX + 1];
	unsigned count;
};

struct program {
	struct watch watch;		/* first */
	struct loop *loop;
	pid_t pid;			/* 0: it has been waited for */
	int64_t give_up;
	program_done *done;		/* NULL: told, or cancelled */
	void *context;
	const char *wrong;		/* decided already */
	bool ended;			/* its output */
	int status;
	size_t len;
	char output[PROGRAM_OUTPUT_MAX];
};

/* One word off the front of *rest, to *out with its NUL. False: a quote is open. */
static bool take_word(struct slice *rest, char **out)
{
	char quote = '\0';

	while (rest->len && (quote || !ascii_is_blank(rest->at[0]))) {
		char c = rest->at[0];

		*rest = slice_skip(*rest, 1);
		if (quote && c == quote)
			quote = '\0';
		else if (!quote && (c == '"' || c == '\''))
			quote = c;
		else
			*(*out)++ = c;
	}
	*(*out)++ = '\0';
	return quote == '\0';
}

static const char *split(struct slice line, struct words *w)
{
	char *out = w->text;

	w->count = 0;
	if (line.len > PROGRAM_LINE_MAX)
		return "is too long";
	for (line = slice_trim(line); line.len; line = slice_trim(line)) {
		if (w->count == ARGUMENTS_MAX)
			return "has too many arguments";
		w->at[w->count++] = out;
		if (!take_word(&line, &out))
			return "a quote is not closed";
	}
	w->at[w->count] = NULL;
	return w->count && w->at[0][0] == '/' ? NULL : "must begin with the program's path from /";
}

const char *program_check(struct slice line)
{
	struct words w;

	return split(line, &w);
}

/* The child */

static _Noreturn void run(const struct words *w, int output, pid_t parent)
{
	static char *const environment[] = {
		(char *)"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", (char *)"HOME=/", (char *)"LANG=C", NULL
	};
	int null;

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(NOT_RUN);
	helper_reset_signals();
	signal(SIGPIPE, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGUSR1, SIG_DFL);
	signal(SIGUSR2, SIG_DFL);
	null = open("/dev/null", O_RDWR);
	if (null < 0 || dup2(output, STDOUT_FILENO) < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDERR_FILENO) < 0 ||
	    chdir("/"))
		_exit(NOT_RUN);
	helper_close_above(STDERR_FILENO + 1);
	execve(w->at[0], w->at, environment);
	_exit(NOT_RUN);
}

/* The daemon */

static void end(struct program *c, const char *error)
{
	program_done *done = c->done;

	c->watch.dead = true;
	c->done = NULL;
	if (done)
		done(c->context, error ? slice_bytes("", 0) : slice_bytes(c->output, c->len), error);
}

static void kill_all(struct program *c)
{
	if (c->pid > 0 && kill(-c->pid, SIGKILL) < 0)
		kill(c->pid, SIGKILL);	/* it had no group of its own yet */
}

static void give_up(struct program *c, const char *why)
{
	c->wrong = why;
	c->ended = true;
	kill_all(c);
}

static void tell_status(struct program *c)
{
	char text[64];

	if (WIFEXITED(c->status) && WEXITSTATUS(c->status) == 0) {
		end(c, NULL);
		return;
	}
	if (WIFEXITED(c->status) && WEXITSTATUS(c->status) == NOT_RUN)
		snprintf(text, sizeof(text), "it can't be run (exit status %d)", NOT_RUN);
	else if (WIFEXITED(c->status))
		snprintf(text, sizeof(text), "exit status %d", WEXITSTATUS(c->status));
	else
		snprintf(text, sizeof(text), "ended by signal %d", WTERMSIG(c->status));
	end(c, text);
}

/* Its children may hold the pipe still: they end with it. */
static void collect(struct program *c)
{
	pid_t pid = waitpid(c->pid, &c->status, WNOHANG);

	if (pid == 0)
		return;
	kill(-c->pid, SIGKILL);
	c->pid = 0;
	if (c->wrong)
		end(c, c->wrong);
	else if (pid < 0)
		end(c, "it got lost");
	else
		tell_status(c);
}

static void take_output(struct program *c)
{
	ssize_t n;

	do {
		n = read(c->watch.fd, c->output + c->len, sizeof(c->output) - c->len);
		if (n > 0)
			c->len += (size_t)n;
	} while ((n > 0 && c->len < sizeof(c->output)) || (n < 0 && errno == EINTR));
	if (c->len == sizeof(c->output))
		give_up(c, "it writes without end");
	else if (n == 0)
		c->ended = true;
	else if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
		give_up(c, "its output can't be read");
}

static void want(struct watch *w)
{
	struct program *c = (struct program *)w;

	w->events = c->ended ? 0 : POLLIN;
	w->deadline = c->give_up;
	if (c->ended && loop_now(c->loop) + LOOK_MS < w->deadline)
		w->deadline = loop_now(c->loop) + LOOK_MS;
	if (c->wrong)
		w->deadline = loop_now(c->loop) + LOOK_MS;
}

static void ready(struct watch *w, short revents)
{
	struct program *c = (struct program *)w;

	if (revents && !c->ended)
		take_output(c);
	if (!c->wrong && loop_now(c->loop) >= c->give_up)
		give_up(c, "time-out");
	if (c->ended)
		collect(c);
}

static void reap(struct watch *w)
{
	struct program *c = (struct program *)w;

	if (c->pid > 0) {
		kill_all(c);
		waitpid(c->pid, NULL, 0);
	}
	close(w->fd);
	if (c->done)
		c->done(c->context, slice_bytes(NULL, 0), NULL);
	secret_wipe(c->output, sizeof(c->output));
	free(c);
}

static bool open_pipe(int ends[2])
{
	if (pipe2(ends, O_CLOEXEC) < 0)
		return false;
	if (fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0)
		return true;
	close(ends[0]);
	close(ends[1]);
	return false;
}

static bool spawn(struct program *c, const struct words *w)
{
	pid_t parent = getpid();
	int ends[2], error;

	if (!open_pipe(ends))
		return false;
	c->pid = fork();
	if (c->pid == 0)
		run(w, ends[1], parent);
	error = errno;
	close(ends[1]);
	if (c->pid > 0) {
		setpgid(c->pid, c->pid);	/* whoever comes first */
		c->watch.fd = ends[0];
		return true;
	}
	close(ends[0]);
	errno = error;
	return false;
}

struct program *program_start(struct loop *l, struct slice line, int64_t timeout, program_done *done, void *context)
{
	struct program *c = calloc(1, sizeof(*c));
	struct words w;

	if (!c)
		return NULL;
	c->watch = (struct watch){ .want = want, .ready = ready, .reap = reap, .fd = -1 };
	c->loop = l;
	c->give_up = loop_now(l) + timeout;
	c->done = done;
	c->context = context;
	errno = EINVAL;
	if (split(line, &w) || !spawn(c, &w)) {
		free(c);
		return NULL;
	}
	if (loop_add(l, &c->watch))
		return c;
	c->done = NULL;
	reap(&c->watch);
	errno = ENOSPC;
	return NULL;
}

void program_cancel(struct program *c)
{
	c->done = NULL;
	c->watch.dead = true;
}
