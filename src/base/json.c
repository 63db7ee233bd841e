#include "base/json.h"

bool json_text(struct buffer *out, struct slice text)
{
	size_t before = buffer_length(out);

	buffer_put_text(out, "\"");
	for (size_t i = 0; i < text.len && !out->overflow; i++) {
		char c = text.at[i];

		if (c == '"' || c == '\\')
			buffer_putf(out, "\\%c", c);
		else if (ascii_is_print(c))
			buffer_put(out, slice_bytes(&c, 1));
		else
			buffer_putf(out, "\\u00%02x", (unsigned char)c);
	}
	buffer_put_text(out, "\"");
	if (out->overflow)
		out->tail = out->head + before;
	return !out->overflow;
}
