/* The content, from the spool or as a client brings it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "relay/courier_inner.h"

/*
 * A direct message goes to all its recipients or into the queue: it can't wait for the one who was put off. Closing instead of
 * sending anything is what RFC 5321 4.1.1.4 leaves to take a 354 back.
 */
void courier_begin_content(struct courier *c)
{
	struct attempt *a = c->attempt;

	if (a->direct && attempt_was_deferred(a)) {
		attempt_group_verdict(a, 0, SLICE_OF("not sent: another recipient was put off"), false);
		c->watch.dead = true;
		courier_group_done(c);
		return;
	}
	if (a->passage) {
		a->flowing = true;
		a->passage->state = PASSAGE_FLOWING;
	}
	c->sending = true;
}

static void content_failed(struct courier *c, ssize_t error)
{
	char words[FAULT_MAX];

	snprintf(words, sizeof(words), "reading the spool: %s", strerror((int)-error));
	log_line(SEVERITY_ERR, "message %s: %s", c->attempt->id_text, words);
	attempt_group_verdict(c->attempt, 0, slice_of(words), false);
	c->watch.dead = true;		/* half a message is on the wire: only closing is left */
	courier_group_done(c);
}

/* Fills the output as far as the client has brought it; the dot once all is there. Octets put. */
static ssize_t fill_direct(struct courier *c, struct buffer *out)
{
	struct passage *p = c->attempt->passage;
	size_t moved = passage_take(p, out);

	if (p->complete && passage_drained(p) && smtp_client_content_end(&c->smtp, out, true))
		c->sending = false;
	return (ssize_t)moved;
}

/* Likewise from the spool. Octets put, or -errno. */
static ssize_t fill_spooled(struct courier *c, struct buffer *out)
{
	struct spool_message *m = &c->attempt->message;
	ssize_t total = 0, got;
	size_t room;
	char *at;

	while (c->sent < m->size) {
		at = buffer_reserve(out, &room);
		if (!room)
			return total;
		got = spool_read(c->house->spool, m, c->sent, at, room);
		if (got <= 0)
			return got ? got : -EIO;
		buffer_added(out, (size_t)got);
		c->sent += (uint64_t)got;
		total += got;
	}
	if (smtp_client_content_end(&c->smtp, out, m->envelope.ends_in_crlf))
		c->sending = false;
	return total;
}

static ssize_t fill(struct courier *c, struct buffer *out)
{
	return c->attempt->direct ? fill_direct(c, out) : fill_spooled(c, out);
}

/* There is nothing to be sent because the client has not brought it yet: that time is the client's. */
static bool waits_for_client(const struct courier *c)
{
	const struct passage *p = c->attempt ? c->attempt->passage : NULL;

	return c->sending && p && passage_drained(p) && !p->complete && !stream_has_output(&c->stream);
}

bool courier_content_due(const struct courier *c)
{
	const struct passage *p = c->attempt ? c->attempt->passage : NULL;

	return c->sending && p && (p->complete || !passage_drained(p)) && !stream_has_output(&c->stream);
}

void courier_send_content(struct courier *c)
{
	struct buffer *out;
	ssize_t put;

	while (c->sending && (out = stream_output(&c->stream))) {
		put = fill(c, out);
		if (put < 0) {
			content_failed(c, put);
			return;
		}
		if (put || !c->sending)
			c->deadline = courier_patience(c);
		stream_write(&c->stream);
		if (stream_has_output(&c->stream) || c->stream.state != STREAM_OPEN)
			return;
		if (waits_for_client(c)) {
			c->deadline = NEVER;
			return;
		}
	}
}
