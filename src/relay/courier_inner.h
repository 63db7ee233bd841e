/*
 * What the files of a courier share, and nobody else includes. courier_login.c says who we are; courier_way.c makes the connection, and
 * finds out what its end means for the attempt; courier_content.c sends the content; courier_mail.c says whose mail it is and hears the
 * verdicts; courier.c, the face, is the loop's side and hands each event to its file. Each calls those before it, never back.
 */
#ifndef RELAY_COURIER_INNER_H
#define RELAY_COURIER_INNER_H

#include "relay/courier.h"

static inline const struct relay_route *courier_route(const struct courier *c)
{
	return &c->settings->routes[c->route];
}

static inline int64_t courier_after(const struct courier *c, int64_t ms)
{
	return loop_now(c->house->loop) + ms;
}

/* courier_login.c */

/* SCRAM's, into c->nonce. Without randomness there is none, and SCRAM can't be said. */
struct slice courier_nonce(struct courier *c);
/* The answer to CRAM-MD5's challenge, and to SCRAM's first message by the hashing helper's answer. False without memory. */
bool courier_respond(struct courier *c, struct slice challenge);
bool courier_prove(struct courier *c, const void *answer, size_t len);
/* The AUTH line has gone out: our password doesn't stay in a block that goes to somebody else (R63). */
void courier_forget_login(struct courier *c);

/* courier_way.c */

/* To the route's host at hand, behind a POP login where one is due; what comes of it is found in the stage. False without memory. */
bool courier_dial(struct courier *c);
/* False without memory. */
bool courier_shake(struct courier *c);
/* The handshake is over. */
void courier_secured(struct courier *c);
/* When the reply that is waited for has to be there; monotonic ms. RFC 5321 4.5.3.2. */
int64_t courier_patience(const struct courier *c);
/* The group has been tried: the attempt goes back to the relay; the session asks for the next one when it is READY. */
void courier_group_done(struct courier *c);
/* The next host of the route, as long as nothing has been accepted; else the end. */
void courier_host_failed(struct courier *c, const char *words);
/* The session is over before the attempt was: what is known of it stands, the rest is tried again. */
void courier_session_failed(struct courier *c, enum smtp_client_stage stage, struct slice why, bool login_refused);
/* The stream has failed or ended, if it has. */
void courier_look_for_end(struct courier *c);

/* courier_content.c */

/* The upstream waits for it. A direct message may end here instead: then the courier is dead. */
void courier_begin_content(struct courier *c);
/* As far as there is some, and the socket takes it. */
void courier_send_content(struct courier *c);
/* The client of a direct message has brought more while the socket was idle. */
bool courier_content_due(const struct courier *c);

/* courier_mail.c */

/* MAIL and RCPT of the attempt's group: now, or when the route's rate allows it. False: it is too large, and the attempt's group done. */
bool courier_begin(struct courier *c);
/* `messages_per_connection`: the upstream would refuse one more. */
bool courier_is_used_up(const struct courier *c);
void courier_on_recipient(struct courier *c, const struct smtp_client_event *e);
void courier_on_sent(struct courier *c, const struct smtp_client_event *e);

#endif
