/*
 * AUTH as the server session speaks it (RFC 4954): challenges, responses, and what comes of them. Inside of the room. Pure.
 */
#ifndef SMTP_AUTH_H
#define SMTP_AUTH_H

#include "smtp/turn.h"

/* Those a client may use here and now; enum smtp_mechanism. */
unsigned auth_mechanisms(const struct smtp_server *s);
/* The command; its event is answered by smtp_server_login_done. */
void auth_begin(const struct turn *t);
/* A line while s->auth_step isn't 0: the response to the last challenge, in base64. */
void auth_take(const struct turn *t, struct slice coded);
/* What was said of a login is wiped, and no step is left. */
void auth_forget(struct smtp_server *s);

#endif
