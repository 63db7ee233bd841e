#include "manager/alarms.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"

#define DAY	86400		/* s */
#define LOOK_MS	3600000		/* a day's line is at most an hour late; the clock may be stepped meanwhile */

int64_t alarm_days(int64_t now, int64_t until)
{
	int64_t left = until - now;

	return left >= 0 ? left / DAY : -((-left + DAY - 1) / DAY);
}

bool alarm_is_due(int64_t now, int64_t until, int64_t last)
{
	if (until == INT64_MAX || !clock_is_sane(now) || alarm_days(now, until) >= ALARM_DAYS)
		return false;
	return last == 0 || now < last || now - last >= DAY;
}

/* "2026-11-22", of UTC; NULL for a year beyond all calendars. */
static const char *date_text(int64_t wall, char out[32])
{
	time_t t = (time_t)wall;
	struct tm tm;

	return gmtime_r(&t, &tm) && strftime(out, 32, "%Y-%m-%d", &tm) ? out : NULL;
}

void alarm_clock(int64_t now)
{
	char date[32];
	struct record r;

	if (clock_is_sane(now))
		return;
	record_start(&r, "clock");
	record_word(&r, "alarm", "clock");
	record_word(&r, "today", date_text(now, date));
	record_word(&r, "built", date_text(CLOCK_FLOOR, date));
	log_record(SEVERITY_ERR, &r);
}

static void tell_certificate(int64_t now, int64_t until, const char *relay)
{
	char date[32];
	struct record r;

	record_start(&r, "certificate");
	record_word(&r, "alarm", "certificate");
	record_number(&r, "days", alarm_days(now, until));
	record_word(&r, "until", date_text(until, date));
	record_word(&r, "relay", relay);
	log_record(SEVERITY_ERR, &r);
}

static void look_at(struct alarms *a, unsigned row, const struct tls_context *c, const char *relay)
{
	int64_t now = clock_wall(), until = c ? tls_context_valid_to(c) : INT64_MAX;

	if (!alarm_is_due(now, until, a->last[row]))
		return;
	a->last[row] = now;
	tell_certificate(now, until, relay);
}

static void want(struct watch *w)
{
	const struct alarms *a = (const struct alarms *)w;

	w->events = 0;
	w->deadline = *a->config == a->seen ? a->next_look : loop_now(a->loop);
}

static void ready(struct watch *w, short revents)
{
	struct alarms *a = (struct alarms *)w;
	const struct config *c = *a->config;

	(void)revents;
	if (c != a->seen)
		memset(a->last, 0, sizeof(a->last));
	a->seen = c;
	a->next_look = loop_now(a->loop) + LOOK_MS;
	look_at(a, 0, c->ingest.tls, NULL);
	for (unsigned i = 0; i < c->relay.route_count; i++)
		look_at(a, 1 + i, c->relay.routes[i].context, route_name(&c->relay.routes[i]));
}

static void reap(struct watch *w)
{
	(void)w;
}

bool alarms_start(struct alarms *a, struct loop *l, struct config *const *config)
{
	*a = (struct alarms){ .loop = l, .config = config };
	a->watch = (struct watch){ .want = want, .ready = ready, .reap = reap, .fd = -1 };
	return loop_add(l, &a->watch);
}
