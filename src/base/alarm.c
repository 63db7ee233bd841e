#include "base/alarm.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

#define DAY_MS	INT64_C(86400000)

static const char *const names[ALARM_KINDS] = {
	[ALARM_UPSTREAM_LOGIN] = "upstream-login", [ALARM_LOOP] = "loop", [ALARM_LOCKOUT] = "lockout",
	[ALARM_CERTIFICATE] = "certificate", [ALARM_CLOCK] = "clock", [ALARM_QUEUE] = "queue", [ALARM_SPOOL] = "spool",
	[ALARM_DISK] = "disk", [ALARM_AUDIT] = "audit", [ALARM_FORWARD] = "forward",
};

/* A row that is over is kept for its day: raised again in it, it is no news. */
static struct alarm rows[ALARMS_MAX];
static unsigned open_count;

struct slice alarm_cause(char out[ALARM_CAUSE_MAX + 1], const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(out, ALARM_CAUSE_MAX + 1, format, arguments);
	va_end(arguments);
	return slice_of(out);
}

const char *alarm_name(enum alarm_kind kind)
{
	return names[kind];
}

static void keep(struct slice text, char *out, size_t size)
{
	slice_copy(slice_first(text, size - 1), out, size);
	ascii_tame(out);
}

static struct alarm *find(enum alarm_kind kind, const char *cause)
{
	for (size_t i = 0; i < ALARMS_MAX; i++)
		if (rows[i].told && rows[i].kind == kind && !strcmp(rows[i].cause, cause))
			return &rows[i];
	return NULL;
}

/* A free one; else one that is over; else the one told longest ago. */
static struct alarm *worst_row(void)
{
	struct alarm *worst = &rows[0];

	for (size_t i = 1; i < ALARMS_MAX; i++)
		if (rows[i].open != worst->open ? worst->open : rows[i].told < worst->told)
			worst = &rows[i];
	return worst;
}

static struct alarm *take_row(enum alarm_kind kind, const char *cause)
{
	struct alarm *a = find(kind, cause);

	if (a)
		return a;
	a = worst_row();
	open_count -= a->open;
	*a = (struct alarm){ .kind = (uint8_t)kind };
	slice_copy(slice_of(cause), a->cause, sizeof(a->cause));
	return a;
}

enum severity alarm_raise_for(enum alarm_kind kind, struct slice cause, struct slice words, int64_t now, int64_t for_ms)
{
	char text[ALARM_CAUSE_MAX + 1];
	struct alarm *a;

	keep(cause, text, sizeof(text));
	a = take_row(kind, text);
	if (!a->open) {
		a->open = true;
		a->since = now;
		a->count = 0;
		open_count++;
	}
	a->count++;
	a->last = now;
	a->until = for_ms ? now + for_ms : INT64_MAX;
	keep(words, a->words, sizeof(a->words));
	if (a->told && now - a->told < DAY_MS)
		return SEVERITY_WARNING;
	a->told = now > 0 ? now : 1;
	a->unsent = true;
	return SEVERITY_ERR;
}

enum severity alarm_raise(enum alarm_kind kind, struct slice cause, struct slice words, int64_t now)
{
	return alarm_raise_for(kind, cause, words, now, 0);
}

static void end(struct alarm *a, int64_t now)
{
	struct record r;

	a->open = a->unsent = false;
	open_count--;
	record_start(&r, "alarm-over");
	record_word(&r, "kind", names[a->kind]);
	record_number(&r, "for", clock_seconds(now - a->since));
	record_text(&r, "cause", slice_of(a->cause));
	log_record(SEVERITY_NOTICE, &r);
}

void alarm_end(enum alarm_kind kind, struct slice cause, int64_t now)
{
	char text[ALARM_CAUSE_MAX + 1];
	struct alarm *a;

	if (!open_count)
		return;
	keep(cause, text, sizeof(text));
	a = find(kind, text);
	if (a && a->open)
		end(a, now);
}

void alarm_end_all(enum alarm_kind kind, int64_t now)
{
	for (struct alarm *a = alarm_next(NULL); a; a = alarm_next(a))
		if (a->kind == kind)
			end(a, now);
}

void alarm_end_older(enum alarm_kind kind, int64_t now)
{
	for (struct alarm *a = alarm_next(NULL); a; a = alarm_next(a))
		if (a->kind == kind && a->last < now)
			end(a, now);
}

bool alarm_is_open(enum alarm_kind kind)
{
	for (const struct alarm *a = alarm_next(NULL); a; a = alarm_next((struct alarm *)a))
		if (a->kind == kind)
			return true;
	return false;
}

int64_t alarm_expire(int64_t now)
{
	int64_t next = INT64_MAX;

	for (struct alarm *a = alarm_next(NULL); a; a = alarm_next(a)) {
		if (a->until <= now)
			end(a, now);
		else if (a->until < next)
			next = a->until;
	}
	return next;
}

struct alarm *alarm_next(struct alarm *after)
{
	size_t i = after ? (size_t)(after - rows) + 1 : 0;

	if (!open_count)
		return NULL;
	while (i < ALARMS_MAX && !rows[i].open)
		i++;
	return i < ALARMS_MAX ? &rows[i] : NULL;
}

unsigned alarm_count(void)
{
	return open_count;
}

void alarm_reset(void)
{
	memset(rows, 0, sizeof(rows));
	open_count = 0;
}
