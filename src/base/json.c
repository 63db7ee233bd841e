#include "base/json.h"

/* Octets of the well-formed UTF-8 character (RFC 3629) at the start of s; 0 when there is none. */
static size_t utf8_octets(struct slice s)
{
	static const struct {
		unsigned char mask, lead;
	} rows[] = { { 0xe0, 0xc0 }, { 0xf0, 0xe0 }, { 0xf8, 0xf0 } };
	unsigned char lead = (unsigned char)s.at[0], second = s.len > 1 ? (unsigned char)s.at[1] : 0;

	/* Overlong forms, surrogates, and what lies beyond U+10FFFF. */
	if (lead < 0xc2 || lead > 0xf4 || (lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f) ||
	    (lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second > 0x8f))
		return 0;
	for (size_t n = 0; n < 3; n++) {
		if ((lead & rows[n].mask) != rows[n].lead)
			continue;
		for (size_t i = 1; i < n + 2; i++)
			if (i >= s.len || ((unsigned char)s.at[i] & 0xc0) != 0x80)
				return 0;
		return n + 2;
	}
	return 0;
}

/* One character; octets taken. */
static size_t put_character(struct buffer *out, struct slice s)
{
	size_t many = utf8_octets(s);
	char c = s.at[0];

	if (many)
		buffer_put(out, slice_first(s, many));
	else if (c == '"' || c == '\\')
		buffer_putf(out, "\\%c", c);
	else if (ascii_is_print(c))
		buffer_put(out, slice_first(s, 1));
	else if (ascii_is_control(c))
		buffer_putf(out, "\\u00%02x", (unsigned char)c);
	else
		buffer_put_text(out, "\\ufffd");
	return many ? many : 1;
}

bool json_text(struct buffer *out, struct slice text)
{
	size_t before = buffer_length(out);

	buffer_put_text(out, "\"");
	while (text.len && !out->overflow)
		text = slice_skip(text, put_character(out, text));
	buffer_put_text(out, "\"");
	if (out->overflow)
		out->tail = out->head + before;
	return !out->overflow;
}
