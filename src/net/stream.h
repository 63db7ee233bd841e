/*
 * A connected socket, plain or TLS behind one face, with bounded input and output. Blocks for both are
 * borrowed from a pool only while they hold something: an idle stream costs its struct.
 */
#ifndef NET_STREAM_H
#define NET_STREAM_H

#include "base/buffer.h"
#include "base/pool.h"
#include "net/tls.h"

#define STREAM_HANDSHAKE_MS	30000	/* a handshake that takes longer holds memory for nothing */
#define STREAM_STARVED_MS	20	/* all blocks of the pool are lent: look again */

enum stream_state {
	STREAM_OPEN,
	STREAM_HANDSHAKE,	/* TLS is being set up; neither input nor output moves */
	STREAM_ENDED,		/* the peer has closed; input may be left, output may still go */
	STREAM_FAILED,		/* error; see stream_error */
};

struct stream {
	int fd;				/* -1: closed */
	uint8_t state;			/* enum stream_state */
	short tls_events;		/* poll bits that TLS waits for beyond the owner's; in the handshake all there are */
	int error;			/* errno, 0 when TLS failed or nothing did */
	struct pool *pool;
	struct tls *tls;
	struct buffer in, out;		/* at NULL while no block is borrowed */
	bool blocked;			/* the socket took no more; poll is to be asked first */
	size_t submitted;		/* octets at the head of out that TLS was given and must be given again, 0: none */
};

/* Takes over fd, which must be non-blocking. */
void stream_open(struct stream *s, int fd, struct pool *pool);
/* Closes at once (TLS is ended properly), gives blocks back. Safe on a closed one (and on one that was zeroed with fd -1). */
void stream_close(struct stream *s);

/*
 * Begins TLS: buffered input is dropped (R34), output must be empty. `name` as in tls_new (NULL for a
 * server). False without memory or with output left.
 */
bool stream_start_tls(struct stream *s, struct tls_context *c, const char *name);

/*
 * Poll bits for the state it is in. `input`: the owner wants to read more now (back-pressure: false while a reply is
 * due). Bits are 0 when it waits for nothing. Output that is buffered always asks for POLLOUT. No input is asked for while the
 * pool has no block: one comes back only within a turn, so the next turn sees it. To be asked right before poll: from here on
 * stream_write writes again.
 */
short stream_events(struct stream *s, bool input);
/* Input can be had without poll (decrypted octets): the owner should call stream_read at once. */
bool stream_ready(const struct stream *s);

/*
 * On POLLIN: carries on the handshake, else reads once into the input block. Octets added; 0: none now (state tells why). Read
 * before writing: what a peer said before it hung up is worth having.
 */
size_t stream_read(struct stream *s);
/*
 * On POLLOUT: carries on the handshake, else writes what is buffered, as far as the socket takes it. What it did not take stays until
 * poll has been asked, however often this is called: who stops for want of room and sees output left may rely on POLLOUT to go on.
 */
void stream_write(struct stream *s);

/* Nothing more will be written: close_notify and shutdown(2) of our direction, once output is out. Reading goes on. */
void stream_finish(struct stream *s);

struct slice stream_input(const struct stream *s);
void stream_consume(struct stream *s, size_t n);
/* The output buffer, with a block behind it; NULL when the pool is empty (try again next turn). */
struct buffer *stream_output(struct stream *s);
static inline bool stream_has_output(const struct stream *s)
{
	return buffer_length(&s->out) > 0;
}
/* Gives back empty blocks; call at the end of a turn with the stream. */
void stream_rest(struct stream *s);
/* For a person; "connection reset by peer", a TLS error, …; empty when nothing is wrong. */
const char *stream_error(const struct stream *s);
/* Likewise of one that has failed or ended; never empty. */
const char *stream_lost(const struct stream *s);
/*
 * A handshake has failed that may go well another way (tls_prepare_retry): closed, to be dialled again. `tries` counts these, up to
 * TLS_RETRIES_MAX. False: it stays as it is.
 */
bool stream_retry_tls(struct stream *s, uint8_t *tries);

#endif
