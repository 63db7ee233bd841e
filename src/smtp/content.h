/*
 * Where the content of a message ends: RFC 5321 4.1.1.4. Pure. Only CRLF ends a line: by what others take for a line end mails are
 * smuggled.
 */
#ifndef SMTP_CONTENT_H
#define SMTP_CONTENT_H

#include "smtp/server.h"

#define CONTENT_END_LENGTH	3	/* octets of the final dot and its CRLF */

/*
 * Octets at the start of `in` that are content for certain; those that may yet become part of the end are left. *ended: the end follows
 * them. Goes on from s->line_start; a bare CR or LF sets s->bad_line.
 */
size_t content_length(struct smtp_server *s, struct slice in, bool *ended);

#endif
