/*
 * Replies of an upstream, line by line: RFC 5321 4.2. Bounded in lines and octets. What is no reply
 * is called so and never skipped: what follows it can't be trusted either. Pure.
 */
#ifndef SMTP_UPSTREAM_H
#define SMTP_UPSTREAM_H

#include "base/limits.h"
#include "base/slice.h"

/* A reply, as far as it is kept. */
struct smtp_upstream_reply {
	uint16_t code;		/* 0: none came; the text, if any, is then our own reason */
	uint16_t len;
	/* All lines without codes, joined by a blank; printable ASCII, others as `?`. */
	char text[SMTP_REPLY_TEXT_MAX];
};

static inline struct slice upstream_text(const struct smtp_upstream_reply *r)
{
	return slice_bytes(r->text, r->len);
}

enum upstream_status {
	UPSTREAM_MORE,			/* no line end yet */
	UPSTREAM_LINE,			/* a line that is not the reply's last */
	UPSTREAM_LAST,			/* the reply is complete */
	/* No reply: the session is of no use. */
	UPSTREAM_TOO_LONG,		/* a line over SMTP_REPLY_LINE_MAX */
	UPSTREAM_TOO_MANY,		/* over SMTP_REPLY_LINES_MAX lines */
	UPSTREAM_BAD_END,		/* CR without LF, LF without CR, or NUL */
	UPSTREAM_BAD_CODE,		/* no 200 to 599, or neither blank nor hyphen behind it */
	UPSTREAM_OTHER_CODE		/* the code changed from one line to the next */
};
/* The last five in words. */
const char *upstream_status_text(enum upstream_status status);

/* All zero at the start of a connection, and again when TLS came up. */
struct upstream {
	uint16_t scanned;			/* of line_read */
	uint16_t lines;				/* of the reply so far; 0 before its first */
	struct smtp_upstream_reply reply;	/* being read, then the last one */
};

/*
 * Reads one line from the start of `in`, which holds everything not used before. On UPSTREAM_LINE
 * and UPSTREAM_LAST *text is the line without code and CRLF, as it came (into `in`), and *used its
 * octets; otherwise *used is 0.
 */
enum upstream_status upstream_read(struct upstream *u, struct slice in, struct slice *text,
				   size_t *used);

/* Puts our own reason in place of a reply: code 0. */
void upstream_explain(struct upstream *u, const char *reason);

#endif
