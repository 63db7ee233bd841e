#include "mail/from_inner.h"

#include <string.h>

#include "mail/display.h"

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

/* ---- The strict reading: RFC 5322 3.4 as tokens and a table ---- */

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
		enum token t = lexer_next(&l);
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
		if (from_is_8bit(addr_spec.at[i]) || addr_spec.at[i] == JAPANESE)
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
		if (from_is_8bit(token.at[i]) || token.at[i] == JAPANESE)
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
	v = plain_make(body, &plain);
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
