#include "smtp/content.h"

enum dot { DOT_TEXT, DOT_END, DOT_OPEN };

/* What the dot at the start of a line is. */
static enum dot dot_kind(struct slice in)
{
	static const struct slice end = SLICE(".\r\n");

	if (!slice_equal(slice_first(in, end.len), slice_first(end, in.len)))
		return DOT_TEXT;
	return in.len >= end.len ? DOT_END : DOT_OPEN;
}

/* Octets of the line at the start of `in`, with its LF; without one, all but a CR at the end, whose LF may come yet. */
static size_t content_line(struct smtp_server *s, struct slice in)
{
	size_t lf = slice_find(in, '\n');
	bool has_lf = lf < in.len;
	bool has_cr = lf > 0 && in.at[lf - 1] == '\r';
	struct slice text = slice_first(in, has_cr ? lf - 1 : lf);

	if ((has_lf && !has_cr) || slice_find(text, '\r') < text.len)
		s->bad_line = true;
	s->line_start = has_lf && has_cr;
	return has_lf ? lf + 1 : text.len;
}

size_t content_length(struct smtp_server *s, struct slice in, bool *ended)
{
	size_t at = 0, line = 1;

	*ended = false;
	while (at < in.len && line > 0) {
		struct slice rest = slice_skip(in, at);
		enum dot dot = s->line_start && rest.at[0] == '.' ? dot_kind(rest) : DOT_TEXT;

		*ended = dot == DOT_END;
		line = dot == DOT_TEXT ? content_line(s, rest) : 0;
		at += line;
	}
	return at;
}
