/*
 * The accounts file and who logs in. A line is `address:secret[ secret]:options`; `#` begins a comment
 * line, an empty line is ignored. A secret is {SCRAM-SHA-256}iterations,salt,stored,server (Base64),
 * {CRAM-MD5}hex, or {PLAIN}text without blanks and colons; options are level=, login=, action= and comment=, with one
 * blank between; the last colon may be left out with them. A line whose secret field is empty is an account that can't log in. Local parts are
 * RFC 5321 dot-strings: no quoting, no doubled dots (R67), no `*`.
 */
#ifndef TRUST_ACCOUNTS_H
#define TRUST_ACCOUNTS_H

#include "base/buffer.h"
#include "base/digest.h"
#include "trust/trust.h"

struct trust_scram {
	uint32_t iterations;		/* 0: none */
	uint8_t salt_len;
	uint8_t salt[48];
	uint8_t stored[DIGEST_SHA256_SIZE], server[DIGEST_SHA256_SIZE];
};

struct trust_account {
	struct address_key key;
	unsigned line;			/* in the accounts file */
	uint8_t level;			/* enum trust_level; DEFAULT: the policy's */
	uint8_t action;			/* enum trust_action; DEFAULT: the policy's */
	bool has_scram, has_cram, has_plain;
	struct trust_scram scram;
	uint8_t cram[DIGEST_CRAM_SIZE];
	char plain[PASSWORD_MAX + 1];
	char login[64];			/* further login name, or empty */
	char comment[64];
};

/* The canonical address. */
struct slice account_name(const struct trust_account *a);
bool account_can_login(const struct trust_account *a);

/*
 * Parses the text of an accounts file into t; for tests and fuzzing. Faults name file and line: bad address, domain
 * that isn't ours, same account twice (also by case), login name that is taken, unknown scheme or option, value out of bounds,
 * blank where none belongs, CR, NUL, U+3000, BOM.
 */
bool accounts_parse(struct trust *t, struct slice text, const char *file, struct fault *f);

size_t accounts_count(const struct trust *t);
const struct trust_account *accounts_at(const struct trust *t, size_t index);

/*
 * The account of an AUTH ID as typed (R6): full address, bare name with the default domain, or a login= name; ASCII case
 * folding; everything else exact (no blanks, no trailing dot, no NUL). NULL when there is none.
 */
const struct trust_account *accounts_find(const struct trust *t, struct slice authid);

/* True when every account that can log in has a secret for CRAM-MD5, and there is at least one (R26). */
bool accounts_all_cram(const struct trust *t);
/* True when any account can log in. */
bool accounts_any_login(const struct trust *t);

/*
 * For `sekimori passwd`: writes a line for the account into out (with LF), SCRAM-SHA-256 always, CRAM-MD5 when asked.
 * The salt is random. False on a password that is empty, too long, or has control characters.
 */
bool accounts_line(struct buffer *out, struct slice address, struct slice password, bool cram_md5,
		   struct slice options, struct fault *f);
/*
 * The whole file's text with the account's line replaced, added, or (line empty) removed, comments and order kept.
 * *found says whether the account was there. False when out is too small.
 */
bool accounts_edit(struct slice text, const struct address_key *key, struct slice line, struct buffer *out, bool *found);

#endif
