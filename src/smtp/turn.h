/*
 * A command of the client while the server session carries it out (smtp/server.h), and how it is answered. Inside of the room. Pure.
 */
#ifndef SMTP_TURN_H
#define SMTP_TURN_H

#include "smtp/server.h"

struct turn {
	struct smtp_server *s;
	struct buffer *out;
	struct smtp_server_event *event;
	struct slice argument;		/* behind the verb, trimmed */
};

static const struct slice no_argument = { NULL, 0 };

/*
 * A refused command whose group went on behind it ends the session: what stands there was meant as
 * content or as TLS, and its author may be somebody else than the client (R34).
 */
void turn_say(struct smtp_server *s, struct buffer *out, enum reply reply, struct slice argument);
void turn_answer(const struct turn *t, enum reply reply);
/* The event is told, and its answer waited for. */
void turn_ask(const struct turn *t, enum smtp_server_event_type type);

#endif
