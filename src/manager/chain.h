/*
 * The lines of the audit file (R18):
 *
 *	2026-11-22T01:00:00Z 17 message id=… verdict=… … chain=jYv0…
 *
 * UTC; a number that counts up by one; a record; and its link of the chain: HMAC-SHA-256 over the link of the line before and this line up to
 * " chain=", of which 144 bits are kept. So no line can be changed, removed, added or moved without a break. With a key of the stamp nobody
 * who hasn't it can mend the break; without one anybody can who can write the file. Pure functions of memory.
 */
#ifndef MANAGER_CHAIN_H
#define MANAGER_CHAIN_H

#include "base/buffer.h"
#include "base/digest.h"
#include "trust/keyring.h"

#define CHAIN_LINK_SIZE	24			/* octets: 18 of the HMAC in Base64 */
#define CHAIN_LINE_MAX	(AUDIT_LINE_MAX + 96)	/* octets with LF: time, number, link */

/* The link before the very first line. */
#define CHAIN_BEGINS	"AAAAAAAAAAAAAAAAAAAAAAAA"

/* Records of the file's own; nobody else's record may begin so. */
#define CHAIN_FILE	"file"		/* the first of each file: version, key, number and link before */
#define CHAIN_GAP	"gap"		/* `lost` records before it could not be written; their numbers are left out */
#define CHAIN_TORN	"torn"		/* the `octets` before it are what a power cut has left of a line */

struct chain_key {
	char id[STAMP_KEY_ID_MAX + 1];	/* "none": without a key */
	uint8_t secret[DIGEST_SHA256_SIZE];
};

struct chain {				/* where it has got to */
	uint64_t number;		/* of the last line; 0: there is none yet */
	char link[CHAIN_LINK_SIZE + 1];
};

struct chain_line {			/* slices into the line */
	struct slice time, record, link;
	struct slice covered;		/* what the link is over */
	uint64_t number;
};

/* Of key `i` of the ring, made for this use alone; of a NULL ring: the one that is none. */
bool chain_key_of(const struct keyring *ring, unsigned i, struct chain_key *key);
/* The row of the ring with this name; -1: there is none. */
int chain_key_find(const struct keyring *ring, struct slice id);

void chain_begin(struct chain *c);
/* Whether a record of somebody else's may stand in a line: printable, of a length that fits, no record of the file's own. */
bool chain_is_record(struct slice record);
/*
 * Puts the next line with LF, `skipped` numbers after the last. False without room or digest; *c has moved only when true.
 */
bool chain_put(struct chain *c, const struct chain_key *key, int64_t wall, uint64_t skipped, struct slice record,
	       struct buffer *out);
/* Takes a line without LF apart. False: it isn't one. */
bool chain_read(struct slice line, struct chain_line *out);
/* Whether the link of the line is right after `before`, a link. */
bool chain_fits(const struct chain_line *line, const struct chain_key *key, struct slice before);

/* The next field off *rest, which begins as a record; its value as it is written, in quotes perhaps. False at the end. */
bool chain_next(struct slice *rest, struct slice *key, struct slice *value);
/* A value without its quotes and escapes: itself, or in `memory`. */
struct slice chain_plain(struct slice value, char memory[AUDIT_LINE_MAX]);
/* The value of the first ` key=` of a record, as it is written; false: it has none. */
bool chain_field(struct slice record, struct slice key, struct slice *value);

#endif
