/*
 * Plays the glue around a POP3 session, for dialogues and the fuzzer: what the session sends and tells is collected; what it asks for is
 * done when play_act is called, at the end of a group of replies, so that the outcome can't depend on how the group was cut.
 */
#ifndef DIALOG_PLAY_POP3_H
#define DIALOG_PLAY_POP3_H

#include <stdio.h>
#include <stdlib.h>

#include "smtp/pop3.h"

#define PLAY_ROOM	1024	/* octets of `out` */
#define PLAY_HEX	"0123456789abcdef0123456789abcdef"

struct play {
	struct pop3_settings settings;
	size_t room;

	struct pop3 session;
	bool tls, challenged;			/* asked for */
	bool over;				/* FAILED or CLOSED */
	bool opened, secured;
	struct buffer in, out, sent, events;
	char in_memory[2 * POP3_LINE_MAX], out_memory[PLAY_ROOM];
	char sent_memory[4096], event_memory[4096];
};

static void play_start(struct play *p)
{
	pop3_init(&p->session, &p->settings);
	p->tls = p->challenged = p->over = p->opened = p->secured = false;
	buffer_init(&p->in, p->in_memory, sizeof(p->in_memory));
	buffer_init(&p->out, p->out_memory, p->room);
	buffer_init(&p->sent, p->sent_memory, sizeof(p->sent_memory));
	buffer_init(&p->events, p->event_memory, sizeof(p->event_memory));
}

static void play_must(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "play: %s\n", what);
	abort();
}

static void play_tell(struct play *p, const char *what, const struct pop3_reply *reply)
{
	static const char *const codes[] = {
		[POP3_CODE_NONE] = "", [POP3_CODE_AUTH] = " auth", [POP3_CODE_TEMPORARY] = " temporary",
		[POP3_CODE_PERMANENT] = " permanent", [POP3_CODE_IN_USE] = " in-use", [POP3_CODE_DELAY] = " delay",
	};

	play_must(buffer_putf(&p->events, "%s%s: %.*s\n", what, codes[reply->code], reply->len, reply->text),
		  "the session tells without end");
}

static void play_failed(struct play *p, const struct pop3_event *e)
{
	char what[40];

	snprintf(what, sizeof(what), "failed %s%s", pop3_stage_name(e->stage),
		 pop3_temporary(&p->session) ? "" : " for good");
	play_tell(p, what, e->reply);
	p->over = true;
}

static void play_take(struct play *p, const struct pop3_event *e)
{
	p->tls |= e->type == POP3_TLS;
	p->challenged |= e->type == POP3_TIMESTAMP;
	if (e->type == POP3_TIMESTAMP)
		buffer_putf(&p->events, "timestamp %.*s\n", SLICE_ARGS(e->timestamp));
	if (e->type == POP3_OPEN) {
		play_must(!p->opened, "opened twice");
		p->opened = true;
		play_tell(p, p->session.by_apop ? "open apop" : "open user", e->reply);
	}
	if (e->type == POP3_FAILED)
		play_failed(p, e);
	if (e->type == POP3_CLOSED) {
		buffer_put_text(&p->events, "closed\n");
		p->over = true;
	}
}

/* Until the session wants more. */
static void play_drive(struct play *p)
{
	struct pop3_event e = { .type = POP3_ROOM };

	while (!p->over && !p->tls && e.type != POP3_MORE) {
		size_t held = buffer_length(&p->in);
		size_t used = pop3_feed(&p->session, buffer_bytes(&p->in), &p->out, &e);

		play_must(used <= held, "more used than given");
		play_must(e.type != POP3_ROOM || buffer_length(&p->out) > 0, "no room in an empty buffer");
		buffer_take(&p->in, used);
		play_must(buffer_put(&p->sent, buffer_bytes(&p->out)), "the session sends without end");
		buffer_clear(&p->out);
		play_take(p, &e);
	}
}

/* Octets from the server. Behind its +OK to STLS they are dropped. */
static void play_feed(struct play *p, struct slice octets)
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
static bool play_act(struct play *p)
{
	if (p->over || (!p->tls && !p->challenged))
		return false;
	if (p->tls) {
		buffer_clear(&p->in);
		pop3_secured(&p->session);
		p->secured = true;
	} else {
		play_must(pop3_respond(&p->session, &p->out, SLICE_OF(PLAY_HEX)), "no room to respond");
	}
	p->tls = p->challenged = false;
	play_drive(p);
	return true;
}

#endif
