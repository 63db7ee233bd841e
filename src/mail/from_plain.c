#include "mail/from_inner.h"

#include <string.h>

#define ESC	'\033'

enum charset { CHARSET_ASCII, CHARSET_ROMAN, CHARSET_SINGLE, CHARSET_DOUBLE };

static const struct escape {
	struct slice octets;
	enum charset charset;
} escapes[] = {
	{ SLICE("\033$@"), CHARSET_DOUBLE },	/* JIS C 6226-1978 */
	{ SLICE("\033$B"), CHARSET_DOUBLE },	/* JIS X 0208 */
	{ SLICE("\033$(D"), CHARSET_DOUBLE },	/* JIS X 0212, RFC 2237 */
	{ SLICE("\033(B"), CHARSET_ASCII },
	{ SLICE("\033(J"), CHARSET_ROMAN },	/* JIS X 0201: has a yen sign for the backslash */
	{ SLICE("\033(I"), CHARSET_SINGLE },	/* JIS X 0201 katakana */
};

static const struct escape *find_escape(struct slice s)
{
	for (size_t i = 0; i < sizeof(escapes) / sizeof(escapes[0]); i++) {
		if (slice_starts(s, escapes[i].octets))
			return &escapes[i];
	}
	return NULL;
}

/*
 * Octets of Japanese text at the start of s, which is an escape, up to the one that leads back to
 * ASCII or JIS-Roman, that one included; 0 when it does not lead back within the word, or ends
 * amid a character.
 */
static size_t japanese_octets(struct slice s, enum charset *charset)
{
	size_t i = 0, begin;

	while (i < s.len) {
		const struct escape *e = find_escape(slice_skip(s, i));

		if (e == NULL)
			return 0;
		*charset = e->charset;
		i += e->octets.len;
		if (e->charset == CHARSET_ASCII || e->charset == CHARSET_ROMAN)
			return i;
		for (begin = i; i < s.len && s.at[i] > 0x20 && s.at[i] < 0x7f; i++)
			;
		if (e->charset == CHARSET_DOUBLE && (i - begin) % 2 != 0)
			return 0;
	}
	return 0;
}

/*
 * Octets of the fold (RFC 5322 2.2.3) or blank at the start of s, without the blank a fold ends
 * in; 0: neither.
 */
static size_t space_octets(struct slice s)
{
	if (ascii_is_blank(s.at[0]))
		return 1;
	return s.len > 2 && s.at[0] == '\r' && s.at[1] == '\n' && ascii_is_blank(s.at[2]) ? 2 : 0;
}

static void fill(struct plain *p, char c, size_t n)
{
	memset(p->text + p->len, c, n);
	p->len += n;
}

/* One step of plain_make: a space, a piece of Japanese, or one character. */
static enum from_verdict plain_step(struct plain *p, struct slice s, enum charset *charset)
{
	size_t n = space_octets(s);

	if (n > 0) {
		fill(p, ' ', n);
		return FROM_OK;
	}
	if (s.at[0] == ESC) {
		n = japanese_octets(s, charset);
		fill(p, JAPANESE, n);
		p->escapes = true;
		return n > 0 ? FROM_OK : FROM_SYNTAX;
	}
	if (ascii_is_control(s.at[0]))
		return FROM_CONTROL;
	/* A yen sign to one reader, an escape character to another. */
	if (s.at[0] == '\\' && *charset == CHARSET_ROMAN)
		return FROM_SYNTAX;
	p->eight_bit |= from_is_8bit(s.at[0]);
	fill(p, s.at[0], 1);
	return FROM_OK;
}

static bool has_control(struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (s.at[i] == '\r' && space_octets(slice_skip(s, i)) == 2)
			i++;
		else if (ascii_is_control(s.at[i]) && s.at[i] != '\t' && s.at[i] != ESC)
			return true;
	}
	return false;
}

/*
 * A line of blanks alone (RFC 5322 4.2) with more of the field behind it: a reader that trims its
 * lines ends the header there, and sees the first part only.
 */
static bool has_blank_line(struct slice body)
{
	bool blank = false;

	for (size_t i = 0; i < body.len; i++) {
		if (body.at[i] == '\r' && blank)
			return true;
		if (body.at[i] == '\n')
			blank = true;
		else if (!ascii_is_blank(body.at[i]))
			blank = false;
	}
	return false;
}

enum from_verdict plain_make(struct slice body, struct plain *p)
{
	enum charset charset = CHARSET_ASCII;
	enum from_verdict v = FROM_OK;

	p->len = 0;
	p->escapes = p->eight_bit = false;
	if (has_control(body))
		return FROM_CONTROL;
	if (body.len > sizeof(p->text) || has_blank_line(body))
		return FROM_SYNTAX;
	while (v == FROM_OK && p->len < body.len)
		v = plain_step(p, slice_skip(body, p->len), &charset);
	return v;
}
