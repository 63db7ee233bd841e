/*
 * Lines that a client session sends, SMTP and POP3 alike: in `out` whole or not at all. Pure.
 */
#ifndef SMTP_SENDING_H
#define SMTP_SENDING_H

#include "base/buffer.h"

enum sending {
	SENDING_DONE,
	SENDING_NO_ROOM,	/* `out` holds something that has to go first */
	SENDING_IMPOSSIBLE	/* too long, or it holds a control character: that would begin a command of somebody else's */
};

/* Adds CRLF to the line, which is built in memory of its own, and puts it. */
enum sending sending_put(struct buffer *out, struct buffer *line);

#endif
