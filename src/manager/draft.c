/* What the parts of the configuration's reader share: look-up in a draft, and what is said of it. */
#include <stdarg.h>
#include <stdio.h>

#include "manager/draft.h"

int draft_row(const struct draft_block *b, struct slice key)
{
	const struct setting_row *rows = draft_sections[b->kind].rows;

	for (int i = 0; rows && rows[i].key; i++)
		if (slice_equal(key, slice_of(rows[i].key)))
			return i;
	return -1;
}

bool draft_has(const struct draft_block *b, const char *key)
{
	int row = draft_row(b, slice_of(key));

	return row >= 0 && b->lines[row] > 0;
}

unsigned draft_line(const struct draft *d, const struct draft_block *b, const char *key)
{
	int row = b && key ? draft_row(b, slice_of(key)) : -1;

	if (row >= 0 && b->lines[row] > 0)
		return b->lines[row];
	if (b && b->line > 0)
		return b->line;
	return d->last_line;
}

struct draft_block *draft_next(const struct draft *d, struct draft_block *b, enum draft_kind kind)
{
	for (b = b ? b->next : d->blocks; b; b = b->next)
		if (b->kind == kind)
			return b;
	return NULL;
}

bool draft_refuse(const struct draft *d, const struct draft_block *b, const char *key, const char *format, ...)
{
	char text[FAULT_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	return fault_at(d->fault, d->path, draft_line(d, b, key), "%s", text);
}

void draft_notice(const struct draft *d, const char *format, ...)
{
	char text[FAULT_MAX];
	va_list arguments;

	if (!d->notice)
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	ascii_tame(text);
	d->notice(d->context, text);
}

void draft_strip_colons(char *text)
{
	char *out = text;

	for (; *text; text++)
		if (*text != ':')
			*out++ = ascii_fold(*text);
	*out = '\0';
}
