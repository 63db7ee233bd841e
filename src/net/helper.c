#include "net/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/secret.h"

#define ANSWERS_MAX	16	/* answers taken in one turn: others want theirs as well */
#define NAME_MAX_OCTETS	16	/* of a process name with its NUL, prctl(2) */
#define DESCRIPTORS_MAX	65536	/* closed one by one where close_range(2) is missing; a limit without end is not counted out */

/* A packet is one of these octets and the message: an empty packet could not be told from the end. */
#define MARK		'M'
#define MARK_BECOME	'B'		/* the message is a struct identity; no answer */

struct identity {
	uid_t uid;
	gid_t gid;
};

struct request {
	helper_done *done;		/* NULL: forgotten */
	void *context;
};

struct helper {
	struct watch watch;
	struct loop *loop;
	helper_serve *serve;
	char name[NAME_MAX_OCTETS];
	int fd;				/* our end; -1 while it is down */
	pid_t pid;			/* of the one at the other end, 0: none */
	pid_t gone;			/* of one that was let go and is still to be waited for, 0: none */
	int64_t started;		/* when, loop's time */
	int64_t look;			/* when to look for the one gone */
	bool stopped, reaped;		/* freed once both */
	size_t first, pending;		/* a ring: the answers come in the order of the requests */
	struct request requests[HELPER_PENDING_MAX];
};

/* The child. */

void helper_close_above(int low)
{
	struct rlimit limit;
	int top = DESCRIPTORS_MAX;

#ifdef SYS_close_range
	if (syscall(SYS_close_range, (unsigned)low, ~0u, 0u) == 0)
		return;
#endif
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < DESCRIPTORS_MAX)
		top = (int)limit.rlim_cur;
	for (int fd = low; fd < top; fd++)
		close(fd);
}

/*
 * 0 and 1 become /dev/null, so that nobody waits for the end of a pipe we hold; 2 stays, for the last words of libc. Returns
 * the one other descriptor left.
 */
static int keep_only(int fd)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
	}
	if (fd != STDERR_FILENO + 1 && dup2(fd, STDERR_FILENO + 1) < 0)
		_exit(1);
	helper_close_above(STDERR_FILENO + 2);
	return STDERR_FILENO + 1;
}

/*
 * The daemon's handlers are not ours. Signals for the whole group (a terminal's ^C, a service manager's TERM) end the daemon,
 * which may still need us for its last flush; our end is the end of the socket.
 */
void helper_reset_signals(void)
{
	static const int ignored[] = { SIGHUP, SIGINT, SIGTERM, SIGPIPE, SIGUSR1, SIGUSR2 };
	sigset_t none;

	for (int s = 1; s < NSIG; s++)
		signal(s, SIG_DFL);
	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The descriptor that came along, or -1. */
static int descriptor_of(struct msghdr *m)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(m);
	int fd;

	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
	    c->cmsg_len != CMSG_LEN(sizeof(fd)))
		return -1;
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

static ssize_t receive(int socket, char *mark, void *message, int *fd)
{
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec parts[] = { { mark, 1 }, { message, HELPER_MESSAGE_MAX } };
	struct msghdr m = { .msg_iov = parts, .msg_iovlen = 2, .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	ssize_t n;

	do {
		n = recvmsg(socket, &m, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (fd)
		*fd = n > 0 ? descriptor_of(&m) : -1;
	return n;
}

static bool transmit(int socket, char mark, const void *message, size_t len, int fd)
{
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec parts[] = { { &mark, 1 }, { (void *)(uintptr_t)message, len } };
	struct msghdr m = { .msg_iov = parts, .msg_iovlen = 2 };
	ssize_t n;

	if (fd >= 0) {
		memset(&control, 0, sizeof(control));
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(sizeof(fd));
		memcpy(CMSG_DATA(&control.align), &fd, sizeof(fd));
		m.msg_control = &control;
		m.msg_controllen = sizeof(control.space);
	}
	do {
		n = sendmsg(socket, &m, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n >= 0;
}

/* To be said again after a change of identity, at which the kernel forgets both. */
static bool follow(pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_DUMPABLE, 0);
	/* It may have died before we asked to be told. */
	return getppid() == parent;
}

static bool become(const void *message, size_t len, pid_t parent)
{
	struct identity who;

	if (len != sizeof(who))
		return false;
	memcpy(&who, message, sizeof(who));
	return setgroups(0, NULL) == 0 && setgid(who.gid) == 0 && setuid(who.uid) == 0 &&
	       prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && follow(parent);
}

/* Requests may hold passwords: nothing of one is left for the next. */
static bool serve_once(int socket, helper_serve *serve, pid_t parent)
{
	char request[HELPER_MESSAGE_MAX], answer[HELPER_MESSAGE_MAX], mark;
	int fd;
	ssize_t n = receive(socket, &mark, request, &fd);
	size_t len;
	bool sent;

	if (n <= 0)
		return false;
	if (mark == MARK_BECOME)
		return become(request, (size_t)n - 1, parent);
	len = serve(request, (size_t)n - 1, fd, answer);
	if (fd >= 0)
		close(fd);
	sent = len <= sizeof(answer) && transmit(socket, MARK, answer, len, -1);
	secret_wipe(request, sizeof(request));
	secret_wipe(answer, sizeof(answer));
	return sent;
}

static _Noreturn void child(const struct helper *h, int socket, pid_t parent)
{
	if (!follow(parent))
		_exit(0);
	prctl(PR_SET_NAME, h->name);
	helper_reset_signals();
	socket = keep_only(socket);
	while (serve_once(socket, h->serve, parent)) {
	}
	_exit(0);
}

/* The daemon. */

/* One that hangs in the disk dies late: it is waited for without waiting. */
static void collect(struct helper *h)
{
	if (h->gone > 0 && waitpid(h->gone, NULL, WNOHANG) != 0)
		h->gone = 0;
	if (h->gone == 0 && h->fd < 0) {
		h->gone = h->pid;
		h->pid = 0;
	}
}

static bool open_pair(int pair[2])
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return false;
	if (fcntl(pair[0], F_SETFL, O_NONBLOCK) == 0)
		return true;
	close(pair[0]);
	close(pair[1]);
	return false;
}

static bool spawn(struct helper *h)
{
	pid_t parent = getpid(), pid;
	int pair[2], error;

	if (!open_pair(pair))
		return false;
	pid = fork();
	if (pid == 0)
		child(h, pair[1], parent);
	error = errno;
	close(pair[1]);
	if (pid > 0) {
		h->fd = pair[0];
		h->pid = pid;
		return true;
	}
	close(pair[0]);
	errno = error;
	return false;
}

/* Never twice within HELPER_RESTART; what fails now is tried again then. */
static void restart(struct helper *h)
{
	if (h->fd >= 0 || h->stopped || loop_now(h->loop) < h->started + HELPER_RESTART)
		return;
	h->started = loop_now(h->loop);
	collect(h);
	if (h->pid == 0)
		spawn(h);
}

static void hang_up(struct helper *h)
{
	if (h->fd >= 0)
		close(h->fd);
	h->fd = -1;
	/* One that hangs in a lookup would outlive its socket by minutes. */
	if (h->pid > 0)
		kill(h->pid, SIGKILL);
	h->look = loop_now(h->loop) + HELPER_RESTART;
	collect(h);
}

static struct request next_request(struct helper *h)
{
	struct request r = h->requests[h->first];

	h->first = (h->first + 1) % HELPER_PENDING_MAX;
	h->pending--;
	return r;
}

static void answer(struct helper *h, const void *message, size_t len)
{
	struct request r = next_request(h);

	if (r.done)
		r.done(r.context, message, len);
}

/* Only those that were open: a `done` may ask the new one already. */
static void died(struct helper *h)
{
	size_t lost = h->pending;

	hang_up(h);
	restart(h);
	while (lost-- > 0 && !h->watch.dead)
		answer(h, NULL, 0);
}

static void take_answers(struct helper *h)
{
	char message[HELPER_MESSAGE_MAX], mark;

	for (int i = 0; i < ANSWERS_MAX && !h->watch.dead; i++) {
		ssize_t n = receive(h->fd, &mark, message, NULL);

		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			break;
		/* Told once, when it died with requests unread; what it answered before lies behind. */
		if (n < 0 && errno == ECONNRESET)
			continue;
		/* An answer without a question is not our helper any more. */
		if (n <= 0 || h->pending == 0) {
			died(h);
			break;
		}
		answer(h, message, (size_t)n - 1);
	}
	secret_wipe(message, sizeof(message));
}

static struct helper *of_watch(struct watch *w)
{
	return (struct helper *)(void *)((char *)w - offsetof(struct helper, watch));
}

static void want(struct watch *w)
{
	struct helper *h = of_watch(w);

	w->fd = h->fd;
	w->events = h->fd >= 0 ? POLLIN : 0;
	w->deadline = h->fd < 0 ? h->started + HELPER_RESTART : h->gone > 0 ? h->look : NEVER;
}

static void ready(struct watch *w, short revents)
{
	struct helper *h = of_watch(w);

	if (revents && h->fd >= 0) {
		take_answers(h);
		return;
	}
	collect(h);
	h->look = loop_now(h->loop) + HELPER_RESTART;
	restart(h);
}

static void reap(struct watch *w)
{
	struct helper *h = of_watch(w);

	hang_up(h);
	h->pending = 0;
	h->reaped = true;
	if (h->stopped)
		free(h);
}

struct helper *helper_start(struct loop *l, const char *name, helper_serve *serve)
{
	struct helper *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->watch = (struct watch){ .want = want, .ready = ready, .reap = reap, .fd = -1 };
	h->loop = l;
	h->serve = serve;
	h->fd = -1;
	h->started = loop_now(l);
	snprintf(h->name, sizeof(h->name), "sekimori: %s", name);
	if (spawn(h)) {
		if (loop_add(l, &h->watch))
			return h;
		hang_up(h);
		errno = ENOSPC;
	}
	free(h);
	return NULL;
}

void helper_stop(struct helper *h)
{
	if (!h)
		return;
	h->stopped = true;
	h->watch.dead = true;
	if (h->reaped)
		free(h);
}

bool helper_ready(const struct helper *h)
{
	return h->fd >= 0 && !h->watch.dead && h->pending < HELPER_PENDING_MAX;
}

bool helper_ask(struct helper *h, const void *request, size_t len, int fd, helper_done *done,
		void *context)
{
	size_t last = (h->first + h->pending) % HELPER_PENDING_MAX;

	if (!helper_ready(h) || len > HELPER_MESSAGE_MAX)
		return false;
	if (!transmit(h->fd, MARK, request, len, fd))
		return false;
	h->requests[last] = (struct request){ done, context };
	h->pending++;
	return true;
}

void helper_become(struct helper *h, uid_t uid, gid_t gid)
{
	const struct identity who = { uid, gid };

	if (h->fd >= 0 && !transmit(h->fd, MARK_BECOME, &who, sizeof(who), -1))
		hang_up(h);
}

void helper_forget(struct helper *h, const void *context)
{
	for (size_t i = 0; i < h->pending; i++) {
		struct request *r = &h->requests[(h->first + i) % HELPER_PENDING_MAX];

		if (r->context == context)
			r->done = NULL;
	}
}

size_t helper_busy(const struct helper *h)
{
	return h->pending;
}
