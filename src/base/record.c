#include "base/record.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"

/* The mark of fields left out; every other field leaves room for it. */
static const struct slice more = SLICE(" ...");

static const char hex[] = "0123456789ABCDEF";

static void append(struct record *r, struct slice s)
{
	memcpy(r->text + r->len, s.at, s.len);
	r->len += s.len;
	r->text[r->len] = '\0';
}

/* No field ends in a blank and dots: values with blanks are in quotes. */
static bool is_full(const struct record *r)
{
	struct slice line = slice_bytes(r->text, r->len);

	return line.len >= more.len && slice_equal(slice_skip(line, line.len - more.len), more);
}

/* Appends " key=value" whole, or the mark. */
static void add_field(struct record *r, const char *key, struct slice value)
{
	struct slice name = slice_of(key);
	size_t need = 1 + name.len + 1 + value.len;

	if (is_full(r))
		return;
	if (need > r->most - more.len - r->len) {
		append(r, more);
		return;
	}
	append(r, SLICE_OF(" "));
	append(r, name);
	append(r, SLICE_OF("="));
	append(r, value);
}

static void start(struct record *r, const char *event, size_t most, size_t value_most)
{
	r->len = 0;
	r->most = most;
	r->value_most = value_most;
	append(r, slice_first(slice_of(event), most - more.len));
}

void record_start(struct record *r, const char *event)
{
	start(r, event, LOG_LINE_MAX, LOG_VALUE_MAX);
}

void record_start_audit(struct record *r, const char *event)
{
	start(r, event, AUDIT_LINE_MAX, AUDIT_VALUE_MAX);
}

void record_word(struct record *r, const char *key, const char *word)
{
	if (word)
		add_field(r, key, slice_of(word));
}

void record_number(struct record *r, const char *key, int64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRId64, value);
	add_field(r, key, slice_of(text));
}

static bool is_plain(char c)
{
	return ascii_is_print(c) && c != ' ' && c != '"' && c != '\\' && c != '=';
}

static bool is_bare(struct slice value)
{
	for (size_t i = 0; i < value.len; i++)
		if (!is_plain(value.at[i]))
			return false;
	return value.len > 0;
}

static void quote(struct buffer *out, char c)
{
	unsigned char octet = (unsigned char)c;

	if (c == '"' || c == '\\')
		buffer_putf(out, "\\%c", c);
	else if (ascii_is_print(c))
		buffer_put(out, slice_bytes(&c, 1));
	else
		buffer_putf(out, "\\x%c%c", hex[octet >> 4], hex[octet & 15]);
}

/* A long value that needs many escapes is cut earlier, or there would be no room for it at all. */
#define QUOTED_MAX(r) (4 * (r)->value_most)

static void add_text(struct record *r, const char *key, struct slice value, size_t most)
{
	/* Each octet as \xHH, quotes, the dots, and buffer_putf's NUL. */
	char memory[4 * AUDIT_VALUE_MAX + 4 + 2 + 3 + 1];
	struct slice kept = slice_first(value, most);
	bool bare = is_bare(kept);
	struct buffer out;
	size_t i;

	buffer_init(&out, memory, sizeof(memory));
	if (!bare)
		buffer_put_text(&out, "\"");
	for (i = 0; i < kept.len && buffer_length(&out) < QUOTED_MAX(r); i++)
		quote(&out, kept.at[i]);
	if (i < value.len)
		buffer_put_text(&out, "...");
	if (!bare)
		buffer_put_text(&out, "\"");
	add_field(r, key, buffer_bytes(&out));
}

void record_text(struct record *r, const char *key, struct slice value)
{
	add_text(r, key, value, r->value_most);
}

void record_reason(struct record *r, const char *key, struct slice value)
{
	add_text(r, key, value, LOG_REASON_MAX);
}

void record_seconds(struct record *r, const char *key, int64_t ms)
{
	uint64_t size = ms < 0 ? -(uint64_t)ms : (uint64_t)ms;
	uint64_t seconds = size / 1000;
	char text[32];

	snprintf(text, sizeof(text), "%s%" PRIu64 ".%03u", ms < 0 ? "-" : "", seconds,
		 (unsigned)(size - seconds * 1000));
	add_field(r, key, slice_of(text));
}
