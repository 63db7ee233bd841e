#include "manager/counterpart.h"

#include <inttypes.h>

#include "base/json.h"
#include "manager/listing.h"
#include "manager/metric.h"

/* For a person */

void counterpart_text(const struct control_house *h, struct buffer *out)
{
	struct forward_status s;
	char when[LISTING_TIME_MAX];

	forward_state(h->forward, &s);
	if (!s.on)
		return;
	buffer_putf(out, "manager %s: %s, has taken records up to %" PRIu64 ", the last at %s; %" PRIu64 " wait", s.address,
		    s.connected ? "connected" : "AWAY", s.number, listing_time(s.reached, when), s.waiting);
	if (s.missing)
		buffer_putf(out, "; lost before they were sent: %" PRIu64, s.missing);
	if (s.error[0]) {
		buffer_put_text(out, "\n  ");
		listing_tame(out, slice_of(s.error));
	}
	buffer_put_text(out, "\n");
}

bool counterpart_text_agent(const struct control_house *h, unsigned row, struct buffer *out)
{
	struct agent_face a;
	char when[LISTING_TIME_MAX];

	if (!agents_at(h->agents, row, &a))
		return false;
	buffer_putf(out, "agent %s: %s, last record %s; %" PRIu64 " records, %" PRIu64 " of them twice, up to its %" PRIu64, a.name,
		    a.address[0] ? a.address : "NOT CONNECTED", listing_time(a.heard, when), a.records + a.doubles, a.doubles,
		    a.sequence);
	if (a.renumbered)
		buffer_putf(out, "; numbered anew %" PRIu64 " times", a.renumbered);
	buffer_put_text(out, "\n");
	return true;
}

/* JSON */

void counterpart_json(const struct control_house *h, struct buffer *out)
{
	struct forward_status s;

	forward_state(h->forward, &s);
	if (!s.on)
		return;
	buffer_putf(out, ",\"forward\":{\"connected\":%s,\"number\":%" PRIu64 ",\"waiting\":%" PRIu64 ",\"missing\":%" PRIu64
		    ",\"last_success\":%" PRId64 ",\"address\":", s.connected ? "true" : "false", s.number, s.waiting, s.missing,
		    s.reached);
	json_text(out, slice_of(s.address));
	buffer_put_text(out, ",\"error\":");
	json_text(out, slice_of(s.error));
	buffer_put_text(out, "}");
}

bool counterpart_json_agent(const struct control_house *h, unsigned row, struct buffer *out)
{
	struct agent_face a;

	if (!agents_at(h->agents, row, &a))
		return false;
	buffer_putf(out, "%s{\"name\":\"%s\",\"connected\":%s,\"address\":\"%s\",\"heard\":%" PRId64 ",\"records\":%" PRIu64
		    ",\"doubles\":%" PRIu64 ",\"sequence\":%" PRIu64 ",\"renumbered\":%" PRIu64 "}", row ? "," : "", a.name,
		    a.address[0] ? "true" : "false", a.address, a.heard, a.records, a.doubles, a.sequence, a.renumbered);
	return true;
}

/* Prometheus */

static void forward_metrics(const struct control_house *h, struct buffer *out)
{
	struct forward_status s;

	forward_state(h->forward, &s);
	if (!s.on)
		return;
	metric_gauge(out, "forward_connected", s.connected, "0: the manager is away");
	metric_gauge(out, "forward_number", s.number, "The last audit record that the manager has");
	metric_gauge(out, "forward_waiting_records", s.waiting, "Audit records that the manager hasn't got yet");
	metric_gauge(out, "forward_last_success_timestamp_seconds", (uint64_t)s.reached,
		     "When the manager last took records, since 1970; 0: not yet");
	metric_counter(out, "forward_records_missing", s.missing, "Audit records that were gone before they could be sent");
}

static uint64_t agent_up(const struct agent_face *a)
{
	return a->address[0] != '\0';
}

static uint64_t agent_heard(const struct agent_face *a)
{
	return (uint64_t)a->heard;
}

static uint64_t agent_records(const struct agent_face *a)
{
	return a->records;
}

static uint64_t agent_doubles(const struct agent_face *a)
{
	return a->doubles;
}

static uint64_t agent_sequence(const struct agent_face *a)
{
	return a->sequence;
}

static uint64_t agent_renumbered(const struct agent_face *a)
{
	return a->renumbered;
}

static const struct {
	const char *name, *end, *type, *help;
	uint64_t (*value)(const struct agent_face *a);
} agent_metrics[] = {
	{ "agent_up", "", "gauge", "0: this agent isn't connected", agent_up },
	{ "agent_heard_timestamp_seconds", "", "gauge", "When its last record came, since 1970; 0: not yet", agent_heard },
	{ "agent_sequence", "", "gauge", "The number of its last record, there", agent_sequence },
	{ "agent_records", "_total", "counter", "Records that it has sent", agent_records },
	{ "agent_doubles", "_total", "counter", "Records that it has sent again", agent_doubles },
	{ "agent_renumbered", "_total", "counter", "Numberings that it has begun anew", agent_renumbered },
};

_Static_assert(1 + sizeof(agent_metrics) / sizeof(agent_metrics[0]) == COUNTERPART_METRICS, "a piece for each");

/* Names need no escapes: letters, digits, - _ and a dot. */
void counterpart_metrics(const struct control_house *h, unsigned piece, struct buffer *out)
{
	struct agent_face a;

	if (!piece) {
		forward_metrics(h, out);
		return;
	}
	if (!agents_at(h->agents, 0, &a))
		return;
	piece--;
	metric_family(out, agent_metrics[piece].name, agent_metrics[piece].end, agent_metrics[piece].type, agent_metrics[piece].help);
	for (unsigned row = 0; agents_at(h->agents, row, &a); row++)
		buffer_putf(out, "sekimori_%s%s{agent=\"%s\"} %" PRIu64 "\n", agent_metrics[piece].name, agent_metrics[piece].end,
			    a.name, agent_metrics[piece].value(&a));
}
