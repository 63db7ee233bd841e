/*
 * An envelope as text, one line a value, in a fixed order, so that a person can read a spool with
 * od(1) and a damaged one is noticed:
 *
 *	arrived 1700000000
 *	sender a@example.com
 *	account a@example.com
 *	trust account
 *	flags 8rcn
 *	message-id <x@example.com>
 *	recipients 2
 *	b@example.com
 *	c@example.com
 */
#include "spool/spool.h"

#include <inttypes.h>

struct flag {
	char letter;
	size_t offset;			/* of the bool in struct envelope */
};

static const struct flag flags[] = {
	{ '8', offsetof(struct envelope, body_8bit) },
	{ 'r', offsetof(struct envelope, is_return) },
	{ 'c', offsetof(struct envelope, ends_in_crlf) },
	{ 'n', offsetof(struct envelope, no_return) },
};

#define FLAGS (sizeof(flags) / sizeof(flags[0]))

/* A value is the rest of its line, so it can't hold a line end. */
static bool is_line(struct slice value)
{
	return slice_find(value, '\n') == value.len && slice_find(value, '\r') == value.len &&
	       slice_find(value, '\0') == value.len;
}

static bool put_line(struct buffer *out, const char *key, struct slice value)
{
	return is_line(value) && buffer_put_text(out, key) && buffer_put(out, SLICE_OF(" ")) &&
	       buffer_put(out, value) && buffer_put(out, SLICE_OF("\n"));
}

static bool put_flags(struct buffer *out, const struct envelope *e)
{
	char text[FLAGS];
	size_t n = 0;

	for (size_t i = 0; i < FLAGS; i++)
		if (*(const bool *)((const char *)e + flags[i].offset))
			text[n++] = flags[i].letter;
	return put_line(out, "flags", slice_bytes(text, n));
}

static bool count_recipients(struct slice all, unsigned count)
{
	struct slice recipient;
	unsigned n = 0;

	while (envelope_next(&all, &recipient)) {
		if (recipient.len == 0 || !is_line(recipient))
			return false;
		n++;
	}
	return all.len == 0 && n == count;
}

bool envelope_write(struct buffer *out, const struct envelope *e)
{
	uint64_t arrived = e->arrived > 0 ? (uint64_t)e->arrived : 0;

	return count_recipients(e->recipients, e->recipient_count) &&
	       buffer_putf(out, "arrived %" PRIu64 "\n", arrived) &&
	       put_line(out, "sender", e->sender) &&
	       put_line(out, "account", e->account) &&
	       put_line(out, "trust", e->trust) &&
	       put_flags(out, e) &&
	       put_line(out, "message-id", e->message_id) &&
	       buffer_putf(out, "recipients %u\n", e->recipient_count) &&
	       buffer_put(out, e->recipients);
}

static bool get_line(struct slice *rest, struct slice key, struct slice *value)
{
	size_t end = slice_find(*rest, '\n');
	struct slice line = slice_first(*rest, end);

	if (end == rest->len || !slice_starts(line, key))
		return false;
	*value = slice_skip(line, key.len);
	*rest = slice_skip(*rest, end + 1);
	return is_line(*value);
}

static bool get_number(struct slice *rest, struct slice key, uint64_t max, uint64_t *number)
{
	struct slice value;

	return get_line(rest, key, &value) && slice_number(value, max, number);
}

static bool get_flag(struct envelope *e, char letter)
{
	for (size_t i = 0; i < FLAGS; i++) {
		if (flags[i].letter != letter)
			continue;
		*(bool *)((char *)e + flags[i].offset) = true;
		return true;
	}
	return false;
}

static bool get_flags(struct slice *rest, struct envelope *e)
{
	struct slice value;

	if (!get_line(rest, SLICE_OF("flags "), &value))
		return false;
	for (size_t i = 0; i < value.len; i++)
		if (!get_flag(e, value.at[i]))
			return false;
	return true;
}

bool envelope_read(struct slice text, struct envelope *e)
{
	uint64_t arrived, count;

	*e = (struct envelope){ 0 };
	if (!get_number(&text, SLICE_OF("arrived "), INT64_MAX, &arrived) ||
	    !get_line(&text, SLICE_OF("sender "), &e->sender) ||
	    !get_line(&text, SLICE_OF("account "), &e->account) ||
	    !get_line(&text, SLICE_OF("trust "), &e->trust) || !get_flags(&text, e) ||
	    !get_line(&text, SLICE_OF("message-id "), &e->message_id) ||
	    !get_number(&text, SLICE_OF("recipients "), RECIPIENTS_CEILING, &count))
		return false;
	e->arrived = (int64_t)arrived;
	e->recipient_count = (unsigned)count;
	e->recipients = text;
	return count_recipients(text, e->recipient_count);
}

bool envelope_next(struct slice *rest, struct slice *recipient)
{
	size_t end = slice_find(*rest, '\n');

	if (end == rest->len)
		return false;
	*recipient = slice_first(*rest, end);
	*rest = slice_skip(*rest, end + 1);
	return true;
}
