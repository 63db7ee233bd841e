/*
 * A message as a program of this machine hands it to sendmail(1): lines that end as they may, perhaps without a header, from
 * a descriptor that is read once. Memory is taken for the header only.
 */
#ifndef MANAGER_LETTER_H
#define MANAGER_LETTER_H

#include <stdio.h>

#include "base/slice.h"

struct letter_line {
	char *text;
	size_t len;
	bool begins;		/* a field; else it continues one */
	bool left_out;
};

struct letter {
	FILE *in;
	bool dots;		/* a line of a single dot ends it */
	bool ended;
	struct letter_line *lines;
	size_t count, octets;
	struct letter_line first;	/* of a body that came without a header; text NULL: there is none */
};

/* Reads the header. False when there is no memory for it, or it is larger than anything that could be a header. */
bool letter_read(struct letter *l, FILE *in, bool dots);
bool letter_has(const struct letter *l, struct slice name);
/* Each address of To:, Cc: and Bcc: (RFC 5322 3.6.3), until `each` says false, which is the result; Bcc: is left out from then on. */
bool letter_recipients(struct letter *l, bool (*each)(void *context, struct slice address), void *context);
/*
 * Header and body as SMTP wants them (RFC 5321 4.5.2), without the final dot: CRLF at the end of each line, also where a lone CR
 * stood, as progress bars write it; a dot more in front of a dot; `?` for NUL; lines of the body broken, with a blank, that are
 * longer than DATA_LINE_MAX. False when `in` could not be read to its end.
 */
bool letter_write(struct letter *l, FILE *to);
void letter_free(struct letter *l);

#endif
