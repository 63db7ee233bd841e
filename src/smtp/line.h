/*
 * Lines of SMTP, both directions: CRLF only, bounded (RFC 5321 2.3.8, 4.5.3.1). Pure.
 */
#ifndef SMTP_LINE_H
#define SMTP_LINE_H

#include "base/slice.h"

enum line_status {
	LINE_OK,		/* *line is the line without CRLF */
	LINE_MORE,		/* no line end yet */
	LINE_TOO_LONG,		/* no line end within max octets */
	LINE_BAD_END,		/* CR without LF, LF without CR, or NUL, before any CRLF: a framing error, answer once and close */
};

/*
 * Finds the first line of in. `max` counts CRLF. *scanned is how far earlier calls have looked (the caller keeps it, 0
 * for a new line) so that a line that comes byte by byte costs no more than one that comes whole.
 * On LINE_OK *used is the octets of the line with CRLF and *scanned is 0 again.
 */
enum line_status line_read(struct slice in, size_t max, uint16_t *scanned, struct slice *line, size_t *used);

#endif
