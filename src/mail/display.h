/*
 * Whether the display name of a From: field, or a comment, looks like another address than its
 * mailbox (R9). Pure.
 */
#ifndef MAIL_DISPLAY_H
#define MAIL_DISPLAY_H

#include "mail/address.h"

struct display {
	struct slice body;	/* the field's body */
	/* As long: folds are blanks, Japanese is a control character each; at most FIELD_KEEP_MAX */
	struct slice plain;
	size_t start, end;	/* the mailbox within both; both 0 when there is none to be sure of */
	struct address_key own;	/* its key, else empty: then two addresses must differ */
	bool escapes;		/* ISO-2022-JP occurs, and somebody may not know it */
};

/*
 * Also within encoded-words and behind backslashes. *misleads: what an encoded-word hides would, to
 * a reader that decodes first, be a mailbox of its own.
 */
bool display_names_another(const struct display *d, bool *misleads);

#endif
