/*
 * Lines: what a reader that looks at one octet a time finds, line_read finds, however the input comes. The first
 * octet is the bound, the second the size of the pieces.
 */
#include <stdlib.h>

#include "smtp/line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static enum line_status slowly(struct slice in, size_t max, size_t *used)
{
	for (size_t i = 0; i < in.len && i < max; i++) {
		bool crlf = in.at[i] == '\r' && i + 1 < in.len && in.at[i + 1] == '\n';

		*used = i + 2;
		if (crlf && i + 2 <= max)
			return LINE_OK;
		if (in.at[i] == '\r' && i + 1 == max)
			return LINE_TOO_LONG;
		if (in.at[i] == '\r' && i + 1 == in.len)
			return LINE_MORE;
		if (in.at[i] == '\r' || in.at[i] == '\n' || in.at[i] == '\0')
			return LINE_BAD_END;
	}
	return in.len >= max ? LINE_TOO_LONG : LINE_MORE;
}

static enum line_status in_pieces(struct slice in, size_t max, size_t piece, struct slice *line, size_t *used)
{
	enum line_status status = LINE_MORE;
	uint16_t scanned = 0;

	for (size_t n = 0; status == LINE_MORE && n < in.len;) {
		n = in.len - n < piece ? in.len : n + piece;
		status = line_read(slice_first(in, n), max, &scanned, line, used);
		require(status != LINE_MORE || scanned <= n);
	}
	require(status != LINE_OK || scanned == 0);
	return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_bytes((const char *)data, size), line;
	size_t max, piece, used, want_used = 0;

	if (size < 2)
		return 0;
	max = (size_t)data[0] + 2;
	piece = (size_t)data[1] + 1;
	in = slice_skip(in, 2);
	while (in.len) {
		enum line_status want = slowly(in, max, &want_used);

		require(in_pieces(in, max, piece, &line, &used) == want);
		require(in_pieces(in, max, 1, &line, &used) == want);
		if (want != LINE_OK)
			break;
		require(used == want_used && line.at == in.at && line.len == used - 2 && used <= max);
		in = slice_skip(in, used);
	}
	return 0;
}
