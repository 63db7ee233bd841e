#include "manager/alarms.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>

#include "base/alarm.h"
#include "base/clock.h"

#define DAY		86400		/* s */
#define SECOND_MS	1000
#define MINUTE_MS	60000
#define HOUR_MS		3600000		/* a day's line is at most an hour late; the clock may be stepped meanwhile */

#define PASSED_OVER	32		/* parked mails at the head of the queue; with more, somebody has to look anyway */

/* Nearly full, in percent that are left; it is over with LEFT_AGAIN. A disk of many gigabytes isn't full with 4 % left: DISK_SPARE. */
#define SPOOL_LEFT	20
#define DISK_LEFT	5
#define LEFT_AGAIN	5		/* percent more than that */
#define DISK_SPARE	(UINT64_C(256) << 20)	/* octets */

int64_t alarm_days(int64_t now, int64_t until)
{
	int64_t left = until - now;

	return clock_days(left >= 0 ? left : left - DAY + 1);
}

bool alarm_is_due(int64_t now, int64_t until)
{
	return until != INT64_MAX && clock_is_sane(now) && alarm_days(now, until) < ALARM_DAYS;
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
	char date[32], words[ALARM_WORDS_MAX + 1];
	struct record r;

	if (clock_is_sane(now)) {
		alarm_end(ALARM_CLOCK, SLICE_OF(""), clock_monotonic());
		return;
	}
	record_start(&r, "clock");
	record_word(&r, "alarm", "clock");
	record_word(&r, "today", date_text(now, date));
	snprintf(words, sizeof(words), "the clock says %s", date);
	record_word(&r, "built", date_text(CLOCK_FLOOR, date));
	if (alarm_raise(ALARM_CLOCK, SLICE_OF(""), slice_of(words), clock_monotonic()) == SEVERITY_ERR)
		log_record(SEVERITY_ERR, &r);
}

static void look_at_certificate(const struct alarms *a, const struct tls_context *c, const char *relay, const char *of)
{
	int64_t now = clock_wall(), until = c ? tls_context_valid_to(c) : INT64_MAX;
	char date[32], cause[ALARM_CAUSE_MAX + 1], words[ALARM_WORDS_MAX + 1];
	struct record r;

	if (!alarm_is_due(now, until))
		return;
	record_start(&r, "certificate");
	record_word(&r, "alarm", "certificate");
	record_number(&r, "days", alarm_days(now, until));
	record_word(&r, "until", date_text(until, date));
	record_word(&r, "relay", relay);
	record_word(&r, "cause", of);
	alarm_cause(cause, "%s%s%s", relay ? "relay " : "", relay ? relay : "", of ? of : "");
	snprintf(words, sizeof(words), "the certificate ends on %s", date);
	if (alarm_raise(ALARM_CERTIFICATE, slice_of(cause), slice_of(words), loop_now(a->house->loop)) == SEVERITY_ERR)
		log_record(SEVERITY_ERR, &r);
}

static void look_at_certificates(const struct alarms *a)
{
	const struct config *c = *a->config;

	look_at_certificate(a, config_tls(c), NULL, NULL);
	look_at_certificate(a, c->forward.context, NULL, "forward");
	for (unsigned i = 0; i < c->relay.route_count; i++)
		look_at_certificate(a, c->relay.routes[i].context, route_name(&c->relay.routes[i]), NULL);
	alarm_end_older(ALARM_CERTIFICATE, loop_now(a->house->loop));
}

/* Parked mail waits for a person already, and an alarm about our own mail about alarms would make one more each day. */
static bool waits_for_nobody(const struct spool_message *m)
{
	return relay_is_parked(m) || slice_equal(m->envelope.trust, SLICE_OF(NOTIFY_TRUST));
}

/* `words`: what was last said of it; empty when it can't be read, which is a reason as well. */
static bool is_late(const struct alarms *a, const struct spool_entry *e, char *memory, char words[FAULT_MAX])
{
	struct spool_message m;
	struct buffer b;
	bool late;

	words[0] = '\0';
	buffer_init(&b, memory, SPOOL_RECORD_MAX);
	if (spool_load(a->house->spool, e->id, &b, &m))
		return true;
	late = !waits_for_nobody(&m);
	slice_copy(slice_first(m.last_reply, FAULT_MAX - 1), words, FAULT_MAX);
	spool_message_end(&m);
	return late;
}

/* The oldest mail that is older than `limit` s; NULL: none is. Ids grow with time. */
static const struct spool_entry *find_late(const struct alarms *a, int64_t limit, char words[FAULT_MAX])
{
	struct spool *s = a->house->spool;
	const struct spool_entry *e = spool_next(s, 0);
	char *memory = e && relay_age(a->house->relay, e->arrived) >= limit ? malloc(SPOOL_RECORD_MAX) : NULL;

	for (unsigned n = 0; memory && e && n < PASSED_OVER; n++) {
		if (relay_age(a->house->relay, e->arrived) < limit)
			e = NULL;
		else if (is_late(a, e, memory, words))
			break;
		else
			e = spool_next(s, e->id);
	}
	e = memory ? e : NULL;
	free(memory);
	return e;
}

static void look_at_queue(const struct alarms *a)
{
	int64_t limit = clock_seconds((*a->config)->alarm_age), now = loop_now(a->house->loop), age;
	char reply[FAULT_MAX], words[ALARM_WORDS_MAX + 1], id[SPOOL_ID_TEXT];
	const struct spool_entry *e = limit ? find_late(a, limit, reply) : NULL;
	struct record r;

	if (!e) {
		alarm_end(ALARM_QUEUE, SLICE_OF(""), now);
		return;
	}
	age = relay_age(a->house->relay, e->arrived);
	spool_id_text(e->id, id);
	record_start(&r, "queue");
	record_word(&r, "alarm", "queue");
	record_word(&r, "id", id);
	record_number(&r, "age", age);
	record_number(&r, "queue", (int64_t)spool_count(a->house->spool));
	record_reason(&r, "error", slice_of(reply));
	snprintf(words, sizeof(words), "%zu mails wait, %s for %" PRIu64 " min: %.160s", spool_count(a->house->spool), id, (uint64_t)age / 60, reply);
	if (alarm_raise(ALARM_QUEUE, SLICE_OF(""), slice_of(words), now) == SEVERITY_ERR)
		log_record(SEVERITY_ERR, &r);
}

/* Between the two limits it stays as it was. */
static void judge_room(const struct alarms *a, enum alarm_kind kind, uint64_t left, uint64_t most, unsigned percent, const char *path)
{
	int64_t now = loop_now(a->house->loop);
	uint64_t share = most / 100 ? left / (most / 100) : 0;
	char words[ALARM_WORDS_MAX + 1];
	struct record r;

	if (share >= percent + LEFT_AGAIN) {
		alarm_end(kind, SLICE_OF(""), now);
		return;
	}
	if (share >= percent && !alarm_is_open(kind))
		return;
	record_start(&r, kind == ALARM_SPOOL ? "spool" : "disk");
	record_word(&r, "alarm", alarm_name(kind));
	record_number(&r, "free", (int64_t)left);
	record_number(&r, "of", (int64_t)most);
	record_text(&r, "path", slice_of(path));
	snprintf(words, sizeof(words), "%" PRIu64 " KiB of %" PRIu64 " KiB are free in %s", left / 1024, most / 1024, path);
	if (alarm_raise(kind, SLICE_OF(""), slice_of(words), now) == SEVERITY_ERR)
		log_record(SEVERITY_ERR, &r);
}

static void look_at_room(const struct alarms *a)
{
	const char *path = a->house->spool_path;
	uint64_t left, most;
	struct statvfs v;

	spool_room(a->house->spool, &left, &most);
	judge_room(a, ALARM_SPOOL, left, most, SPOOL_LEFT, path);
	if (statvfs(path, &v))
		return;
	left = (uint64_t)v.f_bavail * v.f_frsize;
	most = (uint64_t)v.f_blocks * v.f_frsize;
	if (most > DISK_SPARE / DISK_LEFT * 100)
		most = DISK_SPARE / DISK_LEFT * 100;
	judge_room(a, ALARM_DISK, left < most ? left : most, most, DISK_LEFT, path);
}

static void look(struct alarms *a)
{
	a->seen = *a->config;
	a->last_look = loop_now(a->house->loop);
	alarm_clock(clock_wall());
	look_at_certificates(a);
	look_at_queue(a);
	look_at_room(a);
}

static void before(struct watch *w)
{
	struct alarms *a = (struct alarms *)w;

	a->next_end = alarm_expire(loop_now(a->house->loop));
	notify_turn(&a->notify, &(*a->config)->relay, (*a->config)->alarm_to);
}

/* Mail that waits grows old, and what time may end is looked at: that is no idle gate. */
static int64_t period(const struct alarms *a)
{
	int64_t age = (*a->config)->alarm_age;

	if (!spool_count(a->house->spool) && !alarm_is_open(ALARM_DISK) && !alarm_is_open(ALARM_CLOCK) &&
	    !alarm_is_open(ALARM_QUEUE) && !alarm_is_open(ALARM_SPOOL))
		return HOUR_MS;
	return !age || age > MINUTE_MS ? MINUTE_MS : age < SECOND_MS ? SECOND_MS : age;
}

static void want(struct watch *w)
{
	const struct alarms *a = (const struct alarms *)w;
	int64_t mail = notify_deadline(&a->notify);

	w->events = 0;
	w->deadline = a->seen == *a->config ? a->last_look + period(a) : loop_now(a->house->loop);
	if (a->next_end < w->deadline)
		w->deadline = a->next_end;
	if (mail < w->deadline)
		w->deadline = mail;
}

/* `before` does the rest. */
static void ready(struct watch *w, short revents)
{
	struct alarms *a = (struct alarms *)w;

	(void)revents;
	if (a->seen != *a->config || loop_now(a->house->loop) >= a->last_look + period(a))
		look(a);
}

static void reap(struct watch *w)
{
	(void)w;
}

bool alarms_start(struct alarms *a, const struct control_house *house, struct config *const *config)
{
	*a = (struct alarms){ .house = house, .config = config, .next_end = INT64_MAX };
	a->watch = (struct watch){ .before = before, .want = want, .ready = ready, .reap = reap, .fd = -1 };
	notify_start(&a->notify, house->loop, house->keeper);
	return loop_add(house->loop, &a->watch);
}

void alarms_stop(struct alarms *a)
{
	notify_stop(&a->notify);
}
