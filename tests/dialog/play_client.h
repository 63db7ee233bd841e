/*
 * Plays the glue around a client session, for dialogues and the fuzzer: what the session sends and
 * tells is collected; what it asks for is done when play_act is called, at the end of a group of
 * replies, so that the outcome can't depend on how the group was cut.
 */
#ifndef DIALOG_PLAY_CLIENT_H
#define DIALOG_PLAY_CLIENT_H

#include <stdio.h>
#include <stdlib.h>

#include "smtp/client.h"

#define PLAY_MAILS	4
#define PLAY_ROOM	8192	/* octets of `out` */
#define PLAY_HEX	"0123456789abcdef0123456789abcdef"
#define PLAY_PROOF	"PPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPP"	/* stand for what SHA-256 would make */
#define PLAY_SIGNATURE	"SSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSS"

struct play {
	struct smtp_client_settings settings;
	struct smtp_client_mail mails[PLAY_MAILS];
	unsigned mail_count;
	bool quit;			/* behind the last mail */
	bool open_content;		/* the content does not end in CRLF */
	size_t room;

	struct smtp_client client;
	unsigned mail_next;
	bool ready, content, tls, challenged, proving;	/* asked for */
	bool over;			/* FAILED or CLOSED */
	bool secured;			/* by STARTTLS */
	struct buffer in, out, sent, events;
	char in_memory[2 * SMTP_REPLY_LINE_MAX], out_memory[PLAY_ROOM];
	char sent_memory[1 << 18], event_memory[1 << 17];
};

static void play_start(struct play *p)
{
	smtp_client_init(&p->client, &p->settings);
	p->mail_next = 0;
	p->ready = p->content = p->tls = p->challenged = p->proving = p->over = p->secured = false;
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

static void play_send(struct play *p)
{
	play_must(buffer_put(&p->sent, buffer_bytes(&p->out)), "the session sends without end");
	buffer_clear(&p->out);
}

static void play_tell(struct play *p, const struct smtp_client_event *e)
{
	const char *stage = smtp_client_stage_name(e->stage);
	const char *what = e->type == SMTP_CLIENT_SENT ? "sent" : "failed";
	struct slice text = upstream_text(e->reply);

	if (e->type == SMTP_CLIENT_RECIPIENT)
		buffer_putf(&p->events, "recipient %u", e->recipient);
	else if (e->type == SMTP_CLIENT_CLOSED)
		buffer_put_text(&p->events, "closed");
	else
		buffer_putf(&p->events, "%s %s", what, stage);
	if (e->type != SMTP_CLIENT_CLOSED)
		buffer_putf(&p->events, " %u %.*s", e->reply->code, SLICE_ARGS(text));
	if (smtp_client_in_doubt(&p->client))
		buffer_put_text(&p->events, " (in doubt)");
	play_must(buffer_put_text(&p->events, "\n"), "the session tells without end");
}

static void play_take(struct play *p, const struct smtp_client_event *e)
{
	switch (e->type) {
	case SMTP_CLIENT_TLS:
		p->tls = true;
		break;
	case SMTP_CLIENT_CHALLENGE:
		p->challenged = true;
		break;
	case SMTP_CLIENT_PROVE:
		play_must(e->scram->salt_len > 0 && e->scram->iterations >= SCRAM_ITERATIONS_MIN &&
			  e->scram->iterations <= SCRAM_ITERATIONS_MAX, "asked for what is out of bounds");
		p->proving = true;
		break;
	case SMTP_CLIENT_READY:
		p->ready = true;
		break;
	case SMTP_CLIENT_CONTENT:
		p->content = true;
		break;
	case SMTP_CLIENT_FAILED:
	case SMTP_CLIENT_CLOSED:
		p->over = true;
		play_tell(p, e);
		break;
	case SMTP_CLIENT_RECIPIENT:
	case SMTP_CLIENT_SENT:
		play_tell(p, e);
		break;
	default:
		break;
	}
}

/* Until the session wants more. */
static void play_drive(struct play *p)
{
	struct smtp_client_event e = { .type = SMTP_CLIENT_ROOM };

	while (!p->over && !p->tls && e.type != SMTP_CLIENT_MORE) {
		size_t held = buffer_length(&p->in);
		size_t used = smtp_client_feed(&p->client, buffer_bytes(&p->in), &p->out, &e);

		play_must(used <= held, "more used than given");
		play_must(e.type != SMTP_CLIENT_ROOM || buffer_length(&p->out) > 0,
			  "no room in an empty buffer");
		buffer_take(&p->in, used);
		play_send(p);
		play_take(p, &e);
	}
}

/* Octets from the upstream. Behind a 220 to STARTTLS they are dropped. */
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

static void play_content(struct play *p)
{
	bool crlf = !p->open_content;

	buffer_put_text(&p->sent, "Subject: test\r\n\r\nbody");
	buffer_put_text(&p->sent, crlf ? "\r\n" : "");
	play_must(smtp_client_content_end(&p->client, &p->out, crlf), "no room for the dot");
}

/* Does what has been asked for; false when that is nothing. */
static bool play_act(struct play *p)
{
	struct slice hex = SLICE_OF(PLAY_HEX);

	if (p->over)
		return false;
	if (p->tls) {
		buffer_clear(&p->in);
		smtp_client_secured(&p->client);
		p->secured = true;
	} else if (p->challenged) {
		play_must(smtp_client_respond(&p->client, &p->out, hex), "no room to respond");
	} else if (p->proving) {
		play_must(smtp_client_prove(&p->client, &p->out, (const uint8_t *)PLAY_PROOF,
					    (const uint8_t *)PLAY_SIGNATURE), "no room to prove");
	} else if (p->content) {
		play_content(p);
	} else if (p->ready && p->mail_next < p->mail_count) {
		smtp_client_mail(&p->client, &p->mails[p->mail_next++]);
	} else if (p->ready && p->quit) {
		smtp_client_quit(&p->client);
	} else {
		return false;
	}
	p->ready = p->content = p->tls = p->challenged = p->proving = false;
	play_drive(p);
	return true;
}

#endif
