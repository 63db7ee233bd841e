#include "net/stream.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BULK		8192	/* octets: a TLS record this large is one of many; the next is likely there */
#define DRAIN_MAX	(1 << 20) /* octets thrown away at close, see hang_up */

void stream_open(struct stream *s, int fd, struct pool *pool)
{
	*s = (struct stream){ .fd = fd, .pool = pool, .state = STREAM_OPEN };
}

static void give_back(struct stream *s, struct buffer *b)
{
	if (b->at)
		pool_put(s->pool, b->at);
	buffer_init(b, NULL, 0);
}

static bool borrow(struct stream *s, struct buffer *b)
{
	void *block;

	if (b->at)
		return true;
	block = pool_get(s->pool);
	if (!block)
		return false;
	buffer_init(b, block, pool_block_size(s->pool));
	return true;
}

/*
 * A socket closed with octets unread sends RST, and that destroys our last reply on its way ("421", "500"):
 * throw them away first. MSG_TRUNC on TCP discards without a copy.
 */
static void hang_up(int fd)
{
	if (recv(fd, NULL, DRAIN_MAX, MSG_TRUNC | MSG_DONTWAIT) < 0) {
		/* Nothing there, or not TCP: just as well. */
	}
	close(fd);
}

void stream_close(struct stream *s)
{
	if (s->fd < 0)
		return;
	if (s->tls && (s->state == STREAM_OPEN || s->state == STREAM_ENDED))
		tls_shutdown(s->tls);
	tls_free(s->tls);
	s->tls = NULL;
	hang_up(s->fd);
	s->fd = -1;
	s->tls_events = 0;
	s->submitted = 0;
	give_back(s, &s->in);
	give_back(s, &s->out);
}

bool stream_start_tls(struct stream *s, struct tls_context *c, const char *name)
{
	if (s->fd < 0 || s->tls || s->state != STREAM_OPEN || stream_has_output(s))
		return false;
	s->tls = tls_new(c, s->fd, name);
	if (!s->tls)
		return false;
	/* R34: what came in clear before TLS may be anybody's. */
	give_back(s, &s->in);
	give_back(s, &s->out);
	s->state = STREAM_HANDSHAKE;
	s->tls_events = name ? POLLOUT : POLLIN;
	return true;
}

static bool has_room(const struct stream *s)
{
	void *block;

	if (s->in.at)
		return buffer_room(&s->in) > 0;
	block = pool_get(s->pool);
	pool_put(s->pool, block);
	return block != NULL;
}

short stream_events(struct stream *s, bool input)
{
	short events;

	s->blocked = false;
	if (s->fd < 0 || s->state == STREAM_FAILED)
		return 0;
	if (s->state == STREAM_HANDSHAKE)
		return s->tls_events;
	events = s->tls_events;
	if (stream_has_output(s))
		events |= POLLOUT;
	if (input && s->state == STREAM_OPEN && has_room(s))
		events |= POLLIN;
	return events;
}

bool stream_ready(const struct stream *s)
{
	return s->fd >= 0 && s->state == STREAM_OPEN && s->tls && tls_pending(s->tls) &&
	       has_room(s);
}

static void fail(struct stream *s, int error)
{
	s->state = STREAM_FAILED;
	s->error = error;
	s->tls_events = 0;
}

static bool is_transient(int error)
{
	return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

static void carry_on_handshake(struct stream *s)
{
	switch (tls_handshake(s->tls)) {
	case 0:
		s->state = STREAM_OPEN;
		s->tls_events = 0;
		return;
	case TLS_WANT_READ:
		s->tls_events = POLLIN;
		return;
	case TLS_WANT_WRITE:
		s->tls_events = POLLOUT;
		return;
	default:
		fail(s, 0);
	}
}

static size_t read_plain(struct stream *s, char *at, size_t room)
{
	ssize_t n = recv(s->fd, at, room, 0);

	if (n > 0)
		return (size_t)n;
	if (n == 0)
		s->state = STREAM_ENDED;
	else if (!is_transient(errno))
		fail(s, errno);
	return 0;
}

/* The end or failure of TLS; a want that is the usual one is no event of its own. */
static void take_result(struct stream *s, ssize_t result, int usual)
{
	s->tls_events = 0;
	if (result >= 0 || result == usual)
		return;
	switch (result) {
	case TLS_WANT_READ:
		s->tls_events = POLLIN;
		return;
	case TLS_WANT_WRITE:
		s->tls_events = POLLOUT;
		return;
	case TLS_CLOSED:
		s->state = STREAM_ENDED;
		return;
	default:
		fail(s, 0);
	}
}

static size_t read_tls(struct stream *s, char *at, size_t room)
{
	size_t done = 0;
	ssize_t n;

	do {
		n = tls_read(s->tls, at + done, room - done);
		if (n > 0)
			done += (size_t)n;
	} while (n >= BULK && done < room);
	take_result(s, n, TLS_WANT_READ);
	return done;
}

size_t stream_read(struct stream *s)
{
	size_t room, n;
	char *at;

	if (s->fd < 0)
		return 0;
	if (s->state == STREAM_HANDSHAKE) {
		carry_on_handshake(s);
		return 0;
	}
	/* A write may have waited for octets of the peer. */
	if (s->submitted > 0 && (s->tls_events & POLLIN))
		stream_write(s);
	if (s->state != STREAM_OPEN || !borrow(s, &s->in))
		return 0;
	at = buffer_reserve(&s->in, &room);
	if (room == 0)
		return 0;
	n = s->tls ? read_tls(s, at, room) : read_plain(s, at, room);
	buffer_added(&s->in, n);
	return n;
}

static void write_plain(struct stream *s)
{
	struct slice rest = buffer_bytes(&s->out);
	ssize_t n = send(s->fd, rest.at, rest.len, MSG_NOSIGNAL);

	if (n >= 0)
		buffer_take(&s->out, (size_t)n);
	else if (!is_transient(errno))
		fail(s, errno);
}

/*
 * A write that TLS could not finish has become a record already: it must be repeated with the octets it began with, however many
 * were put behind them meanwhile. That the buffer may have moved them does not matter, the record is a copy.
 */
static void write_tls(struct stream *s)
{
	ssize_t n = 1;

	while (n > 0 && stream_has_output(s)) {
		struct slice rest = buffer_bytes(&s->out);

		if (s->submitted == 0)
			s->submitted = rest.len;
		n = tls_write(s->tls, rest.at, s->submitted);
		if (n > 0) {
			buffer_take(&s->out, (size_t)n);
			s->submitted = 0;
		}
	}
	take_result(s, n, TLS_WANT_WRITE);
}

/* Once more in the same turn could find room that has just come; the owner, who has seen that there was none, would not go on. */
static void write_output(struct stream *s)
{
	if (s->blocked)
		return;
	if (s->tls)
		write_tls(s);
	else
		write_plain(s);
	s->blocked = stream_has_output(s);
}

void stream_write(struct stream *s)
{
	if (s->fd < 0 || s->state == STREAM_FAILED)
		return;
	if (s->state == STREAM_HANDSHAKE)
		carry_on_handshake(s);
	else if (stream_has_output(s))
		write_output(s);
	else if (s->tls && (s->tls_events & POLLOUT))
		/* A read that had to send first (tickets, alerts): writing nothing sends that. */
		take_result(s, tls_write(s->tls, "", 0), 0);
}

void stream_finish(struct stream *s)
{
	if (s->fd < 0 || s->state == STREAM_FAILED || s->state == STREAM_HANDSHAKE)
		return;
	if (s->tls)
		tls_shutdown(s->tls);
	shutdown(s->fd, SHUT_WR);	/* a peer that has gone already needs no farewell */
}

struct slice stream_input(const struct stream *s)
{
	return buffer_bytes(&s->in);
}

void stream_consume(struct stream *s, size_t n)
{
	buffer_take(&s->in, n);
}

struct buffer *stream_output(struct stream *s)
{
	return borrow(s, &s->out) ? &s->out : NULL;
}

void stream_rest(struct stream *s)
{
	if (buffer_length(&s->in) == 0)
		give_back(s, &s->in);
	if (buffer_length(&s->out) == 0)
		give_back(s, &s->out);
}

const char *stream_error(const struct stream *s)
{
	if (s->state != STREAM_FAILED)
		return "";
	return s->error ? strerror(s->error) : tls_error(s->tls);
}

const char *stream_lost(const struct stream *s)
{
	return stream_error(s)[0] ? stream_error(s) : "connection closed";
}

bool stream_retry_tls(struct stream *s, uint8_t *tries)
{
	if (*tries == TLS_RETRIES_MAX || !s->tls || !tls_prepare_retry(s->tls))
		return false;
	++*tries;
	stream_close(s);
	return true;
}
