/*
 * X-Sekimori-Stamp (R17): what we say of a message that has passed, in a form that can be sealed with a key and looked at years later
 * without us. Syntax: HOST; tag=value; … in the manner of RFC 6376 3.2; values have %HH for what could be taken for syntax. The
 * sealed text is the field's body up to and with `s=`, without any blank or fold, so that servers may fold it anew. Pure.
 */
#ifndef MAIL_STAMP_H
#define MAIL_STAMP_H

#include "base/buffer.h"
#include "base/limits.h"

#define STAMP_MAX	6144	/* octets of a field: four texts of 256, each octet of them as three, and 44 of each hash */
#define STAMP_HASH_MAX	44	/* octets: SHA-256 in Base64 */

struct stamp {
	struct slice host;
	struct slice key;		/* k: which one it is sealed with */
	struct slice id;		/* i: queue id */
	int64_t wall;			/* t: seconds since 1970 UTC */
	struct slice kind;		/* p: "account", "device", "peer" */
	struct slice account;		/* a: whose session it was */
	struct slice envelope;		/* f: MAIL FROM; may be empty */
	struct slice from;		/* h: the address in From:; empty when it can't be told for sure */
	struct slice from_hash;		/* c: hash of stamp_from_text, in Base64 */
	struct slice message_id;	/* m: may be empty */
	struct slice body_hash;		/* b: hash of the body as mail/body says, in Base64; empty: it isn't sealed */
	struct slice seal;		/* s: HMAC in Base64; by stamp_read only */
	struct slice sealed;		/* the text it is over; likewise */
};

/*
 * The field from its name to `s=`: what is missing is the seal and CRLF. *sealed is the text that the seal is over; both slices and out
 * are valid as long as out is untouched. False when out has no room, or `room` (STAMP_MAX) hasn't.
 */
bool stamp_write(struct buffer *out, const struct stamp *s, struct buffer *room, struct slice *sealed);
/* Reads a field's body, folded or not. Slices of *s point into `room`, which has 2 * STAMP_MAX octets. */
bool stamp_read(struct slice body, struct stamp *s, struct buffer *room);

/*
 * What is hashed of From:: how many such fields there are, and the body of the first, unfolded, with single blanks. `body` has at most
 * FIELD_KEEP_MAX octets; out has STAMP_FROM_MAX. Returns the octets written.
 */
#define STAMP_FROM_MAX	(FIELD_KEEP_MAX + 16)
size_t stamp_from_text(struct slice body, unsigned count, char *out);

#endif
