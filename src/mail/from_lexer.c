#include "mail/from_inner.h"

#include <string.h>

static bool is_special(char c)
{
	return memchr("()<>[]:;@\\,\"", c, 12) != NULL;
}

/* Octets of the character at i. */
static size_t character_octets(const struct lexer *l, size_t i)
{
	unsigned lead = (unsigned char)l->in.at[i], trail;

	if (!l->shift_jis || i + 1 >= l->in.len)
		return 1;
	trail = (unsigned char)l->in.at[i + 1];
	if (lead < 0x81 || (lead > 0x9f && lead < 0xe0) || lead > 0xfc)
		return 1;
	return trail >= 0x40 && trail <= 0xfc && trail != 0x7f ? 2 : 1;
}

/*
 * Whether the octet at i, after an 8-bit one, may be the second half of a Shift_JIS character in
 * a phrase though it looks special: a blank of full width ends in `@`, the katakana length mark
 * in `[`. The reading as Shift_JIS has to agree.
 */
static bool may_be_trail(const struct lexer *l, size_t i)
{
	if (i >= l->in.len)
		return false;
	if (l->in.at[i] == '\\')
		return i + 1 >= l->in.len || !is_special(l->in.at[i + 1]);
	return memchr("@[]", l->in.at[i], 3) != NULL;
}

/*
 * Whether a reader that takes the octet before i for an `@` finds a domain there, blanks and
 * comments left out as of old (RFC 5322 4.4).
 */
static bool is_domain_behind(const struct lexer *l, size_t i)
{
	bool dot = false;

	if (l->in.at[i - 1] != '@')
		return false;
	for (; i < l->in.len && l->in.at[i] != '<' && l->in.at[i] != JAPANESE && !from_is_8bit(l->in.at[i]); i++)
		dot |= l->in.at[i] == '.';
	return dot;
}

/* Octets of the part of a word at i; 0 when no word goes on there. */
static size_t word_octets(struct lexer *l, size_t i)
{
	char c = l->in.at[i];

	if (!from_is_8bit(c))
		return address_is_atext(c) || c == '.' || c == JAPANESE ? 1 : 0;
	if (l->shift_jis)
		return character_octets(l, i);
	if (!may_be_trail(l, i + 1))
		return 1;
	l->odd = true;
	l->second_at |= is_domain_behind(l, i + 2);
	return 2;
}

/* Position after the character at i, or after a quoted-pair (RFC 5322 3.2.1). */
static size_t after_character(const struct lexer *l, size_t i)
{
	if (l->in.at[i] == '\\' && i + 1 < l->in.len)
		i++;
	return i + character_octets(l, i);
}

/* Position after the closing mark, from i behind the opening one; 0 when it is missing. */
static size_t after_quoted(const struct lexer *l, size_t i, char close)
{
	while (i < l->in.len) {
		if (l->in.at[i] == close)
			return i + 1;
		i = after_character(l, i);
	}
	return 0;
}

static size_t after_comment(const struct lexer *l, size_t i)
{
	size_t depth = 1;

	while (i < l->in.len) {
		depth += l->in.at[i] == '(';
		depth -= l->in.at[i] == ')';
		i = after_character(l, i);
		if (depth == 0)
			return i;
	}
	return 0;
}

static size_t after_word(struct lexer *l, size_t i)
{
	size_t n;

	while (i < l->in.len && (n = word_octets(l, i)) > 0)
		i += n;
	return i;
}

/*
 * A quoted string or comment that is folded ends at the fold to a reader that doesn't unfold
 * (Python's getaddresses does so), which goes on with what the rest of it says.
 */
static bool is_torn(struct lexer *l, size_t start, size_t end)
{
	const char *marks = l->in.at[start] == '(' ? "@<>:;\"\\[()" : "@<>:;\"\\[";
	bool folded = memchr(l->body.at + start, '\r', end - start) != NULL, marked = false;

	for (size_t i = start + 1; i + 1 < end; i++)
		marked |= strchr(marks, l->in.at[i]) != NULL;
	l->folded |= folded;
	return folded && marked;
}

static bool skip_comment(struct lexer *l)
{
	size_t start = l->pos;

	l->gap |= GAP_COMMENT;
	l->pos = after_comment(l, l->pos + 1);
	return l->pos > 0 && !is_torn(l, start, l->pos);
}

/* Skips blanks and comments; false when a comment does not end. */
static bool skip_gap(struct lexer *l)
{
	l->gap = 0;
	while (l->pos < l->in.len) {
		if (l->in.at[l->pos] == ' ') {
			l->gap |= GAP_BLANK;
			l->pos++;
		} else if (l->in.at[l->pos] == '(') {
			if (!skip_comment(l))
				return false;
		} else {
			break;
		}
	}
	return true;
}

enum token lexer_next(struct lexer *l)
{
	static const char marks[] = "@<>,:;";

	if (!skip_gap(l))
		return T_BAD;
	l->start = l->pos;
	if (l->pos >= l->in.len)
		return T_END;

	char c = l->in.at[l->pos];
	const char *mark = memchr(marks, c, sizeof(marks) - 1);

	if (mark != NULL) {
		l->pos++;
		return (enum token)(T_AT + (mark - marks));
	}
	if (c == '"' || c == '[') {
		l->pos = after_quoted(l, l->pos + 1, c == '"' ? '"' : ']');
		if (l->pos == 0 || is_torn(l, l->start, l->pos))
			return T_BAD;
		return c == '"' ? T_QUOTED : T_LITERAL;
	}
	l->pos = after_word(l, l->pos);
	return l->pos > l->start ? T_WORD : T_BAD;
}
