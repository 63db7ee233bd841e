/*
 * The body of a message in the form that is hashed: "relaxed" of RFC 6376 3.4.4. Blanks at the ends of lines and empty lines at
 * the end don't count, and a run of blanks is one: servers on the way, and mail programs that save a mail, change just these. What is
 * left is what was said. Pure.
 */
#ifndef MAIL_BODY_H
#define MAIL_BODY_H

#include "base/slice.h"

#define BODY_ROOM_MIN	4	/* octets that body_next may write at least */

struct body {
	bool stuffed;		/* RFC 5321 4.5.2: as on the wire */
	/* its own */
	bool inside;		/* within a line */
	bool cr, blank;		/* seen, and not yet written */
	bool any;		/* something was written */
	uint64_t lines;		/* ends of lines not yet written */
};

void body_init(struct body *b, bool stuffed);
/*
 * Takes octets off *raw (CRLF or LF at the ends of lines), cut anywhere, and writes at most `size` to out; returns how many. All
 * of *raw is done when it is empty; until then it wants to be called again.
 */
size_t body_next(struct body *b, struct slice *raw, char *out, size_t size);
/* The body has ended: the last octets, at most BODY_ROOM_MIN. */
size_t body_end(struct body *b, char *out);

#endif
