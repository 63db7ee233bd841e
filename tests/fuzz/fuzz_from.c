/*
 * From: whenever from_read is sure, a reader that works in another way finds the same address: it
 * blots out Japanese, then comments, then quoted strings, and looks at what is left. It does so
 * twice, with 8-bit octets as they are and as Shift_JIS. Where a reader that doesn't unfold would
 * come out of step, there is no other address to be found at all.
 */
#include <stdlib.h>
#include <string.h>

#include "mail/from.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BLOT	'#'	/* an ordinary letter instead of what must not be looked at */

static char text[FIELD_KEEP_MAX];
static size_t len;

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* A decoder of ISO-2022-JP that knows the state of each octet; false when it ends in Japanese. */
static bool blot_japanese(void)
{
	bool japanese = false;

	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\033') {
			size_t n = i + 3 < len && text[i + 1] == '$' && text[i + 2] == '(' ? 4 : 3;

			require(i + n <= len);
			japanese = text[i + 1] == '$' || text[i + 2] == 'I';
			memset(text + i, BLOT, n);
			i += n - 1;
		} else if (japanese) {
			require(text[i] > 0x20 && text[i] < 0x7f);
			text[i] = BLOT;
		}
	}
	return !japanese;
}

static bool is_lead(unsigned char c)
{
	return (c >= 0x81 && c <= 0x9f) || (c >= 0xe0 && c <= 0xfc);
}

static bool is_trail(unsigned char c)
{
	return c >= 0x40 && c <= 0xfc && c != 0x7f;
}

static void blot_8bit(bool shift_jis)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c < 0x80)
			continue;
		text[i] = BLOT;
		if (shift_jis && is_lead(c) && i + 1 < len && is_trail((unsigned char)text[i + 1]))
			text[++i] = BLOT;
	}
}

/* Whether a fold stands within a quoted string or a comment. */
static bool is_torn(struct slice body)
{
	bool quoted = false;
	int depth = 0;

	for (size_t i = 0; i < len; i++) {
		if (body.at[i] == '\r' && (quoted || depth > 0))
			return true;
		if (text[i] == '\\' && (quoted || depth > 0))
			i++;
		else if (text[i] == '"' && depth == 0)
			quoted = !quoted;
		else if (!quoted)
			depth += (text[i] == '(') - (text[i] == ')');
	}
	return false;
}

static size_t count_at(struct slice s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.len; i++)
		n += s.at[i] == '@';
	return n;
}

/* No line of blanks but the last: for some it ends the header. */
static void require_lines(struct slice body)
{
	size_t seen = 0;

	for (size_t i = 0; i < body.len; i++) {
		require(body.at[i] != '\r' || i == 0 || seen == 0 || seen > 1);
		if (body.at[i] == '\n')
			seen = 1;
		else if (seen == 1 && !ascii_is_blank(body.at[i]) && body.at[i] != '\r')
			seen = 2;
	}
}

/* Comments become blanks; of a quoted string the quotes stay where an `@` follows. */
static void blot_quoted(void)
{
	for (size_t i = 0, start; i < len; i++) {
		int depth = text[i] == '(';
		bool quoted = text[i] == '"';

		for (start = i; (depth > 0 || quoted) && ++i < len;) {
			if (text[i] == '\\')
				i++;
			else if (quoted)
				quoted = text[i] != '"';
			else
				depth += (text[i] == '(') - (text[i] == ')');
		}
		require(i < len);
		if (text[start] == '(')
			memset(text + start, ' ', i - start + 1);
		else if (text[start] == '"' && (i + 1 >= len || text[i + 1] != '@'))
			memset(text + start, BLOT, i - start + 1);
		else if (text[start] == '"')
			memset(text + start + 1, BLOT, i - start - 1);
	}
}

/*
 * The place of the address in what is left: all between the only pair of angles, else all that is
 * no blank.
 */
static struct slice find_address(void)
{
	struct slice s = slice_bytes(text, len);
	size_t less = slice_find(s, '<'), greater = slice_find(s, '>');

	while (s.len > 0 && s.at[s.len - 1] == ' ')
		s.len--;
	if (less < len) {
		require(greater > less && greater + 1 == s.len);
		require(slice_find(slice_skip(s, less + 1), '<') == s.len - less - 1);
		s = slice_skip(slice_first(s, greater), less + 1);
	}
	s = slice_trim(s);
	for (size_t i = 0; i < s.len; i++)
		require(memchr(" ,;", s.at[i], 3) == NULL);
	return s;
}

static void load(struct slice body)
{
	len = body.len;
	memcpy(text, body.at, len);
	for (size_t i = 0; i < len; i++)
		if (text[i] == '\r' || text[i] == '\n' || text[i] == '\t')
			text[i] = ' ';
}

static void compare(struct slice body, const struct address *mailbox, bool shift_jis)
{
	struct slice found;

	load(body);
	require(blot_japanese());
	blot_8bit(shift_jis);
	require(!is_torn(body) || count_at(slice_bytes(text, len)) == count_at(address_text(mailbox)));
	blot_quoted();
	found = find_address();
	require(found.len == mailbox->len);
	require(memcmp(body.at + (found.at - text), mailbox->text, mailbox->len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice body = slice_bytes((const char *)data, size);
	struct address mailbox, again;
	bool display;
	enum from_verdict v = from_read(body, &mailbox, &display);

	require(from_verdict_name(v) != NULL);
	if (v != FROM_OK) {
		require(mailbox.len == 0 && !mailbox.well_formed);
		return 0;
	}
	require(size <= FIELD_KEEP_MAX && mailbox.well_formed && mailbox.len > 0);
	require_lines(body);
	compare(body, &mailbox, false);
	compare(body, &mailbox, true);

	/* What was found says the same alone. */
	require(from_read(address_text(&mailbox), &again, &display) == FROM_OK ||
		memchr(mailbox.text, '"', mailbox.len) != NULL);
	return 0;
}
