/*
 * The filter of our own fields: the same result whole, octet by octet and cut anywhere, and the one that a slow reader of whole fields
 * comes to. The first octets of the input say where to cut and which rules hold.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "mail/strip.h"

#define HOST		"mx.t.jp"
#define OUT_MAX		(1 << 21)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char expected_memory[OUT_MAX], got_memory[OUT_MAX], field_memory[OUT_MAX];

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* ---- The reference: RFC 8601 2.2 by descent, a whole field at a time ---- */

struct text {
	struct slice rest;
	bool bad;
};

static char peek(const struct text *t)
{
	return t->rest.len > 0 ? t->rest.at[0] : '\0';
}

static char next(struct text *t)
{
	char c = peek(t);

	t->bad |= t->rest.len == 0;
	t->rest = slice_skip(t->rest, 1);
	return c;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* One character within a comment or quotes, unquoted; *mark when it may be the mark that ends it. */
static char inner(struct text *t, bool *mark)
{
	char c = next(t);

	t->bad |= !is_space(c) && !ascii_is_print(c);
	*mark = c != '\\';
	if (c != '\\')
		return c;
	c = next(t);
	t->bad |= !is_space(c) && !ascii_is_print(c);
	return c;
}

static void skip_comment(struct text *t)
{
	int depth = 0;
	bool mark;

	do {
		char c = inner(t, &mark);

		depth += mark && c == '(';
		depth -= mark && c == ')';
	} while (depth > 0 && !t->bad);
}

static void skip_space(struct text *t)
{
	while (!t->bad && (is_space(peek(t)) || peek(t) == '(')) {
		if (peek(t) == '(')
			skip_comment(t);
		else
			next(t);
	}
}

static void read_quoted(struct text *t, struct buffer *host)
{
	bool mark;

	next(t);
	for (;;) {
		char c = inner(t, &mark);

		if (t->bad || (mark && c == '"'))
			return;
		if (!mark || !is_space(c))
			buffer_put(host, slice_bytes(&c, 1));
	}
}

static void read_token(struct text *t, struct buffer *host)
{
	static const char specials[] = " ()<>@,;:\\\"/[]?=";

	t->bad |= t->rest.len == 0 || !ascii_is_print(peek(t)) || memchr(specials, peek(t), sizeof(specials) - 1);
	while (t->rest.len > 0 && ascii_is_print(peek(t)) && !memchr(specials, peek(t), sizeof(specials) - 1)) {
		char c = next(t);

		buffer_put(host, slice_bytes(&c, 1));
	}
}

/* Whether the field may stay. */
static bool is_foreign(struct slice value)
{
	struct text t = { .rest = value };
	char memory[HOST_MAX + 1];
	struct buffer host;
	struct slice name;
	bool quoted;

	buffer_init(&host, memory, sizeof(memory));
	skip_space(&t);
	quoted = peek(&t) == '"';
	if (quoted)
		read_quoted(&t, &host);
	else
		read_token(&t, &host);
	if (quoted || peek(&t) != '=') {
		skip_space(&t);
		while (ascii_is_digit(peek(&t)))
			next(&t);
		skip_space(&t);
		t.bad |= t.rest.len > 0 && peek(&t) != ';';
	}
	name = buffer_bytes(&host);
	while (name.len > 0 && name.at[name.len - 1] == '.')
		name.len--;
	return !t.bad && !host.overflow && !slice_equal_fold(name, SLICE_OF(HOST));
}

/* ---- Fields ---- */

static bool is_named(struct slice head, const char *name)
{
	size_t n = 0;

	for (size_t i = 0; i < head.len; i++) {
		if (!ascii_is_print(head.at[i]) || head.at[i] == ' ')
			continue;
		if (n >= strlen(name) || ascii_fold(head.at[i]) != name[n++])
			return false;
	}
	return n == strlen(name);
}

/* `raw` is a field as it stands on the wire, `text` the same without the dots of RFC 5321 4.5.2. */
static void reference_field(struct buffer *out, unsigned rules, struct slice raw, struct slice text)
{
	size_t lf = slice_find(text, '\n'), colon = slice_find(slice_first(text, lf), ':');
	struct slice head = slice_first(text, colon), value = slice_skip(text, colon + 1);
	bool has_colon = colon < lf && colon < text.len;

	if (rules & STRIP_RENAME && has_colon && is_named(head, "from")) {
		size_t skipped = slice_find(raw, ':') + 1;

		buffer_put_text(out, "X-Original-From:");
		buffer_put(out, slice_skip(raw, skipped));
		return;
	}
	if (rules & STRIP_VERDICT && is_named(head, "x-sekimori-verdict"))
		return;
	if (rules & STRIP_RESULTS && is_named(head, "authentication-results") && !(has_colon && is_foreign(value)))
		return;
	if (rules & STRIP_STAMP && is_named(head, "x-sekimori-stamp") && !(has_colon && is_foreign(value)))
		return;
	buffer_put(out, raw);
}

static struct slice take_line(struct slice *rest)
{
	struct slice line = slice_first(*rest, slice_find(*rest, '\n') + 1);

	*rest = slice_skip(*rest, line.len);
	return line;
}

static struct slice without_dot(struct slice line)
{
	return line.len > 1 && line.at[0] == '.' ? slice_skip(line, 1) : line;
}

/* False when a field is longer than the filter is bound to hold. */
static bool reference(struct buffer *out, unsigned rules, struct slice wire)
{
	struct slice rest = wire;
	bool first = true;

	while (rest.len > 0) {
		struct slice before = rest, line = take_line(&rest), body = without_dot(line);
		struct buffer text;
		size_t len = line.len;

		if (slice_equal(body, SLICE_OF("\r\n")) || slice_equal(body, SLICE_OF("\n"))) {
			buffer_put(out, before);
			return true;
		}
		buffer_init(&text, field_memory, sizeof(field_memory));
		buffer_put(&text, body);
		while (rest.len > 0) {
			struct slice look = rest;

			line = take_line(&look);
			body = without_dot(line);
			if (!ascii_is_blank(body.at[0]))
				break;
			buffer_put(&text, body);
			len += line.len;
			rest = look;
		}
		if (len >= STRIP_HOLD_MAX - 1)
			return false;
		if (first && ascii_is_blank(buffer_bytes(&text).at[0]))
			buffer_put(out, slice_first(before, len));
		else
			reference_field(out, rules, slice_first(before, len), buffer_bytes(&text));
		first = false;
	}
	return true;
}

/* ---- The filter, cut ---- */

static unsigned filter(struct buffer *out, unsigned rules, struct slice wire, size_t a, size_t b, size_t step)
{
	static struct strip s;
	size_t at = 0;

	strip_init(&s, SLICE_OF(HOST), rules);
	buffer_init(out, got_memory, sizeof(got_memory));
	while (at < wire.len) {
		size_t end = step ? at + step : at < a ? a : at < b ? b : wire.len;
		struct slice piece = slice_first(slice_skip(wire, at), end - at), part;

		at += piece.len;
		while (strip_next(&s, &piece, &part))
			require(buffer_put(out, part));
	}
	require(buffer_put(out, strip_finish(&s)));
	return s.done;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice wire, expected;
	struct buffer out, got;
	unsigned rules, done;
	size_t a, b;

	if (size < 3)
		return 0;
	wire = slice_bytes((const char *)data + 3, size - 3);
	rules = data[0] & (STRIP_ALL | STRIP_RENAME);
	a = wire.len * data[1] / 255;
	b = a + (wire.len - a) * data[2] / 255;

	done = filter(&got, rules, wire, wire.len, wire.len, 0);
	buffer_init(&out, expected_memory, sizeof(expected_memory));
	require(buffer_put(&out, buffer_bytes(&got)));
	expected = buffer_bytes(&out);
	require(filter(&got, rules, wire, a, b, 0) == done && slice_equal(buffer_bytes(&got), expected));
	require(filter(&got, rules, wire, 0, 0, 1) == done && slice_equal(buffer_bytes(&got), expected));

	buffer_init(&out, expected_memory, sizeof(expected_memory));
	if (reference(&out, rules, wire))
		require(slice_equal(buffer_bytes(&got), buffer_bytes(&out)));
	return 0;
}
