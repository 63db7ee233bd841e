/*
 * What a session leaves in the log (R18, R64): one line for each login, refusal, message, and its end. Our own words come first in
 * each, so that values from outside can never push them out. Messages and refusals go into the audit trail as well, with the same
 * fields, whole.
 */
#ifndef INGEST_AUDIT_H
#define INGEST_AUDIT_H

#include "ingest/session.h"

/* session: how it ended, and what came of it. */
void audit_session(const struct session *s);
/* login: s->login as typed, s->candidate the account it resolves to; `locked`: refused whatever the password was. */
void audit_login(const struct session *s, enum reply reply, bool locked);
/* lockout: it has begun with this login. */
void audit_lockout(const struct session *s, enum lockout_scope scope);
/* message: verdict, sender, recipients and fate. */
void audit_message(const struct session *s, const struct transaction *t, enum reply reply);
/* The same, once more, of a message whose client has gone during its commit, which failed then. */
void audit_unsafe(const struct transaction *t, enum reply reply);
/* refused: before there is a message. `at` is "mail" or "rcpt"; v may be NULL. */
void audit_refusal(const struct session *s, const char *at, const struct address *who, const struct verdict *v,
		   enum reply reply);
/* refused: MAIL or RCPT that the protocol itself refused (no login, syntax); the line as it came. */
void audit_refused_line(const struct session *s, struct slice line);

#endif
