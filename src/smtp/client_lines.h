/*
 * The lines of a client session (smtp/client.h): what EHLO offers, and what its commands say behind their verbs. Pure. Those that put
 * append to `line`; what can't be said sets line->overflow.
 */
#ifndef SMTP_CLIENT_LINES_H
#define SMTP_CLIENT_LINES_H

#include "smtp/client.h"

/* A line of the reply to EHLO behind the first: RFC 5321 4.1.1.1. */
void lines_learn(struct smtp_client *c, struct slice line);

void lines_put_helo(const struct smtp_client *c, struct buffer *line);
void lines_put_sender(const struct smtp_client *c, struct buffer *line);
/* That of the next command of the transaction. */
void lines_put_recipient(const struct smtp_client *c, struct buffer *line);

/* Answers of AUTH; the initial ones go along with the command where it stays short, and are left out otherwise. */
void lines_put_user(const struct smtp_client *c, struct buffer *line);
void lines_put_password(const struct smtp_client *c, struct buffer *line);
void lines_put_plain(const struct smtp_client *c, struct buffer *line);
void lines_put_initial_plain(const struct smtp_client *c, struct buffer *line);
void lines_put_scram(const struct smtp_client *c, struct buffer *line);
void lines_put_initial_scram(const struct smtp_client *c, struct buffer *line);
void lines_put_token(const struct smtp_client *c, struct buffer *line);
void lines_put_initial_token(const struct smtp_client *c, struct buffer *line);
/* Whether the token goes along with the command in `line`. */
bool lines_holds_token(const struct smtp_client *c, const struct buffer *line);

#endif
