/*
 * Plays the glue around a session with a server, for dialogues and the fuzzers: what the session sends and tells is collected; what it
 * asks for is done when play_act is called, at the end of a group of replies, so that the outcome can't depend on how the group was cut.
 * play_client.h and play_pop3.h know the sessions; theirs begins with a struct play.
 */
#ifndef DIALOG_PLAY_H
#define DIALOG_PLAY_H

#include <stdio.h>
#include <stdlib.h>

#include "base/buffer.h"

#define PLAY_IN		4096	/* octets of `in`; a session says how many it gets */
#define PLAY_ROOM	8192	/* octets of `out` */
#define PLAY_HEX	"0123456789abcdef0123456789abcdef"

struct play;

/* What the session's last event was. */
enum play_event {
	PLAY_MORE, PLAY_FULL,		/* more input wanted, room for output wanted */
	PLAY_OTHER
};

struct play_session {
	size_t in_size;
	void (*init)(struct play *p);
	size_t (*feed)(struct play *p, enum play_event *event);	/* once; octets used of `in` */
	void (*take)(struct play *p);				/* the event behind that */
	bool (*act)(struct play *p);				/* as play_act, TLS apart */
	void (*secured)(struct play *p);
};

struct play {
	const struct play_session *session;
	size_t room;			/* octets of `out` */

	bool tls;			/* asked for */
	bool secured;			/* by it */
	bool over;			/* FAILED or CLOSED */
	struct buffer in, out, sent, events;
	char in_memory[PLAY_IN], out_memory[PLAY_ROOM];
	char sent_memory[1 << 18], event_memory[1 << 17];
};

static inline void play_must(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "play: %s\n", what);
	abort();
}

/* Until the session wants more. */
static inline void play_drive(struct play *p)
{
	enum play_event event = PLAY_OTHER;

	while (!p->over && !p->tls && event != PLAY_MORE) {
		size_t held = buffer_length(&p->in);
		size_t used = p->session->feed(p, &event);

		play_must(used <= held, "more used than given");
		play_must(event != PLAY_FULL || buffer_length(&p->out) > 0, "no room in an empty buffer");
		buffer_take(&p->in, used);
		play_must(buffer_put(&p->sent, buffer_bytes(&p->out)), "the session sends without end");
		buffer_clear(&p->out);
		p->session->take(p);
	}
}

static inline void play_start(struct play *p)
{
	p->tls = p->secured = p->over = false;
	buffer_init(&p->in, p->in_memory, p->session->in_size);
	buffer_init(&p->out, p->out_memory, p->room);
	buffer_init(&p->sent, p->sent_memory, sizeof(p->sent_memory));
	buffer_init(&p->events, p->event_memory, sizeof(p->event_memory));
	p->session->init(p);
	play_drive(p);
}

/* Octets from the server. Behind its consent to TLS they are dropped. */
static inline void play_feed(struct play *p, struct slice octets)
{
	while (octets.len > 0 && !p->over && !p->tls) {
		size_t room = buffer_room(&p->in);

		play_must(room > 0, "input is held back for good");
		buffer_put(&p->in, slice_first(octets, room));
		octets = slice_skip(octets, room);
		play_drive(p);
	}
}

/* Does what has been asked for; false when that is nothing. */
static inline bool play_act(struct play *p)
{
	if (p->over)
		return false;
	if (p->tls) {
		buffer_clear(&p->in);
		p->session->secured(p);
		p->tls = false;
		p->secured = true;
	} else if (!p->session->act(p)) {
		return false;
	}
	play_drive(p);
	return true;
}

#endif
