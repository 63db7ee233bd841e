#include "manager/letter.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "mail/list.h"

#define HEADER_MAX	(1u << 20)	/* octets: sixteen times what the gate takes by default */

/* A line without its end; false at the end of the message. */
static bool next_line(struct letter *l, char **text, size_t *room, size_t *len)
{
	ssize_t got = l->ended ? -1 : getline(text, room, l->in);
	size_t n = got > 0 ? (size_t)got : 0;

	if (n && (*text)[n - 1] == '\n')
		n--;
	if (n && (*text)[n - 1] == '\r')
		n--;
	if (got < 0 || (l->dots && n == 1 && (*text)[0] == '.'))
		l->ended = true;
	*len = n;
	return !l->ended;
}

static struct slice name_of(const struct letter_line *line)
{
	struct slice text = slice_bytes(line->text, line->len);

	return slice_trim(slice_first(text, slice_find(text, ':')));
}

/* RFC 5322 3.6.8, and the blanks before the colon of 4.5. */
static bool begins_field(struct slice text)
{
	struct slice name = slice_first(text, slice_find(text, ':'));

	if (name.len == text.len)
		return false;
	name = slice_trim(name);
	for (size_t i = 0; i < name.len; i++)
		if (!ascii_is_print(name.at[i]) || name.at[i] == ' ')
			return false;
	return name.len && name.at == text.at;
}

static bool keep(struct letter *l, struct letter_line line)
{
	struct letter_line *lines = l->lines;

	l->octets += line.len + 2;
	if (l->octets > HEADER_MAX)
		return false;
	if ((l->count & (l->count - 1)) == 0)
		lines = realloc(lines, (l->count ? 2 * l->count : 1) * sizeof(*lines));
	if (!lines)
		return false;
	l->lines = lines;
	l->lines[l->count++] = line;
	return true;
}

bool letter_read(struct letter *l, FILE *in, bool dots)
{
	struct letter_line line = { .text = NULL };
	bool good = true;
	size_t room = 0;

	*l = (struct letter){ .in = in, .dots = dots };
	while (good && next_line(l, &line.text, &room, &line.len) && line.len) {
		struct slice text = slice_bytes(line.text, line.len);

		line.begins = begins_field(text);
		if (!l->count && slice_starts(text, SLICE_OF("From ")))
			continue;		/* of a mailbox file: not a part of the message */
		if (!line.begins && !(l->count && ascii_is_blank(text.at[0]))) {
			l->first = line;
			return true;
		}
		good = keep(l, line);
		if (good)
			line.text = NULL;	/* kept; the next one gets memory of its own */
		room = good ? 0 : room;
	}
	free(line.text);
	return good;
}

bool letter_has(const struct letter *l, struct slice name)
{
	for (size_t i = 0; i < l->count; i++)
		if (l->lines[i].begins && slice_equal_fold(name_of(&l->lines[i]), name))
			return true;
	return false;
}

/* Unfolded, behind the colon; NULL without memory. `end`: where the next field begins. */
static char *body_of(const struct letter *l, size_t at, size_t *end, size_t *len)
{
	char *body = malloc(l->octets + 1);
	size_t from = slice_find(slice_bytes(l->lines[at].text, l->lines[at].len), ':') + 1;

	*len = 0;
	*end = at;
	do {
		const struct letter_line *line = &l->lines[*end];

		if (body)
			memcpy(body + *len, line->text + from, line->len - from);
		*len += line->len - from;
		from = 0;
	} while (++*end < l->count && !l->lines[*end].begins);
	return body;
}

bool letter_recipients(struct letter *l, bool (*each)(void *context, struct slice address), void *context)
{
	static const struct slice names[] = { SLICE("to"), SLICE("cc"), SLICE("bcc") };
	bool good = true;

	for (size_t at = 0, end; at < l->count && good; at = end) {
		struct slice name = name_of(&l->lines[at]), rest, address;
		size_t len, kind = 0;
		char *body = body_of(l, at, &end, &len);

		while (kind < 3 && !slice_equal_fold(name, names[kind]))
			kind++;
		rest = slice_bytes(body, body && kind < 3 ? len : 0);
		good = body;
		while (good && list_next(&rest, &address))
			good = each(context, address);
		for (size_t i = at; kind == 2 && i < end; i++)
			l->lines[i].left_out = true;
		free(body);
	}
	return good;
}

/* Servers refuse longer ones. Not within a character of UTF-8, where there is a choice. */
static bool is_full(size_t column, char next)
{
	return column >= DATA_LINE_MAX || (column >= DATA_LINE_MAX - 3 && ((unsigned char)next & 0xc0) != 0x80);
}

static void put_line(FILE *to, const char *text, size_t len, bool broken)
{
	size_t column = 0;

	for (size_t i = 0; i < len; i++) {
		if (broken && is_full(column, text[i])) {
			fputs("\r\n ", to);
			column = 1;
		}
		if (!column && text[i] == '.')
			putc('.', to);
		if (text[i] == '\r')
			fputs("\r\n", to);
		else
			putc(text[i] ? text[i] : '?', to);
		column = text[i] == '\r' ? 0 : column + 1;
	}
	fputs("\r\n", to);
}

bool letter_write(struct letter *l, FILE *to)
{
	char *text = NULL;
	size_t room = 0, len;

	for (size_t i = 0; i < l->count; i++)
		if (!l->lines[i].left_out)
			put_line(to, l->lines[i].text, l->lines[i].len, false);
	put_line(to, "", 0, false);
	if (l->first.text)
		put_line(to, l->first.text, l->first.len, l->first.len > DATA_LINE_MAX);
	while (next_line(l, &text, &room, &len))
		put_line(to, text, len, len > DATA_LINE_MAX);
	free(text);
	return !ferror(l->in);
}

void letter_free(struct letter *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->lines[i].text);
	free(l->lines);
	free(l->first.text);
}
