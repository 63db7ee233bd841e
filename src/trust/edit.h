/*
 * The accounts file as `sekimori passwd` changes it. Works on text; reading and replacing the
 * file is the caller's.
 */
#ifndef TRUST_EDIT_H
#define TRUST_EDIT_H

#include "base/buffer.h"
#include "base/fault.h"
#include "mail/address.h"

/*
 * Writes a line for the account into out (with LF), SCRAM-SHA-256 always, CRAM-MD5 when asked.
 * The salt is random. A fault on a password that is empty, too long, or has control characters,
 * and on an address or options that accounts_parse would not read (whether the domain is ours is
 * not looked at).
 */
bool accounts_line(struct buffer *out, struct slice address, struct slice password, bool cram_md5,
		   struct slice options, struct fault *f);
/* Likewise with {UPSTREAM}, and no password of ours. */
bool accounts_line_upstream(struct buffer *out, struct slice address, struct slice options, struct fault *f);
/*
 * The whole file's text with the account's line replaced, added, or (line empty) removed,
 * comments and order kept; a second line of the same account is removed. `line` ends in LF.
 * *found says whether the account was there. False when out is too small.
 */
bool accounts_edit(struct slice text, const struct address_key *key, struct slice line,
		   struct buffer *out, bool *found);

#endif
