/*
 * What a message carries with it about how it came (R17): Received, Authentication-Results, and the mark of a dry run
 * (R21). And the verdict's fields in the log.
 */
#ifndef INGEST_EVIDENCE_H
#define INGEST_EVIDENCE_H

#include "base/record.h"
#include "ingest/session.h"

#define EVIDENCE_MAX	4096	/* octets: host names, HELO, address and account at their largest */

/* The fields in front of the session's message. */
bool evidence_write(struct buffer *out, const struct session *s);
/* level=, reason=, would=, display_addr=, envelope= and from= matches. */
void evidence_record_verdict(struct record *r, const struct verdict *v);

#endif
