/*
 * The one address that a From: or Sender: field names — or the reason why it can't be said for
 * sure. Two independent readings must agree: strict RFC 5322 3.4, and the way simple clients do
 * it, "the last <…>, else the first address-like token" (R8). Japanese display names are opaque
 * (R9). Pure.
 */
#ifndef MAIL_FROM_H
#define MAIL_FROM_H

#include "mail/address.h"

enum from_verdict {		/* words for `reason=` by from_verdict_name */
	FROM_OK,
	FROM_EMPTY,		/* nothing but blanks and comments */
	FROM_SYNTAX,		/* unterminated quote, comment, angle, escape; stray characters */
	FROM_SEVERAL,		/* more than one mailbox */
	FROM_GROUP,
	FROM_ROUTE,		/* <@a,@b:u@d> */
	FROM_NO_DOMAIN,		/* a mailbox without `@domain` */
	FROM_NON_ASCII,		/* 8-bit, ESC or encoded-word inside the addr-spec */
	FROM_CONTROL,		/* NUL or another control character */
	FROM_AMBIGUOUS,		/* the two readings differ */
};
const char *from_verdict_name(enum from_verdict v);

/*
 * `body` is the field's body, folding included (CRLF before a blank). On FROM_OK *mailbox is the
 * address, well-formed. *display_is_address says that the display name (or a comment) holds
 * something that looks like another address (R9), also within an encoded-word; set also when the
 * verdict is not FROM_OK.
 */
enum from_verdict from_read(struct slice body, struct address *mailbox, bool *display_is_address);

#endif
