#include "manager/agents_inner.h"

#include <stdlib.h>
#include <string.h>

#include "manager/reader.h"

static void recall(struct agents *a, const struct chain_line *line)
{
	struct slice name, stream, number;
	struct agent_state *s;
	uint64_t sequence;

	if (!chain_field(line->record, SLICE_OF("agent"), &name) ||
	    !chain_field(line->record, SLICE_OF("agent_stream"), &stream) ||
	    !chain_field(line->record, SLICE_OF("agent_seq"), &number) || !slice_number(number, INT64_MAX, &sequence))
		return;
	s = agents_state(a, name);
	if (!s || stream.len > AGENT_STREAM_MAX)
		return;
	slice_copy(stream, s->stream, sizeof(s->stream));
	s->taken = sequence;
	s->taken_at = line->number;
}

void agents_recall(struct agents *a, const char *path, unsigned keep)
{
	struct reader r;
	struct chain_line line;
	uint64_t next = 1;

	reader_open(&r, path, keep);
	while (reader_next(&r, next, &line) > 0) {
		next = line.number + 1;
		recall(a, &line);
	}
	reader_close(&r);
}

/* Records that we took are not in the file any more: each agent sends again what we haven't told it that we keep. */
static void begin_anew(struct agents *a)
{
	struct audit_status file;

	a->losses = audit_losses(a->audit);
	for (unsigned i = 0; i < AGENT_SESSIONS_MAX; i++)
		if (a->sessions[i].used && a->sessions[i].state)
			agents_refuse(&a->sessions[i], "disk", "the audit file has lost records");
	for (unsigned i = 0; i < STATES_MAX; i++) {
		a->states[i].stream[0] = '\0';
		a->states[i].taken = a->states[i].taken_at = 0;
	}
	audit_state(a->audit, &file);
	agents_recall(a, file.path, file.keep);
}

static void before(struct watch *w)
{
	struct agents *a = (struct agents *)w;

	if (a->losses != audit_losses(a->audit))
		begin_anew(a);
	for (unsigned i = 0; i < AGENT_SESSIONS_MAX; i++)
		if (agents_is_due(&a->sessions[i]))
			agents_tell_kept(&a->sessions[i]);
}

static void idle_want(struct watch *w)
{
	const struct agents *a = (const struct agents *)w;

	w->fd = -1;
	w->deadline = NEVER;
	for (unsigned i = 0; i < STATES_MAX; i++)
		if (a->states[i].untold && a->states[i].tell_at < w->deadline)
			w->deadline = a->states[i].tell_at;
}

static void idle_ready(struct watch *w, short revents)
{
	struct agents *a = (struct agents *)w;

	(void)revents;
	for (unsigned i = 0; i < STATES_MAX; i++)
		agents_tell_streams(a, &a->states[i]);
}

static void idle_reap(struct watch *w)
{
	(void)w;			/* agents_free does it */
}

struct agents *agents_new(struct loop *l, struct pool *blocks, struct audit *audit)
{
	struct agents *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->watch = (struct watch){ .before = before, .want = idle_want, .ready = idle_ready, .reap = idle_reap, .fd = -1 };
	a->loop = l;
	a->blocks = blocks;
	a->audit = audit;
	if (loop_add(l, &a->watch))
		return a;
	free(a);
	return NULL;
}

void agents_free(struct agents *a)
{
	if (!a)
		return;
	tls_context_release(a->tls);
	free(a->rules);
	free(a);
}

static void list_states(struct agents *a)
{
	for (unsigned i = 0; i < STATES_MAX; i++)
		a->states[i].listed = false;
	for (unsigned i = 0; i < a->rule_count; i++) {
		struct agent_state *s = agents_state(a, slice_of(a->rules[i].name));

		if (s)
			s->listed = true;
	}
}

/* Who was let in by rules that are no more comes again, or doesn't. */
static void judge_again(struct agents *a)
{
	for (unsigned i = 0; i < AGENT_SESSIONS_MAX; i++) {
		struct agent_session *s = &a->sessions[i];

		if (s->used && s->state && agents_identify(s) != s->state)
			agents_hang_up(s, "reload");
	}
}

bool agents_apply(struct agents *a, const struct agents_settings *s, struct fault *f)
{
	struct agent_rule *rules = calloc(s->rule_count + 1, sizeof(*rules));
	struct agent_gate *gates[AGENT_LISTENERS_MAX];

	if (!rules)
		return fault_set(f, STATUS_TEMPORARY, "out of memory");
	if (!agents_open_gates(a, s, gates, f)) {
		free(rules);
		return false;
	}
	for (unsigned n = 0; n < a->gate_count; n++)
		if (!agents_is_listed(s, a->gates[n]))
			a->gates[n]->watch.dead = true;
	for (unsigned n = 0; n < s->listen_count; n++)
		gates[n]->listen = s->listen[n];
	memcpy(a->gates, gates, sizeof(gates[0]) * s->listen_count);
	a->gate_count = s->listen_count;
	if (s->rule_count)
		memcpy(rules, s->rules, s->rule_count * sizeof(*rules));
	free(a->rules);
	a->rules = rules;
	a->rule_count = s->rule_count;
	if (s->tls)
		tls_context_hold(s->tls);
	tls_context_release(a->tls);
	a->tls = s->tls;
	list_states(a);
	judge_again(a);
	return true;
}

void agents_shutdown(struct agents *a)
{
	for (unsigned i = 0; i < STATES_MAX; i++) {
		a->states[i].tell_at = 0;
		agents_tell_streams(a, &a->states[i]);
	}
	for (unsigned n = 0; n < a->gate_count; n++)
		a->gates[n]->watch.dead = true;
	a->gate_count = 0;
	for (unsigned i = 0; i < AGENT_SESSIONS_MAX; i++)
		if (a->sessions[i].used)
			agents_hang_up(&a->sessions[i], "shutdown");
}

bool agents_at(const struct agents *a, unsigned row, struct agent_face *out)
{
	for (unsigned i = 0; a && i < STATES_MAX; i++) {
		const struct agent_state *s = &a->states[i];

		if (!s->listed || row-- > 0)
			continue;
		*out = (struct agent_face){
			.name = s->name, .address = s->session ? s->session->address : "", .heard = s->heard,
			.records = s->records, .doubles = s->doubles, .renumbered = s->renumbered, .sequence = s->taken,
		};
		return true;
	}
	return false;
}
