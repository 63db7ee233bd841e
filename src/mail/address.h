/*
 * Addresses of the envelope: RFC 5321 4.1.2 (path, mailbox) and the key by which addresses are
 * compared. Pure.
 */
#ifndef MAIL_ADDRESS_H
#define MAIL_ADDRESS_H

#include "base/limits.h"
#include "base/slice.h"

/*
 * An address as it was written, without angle brackets and source route; what is sent on
 * unchanged. The null sender `<>` has len 0 and is well-formed.
 */
struct address {
	uint16_t len;
	uint16_t local_len;		/* octets before the last `@`; len when there is none */
	bool well_formed;		/* by RFC 5321 4.1.2, or empty; else only safe to repeat */
	/* NUL-terminated; never holds control characters, 8-bit, `<` or `>` outside quotes. */
	char text[ADDRESS_MAX + 1];
};

/*
 * What identifies an address: local part unquoted, both parts folded to lower case (R6). Two keys
 * are the same address when address_key_equal says so; the local part of a key may hold any octet
 * but NUL.
 */
struct address_key {
	uint16_t len;
	uint16_t local_len;		/* text[local_len] is the `@` */
	char text[ADDRESS_MAX + 1];
};

enum address_error {
	ADDRESS_OK,
	ADDRESS_SYNTAX,			/* 501 5.1.7, 5.1.3: no path, not closed, controls */
	ADDRESS_TOO_LONG,		/* 501: over the limits of RFC 5321 4.5.3.1 */
	ADDRESS_NON_ASCII,		/* 553 5.6.7: needs SMTPUTF8 */
	ADDRESS_ROUTE,			/* a source route `<@a,@b:u@d>`: obsolete, refused (R14) */
};

/*
 * Reads `<path>` at the start of in (blanks before it are skipped: the seed's `mail from: <a>`).
 * On ADDRESS_OK *rest is what follows the `>`. Malformed mailboxes that are safe to repeat (no
 * `@`, empty parts, a bad domain) give ADDRESS_OK with well_formed false: level 1 lets them pass
 * (R3). Dots anywhere in the local part are well-formed: Japanese mobile addresses `a..b@`,
 * `.a@`, `a.@` exist (R67). A path without angle brackets is ADDRESS_SYNTAX.
 */
enum address_error address_parse_path(struct slice in, struct address *out, struct slice *rest);

/* Reads a bare address `local@domain`, all of in; true only when well-formed. */
bool address_parse(struct slice in, struct address *out);

static inline struct slice address_text(const struct address *a)
{
	return slice_bytes(a->text, a->len);
}

/* The null sender. */
static inline bool address_is_null(const struct address *a)
{
	return a->len == 0;
}

/* False when a is null or not well-formed. */
bool address_key(const struct address *a, struct address_key *key);
/* address_parse and address_key in one; false when `text` is not an address. */
bool address_key_of(struct slice text, struct address_key *key);
bool address_key_equal(const struct address_key *a, const struct address_key *b);
/* As for qsort. */
int address_key_compare(const struct address_key *a, const struct address_key *b);
struct slice address_key_domain(const struct address_key *key);
struct slice address_key_local(const struct address_key *key);

/*
 * RFC 5322 3.2.3: what an unquoted local part and the words of a phrase are made of, without the
 * dot.
 */
bool address_is_atext(char c);
/*
 * A domain by RFC 5321 4.1.2 (letters, digits, hyphens, dots; no trailing dot), not an address
 * literal.
 */
bool address_is_domain(struct slice s);

#endif
