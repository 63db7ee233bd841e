#include "manager/status.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/alarm.h"
#include "base/clock.h"
#include "base/json.h"
#include "manager/alarms.h"
#include "manager/counterpart.h"
#include "manager/gauges.h"
#include "manager/listing.h"
#include "manager/metrics.h"
#include "manager/stats.h"

#define ERROR_SHOWN	400		/* octets of a relay's last error */

static const unsigned spans[] = { 5, 60 };	/* minutes, of the counters */

/* For a person */

static void text_head(const struct control_house *h, struct buffer *out)
{
	struct gauges g = gauges_look(h);
	char when[LISTING_TIME_MAX];

	buffer_putf(out, "sekimori %s, up since %s\n", SEKIMORI_VERSION, listing_time(h->started, when));
	buffer_putf(out, "configuration read %s", listing_time(h->loaded, when));
	if (h->reload_failed)
		buffer_putf(out, "; the reload of %s FAILED", listing_time(h->reload_failed, when));
	buffer_putf(out, "\nsessions open: %" PRIu64 " of %" PRIu64 "\n", g.sessions, g.max_sessions);
	buffer_putf(out, "queue: %" PRIu64 " messages", g.queue);
	if (g.queue)
		buffer_putf(out, ", the oldest %" PRIu64 " s old", g.oldest);
	buffer_putf(out, "; spool %" PRIu64 " KiB of %" PRIu64 " KiB; %" PRIu64 " MiB free on its disk\n", g.used / 1024,
		    g.size / 1024, g.disk >> 20);
	if (g.lost)
		buffer_putf(out, "log lines lost: %" PRIu64 "\n", g.lost);
	buffer_putf(out, "licences: %" PRIu64 " of %" PRIu64 " used%s\n", h->licences_used, h->licences,
		    h->licences_used > h->licences ? ": MORE THAN THERE ARE" : "");
}

static void text_audit(const struct control_house *h, struct buffer *out)
{
	struct audit_status s;

	audit_state(h->audit, &s);
	if (!s.on)
		return;
	buffer_putf(out, "audit: record %" PRIu64 ", ", s.number);
	listing_tame(out, slice_of(s.path));
	if (s.lost)
		buffer_putf(out, "; records lost: %" PRIu64, s.lost);
	buffer_put_text(out, "\n");
	if (s.error[0]) {
		buffer_put_text(out, "  can't be written: ");
		listing_tame(out, slice_of(s.error));
		buffer_put_text(out, "\n");
	}
}

static void text_counters(const struct control_house *h, struct buffer *out)
{
	buffer_putf(out, "%-18s %12s %8s %8s\n", "", "since start", "60 min", "5 min");
	for (size_t i = 0; i < TALLY_COUNTERS; i++)
		buffer_putf(out, "%-18s %12" PRIu64 " %8" PRIu64 " %8" PRIu64 "\n", stats_name(i), stats_total(h->stats, i),
			    stats_last(h->stats, i, 60), stats_last(h->stats, i, 5));
}

static void text_certificate(const struct control_house *h, struct buffer *out)
{
	int64_t days = alarm_days(clock_wall(), h->certificate_until);
	char until[LISTING_TIME_MAX];

	if (h->certificate_until != INT64_MAX)
		buffer_putf(out, "certificate: until %s, %" PRId64 " days left%s\n", listing_time(h->certificate_until, until),
			    days, days < ALARM_DAYS ? ": renew it" : "");
}

/* Wall, seconds. */
static int64_t since(const struct control_house *h, const struct alarm *a)
{
	return clock_wall() - clock_seconds(loop_now(h->loop) - a->since);
}

static void text_alarms(const struct control_house *h, struct buffer *out)
{
	char when[LISTING_TIME_MAX];

	for (const struct alarm *a = alarm_next(NULL); a && buffer_room(out) > ALARM_PIECE; a = alarm_next((struct alarm *)a))
		buffer_putf(out, "ALARM %s%s%s, since %s\n  %s\n", alarm_name((enum alarm_kind)a->kind), a->cause[0] ? ": " : "",
			    a->cause, listing_time(since(h, a), when), a->words);
}

static void text_route(const struct relay_status *s, struct buffer *out)
{
	char when[LISTING_TIME_MAX];

	buffer_putf(out, "relay %s (%s): %u connections, last success %s", s->name, s->host, s->connections,
		    listing_time(s->last_success, when));
	if (s->last_failure)
		buffer_putf(out, ", last failure %s", listing_time(s->last_failure, when));
	if (s->rate)
		buffer_putf(out, ", %u messages a minute", s->rate);
	if (s->by_pop && s->pop_age < 0)
		buffer_put_text(out, ", no POP login yet");
	else if (s->by_pop)
		buffer_putf(out, ", POP login %" PRId64 " s ago", clock_seconds(s->pop_age));
	if (s->wait == WAIT_RATE)
		buffer_put_text(out, ", waits for the rate");
	if (s->down_for)
		buffer_putf(out, ", tried again in %" PRId64 " s", clock_seconds(s->down_for + 999));
	if (s->last_error[0]) {
		buffer_put_text(out, "\n  ");
		listing_tame(out, slice_of(s->last_error));
	}
	buffer_put_text(out, "\n");
}

/* The head, the relays, the agents. */
static bool text_piece(const struct control_house *h, uint64_t piece, struct buffer *out)
{
	unsigned routes = relay_route_count(h->relay);
	struct relay_status s;

	if (piece == 0) {
		text_head(h, out);
		text_audit(h, out);
		counterpart_text(h, out);
		text_counters(h, out);
		text_certificate(h, out);
		text_alarms(h, out);
		return true;
	}
	if (piece <= routes) {
		relay_status(h->relay, (unsigned)piece - 1, &s);
		text_route(&s, out);
		return true;
	}
	return counterpart_text_agent(h, (unsigned)piece - 1 - routes, out);
}

/* JSON */

static void json_counters(const struct control_house *h, const char *name, unsigned minutes, struct buffer *out)
{
	buffer_putf(out, ",\"%s\":{", name);
	for (size_t i = 0; i < TALLY_COUNTERS; i++)
		buffer_putf(out, "%s\"%s\":%" PRIu64, i ? "," : "", stats_name(i),
			    minutes ? stats_last(h->stats, i, minutes) : stats_total(h->stats, i));
	buffer_put_text(out, "}");
}

static void json_alarms(const struct control_house *h, struct buffer *out)
{
	buffer_put_text(out, ",\"alarms\":[");
	for (const struct alarm *a = alarm_next(NULL); a && buffer_room(out) > ALARM_PIECE; a = alarm_next((struct alarm *)a)) {
		buffer_putf(out, "%s{\"alarm\":\"%s\",\"cause\":", a == alarm_next(NULL) ? "" : ",", alarm_name((enum alarm_kind)a->kind));
		json_text(out, slice_of(a->cause));
		buffer_putf(out, ",\"since\":%" PRId64 ",\"count\":%" PRIu32 ",\"words\":", since(h, a), a->count);
		json_text(out, slice_of(a->words));
		buffer_put_text(out, "}");
	}
	buffer_put_text(out, "]");
}

static void json_audit(const struct control_house *h, struct buffer *out)
{
	struct audit_status s;

	buffer_putf(out, ",\"licences\":%" PRIu64 ",\"licences_used\":%" PRIu64, h->licences, h->licences_used);
	audit_state(h->audit, &s);
	if (!s.on)
		return;
	buffer_putf(out, ",\"audit\":{\"number\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"file\":", s.number, s.lost);
	json_text(out, slice_of(s.path));
	buffer_put_text(out, ",\"error\":");
	json_text(out, slice_of(s.error));
	buffer_put_text(out, "}");
}

static void json_head(const struct control_house *h, struct buffer *out)
{
	struct gauges g = gauges_look(h);

	buffer_putf(out, "{\"version\":\"%s\",\"since\":%" PRId64 ",\"uptime\":%" PRIu64 ",\"loaded\":%" PRId64
		    ",\"reload_failed\":%" PRId64, SEKIMORI_VERSION, h->started, g.uptime, h->loaded, h->reload_failed);
	buffer_putf(out, ",\"sessions\":%" PRIu64 ",\"max_sessions\":%" PRIu64 ",\"queue\":%" PRIu64 ",\"queue_oldest\":%" PRIu64,
		    g.sessions, g.max_sessions, g.queue, g.oldest);
	buffer_putf(out, ",\"spool_used\":%" PRIu64 ",\"spool_size\":%" PRIu64 ",\"disk_free\":%" PRIu64 ",\"log_lost\":%" PRIu64,
		    g.used, g.size, g.disk, g.lost);
	json_audit(h, out);
	counterpart_json(h, out);
	json_counters(h, "counters", 0, out);
	for (size_t i = 0; i < sizeof(spans) / sizeof(spans[0]); i++) {
		char name[32];

		snprintf(name, sizeof(name), "last_%u_minutes", spans[i]);
		json_counters(h, name, spans[i], out);
	}
	if (h->certificate_until != INT64_MAX)
		buffer_putf(out, ",\"certificate\":{\"until\":%" PRId64 ",\"days\":%" PRId64 "}", h->certificate_until,
			    alarm_days(clock_wall(), h->certificate_until));
	json_alarms(h, out);
	buffer_put_text(out, ",\"relays\":[");
}

static void json_route(const struct relay_status *s, bool first, struct buffer *out)
{
	buffer_putf(out, "%s{\"name\":", first ? "" : ",");
	json_text(out, slice_of(s->name));
	buffer_put_text(out, ",\"host\":");
	json_text(out, slice_of(s->host));
	buffer_putf(out, ",\"connections\":%u,\"last_success\":%" PRId64 ",\"last_failure\":%" PRId64 ",\"down_for\":%" PRId64
		    ",\"rate\":%u,\"waits_for\":\"%s\",\"last_error\":", s->connections, s->last_success, s->last_failure,
		    clock_seconds(s->down_for + 999), s->rate, relay_wait_name(s->wait));
	json_text(out, slice_first(slice_of(s->last_error), ERROR_SHOWN));
	if (s->by_pop)
		buffer_putf(out, ",\"pop_login_age\":%" PRId64, s->pop_age < 0 ? -1 : clock_seconds(s->pop_age));
	buffer_put_text(out, "}");
}

static bool json_piece(const struct control_house *h, uint64_t piece, struct buffer *out)
{
	unsigned routes = relay_route_count(h->relay);
	struct relay_status s;

	if (piece == 0) {
		json_head(h, out);
		return true;
	}
	if (piece <= routes) {
		relay_status(h->relay, (unsigned)piece - 1, &s);
		json_route(&s, piece == 1, out);
		return true;
	}
	if (piece == routes + 1)
		buffer_put_text(out, "],\"agents\":[");
	if (counterpart_json_agent(h, (unsigned)piece - 1 - routes, out))
		return true;
	buffer_put_text(out, "]}\n");
	return false;
}

bool status_piece(const struct control_house *h, enum status_form form, uint64_t piece, struct buffer *out)
{
	static bool (*const pieces[])(const struct control_house *h, uint64_t piece, struct buffer *out) = {
		[FORM_TEXT] = text_piece, [FORM_JSON] = json_piece, [FORM_PROMETHEUS] = metrics_piece
	};

	if (piece == 0)
		stats_take(h->stats);
	return pieces[form](h, piece, out);
}
