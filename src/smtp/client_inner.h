/*
 * What the files of the client session (smtp/client.h) share, and nobody else includes: client_lines.c, what its lines say; client_state.c,
 * which moves it on; client_auth.c, the login; client.c, with the table of states. Each calls those before it, never back. Pure.
 */
#ifndef SMTP_CLIENT_INNER_H
#define SMTP_CLIENT_INNER_H

#include "smtp/client.h"

enum state {
	AT_GREETING, AT_EHLO, AT_HELO, AT_STARTTLS, AT_TLS,
	AT_PLAIN, AT_PLAIN_RESPONSE, AT_LOGIN, AT_LOGIN_USER, AT_LOGIN_PASSWORD,
	AT_CRAM, AT_CHALLENGED, AT_CRAM_RESPONSE,
	AT_SCRAM, AT_SCRAM_FIRST, AT_PROVING, AT_SCRAM_LAST, AT_SCRAM_END,
	AT_TOKEN, AT_TOKEN_RESPONSE, AT_TOKEN_REFUSED,
	AT_DONE,	/* READY is to be told */
	AT_READY, AT_RSET,
	AT_MAIL, AT_RCPT, AT_DATA,	/* in this order: the replies of a transaction */
	AT_UNWANTED,	/* no recipient is left, or none is to get anything: SENT is to be told */
	AT_DRAIN,	/* the verdict is told, replies to pipelined commands are still to come */
	AT_LONE_DOT,	/* 354 came for a message nobody wants: RFC 2920 3.1 */
	AT_UNDO,	/* RSET behind a rehearsal */
	AT_CONTENT, AT_END, AT_QUIT, AT_CLOSED, AT_FAILED
};

/* client_state.c */

/* The state's command is due. */
void client_go(struct smtp_client *c, enum state state);
/* To AT_FAILED. The reply that is there tells why. */
void client_fail(struct smtp_client *c, enum smtp_client_stage stage);
void client_fail_because(struct smtp_client *c, enum smtp_client_stage stage, const char *reason);
/* A command of ours can't be put into a line. */
void client_fail_unsendable(struct smtp_client *c, enum smtp_client_stage stage);

/* client_auth.c */

bool client_login_due(const struct smtp_client *c);
/* By the best mechanism that is offered and allowed (R42). */
void client_login(struct smtp_client *c);
/* What replies do, for the table of states. */
void client_on_cram(struct smtp_client *c, struct slice text, struct smtp_client_event *event);
void client_on_scram(struct smtp_client *c, struct slice text, struct smtp_client_event *event);
void client_on_signature(struct smtp_client *c, struct slice text, struct smtp_client_event *event);
void client_on_unproved(struct smtp_client *c, struct slice text, struct smtp_client_event *event);
void client_on_scram_refused(struct smtp_client *c, struct slice text, struct smtp_client_event *event);
void client_on_token(struct smtp_client *c, struct slice text, struct smtp_client_event *event);
/* Before a reply to AUTH is looked at: what repeats our credentials goes to no log. */
void client_withhold_secret(struct smtp_client *c);

#endif
