/*
 * Takes out of a header what only we may say (R17): our own evidence, brought along by who sends the mail. Works on
 * wire octets (CRLF, dot-stuffed) as they pass, cut anywhere, in bounded memory; all other fields and the body
 * pass as they are. Pure.
 *
 *	Authentication-Results	when its authserv-id (RFC 8601 2.5) is our host name, or can't be told for sure
 *	X-Sekimori-Stamp	likewise: it begins with the name of the host that wrote it
 *	X-Sekimori-Verdict	always
 *
 * The host's name is compared as RFC 8601 5 wants it: without regard to case, whatever quoting, comments, folding, version number
 * or final dot. A field that a lax reader could take for one of these counts as one.
 */
#ifndef MAIL_STRIP_H
#define MAIL_STRIP_H

#include "base/limits.h"
#include "base/slice.h"

enum strip_field {		/* bits */
	STRIP_RESULTS	= 1 << 0,
	STRIP_STAMP	= 1 << 1,
	STRIP_VERDICT	= 1 << 2,
	STRIP_ALL	= STRIP_RESULTS | STRIP_STAMP | STRIP_VERDICT,
	/* Not taken out: each From: becomes X-Original-From: (R69, rewrite_from). */
	STRIP_RENAME	= 1 << 3,
};
/* For the log: "auth-results", "stamp", "verdict", comma-separated; NULL when none is set. */
const char *strip_names(unsigned fields);

struct strip_host {		/* the reader of a value's first word */
	uint8_t state;
	bool paired;		/* the next octet is quoted by a backslash */
	uint16_t depth;		/* of comments */
	uint16_t len;
	char text[HOST_MAX + 1];	/* folded to lower case */
};

struct strip {
	unsigned done;			/* enum strip_field: what was found and dealt with */
	/* The filter's own */
	struct slice host;
	unsigned rules;			/* enum strip_field */
	uint8_t state, fate;
	uint8_t field;			/* enum strip_field being decided about */
	bool in_body;
	bool dot;			/* a dot of RFC 5321 4.5.2 that belongs to the line to come */
	uint8_t name_len;
	char name[32];
	uint16_t held;
	char hold[STRIP_HOLD_MAX];	/* of the current field, until its fate is known */
	struct strip_host reader;
};

/* `host` is our name and has to stay. */
void strip_init(struct strip *s, struct slice host, unsigned rules);
/*
 * Takes octets off *wire; true when *out has some that pass, valid until the next call; false when *wire is used up. Octets of the
 * header and of the body never share one *out: strip_in_body tells which these were.
 */
bool strip_next(struct strip *s, struct slice *wire, struct slice *out);
/* The content has ended: what was still held back and passes, perhaps nothing. */
struct slice strip_finish(struct strip *s);
static inline bool strip_in_body(const struct strip *s)
{
	return s->in_body;
}

#endif
