/*
 * What a message carries with it about how it came (R17): Received, Authentication-Results, the mark of a dry run
 * (R21), and the fields that a submission has to have (R69).
 */
#ifndef INGEST_EVIDENCE_H
#define INGEST_EVIDENCE_H

#include "ingest/session.h"

#define EVIDENCE_MAX	PASSAGE_FRONT_MAX

/*
 * What a submission lacks and is given (R69, RFC 6409 8), and the From: that rewrite_from replaces: "from", "date", "message-id",
 * comma-separated; NULL without any. For the log.
 */
const char *evidence_repairs(const struct session *s, const struct transaction *t);
/* The fields in front of the session's message. */
bool evidence_write(struct buffer *out, const struct session *s);
#endif
