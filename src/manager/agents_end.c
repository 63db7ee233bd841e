/* What an agent is told, and the end of its connection. */
#include "manager/agents_inner.h"

#include <inttypes.h>

#include "base/log.h"

#define ANSWER_MAX	512	/* octets of an answer */

static void log_end(const struct agent_session *s)
{
	struct record r;

	record_start(&r, "agent");
	record_word(&r, "result", "ended");
	record_word(&r, "agent", s->state->name);
	record_word(&r, "end", s->end ? s->end : "closed");
	record_number(&r, "records", (int64_t)s->records);
	record_number(&r, "doubles", (int64_t)s->doubles);
	record_word(&r, "client", s->address);
	if (stream_error(&s->stream)[0])
		record_text(&r, "error", slice_of(stream_error(&s->stream)));
	log_record(SEVERITY_NOTICE, &r);
}

void agents_hang_up(struct agent_session *s, const char *end)
{
	if (s->watch.dead)
		return;
	s->end = end;
	if (s->state) {
		log_end(s);
		s->state->session = NULL;
		s->state = NULL;
	}
	stream_close(&s->stream);
	s->watch.dead = true;
}

bool agents_answer(struct agent_session *s, const char *words, uint64_t number)
{
	struct buffer *out = stream_output(&s->stream);

	if (!out || buffer_length(out) > ANSWER_MAX)
		return false;
	return number ? buffer_putf(out, "%s %" PRIu64 "\n", words, number) : buffer_putf(out, "no %s\n", words);
}

void agents_refuse(struct agent_session *s, const char *end, const char *words)
{
	if (s->stream.state == STREAM_OPEN && agents_answer(s, words, 0))
		stream_write(&s->stream);
	agents_hang_up(s, end);
}
