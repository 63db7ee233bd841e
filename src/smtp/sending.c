#include "smtp/sending.h"

static bool one_line(struct slice s)
{
	size_t i;

	for (i = 0; i < s.len; i++)
		if (ascii_is_control(s.at[i]))
			return false;
	return true;
}

enum sending sending_put(struct buffer *out, struct buffer *line)
{
	if (line->overflow || !one_line(buffer_bytes(line)) || !buffer_put_text(line, "\r\n"))
		return SENDING_IMPOSSIBLE;
	if (buffer_room(out) >= buffer_length(line))
		return buffer_put(out, buffer_bytes(line)) ? SENDING_DONE : SENDING_NO_ROOM;
	return buffer_length(out) > 0 ? SENDING_NO_ROOM : SENDING_IMPOSSIBLE;
}
