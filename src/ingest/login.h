/*
 * AUTH: whose is the password (R24-R26). A slow hash is the helper's work, a password that only the next hop knows is asked for there
 * (ingest/vouch.h); the session waits for either.
 */
#ifndef INGEST_LOGIN_H
#define INGEST_LOGIN_H

#include "ingest/session.h"

/* SMTP_SERVER_LOGIN: answered at once, or when the helper or the next hop has. */
void login_begin(struct session *s, const struct smtp_server_event *e);
/* The upstream has answered for the password. */
bool login_due(const struct session *s);
/* Tells the client so. */
void login_turn(struct session *s);
/* Nobody waits for it any more. */
void login_drop(struct session *s);

#endif
