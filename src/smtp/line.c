#include "smtp/line.h"

static bool ends_or_breaks(char c)
{
	return c == '\r' || c == '\n' || c == '\0';
}

static enum line_status missing(size_t seen, size_t max, size_t keep, uint16_t *scanned)
{
	if (seen >= max)
		return LINE_TOO_LONG;
	*scanned = (uint16_t)keep;
	return LINE_MORE;
}

enum line_status line_read(struct slice in, size_t max, uint16_t *scanned, struct slice *line,
			 size_t *used)
{
	struct slice seen = slice_first(in, max);
	size_t i = *scanned < seen.len ? *scanned : seen.len;

	while (i < seen.len && !ends_or_breaks(seen.at[i]))
		i++;
	if (i == seen.len)
		return missing(i, max, i, scanned);
	if (seen.at[i] != '\r')
		return LINE_BAD_END;
	if (i + 1 == seen.len)		/* its LF may come yet: this CR is looked at again */
		return missing(i + 1, max, i, scanned);
	if (seen.at[i + 1] != '\n')
		return LINE_BAD_END;
	*line = slice_first(in, i);
	*used = i + 2;
	*scanned = 0;
	return LINE_OK;
}
