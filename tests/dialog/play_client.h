/* The client session with an upstream, played: see play.h. */
#ifndef DIALOG_PLAY_CLIENT_H
#define DIALOG_PLAY_CLIENT_H

#include "play.h"
#include "smtp/client.h"

#define PLAY_MAILS	4
#define PLAY_PROOF	"PPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPP"	/* stand for what SHA-256 would make */
#define PLAY_SIGNATURE	"SSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSS"

struct play_client {
	struct play play;
	struct smtp_client_settings settings;
	struct smtp_client_mail mails[PLAY_MAILS];
	unsigned mail_count;
	bool quit;			/* behind the last mail */
	bool open_content;		/* the content does not end in CRLF */

	struct smtp_client client;
	struct smtp_client_event event;
	unsigned mail_next;
	bool ready, content, challenged, proving;	/* asked for */
};

static inline struct play_client *play_client_of(struct play *p)
{
	return (struct play_client *)p;
}

static inline void play_client_init(struct play *p)
{
	struct play_client *c = play_client_of(p);

	smtp_client_init(&c->client, &c->settings);
	c->mail_next = 0;
	c->ready = c->content = c->challenged = c->proving = false;
}

static inline size_t play_client_feed(struct play *p, enum play_event *event)
{
	struct play_client *c = play_client_of(p);
	size_t used = smtp_client_feed(&c->client, buffer_bytes(&p->in), &p->out, &c->event);

	*event = c->event.type == SMTP_CLIENT_MORE ? PLAY_MORE : c->event.type == SMTP_CLIENT_ROOM ? PLAY_FULL : PLAY_OTHER;
	return used;
}

static inline void play_client_tell(struct play_client *c)
{
	const struct smtp_client_event *e = &c->event;
	struct buffer *events = &c->play.events;
	const char *stage = smtp_client_stage_name(e->stage);
	const char *what = e->type == SMTP_CLIENT_SENT ? "sent" : "failed";

	if (e->type == SMTP_CLIENT_RECIPIENT)
		buffer_putf(events, "recipient %u", e->recipient);
	else if (e->type == SMTP_CLIENT_CLOSED)
		buffer_put_text(events, "closed");
	else
		buffer_putf(events, "%s %s", what, stage);
	if (e->type != SMTP_CLIENT_CLOSED)
		buffer_putf(events, " %u %.*s", e->reply->code, SLICE_ARGS(upstream_text(e->reply)));
	if (smtp_client_in_doubt(&c->client))
		buffer_put_text(events, " (in doubt)");
	play_must(buffer_put_text(events, "\n"), "the session tells without end");
}

static inline void play_client_take(struct play *p)
{
	struct play_client *c = play_client_of(p);
	const struct smtp_client_event *e = &c->event;

	switch (e->type) {
	case SMTP_CLIENT_TLS:
		p->tls = true;
		break;
	case SMTP_CLIENT_CHALLENGE:
		c->challenged = true;
		break;
	case SMTP_CLIENT_PROVE:
		play_must(e->scram->salt_len > 0 && e->scram->iterations >= SCRAM_ITERATIONS_MIN &&
			  e->scram->iterations <= SCRAM_ITERATIONS_MAX, "asked for what is out of bounds");
		c->proving = true;
		break;
	case SMTP_CLIENT_READY:
		c->ready = true;
		break;
	case SMTP_CLIENT_CONTENT:
		c->content = true;
		break;
	case SMTP_CLIENT_FAILED:
	case SMTP_CLIENT_CLOSED:
		p->over = true;
		play_client_tell(c);
		break;
	case SMTP_CLIENT_RECIPIENT:
	case SMTP_CLIENT_SENT:
		play_client_tell(c);
		break;
	default:
		break;
	}
}

static inline void play_client_content(struct play_client *c)
{
	struct play *p = &c->play;
	bool crlf = !c->open_content;

	buffer_put_text(&p->sent, "Subject: test\r\n\r\nbody");
	buffer_put_text(&p->sent, crlf ? "\r\n" : "");
	play_must(smtp_client_content_end(&c->client, &p->out, crlf), "no room for the dot");
}

static inline bool play_client_act(struct play *p)
{
	struct play_client *c = play_client_of(p);

	if (c->challenged)
		play_must(smtp_client_respond(&c->client, &p->out, SLICE_OF(PLAY_HEX)), "no room to respond");
	else if (c->proving)
		play_must(smtp_client_prove(&c->client, &p->out, (const uint8_t *)PLAY_PROOF,
					    (const uint8_t *)PLAY_SIGNATURE), "no room to prove");
	else if (c->content)
		play_client_content(c);
	else if (c->ready && c->mail_next < c->mail_count)
		smtp_client_mail(&c->client, &c->mails[c->mail_next++]);
	else if (c->ready && c->quit)
		smtp_client_quit(&c->client);
	else
		return false;
	c->ready = c->content = c->challenged = c->proving = false;
	return true;
}

static inline void play_client_secured(struct play *p)
{
	struct play_client *c = play_client_of(p);

	smtp_client_secured(&c->client);
	c->ready = c->content = c->challenged = c->proving = false;
}

static const struct play_session play_client = {
	.in_size = 2 * SMTP_REPLY_LINE_MAX, .init = play_client_init, .feed = play_client_feed,
	.take = play_client_take, .act = play_client_act, .secured = play_client_secured,
};
_Static_assert(2 * SMTP_REPLY_LINE_MAX <= PLAY_IN, "in_size");

#endif
