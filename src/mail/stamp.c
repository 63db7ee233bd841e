#include "mail/stamp.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#define VERSION	"1"

static const struct tag {
	char name;
	bool folded;		/* begins a line of the field: its value may be long */
	size_t at;		/* of its slice in struct stamp */
} tags[] = {
	{ 'k', false, offsetof(struct stamp, key) },
	{ 'i', false, offsetof(struct stamp, id) },
	{ 'p', true, offsetof(struct stamp, kind) },
	{ 'a', false, offsetof(struct stamp, account) },
	{ 'f', true, offsetof(struct stamp, envelope) },
	{ 'h', true, offsetof(struct stamp, from) },
	{ 'm', true, offsetof(struct stamp, message_id) },
	{ 'c', true, offsetof(struct stamp, from_hash) },
	{ 'b', true, offsetof(struct stamp, body_hash) },
};

#define TAGS	(sizeof(tags) / sizeof(tags[0]))

static struct slice *value_of(struct stamp *s, const struct tag *tag)
{
	return (struct slice *)(void *)((char *)s + tag->at);
}

/* Blanks would get lost in a fold; the rest is syntax here, or in a header. */
static bool is_plain(char c)
{
	return ascii_is_print(c) && !memchr(" ;%\"(),\\", c, 8);
}

static bool put_value(struct buffer *out, struct slice value)
{
	bool good = true;

	for (size_t i = 0; i < value.len; i++)
		good = (is_plain(value.at[i]) ? buffer_put(out, slice_bytes(value.at + i, 1)) :
			buffer_putf(out, "%%%02X", (unsigned)(unsigned char)value.at[i])) && good;
	return good;
}

static bool is_space(char c)
{
	return ascii_is_blank(c) || c == '\r' || c == '\n';
}

static bool put_compact(struct buffer *out, struct slice text)
{
	bool good = true;

	for (size_t i = 0; i < text.len; i++)
		good = (is_space(text.at[i]) || buffer_put(out, slice_bytes(text.at + i, 1))) && good;
	return good;
}

bool stamp_write(struct buffer *out, const struct stamp *s, struct buffer *room, struct slice *sealed)
{
	static const struct slice name = SLICE("X-Sekimori-Stamp:");
	size_t start = buffer_length(out);
	bool good = buffer_putf(out, "%.*s %.*s; v=" VERSION "; t=%" PRId64, SLICE_ARGS(name), SLICE_ARGS(s->host), s->wall);

	for (size_t i = 0; i < TAGS; i++)
		good = buffer_putf(out, ";%s%c=", tags[i].folded ? "\r\n\t" : " ", tags[i].name) &&
		       put_value(out, *value_of((struct stamp *)(uintptr_t)s, &tags[i])) && good;
	good = buffer_put_text(out, ";\r\n\ts=") && good;
	if (!good || !put_compact(room, slice_skip(buffer_bytes(out), start + name.len)))
		return false;
	*sealed = buffer_bytes(room);
	return true;
}

/* ---- Reading ---- */

static int hex_digit(char c)
{
	if (ascii_is_digit(c))
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Into room, which what was read before stays in. */
static bool unescape(struct slice text, struct buffer *room, struct slice *value)
{
	size_t start = buffer_length(room);

	for (size_t i = 0; i < text.len; i++) {
		char c = text.at[i];

		if (c == '%') {
			int high = i + 2 < text.len ? hex_digit(text.at[i + 1]) : -1;
			int low = high < 0 ? -1 : hex_digit(text.at[i + 2]);

			if (low < 0)
				return false;
			c = (char)(unsigned char)(high * 16 + low);
			i += 2;
		} else if (!is_plain(c)) {
			return false;
		}
		if (!buffer_put(room, slice_bytes(&c, 1)))
			return false;
	}
	*value = slice_skip(buffer_bytes(room), start);
	return true;
}

struct reading {
	unsigned seen;		/* bit i: tags[i]; the next two: v and t */
	bool ended;		/* by s */
};

static bool once(struct reading *r, size_t bit)
{
	bool fresh = !(r->seen & 1u << bit);

	r->seen |= 1u << bit;
	return fresh;
}

static bool read_tag(struct stamp *s, struct reading *r, char name, struct slice value, struct buffer *room)
{
	uint64_t wall;

	if (name == 'v')
		return once(r, TAGS) && slice_equal(value, SLICE_OF(VERSION));
	if (name == 't') {
		if (!once(r, TAGS + 1) || !slice_number(value, INT64_MAX, &wall))
			return false;
		s->wall = (int64_t)wall;
		return true;
	}
	if (name == 's') {
		r->ended = true;
		s->seal = value;
		return true;
	}
	for (size_t i = 0; i < TAGS; i++)
		if (tags[i].name == name)
			return once(r, i) && unescape(value, room, value_of(s, &tags[i]));
	return false;
}

bool stamp_read(struct slice body, struct stamp *s, struct buffer *room)
{
	struct reading r = { .seen = 0 };
	struct slice text, rest, part;

	memset(s, 0, sizeof(*s));
	buffer_clear(room);
	if (body.len > STAMP_MAX || !put_compact(room, body))
		return false;
	text = rest = buffer_bytes(room);
	if (!slice_cut(&rest, ';', &s->host) || s->host.len == 0)
		return false;
	while (slice_cut(&rest, ';', &part)) {
		if (r.ended || part.len < 2 || part.at[1] != '=' ||
		    !read_tag(s, &r, part.at[0], slice_skip(part, 2), room))
			return false;
	}
	s->sealed = slice_first(text, text.len - s->seal.len);
	return r.ended && r.seen == (1u << (TAGS + 2)) - 1;
}

size_t stamp_from_text(struct slice body, unsigned count, char *out)
{
	struct buffer text;
	bool gap = false;
	size_t start;

	buffer_init(&text, out, STAMP_FROM_MAX);
	buffer_putf(&text, "%u:", count);
	start = buffer_length(&text);
	for (size_t i = 0; i < body.len; i++) {
		if (is_space(body.at[i])) {
			gap = true;
			continue;
		}
		if (gap && buffer_length(&text) > start)
			buffer_put(&text, SLICE_OF(" "));
		buffer_put(&text, slice_bytes(body.at + i, 1));
		gap = false;
	}
	return buffer_length(&text);
}
