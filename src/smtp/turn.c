#include "smtp/turn.h"

#include "base/limits.h"

void turn_say(struct smtp_server *s, struct buffer *out, enum reply reply, struct slice argument)
{
	unsigned code;

	if (reply_code(reply) >= 500 && ++s->errors > SMTP_ERRORS_MAX)
		reply = REPLY_TOO_MANY_ERRORS;
	code = reply_code(reply);
	if (code == 421)	/* the host says so of itself, whatever the command was about */
		argument = s->settings->hostname;
	reply_put(out, reply, argument, s->settings->enhanced_codes);
	s->last_reply = (uint8_t)reply;
	if (code == 421 || (code >= 400 && s->early))
		s->phase = PHASE_CLOSED;
}

void turn_answer(const struct turn *t, enum reply reply)
{
	turn_say(t->s, t->out, reply, no_argument);
}

void turn_ask(const struct turn *t, enum smtp_server_event_type type)
{
	t->event->type = type;
	t->s->waiting = (uint8_t)type;
}
