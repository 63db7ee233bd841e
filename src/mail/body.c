#include "mail/body.h"

void body_init(struct body *b, bool stuffed)
{
	*b = (struct body){ .stuffed = stuffed };
}

static size_t put_text(struct body *b, char c, char *out)
{
	size_t n = 0;

	if (b->blank)
		out[n++] = ' ';
	out[n++] = c;
	b->blank = false;
	b->inside = b->any = true;
	return n;
}

static size_t put_line_end(struct body *b, char *out)
{
	out[0] = '\r';
	out[1] = '\n';
	b->lines--;
	return 2;
}

/* A dot at the start of a line of the wire that belongs to the wire alone. */
static bool is_stuffing(const struct body *b, char c)
{
	return b->stuffed && !b->inside && !b->blank && c == '.';
}

/* Whether it makes the ends of lines before it count. */
static bool is_text(const struct body *b, char c)
{
	if (b->cr && c != '\n')
		return true;
	return c != '\n' && c != '\r' && !ascii_is_blank(c) && !is_stuffing(b, c);
}

static size_t take(struct body *b, char c, char *out)
{
	size_t n = 0;

	if (b->cr && c != '\n')		/* alone, it is a character like another */
		n = put_text(b, '\r', out);
	b->cr = c == '\r';
	if (b->cr)
		return n;
	if (c == '\n') {
		b->inside = b->blank = false;
		b->lines++;
	} else if (ascii_is_blank(c)) {
		b->blank = true;
	} else if (is_stuffing(b, c)) {
		b->inside = true;
	} else {
		n += put_text(b, c, out + n);
	}
	return n;
}

size_t body_next(struct body *b, struct slice *raw, char *out, size_t size)
{
	size_t n = 0;

	while (raw->len > 0 && size - n >= BODY_ROOM_MIN) {
		if (b->lines > 0 && is_text(b, raw->at[0])) {
			n += put_line_end(b, out + n);
			continue;
		}
		n += take(b, raw->at[0], out + n);
		*raw = slice_skip(*raw, 1);
	}
	return n;
}

size_t body_end(struct body *b, char *out)
{
	size_t n = 0;

	if (b->cr && b->lines > 0)
		n = put_line_end(b, out);
	b->lines = 1;
	return b->any ? n + put_line_end(b, out + n) : 0;
}
