/*
 * [relay] mode = direct: a message is passed on while it comes in, and its final dot is answered with the upstream's own answer. The
 * verdict needs the header alone, so that is held back; nothing that comes later can turn a good verdict into a bad one, and what
 * makes the message unfit (a bare CR, its size) cuts the passage before the octet has left.
 */
#ifndef INGEST_DIRECT_H
#define INGEST_DIRECT_H

#include "ingest/session.h"

#if CONFIG_DIRECT
/* Some messages are passed on while they come in. */
bool direct_is_possible(const struct session *s);
/* Whether this is one, at DATA. False: it is, but there is no memory. */
bool direct_begin(struct session *s);
/* Content has come. */
void direct_content(struct session *s);
/* The final dot. False: it is an ordinary message (by now), or its fate is known already. */
bool direct_end(struct session *s);
/* Does what the relay's side of it has made due meanwhile. */
void direct_turn(struct session *s);
bool direct_due(const struct session *s);
/* At the end of a turn. */
void direct_rest(struct session *s);
/* Nothing is to be read from the client: what it has sent has to go on first. */
bool direct_holds(const struct session *s);
/* The client has said all, the upstream not yet. */
bool direct_waits(const struct session *s);
#else
static inline bool direct_is_possible(const struct session *s)
{
	(void)s;
	return false;
}

static inline bool direct_begin(struct session *s)
{
	(void)s;
	return true;
}

static inline void direct_content(struct session *s)
{
	(void)s;
}

static inline bool direct_end(struct session *s)
{
	(void)s;
	return false;
}

static inline void direct_turn(struct session *s)
{
	(void)s;
}

static inline bool direct_due(const struct session *s)
{
	(void)s;
	return false;
}

static inline void direct_rest(struct session *s)
{
	(void)s;
}

static inline bool direct_holds(const struct session *s)
{
	(void)s;
	return false;
}

static inline bool direct_waits(const struct session *s)
{
	(void)s;
	return false;
}
#endif

#endif
