#include "manager/search.h"

#include <stdlib.h>
#include <string.h>

#define ROWS_FIRST	1024

static const struct {
	struct slice key;
	enum search_for what;
} keys[] = {
	{ SLICE("account"), SEARCH_ACCOUNT }, { SLICE("from"), SEARCH_FROM }, { SLICE("header_from"), SEARCH_FROM },
	{ SLICE("to"), SEARCH_TO }, { SLICE("verdict"), SEARCH_VERDICT }, { SLICE("status"), SEARCH_VERDICT },
	{ SLICE("id"), SEARCH_ID }, { SLICE("of"), SEARCH_ID }, { SLICE("msgid"), SEARCH_MSGID },
	{ SLICE("agent"), SEARCH_AGENT },
};

void search_begin(struct search *s)
{
	for (unsigned i = SEARCH_ACCOUNT; i <= SEARCH_TO; i++)
		s->is_address[i] = s->wanted[i].at && address_key_of(s->wanted[i], &s->key[i]);
}

void search_end(struct search *s)
{
	free(s->rows);
	s->rows = NULL;
}

/* "<a@b>" and "a@b" are the same Message-ID; "@example.jp" is every address there. */
static bool is_wanted(const struct search *s, enum search_for what, struct slice value)
{
	struct slice wanted = s->wanted[what];
	struct address_key key;

	if (what == SEARCH_MSGID) {
		if (value.len > 2 && value.at[0] == '<' && wanted.len && wanted.at[0] != '<')
			value = slice_bytes(value.at + 1, value.len - 2);
		return slice_equal(value, wanted);
	}
	if (slice_equal_fold(value, wanted))
		return true;
	if (what > SEARCH_TO)
		return false;
	if (wanted.len > 1 && wanted.at[0] == '@')
		return slice_ends_fold(value, wanted);
	return s->is_address[what] && value.len && (value.at[0] == '"' || wanted.at[0] == '"' || value.at[value.len - 1] == '.') &&
	       address_key_of(value, &key) && address_key_equal(&key, &s->key[what]);
}

static bool is_in_time(const struct search *s, struct slice time)
{
	return (!s->since[0] || memcmp(time.at, s->since, time.len) >= 0) &&
	       (!s->until[0] || memcmp(time.at, s->until, time.len) <= 0);
}

static uint64_t hash_more(uint64_t hash, struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		hash = (hash ^ (unsigned char)text.at[i]) * UINT64_C(0x100000001b3);	/* FNV-1a */
	return hash;
}

struct seen {				/* what one record says */
	uint32_t held;			/* bits of the conditions */
	uint64_t hash;			/* 0: it has no id */
};

static void see_field(const struct search *s, struct slice key, struct slice value, struct seen *out)
{
	char memory[AUDIT_LINE_MAX];

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (key.len != keys[i].key.len || memcmp(key.at, keys[i].key.at, key.len) != 0)
			continue;
		if (s->wanted[keys[i].what].at && is_wanted(s, keys[i].what, chain_plain(value, memory)))
			out->held |= 1u << keys[i].what;
		return;
	}
}

static void see(const struct search *s, const struct chain_line *line, struct seen *out)
{
	struct slice rest = line->record, key, value, id = slice_of(NULL), agent = slice_of(NULL);

	out->held = 0;
	if (slice_starts(line->record, SLICE_OF("refused ")) && s->wanted[SEARCH_VERDICT].at &&
	    slice_equal_fold(s->wanted[SEARCH_VERDICT], SLICE_OF("refused")))
		out->held |= 1u << SEARCH_VERDICT;
	while (chain_next(&rest, &key, &value)) {
		see_field(s, key, value, out);
		if (slice_equal(key, SLICE_OF("id")))
			id = value;
		else if (slice_equal(key, SLICE_OF("agent")))
			agent = value;
	}
	if (!is_in_time(s, line->time))
		out->held = 0;
	else
		out->held |= 1u << SEARCH_KINDS;
	out->hash = id.len ? hash_more(hash_more(UINT64_C(0xcbf29ce484222325), id), agent) | 1 : 0;
}

static uint32_t all(const struct search *s)
{
	uint32_t bits = 1u << SEARCH_KINDS;

	for (unsigned i = 0; i < SEARCH_KINDS; i++)
		bits |= s->wanted[i].at ? 1u << i : 0;
	return bits;
}

static struct search_row *place(struct search_row *rows, size_t room, uint64_t hash)
{
	size_t i = (size_t)(hash >> 7) & (room - 1);

	while (rows[i].hash && rows[i].hash != hash)
		i = (i + 1) & (room - 1);
	return &rows[i];
}

static bool grow(struct search *s)
{
	size_t room = s->room ? 2 * s->room : ROWS_FIRST;
	struct search_row *rows = calloc(room, sizeof(*rows));

	if (!rows)
		return false;
	for (size_t i = 0; i < s->room; i++)
		if (s->rows[i].hash)
			*place(rows, room, s->rows[i].hash) = s->rows[i];
	free(s->rows);
	s->rows = rows;
	s->room = room;
	return true;
}

void search_look(struct search *s, const struct chain_line *line)
{
	struct search_row *row;
	struct seen seen;

	see(s, line, &seen);
	if (!seen.held || !seen.hash || s->failed)
		return;
	if (4 * (s->used + 1) > 3 * s->room && !grow(s)) {
		s->failed = true;
		return;
	}
	row = place(s->rows, s->room, seen.hash);
	s->used += !row->hash;
	row->hash = seen.hash;
	row->held |= seen.held;
}

bool search_takes(struct search *s, const struct chain_line *line, uint32_t *group)
{
	struct search_row *row;
	struct seen seen;

	see(s, line, &seen);
	if (!seen.hash) {
		if (seen.held != all(s))
			return false;
		*group = ++s->groups;
		return true;
	}
	row = s->room ? place(s->rows, s->room, seen.hash) : NULL;
	if (!row || row->held != all(s))
		return false;
	if (!row->group)
		row->group = ++s->groups;
	*group = row->group;
	return true;
}
