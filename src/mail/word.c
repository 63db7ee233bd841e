#include "mail/word.h"

#include <string.h>

#include "base/base64.h"

struct encoded_word {
	char encoding;			/* 'b' or 'q' */
	struct slice text;
	size_t octets;			/* all of it, from `=?` to `?=` */
};

/*
 * RFC 2047 2: =?charset?encoding?text?=. A `?` or a blank within the text is none of its, but there
 * are readers that go on to `?=`.
 */
static bool find_word(struct slice s, struct encoded_word *w)
{
	struct slice rest = slice_skip(s, 2), charset, encoding;
	const char *end;

	if (!slice_starts(s, SLICE_OF("=?")) || !slice_cut(&rest, '?', &charset) ||
	    !slice_cut(&rest, '?', &encoding) || encoding.len != 1 || rest.len == 0)
		return false;
	end = memmem(rest.at, rest.len, "?=", 2);
	if (end == NULL || memmem(rest.at, (size_t)(end - rest.at), "=?", 2) != NULL)
		return false;
	w->encoding = ascii_fold(encoding.at[0]);
	w->text = slice_first(rest, (size_t)(end - rest.at));
	w->octets = (size_t)(end + 2 - s.at);
	return slice_find(charset, ' ') == charset.len;
}

static int hex_value(char c)
{
	c = ascii_fold(c);
	if (ascii_is_digit(c))
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The octet that s begins with; *octets says how long its code is. RFC 2047 4.2. */
static char read_q(struct slice s, size_t *octets)
{
	int high, low;

	*octets = 1;
	if (s.at[0] == '_')
		return ' ';
	if (s.at[0] != '=' || s.len < 3)
		return s.at[0];
	high = hex_value(s.at[1]);
	low = hex_value(s.at[2]);
	if (high < 0 || low < 0)
		return '=';
	*octets = 3;
	return (char)(high * 16 + low);
}

/* As those do who forgive: what is no digit is left out, and the end may lack its padding. */
static bool decode_damaged(struct slice s, char *out, size_t size, size_t *n)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint32_t bits = 0;
	unsigned held = 0;

	for (size_t i = 0; i < s.len && *n < size; i++) {
		const char *digit = memchr(digits, s.at[i], sizeof(digits) - 1);

		if (digit == NULL)
			continue;
		bits = (bits << 6 | (uint32_t)(digit - digits)) & 0xffff;
		held += 6;
		if (held >= 8) {
			held -= 8;
			out[(*n)++] = (char)(bits >> held & 0xff);
		}
	}
	return *n > 0;
}

/* False when the word is not to be decoded; *n octets were written. */
static bool decode(const struct encoded_word *w, char *out, size_t size, size_t *n)
{
	struct slice s = w->text;
	size_t octets;

	*n = 0;
	if (w->encoding == 'b')
		return base64_decode(s, out, size, n) || decode_damaged(s, out, size, n);
	if (w->encoding != 'q')
		return false;
	for (; s.len > 0 && *n < size; s = slice_skip(s, octets))
		out[(*n)++] = read_q(s, &octets);
	return true;
}

/* Blanks before the next encoded-word; 0 when what follows is something else. */
static size_t blanks_between(struct slice s)
{
	struct encoded_word w;
	size_t n = 0;

	while (n < s.len && ascii_is_blank(s.at[n]))
		n++;
	return find_word(slice_skip(s, n), &w) ? n : 0;
}

size_t word_decode(struct slice text, char *out, size_t size)
{
	struct encoded_word w;
	size_t n = 0, added;

	while (text.len > 0 && n < size) {
		if (find_word(text, &w) && decode(&w, out + n, size - n, &added)) {
			n += added;
			text = slice_skip(text, w.octets);
			text = slice_skip(text, blanks_between(text));
			continue;
		}
		out[n++] = text.at[0];
		text = slice_skip(text, 1);
	}
	return n;
}
