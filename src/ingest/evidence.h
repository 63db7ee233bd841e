/*
 * What a message carries with it about how it came (R17): Received, Authentication-Results, and the mark of a dry run
 * (R21).
 */
#ifndef INGEST_EVIDENCE_H
#define INGEST_EVIDENCE_H

#include "ingest/session.h"

#define EVIDENCE_MAX	4096	/* octets: host names, HELO, address and account at their largest */

/* The fields in front of the session's message. */
bool evidence_write(struct buffer *out, const struct session *s);
#endif
