#include "manager/chain.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "base/base64.h"
#include "base/secret.h"

#define LINK_OCTETS	18
#define TIME_SIZE	20	/* octets of "2026-11-22T01:00:00Z" */

static const struct slice mark = SLICE(" chain=");

int chain_key_find(const struct keyring *ring, struct slice id)
{
	for (unsigned i = 0; ring && i < ring->count; i++)
		if (slice_equal(id, slice_of(ring->key[i].id)))
			return (int)i;
	return -1;
}

/* Not the stamp's key itself: what is sealed there could else be said to be a line of ours. */
bool chain_key_of(const struct keyring *ring, unsigned i, struct chain_key *key)
{
	slice_copy(ring ? slice_of(ring->key[i].id) : SLICE_OF("none"), key->id, sizeof(key->id));
	return digest_hmac(DIGEST_SHA256, ring ? slice_of(ring->key[i].secret) : slice_of(""),
			   SLICE_OF("sekimori audit chain 1"), key->secret);
}

void chain_begin(struct chain *c)
{
	c->number = 0;
	memcpy(c->link, CHAIN_BEGINS, sizeof(c->link));
}

static bool begins_with(struct slice record, const char *event)
{
	return slice_equal(slice_first(record, slice_find(record, ' ')), slice_of(event));
}

/* As chain_put writes all; what isn't could steer the terminal of whoever looks at the file. */
static bool is_printable(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!ascii_is_print(s.at[i]))
			return false;
	return true;
}

bool chain_is_record(struct slice record)
{
	if (!record.len || record.len > AUDIT_LINE_MAX || record.at[0] == ' ')
		return false;
	return is_printable(record) && !begins_with(record, CHAIN_FILE) && !begins_with(record, CHAIN_GAP) && !begins_with(record, CHAIN_TORN);
}

static bool make_link(const struct chain_key *key, struct slice before, struct slice covered, char link[CHAIN_LINK_SIZE + 1])
{
	char memory[CHAIN_LINK_SIZE + CHAIN_LINE_MAX + 1];
	uint8_t hmac[DIGEST_SHA256_SIZE];
	struct buffer text, out;

	buffer_init(&text, memory, sizeof(memory));
	buffer_put(&text, before);
	buffer_put(&text, covered);
	if (text.overflow || !digest_hmac(DIGEST_SHA256, slice_bytes((const char *)key->secret, sizeof(key->secret)),
					  buffer_bytes(&text), hmac))
		return false;
	buffer_init(&out, link, CHAIN_LINK_SIZE + 1);
	if (!base64_encode(&out, slice_bytes((const char *)hmac, LINK_OCTETS)))
		return false;
	link[CHAIN_LINK_SIZE] = '\0';
	return true;
}

static bool put_time(struct buffer *out, int64_t wall)
{
	time_t t = (time_t)wall;
	char text[40];
	struct tm tm;

	return gmtime_r(&t, &tm) && strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm) == TIME_SIZE &&
	       buffer_put_text(out, text);
}

bool chain_put(struct chain *c, const struct chain_key *key, int64_t wall, uint64_t skipped, struct slice record,
	       struct buffer *out)
{
	size_t start = buffer_length(out);
	uint64_t number = c->number + skipped + 1;
	char link[CHAIN_LINK_SIZE + 1];

	if (!put_time(out, wall) && !buffer_put_text(out, "1970-01-01T00:00:00Z"))
		return false;
	buffer_putf(out, " %" PRIu64 " ", number);
	buffer_put(out, record);
	if (out->overflow || !make_link(key, slice_of(c->link), slice_skip(buffer_bytes(out), start), link))
		return false;
	buffer_put(out, mark);
	buffer_put_text(out, link);
	buffer_put_text(out, "\n");
	if (out->overflow)
		return false;
	c->number = number;
	memcpy(c->link, link, sizeof(c->link));
	return true;
}

/* "2026-11-22T01:00:00Z" */
static bool is_time(struct slice text)
{
	static const char picture[] = "0000-00-00T00:00:00Z";

	for (size_t i = 0; i < TIME_SIZE; i++)
		if (picture[i] == '0' ? !ascii_is_digit(text.at[i]) : text.at[i] != picture[i])
			return false;
	return true;
}

static bool is_link(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (!ascii_is_alnum(text.at[i]) && text.at[i] != '+' && text.at[i] != '/')
			return false;
	return text.len == CHAIN_LINK_SIZE;
}

bool chain_read(struct slice line, struct chain_line *out)
{
	struct slice rest, number;

	if (line.len < TIME_SIZE + 4 + mark.len + CHAIN_LINK_SIZE || line.len >= CHAIN_LINE_MAX)
		return false;
	out->link = slice_skip(line, line.len - CHAIN_LINK_SIZE);
	out->covered = slice_first(line, line.len - CHAIN_LINK_SIZE - mark.len);
	out->time = slice_first(line, TIME_SIZE);
	if (!slice_equal(slice_bytes(out->link.at - mark.len, mark.len), mark) || !is_link(out->link) ||
	    !is_time(out->time) || line.at[TIME_SIZE] != ' ')
		return false;
	rest = slice_skip(out->covered, TIME_SIZE + 1);
	number = slice_first(rest, slice_find(rest, ' '));
	out->record = slice_skip(rest, number.len + 1);
	return slice_number(number, UINT64_MAX, &out->number) && out->number > 0 && out->record.len > 0 && is_printable(line);
}

bool chain_fits(const struct chain_line *line, const struct chain_key *key, struct slice before)
{
	char link[CHAIN_LINK_SIZE + 1];

	return make_link(key, before, line->covered, link) &&
	       secret_equal(line->link.at, link, CHAIN_LINK_SIZE);
}

/* Octets of a value, with its quotes; what is in them is passed over as such. */
static size_t value_octets(struct slice rest)
{
	size_t end;

	if (!rest.len || rest.at[0] != '"')
		return slice_find(rest, ' ');
	for (end = 1; end < rest.len && rest.at[end] != '"'; end++)
		end += rest.at[end] == '\\';
	return end < rest.len ? end + 1 : rest.len;
}

bool chain_next(struct slice *rest, struct slice *key, struct slice *value)
{
	size_t blank = slice_find(*rest, ' ');

	if (blank >= rest->len)
		return false;
	*rest = slice_skip(*rest, blank + 1);
	*key = slice_first(*rest, slice_find(*rest, '='));
	*rest = slice_skip(*rest, key->len + 1);
	*value = slice_first(*rest, value_octets(*rest));
	*rest = slice_skip(*rest, value->len);
	return true;
}

bool chain_field(struct slice record, struct slice key, struct slice *value)
{
	struct slice name, found;

	while (chain_next(&record, &name, &found))
		if (slice_equal(name, key)) {
			*value = found;
			return true;
		}
	return false;
}

static int hex_digit(char c)
{
	return ascii_is_digit(c) ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

struct slice chain_plain(struct slice value, char memory[AUDIT_LINE_MAX])
{
	size_t n = 0;

	if (!value.len || value.at[0] != '"')
		return value;
	for (size_t i = 1; i < value.len && n < AUDIT_LINE_MAX && value.at[i] != '"'; i++) {
		if (value.at[i] != '\\' || i + 1 >= value.len) {
			memory[n++] = value.at[i];
		} else if (value.at[i + 1] == 'x' && i + 3 < value.len && hex_digit(value.at[i + 2]) >= 0 &&
			   hex_digit(value.at[i + 3]) >= 0) {
			memory[n++] = (char)(hex_digit(value.at[i + 2]) << 4 | hex_digit(value.at[i + 3]));
			i += 3;
		} else {
			memory[n++] = value.at[++i];
		}
	}
	return slice_bytes(memory, n);
}
