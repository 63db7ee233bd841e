/*
 * The commands of a transaction: MAIL, RCPT, DATA, its content and the final dot, each as smtp/server.h's event of that name comes.
 */
#ifndef INGEST_MESSAGE_H
#define INGEST_MESSAGE_H

#include "ingest/session.h"

void message_mail(struct session *s, const struct smtp_server_event *e);
void message_rcpt(struct session *s, const struct smtp_server_event *e);
void message_data(struct session *s, const struct smtp_server_event *e);
void message_content(struct session *s, const struct smtp_server_event *e);
void message_end(struct session *s, const struct smtp_server_event *e);

#endif
