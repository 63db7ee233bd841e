/*
 * Frames from the network: whatever is taken becomes one line without a control character, which goes out and comes back as it is; and
 * a stream cut anywhere says the same.
 */
#include <stdlib.h>
#include <string.h>

#include "base/record.h"
#include "base/syslog.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static bool line_of(const struct syslog_message *m, char *memory, size_t size, struct buffer *line)
{
	buffer_init(line, memory, size);
	if (!buffer_put(line, m->event))
		return false;
	syslog_fields(m, line);
	return !line->overflow;
}

static void go_round(const struct syslog_message *m)
{
	static char first[SYSLOG_FRAME_MAX + 1], again[SYSLOG_FRAME_MAX + 1], memory[4 * SYSLOG_FRAME_MAX];
	struct syslog_head h = { .priority = 22, .wall = m->wall, .host = m->host, .stream = m->stream, .sequence = m->sequence };
	struct buffer line, line_again, out;
	struct syslog_message other;
	struct slice message;

	if (!line_of(m, first, sizeof(first), &line))
		return;
	for (size_t i = 0; i < buffer_length(&line); i++)
		require(ascii_is_print(line.at[i]));
	buffer_init(&out, memory, sizeof(memory));
	if (!syslog_put(&out, &h, buffer_bytes(&line), false))
		return;			/* too long: it had MSG left out, or fewer quotes */
	require(syslog_frame(buffer_bytes(&out), &message) == (int)buffer_length(&out));
	require(syslog_parse(message, &other));
	require(other.wall == m->wall && other.sequence == m->sequence && slice_equal(other.stream, m->stream));
	require(line_of(&other, again, sizeof(again), &line_again));
	require(slice_equal(buffer_bytes(&line), buffer_bytes(&line_again)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice rest = slice_bytes((const char *)data, size), message;
	struct syslog_message m;
	int used;

	if (syslog_parse(rest, &m))
		go_round(&m);
	while ((used = syslog_frame(rest, &message)) > 0) {
		require((size_t)used <= rest.len);
		require(syslog_frame(slice_first(rest, (size_t)used - 1), &message) == 0);
		if (syslog_parse(message, &m))
			go_round(&m);
		rest = slice_skip(rest, (size_t)used);
	}
	return 0;
}
