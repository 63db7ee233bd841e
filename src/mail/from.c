#include "mail/from.h"

#include <string.h>

#include "mail/display.h"

#define ESC	'\033'

/*
 * Stands for each octet of Japanese text in the field's plain form; no control character is left
 * there by then.
 */
#define JAPANESE	'\001'

const char *from_verdict_name(enum from_verdict v)
{
	static const char *const names[] = {
		[FROM_OK] = "ok",
		[FROM_EMPTY] = "empty",
		[FROM_SYNTAX] = "syntax",
		[FROM_SEVERAL] = "several",
		[FROM_GROUP] = "group",
		[FROM_ROUTE] = "route",
		[FROM_NO_DOMAIN] = "no-domain",
		[FROM_NON_ASCII] = "non-ascii",
		[FROM_CONTROL] = "control",
		[FROM_AMBIGUOUS] = "ambiguous",
	};

	return names[v];
}

static bool is_8bit(char c)
{
	return (unsigned char)c >= 0x80;
}

static bool is_special(char c)
{
	return memchr("()<>[]:;@\\,\"", c, 12) != NULL;
}

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

/* One step of make_plain: a space, a piece of Japanese, or one character. */
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
	p->eight_bit |= is_8bit(s.at[0]);
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

static enum from_verdict make_plain(struct slice body, struct plain *p)
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

/* ---- The strict reading: RFC 5322 3.4 as tokens and a table ---- */

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
	for (; i < l->in.len && l->in.at[i] != '<' && l->in.at[i] != JAPANESE && !is_8bit(l->in.at[i]); i++)
		dot |= l->in.at[i] == '.';
	return dot;
}

/* Octets of the part of a word at i; 0 when no word goes on there. */
static size_t word_octets(struct lexer *l, size_t i)
{
	char c = l->in.at[i];

	if (!is_8bit(c))
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

/* The token itself is [start, pos). */
static enum token next_token(struct lexer *l)
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

enum state {
	S_START,
	S_ONE,			/* one word: a local part or a phrase */
	S_PHRASE,
	S_AT,			/* local@ */
	S_BARE,			/* local@domain */
	S_LESS,			/* < */
	S_LOCAL,		/* <local */
	S_ANGLE_AT,		/* <local@ */
	S_DOMAIN,		/* <local@domain */
	S_AFTER,		/* <local@domain> */
	STATES
};

/*
 * What may stand before the next token; in an addr-spec nothing, though RFC 5322 4.4 once let it
 * (before the `@` of a bare one address_parse sees it).
 */
static const uint8_t gap_allowed[STATES] = {
	[S_START] = GAP_BLANK | GAP_COMMENT,
	[S_ONE] = GAP_BLANK | GAP_COMMENT,
	[S_PHRASE] = GAP_BLANK | GAP_COMMENT,
	[S_BARE] = GAP_BLANK | GAP_COMMENT,
	[S_LESS] = GAP_BLANK,
	[S_DOMAIN] = GAP_BLANK,
	[S_AFTER] = GAP_BLANK | GAP_COMMENT,
};

/* A new state, or VERDICT and why; 0 (START is never entered again) is FROM_SYNTAX. */
#define VERDICT		0x80
static const uint8_t grammar[STATES][TOKENS] = {
	[S_START] = {
		[T_WORD] = S_ONE, [T_QUOTED] = S_ONE, [T_LESS] = S_LESS,
		[T_END] = VERDICT | FROM_EMPTY,
	},
	[S_ONE] = {
		[T_WORD] = S_PHRASE, [T_QUOTED] = S_PHRASE, [T_LESS] = S_LESS, [T_AT] = S_AT,
		[T_COMMA] = VERDICT | FROM_SEVERAL, [T_COLON] = VERDICT | FROM_GROUP,
		[T_END] = VERDICT | FROM_NO_DOMAIN,
	},
	[S_PHRASE] = {
		[T_WORD] = S_PHRASE, [T_QUOTED] = S_PHRASE, [T_LESS] = S_LESS,
		[T_COMMA] = VERDICT | FROM_SEVERAL, [T_COLON] = VERDICT | FROM_GROUP,
	},
	[S_AT] = { [T_WORD] = S_BARE, [T_LITERAL] = S_BARE },
	[S_BARE] = { [T_COMMA] = VERDICT | FROM_SEVERAL, [T_END] = VERDICT | FROM_OK },
	[S_LESS] = { [T_WORD] = S_LOCAL, [T_QUOTED] = S_LOCAL, [T_AT] = VERDICT | FROM_ROUTE },
	[S_LOCAL] = { [T_AT] = S_ANGLE_AT, [T_GREATER] = VERDICT | FROM_NO_DOMAIN },
	[S_ANGLE_AT] = { [T_WORD] = S_DOMAIN, [T_LITERAL] = S_DOMAIN },
	[S_DOMAIN] = { [T_GREATER] = S_AFTER },
	[S_AFTER] = {
		[T_LESS] = VERDICT | FROM_SEVERAL, [T_COMMA] = VERDICT | FROM_SEVERAL,
		[T_END] = VERDICT | FROM_OK,
	},
};

struct reading {
	enum from_verdict verdict;
	size_t start, end;	/* the addr-spec within the plain form; both 0 when none was seen */
	bool odd, folded, second_at;	/* as the lexer's */
};

/* Tracks where the addr-spec begins and ends. */
static void note_place(struct reading *r, enum state state, const struct lexer *l)
{
	if (state == S_ONE || state == S_LOCAL)
		r->start = l->start;
	if (state == S_BARE || state == S_DOMAIN)
		r->end = l->pos;
}

static struct reading read_strictly(struct slice body, struct slice plain, bool shift_jis)
{
	struct lexer l = { .in = plain, .body = body, .shift_jis = shift_jis };
	struct reading r = { .verdict = FROM_SYNTAX };
	enum state state = S_START;

	for (;;) {
		enum token t = next_token(&l);
		unsigned next = grammar[state][t];

		if (next == 0 || (l.gap & ~(unsigned)gap_allowed[state]) != 0)
			return r;
		if (next & VERDICT) {
			r.verdict = (enum from_verdict)(next & ~(unsigned)VERDICT);
			r.odd = l.odd;
			r.folded = l.folded;
			r.second_at = l.second_at;
			return r;
		}
		state = (enum state)next;
		note_place(&r, state, &l);
	}
}

/*
 * An encoded-word is not decoded in an address (RFC 2047 5); that others might is reason to
 * refuse.
 */
static bool is_foreign(struct slice addr_spec)
{
	for (size_t i = 0; i < addr_spec.len; i++) {
		if (is_8bit(addr_spec.at[i]) || addr_spec.at[i] == JAPANESE)
			return true;
	}
	return addr_spec.len > 0 && memmem(addr_spec.at, addr_spec.len, "=?", 2) != NULL;
}

static struct slice place(struct slice s, const struct reading *r)
{
	return slice_first(slice_skip(s, r->start), r->end - r->start);
}

/* The address is taken from the raw body, so that no fold hides in a quoted local part. */
static enum from_verdict take_mailbox(struct slice body, struct slice plain,
				      const struct reading *r, struct address *mailbox)
{
	if (is_foreign(place(plain, r)))
		return FROM_NON_ASCII;
	return address_parse(place(body, r), mailbox) ? FROM_OK : FROM_SYNTAX;
}

/* ---- The simple reading: the last <...>, else the first address-like token ---- */

static bool last_angle(struct slice s, struct slice *found)
{
	size_t close = s.len;

	for (size_t i = s.len; i > 0; i--) {
		if (s.at[i - 1] == '>')
			close = i - 1;
		if (s.at[i - 1] == '<' && close < s.len) {
			*found = slice_trim(slice_bytes(s.at + i, close - i));
			return true;
		}
	}
	return false;
}

static bool looks_like_address(struct slice token)
{
	bool at = false;

	for (size_t i = 0; i < token.len; i++) {
		if (is_8bit(token.at[i]) || token.at[i] == JAPANESE)
			return false;
		at |= token.at[i] == '@';
	}
	return at;
}

static bool first_token(struct slice s, struct slice *found)
{
	for (size_t i = 0, n; i < s.len; i += n + 1) {
		for (n = 0; i + n < s.len && memchr(" ,;()<>", s.at[i + n], 7) == NULL; n++)
			;
		*found = slice_bytes(s.at + i, n);
		if (looks_like_address(*found))
			return true;
	}
	return false;
}

static bool read_simply(struct slice plain, struct address_key *key)
{
	struct slice found;

	if (!last_angle(plain, &found) && !first_token(plain, &found))
		return false;
	return address_key_of(found, key);
}

/* ---- The verdict ---- */

static bool same_reading(const struct reading *a, const struct reading *b)
{
	return a->verdict == b->verdict && a->start == b->start && a->end == b->end;
}

/* An `@` besides the mailbox's own. */
static bool has_another_at(struct slice text, const struct reading *r)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.at[i] == '@' && (i < r->start || i >= r->end))
			return true;
	}
	return false;
}

static enum from_verdict judge(struct slice body, const struct plain *p, struct reading *r,
			       struct address *mailbox)
{
	struct slice text = slice_bytes(p->text, p->len);
	struct address_key strict, simple;

	*r = read_strictly(body, text, false);
	if (p->eight_bit) {
		struct reading other = read_strictly(body, text, true);

		if ((r->verdict == FROM_OK || other.verdict == FROM_OK) && !same_reading(r, &other))
			return FROM_AMBIGUOUS;
	}
	if (r->verdict == FROM_OK)
		r->verdict = take_mailbox(body, text, r, mailbox);
	if (r->verdict != FROM_OK)
		return r->verdict;
	/* One that doesn't unfold takes the second quote of a folded string for a first one. */
	if (r->folded && has_another_at(text, r))
		return FROM_AMBIGUOUS;
	if (r->second_at || !address_key(mailbox, &strict) || !read_simply(text, &simple) ||
	    !address_key_equal(&strict, &simple))
		return FROM_AMBIGUOUS;
	return FROM_OK;
}

/*
 * A reader that knows no ISO-2022-JP takes the `(` of the way back to ASCII for a comment and what
 * stood in the Japanese for text; one that knows no Shift_JIS stumbles over its `[` and `\` and takes
 * what it has. Nothing there may look like somebody else.
 */
static bool look_at_display(const struct display *d, const struct reading *r, bool *is_address)
{
	bool misleads;

	*is_address = display_names_another(d, &misleads);
	return !misleads && !((d->escapes || r->odd) && *is_address);
}

enum from_verdict from_read(struct slice body, struct address *mailbox, bool *display_is_address)
{
	struct reading r = { .verdict = FROM_SYNTAX };
	struct display d = { .body = body, .plain = body };
	struct plain plain;
	enum from_verdict v;

	memset(mailbox, 0, sizeof(*mailbox));
	v = make_plain(body, &plain);
	if (v == FROM_OK)
		v = judge(body, &plain, &r, mailbox);
	if (v == FROM_OK && !address_key(mailbox, &d.own))
		v = FROM_SYNTAX;
	if (v == FROM_OK) {
		d.start = r.start;
		d.end = r.end;
	}
	if (plain.len == body.len)
		d.plain = slice_bytes(plain.text, plain.len);
	d.escapes = plain.escapes;
	if (!look_at_display(&d, &r, display_is_address) && v == FROM_OK)
		v = FROM_AMBIGUOUS;
	if (v != FROM_OK)
		memset(mailbox, 0, sizeof(*mailbox));
	return v;
}
