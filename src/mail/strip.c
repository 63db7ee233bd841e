#include "mail/strip.h"

#include <string.h>

/* ---- The host a value names: [CFWS] name [CFWS version] [CFWS] ";" ---- */

enum host_state { H_BEFORE, H_WORD, H_QUOTED, H_AFTER, H_VERSION, H_LAST };
enum host_verdict { HOST_OPEN, HOST_KNOWN, HOST_UNSURE };

/* RFC 2045 5.1, in which RFC 8601 2.2 writes an authserv-id. */
static bool is_token(char c)
{
	return ascii_is_print(c) && c != ' ' && !memchr("()<>@,;:\\\"/[]?=", c, 15);
}

static bool is_space(char c)
{
	return ascii_is_blank(c) || c == '\r' || c == '\n';
}

static enum host_verdict keep_octet(struct strip_host *h, char c)
{
	if (h->len == sizeof(h->text))
		return HOST_UNSURE;
	h->text[h->len++] = ascii_fold(c);
	return HOST_OPEN;
}

/* Within a comment or quotes; 8-bit and escapes may hide any mark from one reader and not from another. */
static enum host_verdict enclosed(struct strip_host *h, char c)
{
	if (!is_space(c) && !ascii_is_print(c))
		return HOST_UNSURE;
	if (h->paired || c == '\\') {
		bool plain = h->paired;

		h->paired = !h->paired;
		return plain && !h->depth ? keep_octet(h, c) : HOST_OPEN;
	}
	if (h->depth) {
		h->depth = (uint16_t)(h->depth + (c == '(') - (c == ')'));
		return HOST_OPEN;
	}
	if (c != '"')		/* blanks are for who likes to trim */
		return is_space(c) ? HOST_OPEN : keep_octet(h, c);
	h->state = H_AFTER;
	return HOST_OPEN;
}

/* CFWS: what stood before it is complete. */
static void gap(struct strip_host *h)
{
	if (h->state == H_WORD)
		h->state = H_AFTER;
	else if (h->state == H_VERSION)
		h->state = H_LAST;
}

static enum host_verdict host_octet(struct strip_host *h, char c)
{
	if (h->depth || h->state == H_QUOTED)
		return enclosed(h, c);
	if (is_space(c) || c == '(') {
		gap(h);
		h->depth = c == '(';
		return HOST_OPEN;
	}
	if (c == ';')
		return h->state == H_BEFORE ? HOST_UNSURE : HOST_KNOWN;
	if (c == '"' && h->state == H_BEFORE) {
		h->state = H_QUOTED;
		return HOST_OPEN;
	}
	/* `spf=pass …`: some servers name no host at all. */
	if (c == '=' && h->state == H_WORD)
		return HOST_KNOWN;
	if ((h->state == H_BEFORE || h->state == H_WORD) && is_token(c)) {
		h->state = H_WORD;
		return keep_octet(h, c);
	}
	if ((h->state == H_AFTER || h->state == H_VERSION) && ascii_is_digit(c)) {
		h->state = H_VERSION;
		return HOST_OPEN;
	}
	return HOST_UNSURE;
}

static enum host_verdict host_end(const struct strip_host *h)
{
	return h->depth || h->state == H_QUOTED || h->state == H_BEFORE ? HOST_UNSURE : HOST_KNOWN;
}

/* A final dot names the same host (RFC 1034 3.1). */
static struct slice bare_host(struct slice text)
{
	while (text.len > 0 && text.at[text.len - 1] == '.')
		text.len--;
	return text;
}

/* ---- The fields ---- */

static const struct rule {
	struct slice name;
	enum strip_field field;
	bool by_host;
} rules[] = {
	{ SLICE("authentication-results"), STRIP_RESULTS, true },
	{ SLICE("x-sekimori-stamp"), STRIP_STAMP, true },
	{ SLICE("x-sekimori-verdict"), STRIP_VERDICT, false },
	{ SLICE("from"), STRIP_RENAME, false },
};

const char *strip_names(unsigned fields)
{
	static const char *const names[] = {
		NULL, "auth-results", "stamp", "auth-results,stamp", "verdict", "auth-results,verdict", "stamp,verdict",
		"auth-results,stamp,verdict",
	};

	return names[fields & STRIP_ALL];
}

static const struct rule *find_rule(const struct strip *s, bool complete)
{
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (s->rules & rules[i].field && (!complete || rules[i].name.len == s->name_len) &&
		    slice_starts(rules[i].name, slice_bytes(s->name, s->name_len)))
			return &rules[i];
	return NULL;
}

/* ---- The filter ---- */

enum state {
	AT_START,
	IN_NAME,		/* held */
	IN_VALUE,		/* held, while the host is being read */
	IN_PASSING,
	IN_DROPPED,
	IN_BODY,
	STATES
};

enum fate { FATE_PASS, FATE_DROP, FATE_HELD };	/* of the field that a continuation would belong to */

static void hold(struct strip *s, char c)
{
	s->hold[s->held++] = c;
}

/* One octet is kept free for strip_finish's dot. */
static bool is_full(const struct strip *s)
{
	return s->held >= sizeof(s->hold) - 1;
}

static void pass(struct strip *s, enum state next, struct slice *out)
{
	*out = slice_bytes(s->hold, s->held);
	s->held = 0;
	s->fate = FATE_PASS;
	s->state = (uint8_t)next;
}

static void drop(struct strip *s, enum strip_field field, enum state next)
{
	s->done |= field;
	s->held = 0;
	s->fate = FATE_DROP;
	s->state = (uint8_t)next;
}

static void settle(struct strip *s, enum host_verdict v, enum state passing, enum state dropped, struct slice *out)
{
	if (v == HOST_KNOWN &&
	    !slice_equal_fold(bare_host(slice_bytes(s->reader.text, s->reader.len)), bare_host(s->host)))
		pass(s, passing, out);
	else
		drop(s, s->field, dropped);
}

/* A blank in the first column continues the field before: RFC 5322 2.2.3. */
static void continue_field(struct strip *s, struct slice *out)
{
	static const uint8_t states[] = {
		[FATE_PASS] = IN_PASSING, [FATE_DROP] = IN_DROPPED, [FATE_HELD] = IN_VALUE,
	};

	if (s->dot && s->fate == FATE_PASS)
		*out = SLICE_OF(".");
	if (s->dot && s->fate == FATE_HELD)
		hold(s, '.');
	s->dot = false;
	s->state = states[s->fate];
}

static size_t read_start(struct strip *s, struct slice wire, struct slice *out)
{
	if (wire.at[0] == '.' && !s->dot) {
		s->dot = true;
		return 1;
	}
	if (ascii_is_blank(wire.at[0])) {
		continue_field(s, out);
		return 0;
	}
	if (s->fate == FATE_HELD) {
		settle(s, host_end(&s->reader), AT_START, AT_START, out);
		return 0;
	}
	s->held = s->name_len = 0;
	if (s->dot)
		hold(s, '.');
	s->dot = false;
	s->state = IN_NAME;
	return 0;
}

/* Behind the dot nothing but CR LF, or LF: where every reader sees the header's end. */
static bool is_empty_line(const struct strip *s)
{
	struct slice line = slice_bytes(s->hold, s->held);

	if (line.len > 1 && line.at[0] == '.')
		line = slice_skip(line, 1);
	return slice_equal(line, SLICE_OF("\r\n")) || slice_equal(line, SLICE_OF("\n"));
}

/* A field's name alone in a line, its colon perhaps in the next: some readers unfold first. */
static void end_name_line(struct strip *s, struct slice *out)
{
	const struct rule *r = find_rule(s, true);

	if (is_empty_line(s))
		pass(s, IN_BODY, out);
	else if (r && r->field != STRIP_RENAME)
		drop(s, r->field, AT_START);
	else
		pass(s, AT_START, out);
}

static void start_value(struct strip *s, struct slice *out)
{
	const struct rule *r = find_rule(s, true);

	if (!r) {
		pass(s, IN_PASSING, out);
	} else if (r->field == STRIP_RENAME) {
		pass(s, IN_PASSING, out);
		s->done |= STRIP_RENAME;
		*out = SLICE_OF("X-Original-From:");
	} else if (!r->by_host) {
		drop(s, r->field, IN_DROPPED);
	} else {
		s->field = (uint8_t)r->field;
		s->reader = (struct strip_host){ .state = H_BEFORE };
		s->fate = FATE_HELD;
		s->state = IN_VALUE;
	}
}

/* Blanks, controls and 8-bit count for nothing: what one reader trims, another takes for part of the name. */
static void name_octet(struct strip *s, char c, struct slice *out)
{
	if (ascii_is_print(c) && c != ' ') {
		if (s->name_len == sizeof(s->name)) {
			pass(s, IN_PASSING, out);
			return;
		}
		s->name[s->name_len++] = ascii_fold(c);
	}
	if (!find_rule(s, false) || (is_full(s) && !find_rule(s, true)))
		pass(s, IN_PASSING, out);
	else if (is_full(s))
		drop(s, find_rule(s, true)->field, IN_DROPPED);
}

static size_t read_name(struct strip *s, struct slice wire, struct slice *out)
{
	size_t i = 0;

	while (i < wire.len && s->state == IN_NAME) {
		char c = wire.at[i++];

		hold(s, c);
		if (c == '\n')
			end_name_line(s, out);
		else if (c == ':')
			start_value(s, out);
		else
			name_octet(s, c, out);
	}
	return i;
}

static size_t read_value(struct strip *s, struct slice wire, struct slice *out)
{
	size_t i = 0;

	while (i < wire.len && s->state == IN_VALUE) {
		char c = wire.at[i++];
		enum host_verdict v = host_octet(&s->reader, c);

		hold(s, c);
		if (v == HOST_OPEN && is_full(s))
			v = HOST_UNSURE;
		if (v != HOST_OPEN)
			settle(s, v, c == '\n' ? AT_START : IN_PASSING, c == '\n' ? AT_START : IN_DROPPED, out);
		else if (c == '\n')
			s->state = AT_START;
	}
	return i;
}

/* To the line's end, that included. */
static size_t rest_of_line(struct strip *s, struct slice wire)
{
	size_t lf = slice_find(wire, '\n');

	if (lf == wire.len)
		return lf;
	s->state = AT_START;
	return lf + 1;
}

static size_t read_passing(struct strip *s, struct slice wire, struct slice *out)
{
	*out = slice_first(wire, rest_of_line(s, wire));
	return out->len;
}

static size_t read_dropped(struct strip *s, struct slice wire, struct slice *out)
{
	(void)out;
	return rest_of_line(s, wire);
}

static size_t read_body(struct strip *s, struct slice wire, struct slice *out)
{
	s->in_body = true;
	*out = wire;
	return wire.len;
}

void strip_init(struct strip *s, struct slice host, unsigned which)
{
	memset(s, 0, sizeof(*s));
	s->host = host;
	s->rules = which;
}

bool strip_next(struct strip *s, struct slice *wire, struct slice *out)
{
	static size_t (*const readers[STATES])(struct strip *, struct slice, struct slice *) = {
		[AT_START] = read_start,
		[IN_NAME] = read_name,
		[IN_VALUE] = read_value,
		[IN_PASSING] = read_passing,
		[IN_DROPPED] = read_dropped,
		[IN_BODY] = read_body,
	};

	*out = slice_bytes("", 0);
	while (wire->len > 0 && out->len == 0)
		*wire = slice_skip(*wire, readers[s->state](s, *wire, out));
	return out->len > 0;
}

struct slice strip_finish(struct strip *s)
{
	struct slice out = slice_bytes("", 0);

	if (s->state == IN_NAME)
		end_name_line(s, &out);
	else if (s->fate == FATE_HELD)
		settle(s, host_end(&s->reader), AT_START, AT_START, &out);
	if (s->dot) {
		s->hold[out.len] = '.';
		out = slice_bytes(s->hold, out.len + 1);
	}
	s->dot = false;
	s->fate = FATE_PASS;
	s->state = IN_BODY;
	return out;
}
