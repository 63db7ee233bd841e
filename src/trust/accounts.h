/*
 * The accounts file and who logs in.
 *
 * A line is `address:secret[ secret]:options`; `#` begins a comment line, an empty line is
 * ignored. A secret is {SCRAM-SHA-256}iterations,salt,stored,server (Base64), {CRAM-MD5}hex, or
 * {PLAIN}text without blanks and colons, or {UPSTREAM} alone: its password is the one that the
 * next hop knows, and is tried there (R40). Without any, the account can't log in. Options are
 * level=, login=, action= and comment=, with one blank between; without any, the last colon may
 * be left out. Local parts are dot-strings (RFC 5321 4.1.2): no doubled dots (R67), no `*`, no
 * `#` in front.
 */
#ifndef TRUST_ACCOUNTS_H
#define TRUST_ACCOUNTS_H

#include "trust/scram.h"
#include "trust/trust.h"

struct trust_account {
	struct address_key key;
	unsigned line;			/* in the accounts file */
	uint8_t level;			/* enum trust_level; DEFAULT: the policy's */
	uint8_t action;			/* enum trust_action; DEFAULT: the policy's */
	bool has_scram, has_cram, has_plain;
	bool upstream;			/* {UPSTREAM}: none of these */
	struct trust_scram scram;
	uint8_t cram[DIGEST_CRAM_SIZE];
	char plain[PASSWORD_MAX + 1];
	char login[LOGIN_SHORT_MAX + 1];	/* further login name, or empty */
	char comment[COMMENT_MAX + 1];	/* for people; may hold UTF-8 */
};

/* The canonical address. */
static inline struct slice account_name(const struct trust_account *a)
{
	return slice_bytes(a->key.text, a->key.len);
}

bool account_can_login(const struct trust_account *a);

/*
 * One line of the accounts file, without its LF, into *a, which is zero but for `line`. NULL, or
 * in words what is wrong; no word of them is a secret. Whether the domain is ours is not looked
 * at.
 */
const char *accounts_read_line(struct slice line, struct trust_account *a);
/*
 * Parses the text of an accounts file into t; for tests and fuzzing. Faults name file and line:
 * bad address, domain that isn't ours, same account twice (also by case), login name that is
 * taken, damaged secret, unknown scheme or option, value out of bounds, blank where none belongs,
 * CR, NUL, U+3000, BOM.
 */
bool accounts_parse(struct trust *t, struct slice text, const char *file, struct fault *f);

/* In the order of the file. */
size_t accounts_count(const struct trust *t);
const struct trust_account *accounts_at(const struct trust *t, size_t index);

/*
 * The account of an AUTH ID as typed (R6): full address, bare name with the default domain, or a
 * login= name; ASCII case folding; everything else exact (no blanks, no trailing dot, no NUL).
 * NULL when there is none.
 */
const struct trust_account *accounts_find(const struct trust *t, struct slice authid);

/*
 * True when every account that can log in has a secret for CRAM-MD5, {PLAIN} included, there is
 * at least one, and this build has MD5 (R26).
 */
bool accounts_all_cram(const struct trust *t);
/* True when any account can log in. */
bool accounts_any_login(const struct trust *t);
/* The first account with {UPSTREAM}; NULL: none. */
const struct trust_account *accounts_upstream(const struct trust *t);

#endif
