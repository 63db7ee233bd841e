/*
 * What the files of mail/from share, and nobody else includes: from_plain.c makes the plain form, from_lexer.c reads its tokens, from.c
 * has the grammar and the verdict. Each calls those before it, never back. Pure.
 */
#ifndef MAIL_FROM_INNER_H
#define MAIL_FROM_INNER_H

#include "mail/from.h"

/*
 * Stands for each octet of Japanese text in the field's plain form; no control character is left
 * there by then.
 */
#define JAPANESE	'\001'

/*
 * The plain form: as long as the body, folds made blanks, ISO-2022-JP (RFC 1468) made JAPANESE,
 * because its octets look like `"`, `(`, `<`, `@` and the escape back to ASCII itself holds a
 * `(`.
 */
struct plain {
	char text[FIELD_KEEP_MAX];
	size_t len;
	bool escapes;		/* ISO-2022-JP occurs */
	bool eight_bit;
};

static inline bool from_is_8bit(char c)
{
	return (unsigned char)c >= 0x80;
}

/* from_plain.c */

/* Of the field's body. FROM_OK, or why there is none: then p->len falls short of the body's. */
enum from_verdict plain_make(struct slice body, struct plain *p);

/* from_lexer.c */

enum token {
	T_WORD,			/* atom with dots, Japanese, 8-bit, encoded-word */
	T_QUOTED,		/* quoted-string */
	T_LITERAL,		/* [domain-literal] */
	T_AT, T_LESS, T_GREATER, T_COMMA, T_COLON, T_SEMICOLON,
	T_END,
	T_BAD,			/* no token: unterminated, or a stray character */
	TOKENS
};

enum { GAP_BLANK = 1, GAP_COMMENT = 2 };

struct lexer {
	struct slice in;	/* the plain form */
	struct slice body;	/* what it was made of, octet by octet */
	size_t pos;		/* what follows the token */
	size_t start;		/* the token itself */
	unsigned gap;		/* what stood before the token */
	/*
	 * 8-bit octets may be Shift_JIS, where the octet after a lead octet belongs to it and may
	 * look like `@`, `[`, `\` or `]`; or EUC-JP or UTF-8, where it never does.
	 */
	bool shift_jis;
	bool odd;		/* may_be_trail was needed */
	bool folded;		/* a quoted string or comment is */
	bool second_at;		/* of may_be_trail, with what may be a domain */
};

/* The token itself is [start, pos). */
enum token lexer_next(struct lexer *l);

#endif
