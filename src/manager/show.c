#include "manager/show.h"

#include <string.h>
#include <time.h>

#include "base/json.h"

/* Fields that are numbers in JSON. */
static bool is_number(struct slice key, struct slice value)
{
	static const struct slice keys[] = {
		SLICE("code"), SLICE("level"), SLICE("rcpts"), SLICE("size"), SLICE("tries"), SLICE("age"), SLICE("display_addr"),
		SLICE("count"), SLICE("lost"), SLICE("octets"), SLICE("version"), SLICE("seq"),
	};
	uint64_t number;

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (slice_equal(key, keys[i]))
			return slice_number(value, UINT64_MAX, &number);
	return false;
}

static struct slice event_of(const struct chain_line *line)
{
	return slice_first(line->record, slice_find(line->record, ' '));
}

static bool is_event(const struct chain_line *line, const char *event)
{
	return slice_equal(event_of(line), slice_of(event));
}

void show_json(const struct chain_line *line, FILE *to)
{
	char memory[8 * AUDIT_LINE_MAX], plain[AUDIT_LINE_MAX];	/* at worst 6 octets each, and keys */
	struct slice rest = line->record, key, value;
	struct buffer out;

	buffer_init(&out, memory, sizeof(memory));
	buffer_putf(&out, "{\"time\":\"%.*s\",\"number\":%llu,\"event\":", SLICE_ARGS(line->time), (unsigned long long)line->number);
	json_text(&out, event_of(line));
	while (chain_next(&rest, &key, &value)) {
		if (!value.len)		/* " ...": what didn't fit */
			continue;
		buffer_put_text(&out, ",");
		json_text(&out, key);
		buffer_put_text(&out, ":");
		if (is_number(key, value))
			buffer_put(&out, value);
		else
			json_text(&out, chain_plain(value, plain));
	}
	buffer_put_text(&out, "}\n");
	fwrite(memory + out.head, 1, buffer_length(&out), to);
}

/* Local time; nothing for what is no time. */
static void put_time(struct slice text, FILE *to)
{
	static const size_t at[6] = { 0, 5, 8, 11, 14, 17 };
	uint64_t n[6] = { 0 };
	struct tm tm;
	time_t t;
	char out[32] = "";

	for (size_t i = 0; i < 6; i++)
		slice_number(slice_first(slice_skip(text, at[i]), i ? 2 : 4), 9999, &n[i]);
	tm = (struct tm){ .tm_year = (int)n[0] - 1900, .tm_mon = (int)n[1] - 1, .tm_mday = (int)n[2], .tm_hour = (int)n[3],
			  .tm_min = (int)n[4], .tm_sec = (int)n[5] };
	t = timegm(&tm);
	if (localtime_r(&t, &tm))
		strftime(out, sizeof(out), "%Y-%m-%d %H:%M:%S", &tm);
	fputs(out, to);
}

/* As it is written: with its escapes, so that nothing in it can steer a terminal. False: there is no such field, or it is empty. */
static bool put_field(const struct chain_line *line, const char *before, const char *key, const char *after, FILE *to)
{
	struct slice value;

	if (!chain_field(line->record, slice_of(key), &value) || !value.len)
		return false;
	if (slice_equal(value, SLICE_OF("\"\"")))
		return false;
	fprintf(to, "%s%.*s%s", before, SLICE_ARGS(value), after);
	return true;
}

static void put_fields(const struct chain_line *line, FILE *to)
{
	static const struct { const char *before, *key, *after; } rows[] = {
		{ ", at ", "at", "" }, { ", ", "code", "" }, { ", reason ", "reason", "" }, { ", would be refused", "would", "" },
		{ ", as ", "account", "" }, { ", login ", "login", "" }, { ", from ", "client", "" }, { ", listener ", "listener", "" },
		{ ", ", "tls", "" }, { ", From: ", "header_from", "" }, { ", level ", "level", "" }, { ", ", "size", " octets" },
		{ ", Message-ID ", "msgid", "" }, { ", agent ", "agent", "" }, { ", line ", "line", "" },
	};

	fputs("    ", to);
	if (!put_field(line, "", "id", "", to))
		fputs("-", to);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		put_field(line, rows[i].before, rows[i].key, rows[i].after, to);
	fputc('\n', to);
}

static void put_sender(const struct chain_line *line, FILE *to)
{
	if (!put_field(line, "  ", "from", "", to))
		fputs("  <>", to);
	put_field(line, " to ", "to", "", to);
}

static void show_message(const struct chain_line *line, FILE *to)
{
	struct slice rcpts;

	put_time(line->time, to);
	if (!put_field(line, "  ", "verdict", "", to))
		fputs("  refused", to);
	put_sender(line, to);
	if (chain_field(line->record, SLICE_OF("rcpts"), &rcpts) && !slice_equal(rcpts, SLICE_OF("1")) &&
	    !slice_equal(rcpts, SLICE_OF("0")))
		fprintf(to, " (%.*s recipients)", SLICE_ARGS(rcpts));
	fputc('\n', to);
	put_fields(line, to);
}

static void show_delivery(const struct chain_line *line, FILE *to)
{
	fputs("    ", to);
	put_time(line->time, to);
	put_field(line, "  ", "status", "", to);
	put_field(line, "  ", "to", "", to);
	put_field(line, "  ", "code", "", to);
	put_field(line, " ", "reply", "", to);
	put_field(line, "  at ", "host", "", to);
	fputc('\n', to);
}

static void show_other(const struct chain_line *line, FILE *to)
{
	fputs("    ", to);
	put_time(line->time, to);
	fprintf(to, "  %.*s\n", SLICE_ARGS(line->record));
}

void show_text(const struct chain_line *line, bool first, FILE *to)
{
	if (is_event(line, "message") || is_event(line, "refused")) {
		show_message(line, to);
		return;
	}
	if (first) {
		/* Its message's own record is in a file that is gone, or it has none: return mail. */
		put_time(line->time, to);
		fprintf(to, "  %.*s", SLICE_ARGS(event_of(line)));
		put_sender(line, to);
		put_field(line, "\n    ", "id", "", to);
		put_field(line, ", of ", "of", "", to);
		fputc('\n', to);
	}
	if (is_event(line, "delivery"))
		show_delivery(line, to);
	else if (is_event(line, "recipient"))
		put_field(line, "    also to ", "to", "\n", to);
	else
		show_other(line, to);
}
