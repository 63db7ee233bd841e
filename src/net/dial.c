#include "net/dial.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/slice.h"

#define ASK_AGAIN	100	/* ms: the resolver is full or being restarted */
#define ERROR_MAX	160	/* octets of an error's text */

/*
 * What the resolver answers: FOUND and up to RESOLVED_MAX of these, or FAILED and a text. Both ends are the same
 * program, so the struct travels as it is.
 */
struct target {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} at;
	socklen_t len;
};

enum { FOUND = 'F', FAILED = 'E' };

_Static_assert(1 + RESOLVED_MAX * sizeof(struct target) <= HELPER_MESSAGE_MAX,
	       "an answer has room");
_Static_assert(HOST_MAX < HELPER_MESSAGE_MAX, "a request has room");

struct dial {
	struct watch watch;
	struct loop *loop;
	struct helper *resolver;	/* NULL for numeric hosts */
	dial_done *done;
	dial_step *step;		/* may be NULL */
	void *context;
	bool asked, resolved, ended;
	int fd;				/* -1: no attempt under way */
	uint16_t port;
	int64_t give_up;		/* end of it all */
	int64_t next_step;		/* end of this attempt, or when to go on */
	int64_t attempt_max;		/* ms */
	struct target from;		/* len 0: any */
	struct target targets[RESOLVED_MAX];
	size_t count, next;
	char host[HOST_MAX + 1];
	char address[INET6_ADDRSTRLEN + 9]; /* of the attempt: "[…]:65535" */
	char error[ERROR_MAX];
};

static const char no_family[] = "no address of the family of the address to leave from";
static const char not_ours[] = "the address to leave from is not this machine's";

bool dial_blames_source(const char *error)
{
	return strcmp(error, no_family) == 0 || strcmp(error, not_ours) == 0;
}

/* The resolver. */

static const char *lookup_words(int code)
{
	switch (code) {
	case EAI_NONAME:
#ifdef EAI_NODATA
	case EAI_NODATA:
#endif
		return "no such host";
	case EAI_AGAIN:
		return "name lookup: no answer from the name server";
	case EAI_FAIL:
		return "name lookup: the name server failed";
	case EAI_SYSTEM:
		return strerror(errno);
	default:
		return gai_strerror(code);
	}
}

static size_t answer_error(char *answer, const char *words)
{
	size_t len = strlen(words);

	if (len > ERROR_MAX - 1)
		len = ERROR_MAX - 1;
	answer[0] = FAILED;
	memcpy(answer + 1, words, len);
	return 1 + len;
}

static bool has_target(const char *answer, size_t len, const struct target *t)
{
	for (size_t at = 1; at < len; at += sizeof(*t))
		if (memcmp(answer + at, t, sizeof(*t)) == 0)
			return true;
	return false;
}

static size_t answer_found(char *answer, const struct addrinfo *list)
{
	size_t len = 1;

	answer[0] = FOUND;
	for (const struct addrinfo *a = list; a; a = a->ai_next) {
		struct target t;

		memset(&t, 0, sizeof(t));
		if (len == 1 + RESOLVED_MAX * sizeof(t))
			break;
		if (a->ai_addrlen > sizeof(t.at) ||
		    (a->ai_family != AF_INET && a->ai_family != AF_INET6))
			continue;
		memcpy(&t.at, a->ai_addr, a->ai_addrlen);
		t.len = a->ai_addrlen;
		/* A line twice in /etc/hosts is one address. */
		if (has_target(answer, len, &t))
			continue;
		memcpy(answer + len, &t, sizeof(t));
		len += sizeof(t);
	}
	return len > 1 ? len : answer_error(answer, "no such host");
}

/* No AI_ADDRCONFIG: it hides loopback addresses, and a route that isn't there shows at connect. */
static size_t resolve(const void *request, size_t len, int fd, void *answer)
{
	const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	struct addrinfo *list = NULL;
	char host[HOST_MAX + 1];
	size_t used;
	int code;

	(void)fd;
	if (!slice_copy(slice_bytes(request, len), host, sizeof(host)))
		return answer_error(answer, "no such host");
	code = getaddrinfo(host, NULL, &hints, &list);
	if (code != 0)
		return answer_error(answer, lookup_words(code));
	used = answer_found(answer, list);
	freeaddrinfo(list);
	return used;
}

struct helper *dial_resolver_start(struct loop *l)
{
	return helper_start(l, "names", resolve);
}

/* The dial. */

static bool parse_numeric(const char *text, struct target *t)
{
	memset(t, 0, sizeof(*t));
	if (inet_pton(AF_INET, text, &t->at.v4.sin_addr) == 1) {
		t->at.v4.sin_family = AF_INET;
		t->len = sizeof(t->at.v4);
		return true;
	}
	memset(t, 0, sizeof(*t));
	if (inet_pton(AF_INET6, text, &t->at.v6.sin6_addr) == 1) {
		t->at.v6.sin6_family = AF_INET6;
		t->len = sizeof(t->at.v6);
		return true;
	}
	return false;
}

static void end(struct dial *d, int fd, const char *error)
{
	d->ended = true;
	d->watch.dead = true;
	d->done(d->context, fd, d->address, error);
}

static void say(struct dial *d, const char *words)
{
	slice_copy(slice_first(slice_of(words), sizeof(d->error) - 1), d->error, sizeof(d->error));
}

static const char *connect_words(int error)
{
	switch (error) {
	case ECONNREFUSED:
		return "connection refused";
	case ETIMEDOUT:
		return "no answer";
	case ENETUNREACH:
		return "network unreachable";
	case EHOSTUNREACH:
		return "host unreachable";
	case EADDRNOTAVAIL:
		return not_ours;
	default:
		return strerror(error);
	}
}

static const char *name_target(const struct target *t, char text[INET6_ADDRSTRLEN])
{
	if (t->at.any.sa_family == AF_INET6)
		return inet_ntop(AF_INET6, &t->at.v6.sin6_addr, text, INET6_ADDRSTRLEN);
	return inet_ntop(AF_INET, &t->at.v4.sin_addr, text, INET6_ADDRSTRLEN);
}

static void name_attempt(struct dial *d, const struct target *t)
{
	char text[INET6_ADDRSTRLEN];
	bool v6 = t->at.any.sa_family == AF_INET6;

	snprintf(d->address, sizeof(d->address), v6 ? "[%s]:%u" : "%s:%u", name_target(t, text), (unsigned)d->port);
}

static void show_found(const struct dial *d)
{
	char text[INET6_ADDRSTRLEN];

	for (size_t i = 0; d->step && i < d->count; i++)
		d->step(d->context, name_target(&d->targets[i], text), NULL);
}

static void on_resolved(void *context, const void *answer, size_t len)
{
	struct dial *d = context;
	const char *at = answer;

	d->next_step = loop_now(d->loop);
	/* The helper died on it or beside it: the next one is asked again, as long as there is time. */
	if (!answer || len < 1) {
		d->asked = false;
		d->next_step += ASK_AGAIN;
		say(d, "name lookup: the resolver died");
		return;
	}
	d->resolved = true;
	if (at[0] != FOUND) {
		slice_copy(slice_bytes(at + 1, len - 1), d->error, sizeof(d->error));
		return;
	}
	say(d, "");
	for (size_t i = 1; i + sizeof(struct target) <= len && d->count < RESOLVED_MAX;
	     i += sizeof(struct target))
		memcpy(&d->targets[d->count++], at + i, sizeof(struct target));
	show_found(d);
}

static void ask(struct dial *d)
{
	if (!d->resolver) {
		end(d, -1, "name lookup: no resolver");
		return;
	}
	d->asked = helper_ask(d->resolver, d->host, strlen(d->host), -1, on_resolved, d);
	d->next_step = d->asked ? NEVER : loop_now(d->loop) + ASK_AGAIN;
}

static void set_port(struct target *t, uint16_t port)
{
	if (t->at.any.sa_family == AF_INET6)
		t->at.v6.sin6_port = htons(port);
	else
		t->at.v4.sin_port = htons(port);
}

static void hang_up(struct dial *d)
{
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
}

static void attempt_failed(struct dial *d, int error)
{
	hang_up(d);
	say(d, connect_words(error));
	if (d->step)
		d->step(d->context, d->address, d->error);
}

/* 0: connected or on the way (EINPROGRESS); else errno. */
static int begin(struct dial *d, const struct target *t)
{
	const int on = 1;

	d->fd = socket(t->at.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (d->fd < 0)
		return errno;
	setsockopt(d->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (d->from.len > 0 && bind(d->fd, &d->from.at.any, d->from.len) < 0)
		return errno;
	if (connect(d->fd, &t->at.any, t->len) < 0 && errno != EINPROGRESS && errno != EINTR)
		return errno;
	return 0;
}

static bool is_usable(const struct dial *d, const struct target *t)
{
	return d->from.len == 0 || d->from.at.any.sa_family == t->at.any.sa_family;
}

/* In the order of the resolver (RFC 6724); those that fail at once are passed at once. */
static void try_next(struct dial *d)
{
	while (d->next < d->count) {
		struct target *t = &d->targets[d->next++];
		int error;

		if (!is_usable(d, t))
			continue;
		set_port(t, d->port);
		name_attempt(d, t);
		error = begin(d, t);
		if (error == 0) {
			d->next_step = loop_now(d->loop) + d->attempt_max;
			return;
		}
		attempt_failed(d, error);
	}
	end(d, -1, d->error[0] != '\0' ? d->error : no_family);
}

static void finish_attempt(struct dial *d)
{
	socklen_t len = sizeof(int);
	int error = 0, fd = d->fd;

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (error == 0) {
		d->fd = -1;
		end(d, fd, "");
		return;
	}
	attempt_failed(d, error);
	try_next(d);
}

static struct dial *of_watch(struct watch *w)
{
	return (struct dial *)(void *)((char *)w - offsetof(struct dial, watch));
}

static void want(struct watch *w)
{
	struct dial *d = of_watch(w);

	w->fd = d->fd;
	w->events = d->fd >= 0 ? POLLOUT : 0;
	w->deadline = d->next_step < d->give_up ? d->next_step : d->give_up;
}

static void ready(struct watch *w, short revents)
{
	struct dial *d = of_watch(w);

	if (revents) {
		finish_attempt(d);
		return;
	}
	if (d->fd >= 0)
		attempt_failed(d, ETIMEDOUT);
	if (loop_now(d->loop) >= d->give_up)
		end(d, -1, d->error[0] != '\0' ? d->error : "name lookup: no answer in time");
	else if (d->resolved)
		try_next(d);
	else if (!d->asked)
		ask(d);
}

static void reap(struct watch *w)
{
	struct dial *d = of_watch(w);

	hang_up(d);
	if (d->resolver)
		helper_forget(d->resolver, d);
	if (!d->ended)
		end(d, -1, "stopped");
	free(d);
}

/* False: the end is known already, and told in the first turn. */
static void set_addresses(struct dial *d, const char *host, const char *bind_to)
{
	d->resolved = true;
	if (bind_to && bind_to[0] != '\0' && !parse_numeric(bind_to, &d->from)) {
		say(d, "the address to leave from is not numeric");
		return;
	}
	if (parse_numeric(host, &d->targets[0])) {
		d->count = 1;
		return;
	}
	if (!slice_copy(slice_of(host), d->host, sizeof(d->host)) || d->host[0] == '\0') {
		say(d, "no such host");
		return;
	}
	d->resolved = false;
}

struct dial *dial_start(struct loop *l, struct helper *resolver, const char *host, uint16_t port,
			const char *bind_to, int64_t timeout, dial_done *done, void *context)
{
	struct dial *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->watch = (struct watch){ .want = want, .ready = ready, .reap = reap, .fd = -1 };
	d->loop = l;
	d->done = done;
	d->context = context;
	d->fd = -1;
	d->port = port;
	d->next_step = loop_now(l);
	d->give_up = d->next_step + timeout;
	d->attempt_max = timeout < DIAL_ATTEMPT_MAX ? timeout : DIAL_ATTEMPT_MAX;
	set_addresses(d, host, bind_to);
	if (!d->resolved)
		d->resolver = resolver;
	if (loop_add(l, &d->watch))
		return d;
	free(d);
	return NULL;
}

void dial_show(struct dial *d, dial_step *step)
{
	d->step = step;
}

void dial_cancel(struct dial *d)
{
	if (d->ended)
		return;
	d->ended = true;
	d->watch.dead = true;
}
