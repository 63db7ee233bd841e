#include "manager/when.h"

#include <time.h>

/* Exactly so many digits, then `end` unless that is 0. */
static bool take_digits(struct slice *rest, size_t digits, char end, int *value)
{
	uint64_t number;

	if (rest->len < digits + (end != 0) || !slice_number(slice_first(*rest, digits), 9999, &number) ||
	    (end && rest->at[digits] != end))
		return false;
	*value = (int)number;
	*rest = slice_skip(*rest, digits + (end != 0));
	return true;
}

/* "10:00" or "10:00:30" */
static bool take_clock(struct slice text, struct tm *t)
{
	if (!take_digits(&text, 2, ':', &t->tm_hour) || !take_digits(&text, 2, 0, &t->tm_min))
		return false;
	if (text.len && (text.at[0] != ':' || (text = slice_skip(text, 1), !take_digits(&text, 2, 0, &t->tm_sec))))
		return false;
	return !text.len && t->tm_hour < 24 && t->tm_min < 60 && t->tm_sec < 60;
}

static bool take_date(struct slice *text, struct tm *t)
{
	struct tm asked;

	if (!take_digits(text, 4, '-', &t->tm_year) || !take_digits(text, 2, '-', &t->tm_mon) ||
	    !take_digits(text, 2, 0, &t->tm_mday))
		return false;
	t->tm_year -= 1900;
	t->tm_mon--;
	asked = *t;
	asked.tm_isdst = -1;
	/* There is no February 30th. */
	return t->tm_year >= 70 && mktime(&asked) != -1 && asked.tm_mday == t->tm_mday && asked.tm_mon == t->tm_mon;
}

static bool finish(struct tm *t, int64_t *out)
{
	time_t at;

	t->tm_isdst = -1;
	at = mktime(t);
	*out = (int64_t)at;
	return at != -1;
}

/* The day that begins `days` before the one of t. */
static bool whole_day(struct tm *t, int days, bool end, int64_t *out)
{
	t->tm_hour = t->tm_min = t->tm_sec = 0;
	t->tm_mday += end - days;
	if (!finish(t, out))
		return false;
	*out -= end;
	return true;
}

static bool parse_ago(struct slice text, int64_t now, int64_t *out)
{
	static const struct { char letter; int64_t seconds; } units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
	uint64_t number;

	if (text.len < 2 || !slice_number(slice_first(text, text.len - 1), 1000000, &number))
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (text.at[text.len - 1] == units[i].letter) {
			*out = now - (int64_t)number * units[i].seconds;
			return true;
		}
	return false;
}

bool when_parse(struct slice text, int64_t now, bool end, int64_t *out)
{
	time_t today = (time_t)now;
	struct tm t, clock = { 0 };

	if (!localtime_r(&today, &t))
		return false;
	if (slice_equal(text, SLICE_OF("now")))
		return parse_ago(SLICE_OF("0s"), now, out);
	if (slice_equal(text, SLICE_OF("today")) || slice_equal(text, SLICE_OF("yesterday")))
		return whole_day(&t, text.at[0] == 'y', end, out);
	if (parse_ago(text, now, out))
		return true;
	if (take_clock(text, &clock)) {
		t.tm_hour = clock.tm_hour;
		t.tm_min = clock.tm_min;
		t.tm_sec = clock.tm_sec;
		if (!finish(&t, out))
			return false;
		t.tm_mday -= *out > now;
		return finish(&t, out);
	}
	if (!take_date(&text, &clock))
		return false;
	if (!text.len)
		return whole_day(&clock, 0, end, out);
	return (text.at[0] == ' ' || text.at[0] == 'T') && take_clock(slice_skip(text, 1), &clock) && finish(&clock, out);
}
