#include "mail/list.h"

#define ESC	'\033'

/* Behind a run that ends with `end`, in which a backslash stands before a character that is meant as it is. */
static size_t past(struct slice s, size_t i, char end)
{
	for (; i < s.len; i++) {
		if (s.at[i] == end)
			return i + 1;
		if (s.at[i] == '\\')
			i++;
	}
	return s.len;
}

/* Comments may stand in comments. */
static size_t past_comment(struct slice s, size_t i)
{
	unsigned depth = 0;

	for (; i < s.len; i++) {
		if (s.at[i] == '\\')
			i++;
		else if (s.at[i] == '(')
			depth++;
		else if (s.at[i] == ')' && --depth == 0)
			return i + 1;
	}
	return s.len;
}

/* ISO-2022-JP: from ESC $ to ESC ( and the letter of a set of single bytes. */
static size_t past_japanese(struct slice s, size_t i)
{
	for (i++; i + 2 < s.len; i++)
		if (s.at[i] == ESC && s.at[i + 1] == '(')
			return i + 3;
	return s.len;
}

/* Behind what begins at i and is to be read as one; i when nothing does. */
static size_t jump(struct slice s, size_t i)
{
	switch (s.at[i]) {
	case '"':
		return past(s, i + 1, '"');
	case '(':
		return past_comment(s, i);
	case '[':
		return past(s, i + 1, ']');
	case ESC:
		return past_japanese(s, i);
	default:
		return i;
	}
}

static bool is_space(char c)
{
	return ascii_is_blank(c) || c == '\r' || c == '\n';
}

static size_t past_angle(struct slice s, size_t i)
{
	while (i < s.len && s.at[i] != '>')
		i = s.at[i] == '"' ? jump(s, i) : i + 1;
	return i;
}

struct piece {			/* between two commas */
	struct slice angle;	/* what stands in angle brackets; at NULL: there are none */
	size_t start, end;	/* of all that is neither blank nor comment; equal: nothing */
};

static void take(struct piece *p, size_t from, size_t to)
{
	if (p->start == p->end)
		p->start = from;
	p->end = to;
}

/* Returns where the piece ends. */
static size_t read_piece(struct slice s, struct piece *p)
{
	size_t i = 0, next;

	while (i < s.len && s.at[i] != ',' && s.at[i] != ';') {
		next = jump(s, i);
		if (next > i && s.at[i] != '(')
			take(p, i, next);
		if (next > i) {
			i = next;
		} else if (s.at[i] == '<') {
			next = past_angle(s, i + 1);
			p->angle = slice_bytes(s.at + i + 1, next - i - 1);
			i = next < s.len ? next + 1 : next;
		} else if (s.at[i] == ':') {	/* what stood before is a group's name */
			p->start = p->end = ++i;
		} else {
			if (!is_space(s.at[i]))
				take(p, i, i + 1);
			i++;
		}
	}
	return i;
}

bool list_next(struct slice *rest, struct slice *address)
{
	while (rest->len) {
		struct piece p = { .start = 0 };
		size_t end = read_piece(*rest, &p);

		*address = p.angle.at ? slice_trim(p.angle) : slice_bytes(rest->at + p.start, p.end - p.start);
		*rest = slice_skip(*rest, end + 1);
		if (address->len)
			return true;
	}
	return false;
}
