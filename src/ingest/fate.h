/*
 * What becomes of a message: the verdict, the way into the spool, and the answer to the final dot (R5, R36, R50).
 */
#ifndef INGEST_FATE_H
#define INGEST_FATE_H

#include "ingest/session.h"

/* The transaction, if any, is void. One that is being committed goes on without us. */
void fate_drop(struct session *s);
/* Answers the command that waits; `argument` as smtp_server_answer says. */
void fate_answer(struct session *s, enum reply reply, struct slice argument);
/* What the spool's 0 or -errno means to the client: REPLY_ACCEPTED, _DISK_FULL or _SPOOL_FAILED. */
enum reply fate_of_spool(int error);
/* The fate of a message that has come in whole, or at least its header; worst defect first. REPLY_ACCEPTED when it may go on. */
enum reply fate_verdict(struct session *s, bool bare_cr_lf);
/* Into the spool, or refused: the final dot is answered at once, or when it is on the disk. That ends the transaction. */
void fate_conclude(struct session *s, enum reply reply);

#endif
