/*
 * One event as one line: `event key=value key=value`. Used for syslog and for the audit
 * trail, which keeps values whole. Values from outside go through record_text, which quotes and cuts them, so that no value can
 * end the line or pass for a second field.
 *
 * A field that no longer fits is left out, as are all after it, and the line ends in ` ...`: write
 * the words and numbers of our own first, so that a peer's long values can't push them out.
 */
#ifndef BASE_RECORD_H
#define BASE_RECORD_H

#include "limits.h"
#include "slice.h"

struct record {
	char text[AUDIT_LINE_MAX + 1];	/* always NUL-terminated */
	size_t len;
	size_t most, value_most;	/* octets of the line, and of a value before quoting */
};

/* Starts the line with the name of the event: LOG_LINE_MAX, values of LOG_VALUE_MAX. */
void record_start(struct record *r, const char *event);
/* The same for the audit trail: AUDIT_LINE_MAX, values of AUDIT_VALUE_MAX. */
void record_start_audit(struct record *r, const char *event);
/* A word of our own making; written as it is. Left out when word is NULL. */
void record_word(struct record *r, const char *key, const char *word);
void record_number(struct record *r, const char *key, int64_t value);
/*
 * Any bytes: bare when they are printable, without blank, quote, backslash and `=`, and not empty;
 * else in double quotes, with \" \\ and \xHH; cut at the record's bound for values, shown as `...`.
 */
void record_text(struct record *r, const char *key, struct slice value);
/* The same, cut at LOG_REASON_MAX, earlier where much has to be escaped: for sentences of our own, as the last field of a line. */
void record_reason(struct record *r, const char *key, struct slice value);
/* A number of milliseconds as seconds with three decimals. */
void record_seconds(struct record *r, const char *key, int64_t ms);

#endif
