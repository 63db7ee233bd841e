/* The records of an agent: into the audit file, each once, and told when they are there for good. */
#include "manager/agents_inner.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/syslog.h"

#define RENUMBERED_MS	60000	/* between lines about new numberings of one agent; those between are counted */

/* Each record may bring another one: that must not fill the log. */
void agents_tell_streams(struct agents *a, struct agent_state *s)
{
	struct record r;

	if (!s->untold || loop_now(a->loop) < s->tell_at)
		return;
	record_start(&r, "agent");
	record_word(&r, "result", "renumbered");
	record_word(&r, "agent", s->name);
	record_text(&r, "stream", slice_of(s->stream));
	record_number(&r, "count", (int64_t)s->untold);
	log_record(SEVERITY_WARNING, &r);
	s->untold = 0;
	s->tell_at = loop_now(a->loop) + RENUMBERED_MS;
}

/* Another numbering: the agent's files were lost, or two boxes have one certificate. */
static void follow_stream(struct agents *a, struct agent_state *state, struct slice stream)
{
	bool is_first = !state->stream[0];

	if (slice_equal(slice_of(state->stream), stream))
		return;
	slice_copy(stream, state->stream, sizeof(state->stream));
	state->taken = 0;
	if (is_first)
		return;
	state->renumbered++;
	state->untold++;
	agents_tell_streams(a, state);
}

/* What the manager alone says of a record. Readers that take the last of two (JSON) would believe the agent. */
static bool is_ours(struct slice key)
{
	static const struct slice keys[] = {
		SLICE("agent"), SLICE("agent_stream"), SLICE("agent_seq"), SLICE("time"), SLICE("number"), SLICE("event"), SLICE("chain"),
	};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (slice_equal(key, keys[i]))
			return true;
	return false;
}

/*
 * Our own words first, so that nothing of the agent's can stand before them. False: it says what only the manager or its file
 * may say; such a record must not come to the file either, which would count it as one that is lost.
 */
static bool write_line(const struct agent_session *s, const struct syslog_message *m, struct buffer *line)
{
	struct slice fields, key, value;
	size_t head;

	buffer_putf(line, "%.*s agent=%s agent_stream=%.*s agent_seq=%" PRIu64, SLICE_ARGS(m->event), s->state->name,
		    SLICE_ARGS(m->stream), m->sequence);
	head = buffer_length(line);
	syslog_fields(m, line);
	fields = slice_skip(buffer_bytes(line), head);
	while (chain_next(&fields, &key, &value))
		if (is_ours(key))
			return false;
	return chain_is_record(buffer_bytes(line));
}

static bool keep(struct agent_session *s, int64_t wall, struct slice line)
{
	struct audit_status file;

	if (!audit_put(s->agents->audit, wall, line))
		return false;
	audit_state(s->agents->audit, &file);
	s->state->taken_at = file.number;
	return true;
}

static bool take(struct agent_session *s, struct slice message)
{
	struct agent_state *state = s->state;
	char memory[AUDIT_LINE_MAX];
	struct syslog_message m;
	struct buffer line;

	buffer_init(&line, memory, sizeof(memory));
	if (!syslog_parse(message, &m) || !write_line(s, &m, &line)) {
		agents_refuse(s, "not-a-record", "this is no record of an agent");
		return false;
	}
	follow_stream(s->agents, state, m.stream);
	s->heard = m.sequence;
	if (m.sequence <= state->taken) {
		state->doubles++;
		s->doubles++;
		return true;
	}
	if (!keep(s, m.wall, buffer_bytes(&line))) {
		agents_refuse(s, "disk", "the audit file can't be written");
		return false;
	}
	state->taken = m.sequence;
	state->heard = clock_wall();
	state->records++;
	s->records++;
	return true;
}

void agents_take(struct agent_session *s)
{
	struct slice message;
	int used = 0;

	while (!s->watch.dead && (used = syslog_frame(stream_input(&s->stream), &message)) > 0) {
		if (!take(s, message))
			return;
		stream_consume(&s->stream, (size_t)used);
	}
	if (!s->watch.dead && used < 0)
		agents_refuse(s, "framing", "this is no octet-counted frame");
}

bool agents_is_due(const struct agent_session *s)
{
	return s->used && !s->watch.dead && s->state && s->heard != s->told;
}

void agents_tell_kept(struct agent_session *s)
{
	if (!agents_is_due(s))
		return;
	if (audit_kept(s->agents->audit) < s->state->taken_at) {
		audit_hurry(s->agents->audit);
		return;
	}
	if (agents_answer(s, "ok", s->heard)) {
		s->told = s->heard;
		stream_write(&s->stream);
	}
}
