#include "manager/metrics.h"

#include <inttypes.h>

#include "base/alarm.h"
#include "base/clock.h"
#include "manager/counterpart.h"
#include "manager/gauges.h"
#include "manager/metric.h"
#include "manager/stats.h"

static void metrics_gauges(const struct control_house *h, struct buffer *out)
{
	struct gauges g = gauges_look(h);
	struct audit_status audit;

	metric_family(out, "build_info", "", "gauge", "1, with the version");
	buffer_putf(out, "sekimori_build_info{version=\"%s\"} 1\n", SEKIMORI_VERSION);
	metric_gauge(out, "start_time_seconds", (uint64_t)h->started, "When the gate was started, since 1970");
	metric_gauge(out, "uptime_seconds", g.uptime, "For how long it has been running");
	metric_gauge(out, "config_loaded_timestamp_seconds", (uint64_t)h->loaded, "When the configuration in force was read, since 1970");
	metric_gauge(out, "config_reload_failed", h->reload_failed != 0, "1: the last reload failed");
	metric_gauge(out, "sessions_open", g.sessions, "Sessions of clients that are open");
	metric_gauge(out, "sessions_max", g.max_sessions, "Sessions of clients that may be open");
	metric_gauge(out, "queue_messages", g.queue, "Mails in the queue");
	metric_gauge(out, "queue_oldest_seconds", g.oldest, "Age of the oldest mail in the queue");
	metric_gauge(out, "spool_used_bytes", g.used, "Octets of the spool in use");
	metric_gauge(out, "spool_size_bytes", g.size, "Octets that the spool may have");
	metric_gauge(out, "disk_free_bytes", g.disk, "Octets that are free on the disk of the spool");
	if (h->certificate_until != INT64_MAX)
		metric_gauge(out, "certificate_expiry_timestamp_seconds", (uint64_t)h->certificate_until,
		      "When our certificate ends, since 1970");
	metric_gauge(out, "licences", h->licences, "Accounts and devices that are licensed");
	metric_gauge(out, "licences_used", h->licences_used, "Accounts and devices there are");
	audit_state(h->audit, &audit);
	if (audit.on) {
		metric_gauge(out, "audit_failed", audit.error[0] != '\0', "1: the audit file can't be written");
		metric_counter(out, "audit_records_lost", audit.lost, "Audit records that could not be written");
	}
	metric_counter(out, "log_lines_lost", g.lost, "Lines that no logger took");
}

static void metrics_counters(const struct control_house *h, struct buffer *out)
{
	for (size_t i = 0; i < TALLY_COUNTERS; i++)
		metric_counter(out, stats_metric(i), stats_total(h->stats, i), stats_help(i));
}

static void put_label(struct buffer *out, const char *text)
{
	for (; *text; text++)
		buffer_putf(out, *text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
}

static void metrics_alarms(struct buffer *out)
{
	metric_gauge(out, "alarms_open", alarm_count(), "Causes of alarms that are open");
	metric_family(out, "alarm_open", "", "gauge", "1, for each of them");
	for (const struct alarm *a = alarm_next(NULL); a && buffer_room(out) > ALARM_PIECE; a = alarm_next((struct alarm *)a)) {
		buffer_putf(out, "sekimori_alarm_open{alarm=\"%s\",cause=\"", alarm_name((enum alarm_kind)a->kind));
		put_label(out, a->cause);
		buffer_put_text(out, "\"} 1\n");
	}
}

static int64_t route_connections(const struct relay_status *s)
{
	return s->connections;
}

static int64_t route_up(const struct relay_status *s)
{
	return !s->down_for;
}

static int64_t route_success(const struct relay_status *s)
{
	return s->last_success;
}

static int64_t route_failure(const struct relay_status *s)
{
	return s->last_failure;
}

/* Negative: nothing is said of this one. */
static int64_t route_pop(const struct relay_status *s)
{
	return s->by_pop && s->pop_age >= 0 ? clock_seconds(s->pop_age) : -1;
}

static const struct {
	const char *name, *help;
	int64_t (*value)(const struct relay_status *s);
} route_metrics[] = {
	{ "relay_connections", "Connections to the next hop that are open", route_connections },
	{ "relay_up", "0: the next hop is left alone for a while", route_up },
	{ "relay_last_success_timestamp_seconds", "When it last took a mail, since 1970; 0: not yet", route_success },
	{ "relay_last_failure_timestamp_seconds", "When it last failed, since 1970; 0: not yet", route_failure },
	{ "relay_pop_login_age_seconds", "Since the last POP login", route_pop },
};

#define ROUTE_METRICS (sizeof(route_metrics) / sizeof(route_metrics[0]))

/* Names of relays need no escapes: letters, digits, - _ and a dot. */
static void metrics_routes(const struct control_house *h, size_t metric, struct buffer *out)
{
	struct relay_status s;

	metric_family(out, route_metrics[metric].name, "", "gauge", route_metrics[metric].help);
	for (unsigned i = 0; i < relay_route_count(h->relay); i++) {
		relay_status(h->relay, i, &s);
		if (route_metrics[metric].value(&s) >= 0)
			buffer_putf(out, "sekimori_%s{relay=\"%s\"} %" PRId64 "\n", route_metrics[metric].name, s.name,
				    route_metrics[metric].value(&s));
	}
}

bool metrics_piece(const struct control_house *h, uint64_t piece, struct buffer *out)
{
	if (piece == 0)
		metrics_gauges(h, out);
	else if (piece == 1)
		metrics_counters(h, out);
	else if (piece == 2)
		metrics_alarms(out);
	else if (piece < 3 + ROUTE_METRICS)
		metrics_routes(h, (size_t)piece - 3, out);
	else
		counterpart_metrics(h, (unsigned)(piece - 3 - ROUTE_METRICS), out);
	return piece + 1 < 3 + ROUTE_METRICS + COUNTERPART_METRICS;
}
