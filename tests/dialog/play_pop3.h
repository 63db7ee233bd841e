/* The POP3 session with a server, played: see play.h. */
#ifndef DIALOG_PLAY_POP3_H
#define DIALOG_PLAY_POP3_H

#include "play.h"
#include "smtp/pop3.h"

struct play_pop3 {
	struct play play;
	struct pop3_settings settings;

	struct pop3 session;
	struct pop3_event event;
	bool challenged;		/* asked for */
	bool opened;
};

static inline struct play_pop3 *play_pop3_of(struct play *p)
{
	return (struct play_pop3 *)p;
}

static inline void play_pop3_init(struct play *p)
{
	struct play_pop3 *pop = play_pop3_of(p);

	pop3_init(&pop->session, &pop->settings);
	pop->challenged = pop->opened = false;
}

static inline size_t play_pop3_feed(struct play *p, enum play_event *event)
{
	struct play_pop3 *pop = play_pop3_of(p);
	size_t used = pop3_feed(&pop->session, buffer_bytes(&p->in), &p->out, &pop->event);

	*event = pop->event.type == POP3_MORE ? PLAY_MORE : pop->event.type == POP3_ROOM ? PLAY_FULL : PLAY_OTHER;
	return used;
}

static inline void play_pop3_tell(struct play *p, const char *what, const struct pop3_reply *reply)
{
	static const char *const codes[] = {
		[POP3_CODE_NONE] = "", [POP3_CODE_AUTH] = " auth", [POP3_CODE_TEMPORARY] = " temporary",
		[POP3_CODE_PERMANENT] = " permanent", [POP3_CODE_IN_USE] = " in-use", [POP3_CODE_DELAY] = " delay",
	};

	play_must(buffer_putf(&p->events, "%s%s: %.*s\n", what, codes[reply->code], reply->len, reply->text),
		  "the session tells without end");
}

static inline void play_pop3_failed(struct play_pop3 *pop)
{
	char what[40];

	snprintf(what, sizeof(what), "failed %s%s", pop3_stage_name(pop->event.stage),
		 pop3_temporary(&pop->session) ? "" : " for good");
	play_pop3_tell(&pop->play, what, pop->event.reply);
	pop->play.over = true;
}

static inline void play_pop3_take(struct play *p)
{
	struct play_pop3 *pop = play_pop3_of(p);
	const struct pop3_event *e = &pop->event;

	p->tls |= e->type == POP3_TLS;
	pop->challenged |= e->type == POP3_TIMESTAMP;
	if (e->type == POP3_TIMESTAMP)
		buffer_putf(&p->events, "timestamp %.*s\n", SLICE_ARGS(e->timestamp));
	if (e->type == POP3_OPEN) {
		play_must(!pop->opened, "opened twice");
		pop->opened = true;
		play_pop3_tell(p, pop->session.by_apop ? "open apop" : "open user", e->reply);
	}
	if (e->type == POP3_FAILED)
		play_pop3_failed(pop);
	if (e->type == POP3_CLOSED) {
		buffer_put_text(&p->events, "closed\n");
		p->over = true;
	}
}

static inline bool play_pop3_act(struct play *p)
{
	struct play_pop3 *pop = play_pop3_of(p);

	if (!pop->challenged)
		return false;
	play_must(pop3_respond(&pop->session, &p->out, SLICE_OF(PLAY_HEX)), "no room to respond");
	pop->challenged = false;
	return true;
}

static inline void play_pop3_secured(struct play *p)
{
	struct play_pop3 *pop = play_pop3_of(p);

	pop3_secured(&pop->session);
	pop->challenged = false;
}

static const struct play_session play_pop3 = {
	.in_size = 2 * POP3_LINE_MAX, .init = play_pop3_init, .feed = play_pop3_feed,
	.take = play_pop3_take, .act = play_pop3_act, .secured = play_pop3_secured,
};
_Static_assert(2 * POP3_LINE_MAX <= PLAY_IN, "in_size");

#endif
