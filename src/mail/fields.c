#include "mail/fields.h"

#include "base/limits.h"
#include "mail/from.h"

#define DAY		86400
#define WALL_MAX	INT64_C(253402214400)	/* 9999-12-31: the year has four digits */
#define ZONE_MAX	(24 * 60 - 1)		/* minutes; RFC 5322 3.3 has no more than +2359 */
#define DATE_SIZE	40			/* octets: "Sun, 22 Nov 2026 11:09:19 +0900", NUL */

struct civil {
	int year;
	int month;		/* 0 to 11 */
	int day;		/* 1 to 31 */
};

static int64_t clamp(int64_t value, int64_t least, int64_t most)
{
	return value < least ? least : value > most ? most : value;
}

/*
 * Gregorian date of a day counted from 1970-01-01. Years are counted from March, so that the leap
 * day is their last; 719468 days lie between 0000-03-01 and 1970-01-01.
 */
static struct civil civil_of(int days)
{
	int d = days + 719468;
	int era = d / 146097, of_era = d % 146097;		/* 400 years */
	int year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int of_year = of_era - (365 * year + year / 4 - year / 100);
	int month = (5 * of_year + 2) / 153;		/* 0 is March */
	struct civil c;

	c.day = of_year - (153 * month + 2) / 5 + 1;
	c.month = (month + 2) % 12;
	c.year = era * 400 + year + (month >= 10);
	return c;
}

static uint64_t local_of(int64_t wall, int east)
{
	return (uint64_t)clamp(clamp(wall, 0, WALL_MAX) + east * 60, 0, WALL_MAX);
}

bool fields_day(struct buffer *out, int64_t wall, int zone)
{
	uint64_t local = local_of(wall, (int)clamp(zone, -ZONE_MAX, ZONE_MAX));
	int day = (int)(local / DAY), of_day = (int)(local - (uint64_t)day * DAY);
	struct civil c = civil_of(day);

	return buffer_putf(out, "%04d-%02d-%02d %02d:%02d", c.year, c.month + 1, c.day, of_day / 3600, of_day / 60 % 60);
}

bool fields_date(struct buffer *out, int64_t wall, int zone)
{
	static const char days[7][4] = { "Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed" };
	static const char months[12][4] = {
		"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"
	};
	int east = (int)clamp(zone, -ZONE_MAX, ZONE_MAX), offset = east < 0 ? -east : east;
	uint64_t local = local_of(wall, east);
	int day = (int)(local / DAY), of_day = (int)(local - (uint64_t)day * DAY);
	struct civil c = civil_of(day);

	return buffer_putf(out, "%s, %d %s %04d %02d:%02d:%02d %c%02d%02d", days[day % 7],
			   c.day, months[c.month], c.year, of_day / 3600, of_day / 60 % 60,
			   of_day % 60, east < 0 ? '-' : '+', offset / 60, offset % 60);
}

/*
 * What a client calls itself, as far as it may stand for a domain in the field: parentheses,
 * blanks and semicolons would let it write clauses of its own.
 */
static struct slice clean_helo(struct slice helo, char *out, size_t size)
{
	helo = slice_first(helo, size);
	for (size_t i = 0; i < helo.len; i++) {
		char c = helo.at[i];
		bool plain = ascii_is_alnum(c) || c == '.' || c == '-' || c == '_' || c == ':' ||
			     c == '[' || c == ']';

		out[i] = plain ? c : '?';
	}
	return slice_bytes(out, helo.len);
}

bool fields_received(struct buffer *out, const struct received *r)
{
	char name[HOST_MAX], date[DATE_SIZE];
	struct slice helo = clean_helo(r->helo, name, sizeof(name));
	struct buffer when;
	struct address recipient;
	bool for_one = address_parse(r->recipient, &recipient), encrypted = r->tls.len > 0;
	struct slice none = { "", 0 };

	buffer_init(&when, date, sizeof(date));
	fields_date(&when, r->wall, r->zone);
	if (helo.len == 0)
		helo = r->client;
	return buffer_putf(out,
			   "Received: from %.*s\r\n\t(%.*s)\r\n\tby %.*s with %s%s%.*s%s\r\n"
			   "\tid %.*s%s%.*s%s;\r\n\t%.*s\r\n",
			   SLICE_ARGS(helo), SLICE_ARGS(r->client), SLICE_ARGS(r->by), r->with,
			   encrypted ? "\r\n\t(" : "", SLICE_ARGS(encrypted ? r->tls : none),
			   encrypted ? ")" : "", SLICE_ARGS(r->id),
			   for_one ? "\r\n\tfor <" : "", SLICE_ARGS(for_one ? r->recipient : none),
			   for_one ? ">" : "", SLICE_ARGS(buffer_bytes(&when)));
}

/* From: is put together, and read as a mail of a user's would be (R8). */
static bool is_safe_name(struct slice name, struct slice address)
{
	char memory[FIELD_SHORT_MAX + ADDRESS_MAX + 4];
	struct address mailbox;
	struct buffer body;
	bool other;

	buffer_init(&body, memory, sizeof(memory));
	return name.len > 0 && buffer_putf(&body, "%.*s <%.*s>", SLICE_ARGS(name), SLICE_ARGS(address)) &&
	       from_read(buffer_bytes(&body), &mailbox, &other) == FROM_OK && !other &&
	       slice_equal(address_text(&mailbox), address);
}

static struct slice display_name(struct slice original)
{
	size_t angle = 0;

	if (original.len >= FIELD_SHORT_MAX)	/* cut, perhaps within the name */
		return slice_bytes("", 0);
	for (size_t i = 0; i < original.len; i++)
		if (original.at[i] == '<')
			angle = i;
	return slice_trim(slice_first(original, angle));
}

bool fields_from(struct buffer *out, struct slice original, struct slice address)
{
	struct slice name = display_name(original);

	if (is_safe_name(name, address))
		return buffer_putf(out, "%.*s <%.*s>", SLICE_ARGS(name), SLICE_ARGS(address));
	return buffer_put(out, address);
}

/* RFC 5321 4.1.2: without the empty words that Japanese mobile addresses have (R67). */
static bool is_local_part(struct slice local)
{
	char before = '.';

	if (local.len > 1 && local.at[0] == '"')
		return true;	/* address_parse has seen to the rest */
	for (size_t i = 0; i < local.len; i++) {
		if (local.at[i] == '.' ? before == '.' : !address_is_atext(local.at[i]))
			return false;
		before = local.at[i];
	}
	return before != '.';
}

/* What RFC 8601 2.2 lets stand unquoted: `[ local-part ] "@" domain-name`, which has two words at least (RFC 6376 3.5). */
static bool is_pvalue(struct slice value)
{
	struct address a;
	struct slice domain;

	if (!address_parse(value, &a))
		return false;
	domain = slice_skip(value, a.local_len + 1u);
	return is_local_part(slice_first(value, a.local_len)) && address_is_domain(domain) &&
	       slice_find(domain, '.') < domain.len;
}

/* A value of RFC 8601 2.2: an address as it is, all else as a quoted-string. */
static bool put_value(struct buffer *out, const char *name, struct slice value)
{
	bool ok;

	if (is_pvalue(value))
		return buffer_putf(out, "%s%.*s", name, SLICE_ARGS(value));
	ok = buffer_putf(out, "%s\"", name);
	for (size_t i = 0; i < value.len; i++) {
		char c = ascii_is_print(value.at[i]) ? value.at[i] : '?';

		ok = buffer_putf(out, "%s%c", c == '"' || c == '\\' ? "\\" : "", c) && ok;
	}
	return buffer_put_text(out, "\"") && ok;
}

bool fields_auth_results(struct buffer *out, const struct auth_results *r)
{
	bool ok = buffer_putf(out, "Authentication-Results: %.*s;\r\n\tauth=%s", SLICE_ARGS(r->by),
			      r->account.len > 0 ? "pass" : "none");

	if (r->account.len > 0)
		ok = put_value(out, " smtp.auth=", r->account) && ok;
	if (r->mail_from.len > 0)
		ok = put_value(out, "\r\n\tsmtp.mailfrom=", r->mail_from) && ok;
	return buffer_put_text(out, "\r\n") && ok;
}
