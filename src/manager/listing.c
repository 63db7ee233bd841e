#include "manager/listing.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/json.h"
#include "manager/setting.h"

/* Octets of a value shown in a listing. */
#define SHOWN_MAX	400

static const char *const wait_words[] = {
	[WAIT_NOT] = "", [WAIT_CONNECTION] = "waits for a connection", [WAIT_RATE] = "waits for the rate",
	[WAIT_DOWN] = "waits for the relay", [WAIT_LOGIN] = "waits for its account to log in"
};

struct loaded {				/* a message as read for a listing */
	struct spool_message message;
	char *memory;
};

static int load(const struct control_house *h, uint64_t id, struct loaded *l)
{
	struct buffer memory;
	int result;

	l->memory = malloc(SPOOL_RECORD_MAX);
	if (!l->memory)
		return -ENOMEM;
	buffer_init(&memory, l->memory, SPOOL_RECORD_MAX);
	result = spool_load(h->spool, id, &memory, &l->message);
	if (result)
		free(l->memory);
	return result;
}

static void unload(struct loaded *l)
{
	spool_message_end(&l->message);
	free(l->memory);
}

static struct slice shown(struct slice s)
{
	return slice_first(s, SHOWN_MAX);
}

void listing_tame(struct buffer *out, struct slice s)
{
	for (size_t i = 0; i < s.len && i < SHOWN_MAX; i++)
		buffer_put(out, ascii_is_print(s.at[i]) ? slice_bytes(s.at + i, 1) : SLICE_OF("?"));
}

const char *listing_time(int64_t wall, char out[LISTING_TIME_MAX])
{
	time_t t = (time_t)wall;
	struct tm tm;

	out[0] = '\0';
	if (wall && localtime_r(&t, &tm))
		strftime(out, LISTING_TIME_MAX, "%Y-%m-%d %H:%M:%S", &tm);
	return wall ? out : "never";
}

void listing_queue_head(bool json, struct buffer *out)
{
	if (json)
		buffer_put_text(out, "{\"messages\":[");
}

void listing_queue_foot(const struct control_house *h, bool json, struct buffer *out)
{
	if (json)
		buffer_put_text(out, "]}\n");
	else
		buffer_putf(out, "%zu messages in the queue\n", spool_count(h->spool));
}

static int64_t seconds_until(const struct control_house *h, const struct spool_entry *e)
{
	int64_t ms = e->taken ? 0 : e->next_attempt - loop_now(h->loop);

	return ms > 0 ? clock_seconds(ms + 999) : 0;
}

static int64_t age_of(const struct spool_entry *e)
{
	int64_t age = clock_wall() - e->arrived;

	return age > 0 ? age : 0;
}

static void put_address(struct buffer *out, struct slice address)
{
	buffer_put_text(out, "<");
	listing_tame(out, address);
	buffer_put_text(out, ">");
}

/* The recipients still to be served, as far as there is room for them in a line. */
static void put_pending(const struct spool_message *m, bool json, struct buffer *out)
{
	struct slice rest = m->envelope.recipients, to;
	unsigned n = 0;

	for (size_t i = 0; envelope_next(&rest, &to) && i < m->states.len; i++) {
		if (!recipient_is_pending(m->states.at[i]))
			continue;
		if (buffer_room(out) < LISTING_PIECE_MAX / 4) {
			buffer_put_text(out, json ? "" : " ...");
			return;
		}
		buffer_put_text(out, n++ ? json ? "," : " " : "");
		if (json)
			json_text(out, to);
		else
			put_address(out, to);
	}
}

static void put_entry_json(const struct control_house *h, const struct spool_entry *e, const struct spool_message *m,
			   const char *id, struct buffer *out)
{
	buffer_putf(out, "{\"id\":\"%s\",\"age\":%" PRId64 ",\"size\":%" PRIu64 ",\"attempts\":%" PRIu32
		    ",\"next_attempt\":%" PRId64 ",\"active\":%s,\"sender\":", id, age_of(e), e->size, e->attempts,
		    seconds_until(h, e), e->taken ? "true" : "false");
	json_text(out, m->envelope.sender);
	buffer_put_text(out, ",\"account\":");
	json_text(out, m->envelope.account);
	buffer_putf(out, ",\"waits_for\":\"%s\",\"parked\":%s", relay_wait_name(relay_waits_for(h->relay, e, m)),
		    relay_is_parked(m) ? "true" : "false");
	buffer_put_text(out, ",\"last_reply\":");
	json_text(out, shown(m->last_reply));
	buffer_put_text(out, ",\"recipients\":[");
	put_pending(m, true, out);
	buffer_put_text(out, "]}");
}

static void put_entry_text(const struct control_house *h, const struct spool_entry *e, const struct spool_message *m,
			   const char *id, struct buffer *out)
{
	enum relay_wait wait = relay_waits_for(h->relay, e, m);

	buffer_putf(out, "%s  %" PRId64 " s old, %" PRIu64 " octets, %" PRIu32 " attempts, ", id, age_of(e), e->size,
		    e->attempts);
	if (e->taken)
		buffer_put_text(out, "being sent");
	else if (relay_is_parked(m) && seconds_until(h, e))
		buffer_putf(out, "parked, dropped in %" PRId64 " s", seconds_until(h, e));
	else if (wait != WAIT_NOT)
		buffer_putf(out, "%s", wait_words[wait]);
	else
		buffer_putf(out, "next in %" PRId64 " s", seconds_until(h, e));
	buffer_put_text(out, "\n  ");
	put_address(out, m->envelope.sender);
	buffer_put_text(out, " to ");
	put_pending(m, false, out);
	if (m->last_reply.len)
		buffer_put_text(out, "\n  ");
	listing_tame(out, m->last_reply);
	buffer_put_text(out, "\n");
}

void listing_queue_entry(const struct control_house *h, const struct spool_entry *e, bool json, bool first,
			 struct buffer *out)
{
	char id[SPOOL_ID_TEXT];
	struct loaded l;
	int result = load(h, e->id, &l);

	spool_id_text(e->id, id);
	if (json && !first)
		buffer_put_text(out, ",\n");
	if (result) {
		buffer_putf(out, json ? "{\"id\":\"%s\",\"error\":\"%s\"}" : "%s  can't be read: %s\n", id,
			    strerror(-result));
		return;
	}
	(json ? put_entry_json : put_entry_text)(h, e, &l.message, id, out);
	unload(&l);
}

/* When it is tried, how long is waited after each further failure, and when it is given up. */
static void put_schedule(const struct control_house *h, const struct spool_entry *e, const struct spool_message *m,
			 struct buffer *out)
{
	const struct relay_settings *s = relay_settings_now(h->relay);
	uint32_t first;
	char when[LISTING_TIME_MAX];

	if (!s || relay_is_parked(m))
		return;
	if (!e->taken)
		buffer_putf(out, "  next attempt %s", listing_time(clock_wall() + seconds_until(h, e), when));
	else
		buffer_put_text(out, "  being sent");
	first = e->attempts < s->retry_count ? e->attempts : s->retry_count - 1;
	for (uint32_t i = first; i < s->retry_count; i++) {
		setting_time(s->retry[i], when, sizeof(when));
		buffer_putf(out, "%s%s", i == first ? "; after failures again in " : ", ", when);
	}
	buffer_putf(out, "\n  given up %s\n", listing_time(e->arrived + clock_seconds(s->expire), when));
}

int listing_message(const struct control_house *h, uint64_t id, struct buffer *out)
{
	const struct spool_entry *e = spool_find(h->spool, id);
	char text[SPOOL_ID_TEXT], when[LISTING_TIME_MAX];
	struct slice rest, to;
	struct loaded l;
	int result = e ? load(h, id, &l) : -ENOENT;

	if (result)
		return result;
	spool_id_text(id, text);
	put_entry_text(h, e, &l.message, text, out);
	buffer_putf(out, "  arrived %s, trust ", listing_time(e->arrived, when));
	listing_tame(out, l.message.envelope.trust);
	buffer_put_text(out, ", account ");
	listing_tame(out, l.message.envelope.account);
	buffer_put_text(out, ", Message-ID ");
	listing_tame(out, l.message.envelope.message_id);
	buffer_put_text(out, "\n");
	put_schedule(h, e, &l.message, out);
	rest = l.message.envelope.recipients;
	for (size_t i = 0; envelope_next(&rest, &to) && i < l.message.states.len; i++) {
		char state = l.message.states.at[i];

		if (buffer_room(out) < LISTING_PIECE_MAX / 4) {
			buffer_putf(out, "  and %zu more\n", l.message.states.len - i);
			break;
		}
		buffer_put_text(out, "  ");
		put_address(out, to);
		buffer_putf(out, " %s\n", state == RECIPIENT_DELIVERED ? "delivered" :
			    state == RECIPIENT_FAILED ? "failed" :
			    state == RECIPIENT_TOLD ? "pending, sender told" : "pending");
	}
	unload(&l);
	return 0;
}
