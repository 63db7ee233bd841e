#include "base/syslog.h"

#include <inttypes.h>
#include <time.h>

#define LENGTH_DIGITS	4		/* of SYSLOG_FRAME_MAX */
#define FRAME_HEAD	(LENGTH_DIGITS + 1)
#define STREAM_MAX	32		/* octets */
#define WALL_MAX	INT64_C(253402300799)	/* the end of the year 9999 */
#define CUT_NAME	"cut"		/* stands for the mark of fields left out */

static const struct slice cut_mark = SLICE("...");

/* Names, and the inside of values */

static bool is_name_octet(char c)
{
	return ascii_is_alnum(c) || c == '_' || c == '-';
}

static bool is_word(struct slice s, size_t most)
{
	for (size_t i = 0; i < s.len; i++)
		if (!is_name_octet(s.at[i]))
			return false;
	return s.len > 0 && s.len <= most;
}

static bool is_hex(char c)
{
	return ascii_is_digit(c) || (c >= 'A' && c <= 'F');
}

/* Octets of the unit that begins a value as record_text writes it: a plain one, \", \\ or \xHH. 0: none. */
static size_t unit_of(struct slice s)
{
	if (!ascii_is_print(s.at[0]) || s.at[0] == '"')
		return 0;
	if (s.at[0] != '\\')
		return 1;
	if (s.len >= 2 && (s.at[1] == '"' || s.at[1] == '\\'))
		return 2;
	return s.len >= 4 && s.at[1] == 'x' && is_hex(s.at[2]) && is_hex(s.at[3]) ? 4 : 0;
}

static bool is_value(struct slice s)
{
	while (s.len > 0) {
		size_t unit = unit_of(s);

		if (!unit)
			return false;
		s = slice_skip(s, unit);
	}
	return true;
}

/* As record.c judges it. */
static bool is_bare(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!ascii_is_print(s.at[i]) || s.at[i] == ' ' || s.at[i] == '"' || s.at[i] == '\\' || s.at[i] == '=')
			return false;
	return s.len > 0;
}

/* The line of a record */

/* Up to the quote that ends it; s.len when there is none. */
static size_t quoted_length(struct slice s)
{
	size_t i = 0;

	while (i < s.len && s.at[i] != '"')
		i += s.at[i] == '\\' && i + 1 < s.len ? 2 : 1;
	return i;
}

static bool take_value(struct slice *rest, struct slice *value)
{
	if (rest->len == 0 || rest->at[0] != '"') {
		*value = slice_first(*rest, slice_find(*rest, ' '));
		*rest = slice_skip(*rest, value->len);
		return value->len > 0 && slice_find(*value, '"') == value->len && slice_find(*value, '\\') == value->len &&
		       is_value(*value);
	}
	*rest = slice_skip(*rest, 1);
	*value = slice_first(*rest, quoted_length(*rest));
	if (value->len == rest->len)
		return false;
	*rest = slice_skip(*rest, value->len + 1);
	return is_value(*value);
}

/* " key=value" off the front. */
static bool take_field(struct slice *rest, struct slice *name, struct slice *value)
{
	if (rest->at[0] != ' ')
		return false;
	*rest = slice_skip(*rest, 1);
	if (slice_equal(*rest, cut_mark)) {
		*name = SLICE_OF(CUT_NAME);
		*value = SLICE_OF("1");
		*rest = slice_skip(*rest, rest->len);
		return true;
	}
	*name = slice_first(*rest, slice_find(*rest, '='));
	if (name->len == rest->len || !is_word(*name, SYSLOG_NAME_MAX))
		return false;
	*rest = slice_skip(*rest, name->len + 1);
	return take_value(rest, value);
}

/* RFC 5424 section 6.3.3 */
static void put_param(struct buffer *out, struct slice name, struct slice value)
{
	buffer_putf(out, " %.*s=\"", SLICE_ARGS(name));
	for (size_t i = 0; i < value.len; i++) {
		if (value.at[i] == '"' || value.at[i] == '\\' || value.at[i] == ']')
			buffer_put_text(out, "\\");
		buffer_put(out, slice_bytes(value.at + i, 1));
	}
	buffer_put_text(out, "\"");
}

static void put_head(struct buffer *out, const struct syslog_head *h, struct slice event)
{
	time_t wall = (time_t)(h->wall < 0 ? 0 : h->wall > WALL_MAX ? WALL_MAX : h->wall);
	char when[32] = "-";
	struct tm tm;

	if (gmtime_r(&wall, &tm))
		strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
	buffer_putf(out, "<%u>1 %s %.*s sekimori - %.*s [timeQuality tzKnown=\"1\" isSynced=\"%d\"]", h->priority, when,
		    SLICE_ARGS(h->host), SLICE_ARGS(event), h->synchronised);
	buffer_putf(out, "[" SYSLOG_ID " stream=\"%.*s\" seq=\"%" PRIu64 "\"", SLICE_ARGS(h->stream), h->sequence);
}

static bool put_fields(struct buffer *out, struct slice fields)
{
	struct slice name, value;

	while (fields.len > 0) {
		if (!take_field(&fields, &name, &value))
			return false;
		put_param(out, name, value);
	}
	return buffer_put_text(out, "]") && !out->overflow;
}

bool syslog_put(struct buffer *out, const struct syslog_head *h, struct slice line, bool text)
{
	char memory[SYSLOG_FRAME_MAX + 1];	/* and buffer_putf's NUL */
	struct slice event = slice_first(line, slice_find(line, ' '));
	struct buffer frame;

	buffer_init(&frame, memory, sizeof(memory));
	if (!is_word(event, SYSLOG_NAME_MAX) || !is_word(h->stream, STREAM_MAX))
		return false;
	put_head(&frame, h, event);
	if (!put_fields(&frame, slice_skip(line, event.len)) || buffer_length(&frame) > SYSLOG_FRAME_MAX)
		return false;
	if (text && buffer_length(&frame) + 1 + line.len <= SYSLOG_FRAME_MAX) {
		buffer_put_text(&frame, " ");
		buffer_put(&frame, line);
	}
	if (buffer_room(out) < FRAME_HEAD + buffer_length(&frame) + 1)
		return false;
	buffer_putf(out, "%zu ", buffer_length(&frame));
	return buffer_put(out, buffer_bytes(&frame));
}

/* The way back */

int syslog_frame(struct slice in, struct slice *message)
{
	struct slice head = slice_first(in, FRAME_HEAD);
	size_t digits = slice_find(head, ' ');
	uint64_t length;

	for (size_t i = 0; i < digits; i++)
		if (!ascii_is_digit(head.at[i]) || (i == 0 && head.at[i] == '0'))
			return -1;
	if (digits == FRAME_HEAD)
		return -1;
	if (digits == head.len)
		return 0;
	if (!slice_number(slice_first(head, digits), SYSLOG_FRAME_MAX, &length))
		return -1;
	if (in.len < digits + 1 + length)
		return 0;
	*message = slice_first(slice_skip(in, digits + 1), (size_t)length);
	return (int)(digits + 1 + length);
}

static bool take_word(struct slice *rest, struct slice *word)
{
	*word = slice_first(*rest, slice_find(*rest, ' '));
	if (word->len == rest->len || word->len == 0)
		return false;
	*rest = slice_skip(*rest, word->len + 1);
	return true;
}

static bool take_digits(struct slice text, size_t at, size_t len, uint64_t least, uint64_t most, int *out)
{
	uint64_t value;

	if (!slice_number(slice_first(slice_skip(text, at), len), most, &value) || value < least)
		return false;
	*out = (int)value;
	return true;
}

/* "2026-11-22T06:30:00Z": RFC 5424 section 6.2.3, in the one form that we write. */
static bool parse_time(struct slice text, int64_t *wall)
{
	static const char form[] = "0000-00-00T00:00:00Z";
	struct tm tm = { 0 };

	if (text.len != sizeof(form) - 1)
		return false;
	for (size_t i = 0; i < text.len; i++)
		if (form[i] == '0' ? !ascii_is_digit(text.at[i]) : text.at[i] != form[i])
			return false;
	if (!take_digits(text, 0, 4, 1970, 9999, &tm.tm_year) || !take_digits(text, 5, 2, 1, 12, &tm.tm_mon) ||
	    !take_digits(text, 8, 2, 1, 31, &tm.tm_mday) || !take_digits(text, 11, 2, 0, 23, &tm.tm_hour) ||
	    !take_digits(text, 14, 2, 0, 59, &tm.tm_min) || !take_digits(text, 17, 2, 0, 59, &tm.tm_sec))
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	*wall = timegm(&tm);
	return true;
}

static bool is_priority(struct slice text)
{
	uint64_t number;

	if (text.len < 4 || text.at[0] != '<')
		return false;
	text = slice_skip(text, 1);
	return slice_number(slice_first(text, slice_find(text, '>')), 191, &number) &&
	       slice_equal(slice_skip(text, slice_find(text, '>')), SLICE_OF(">1"));
}

static bool is_host(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (!is_name_octet(text.at[i]) && text.at[i] != '.' && text.at[i] != ':')
			return false;
	return text.len > 0 && text.len <= HOST_MAX;
}

/*
 * ` name="value"` off the front of an element; *value still has the escapes of section 6.3.3. What is under them must be what
 * record.c writes: checked on a copy without them.
 */
static bool take_param(struct slice *rest, struct slice *name, struct slice *value)
{
	char memory[AUDIT_LINE_MAX];
	size_t i = 0, kept = 0;

	if (rest->len == 0 || rest->at[0] != ' ')
		return false;
	*rest = slice_skip(*rest, 1);
	*name = slice_first(*rest, slice_find(*rest, '='));
	*rest = slice_skip(*rest, name->len + 1);
	if (!is_word(*name, SYSLOG_NAME_MAX) || rest->len == 0 || rest->at[0] != '"')
		return false;
	*rest = slice_skip(*rest, 1);
	while (i < rest->len && rest->at[i] != '"') {
		if (rest->at[i] == ']' || kept == sizeof(memory))
			return false;
		if (rest->at[i] == '\\' && ++i < rest->len && rest->at[i] != '"' && rest->at[i] != '\\' && rest->at[i] != ']')
			return false;
		if (i < rest->len)
			memory[kept++] = rest->at[i++];
	}
	if (i >= rest->len)
		return false;
	*value = slice_first(*rest, i);
	*rest = slice_skip(*rest, i + 1);
	return is_value(slice_bytes(memory, kept));
}

static bool cut_is_last(struct slice name, struct slice value, struct slice rest)
{
	return !slice_equal(name, SLICE_OF(CUT_NAME)) ||
	       (slice_equal(value, SLICE_OF("1")) && rest.len > 0 && rest.at[0] == ']');
}

/* stream and seq, then the fields up to the element's end. */
static bool parse_element(struct slice rest, struct syslog_message *out)
{
	struct slice name, value;
	const char *from;

	if (!take_param(&rest, &name, &out->stream) || !slice_equal(name, SLICE_OF("stream")) ||
	    !is_word(out->stream, STREAM_MAX))
		return false;
	if (!take_param(&rest, &name, &value) || !slice_equal(name, SLICE_OF("seq")) ||
	    !slice_number(value, INT64_MAX, &out->sequence) || out->sequence == 0)
		return false;
	from = rest.at;
	while (rest.len > 0 && rest.at[0] == ' ')
		if (!take_param(&rest, &name, &value) || !cut_is_last(name, value, rest))
			return false;
	if (rest.len == 0 || rest.at[0] != ']')
		return false;
	out->fields = slice_bytes(from, (size_t)(rest.at - from));
	return rest.len == 1 || rest.at[1] == ' ';	/* MSG says nothing that the element doesn't */
}

static bool skip_quality(struct slice *rest)
{
	static const struct slice forms[] = {
		SLICE("[timeQuality tzKnown=\"1\" isSynced=\"0\"]"), SLICE("[timeQuality tzKnown=\"1\" isSynced=\"1\"]"),
	};

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		if (slice_starts(*rest, forms[i])) {
			*rest = slice_skip(*rest, forms[i].len);
			return true;
		}
	return false;
}

bool syslog_parse(struct slice message, struct syslog_message *out)
{
	static const struct slice id = SLICE("[" SYSLOG_ID);
	struct slice priority, when, program, process;

	*out = (struct syslog_message){ .wall = 0 };
	if (!take_word(&message, &priority) || !is_priority(priority) || !take_word(&message, &when) ||
	    !parse_time(when, &out->wall) || !take_word(&message, &out->host) || !is_host(out->host))
		return false;
	if (!take_word(&message, &program) || !slice_equal(program, SLICE_OF("sekimori")) || !take_word(&message, &process) ||
	    !slice_equal(process, SLICE_OF("-")) || !take_word(&message, &out->event) ||
	    !is_word(out->event, SYSLOG_NAME_MAX))
		return false;
	if (!skip_quality(&message) || !slice_starts(message, id))
		return false;
	return parse_element(slice_skip(message, id.len), out);
}

/* Without the escapes of section 6.3.3. */
static void put_plain(struct buffer *out, struct slice value)
{
	for (size_t i = 0; i < value.len; i++) {
		if (value.at[i] == '\\')
			i++;
		buffer_put(out, slice_bytes(value.at + i, 1));
	}
}

/* " key=value"; `memory` has room for it. */
static struct slice field_of(struct slice name, struct slice value, char *memory, size_t size)
{
	char inside[AUDIT_LINE_MAX];
	struct buffer plain, field;
	const char *quote;

	buffer_init(&plain, inside, sizeof(inside));
	put_plain(&plain, value);
	quote = is_bare(buffer_bytes(&plain)) ? "" : "\"";
	buffer_init(&field, memory, size);
	buffer_putf(&field, " %.*s=%s", SLICE_ARGS(name), quote);
	buffer_put(&field, buffer_bytes(&plain));
	buffer_put_text(&field, quote);
	return buffer_bytes(&field);
}

void syslog_fields(const struct syslog_message *m, struct buffer *out)
{
	char memory[AUDIT_LINE_MAX + SYSLOG_NAME_MAX + 8];
	struct slice rest = m->fields, name, value, field;

	while (rest.len > 0) {
		take_param(&rest, &name, &value);	/* was good in syslog_parse */
		field = field_of(name, value, memory, sizeof(memory));
		if (slice_equal(name, SLICE_OF(CUT_NAME)) || field.len + 1 + cut_mark.len > buffer_room(out)) {
			buffer_put_text(out, " ");
			buffer_put(out, cut_mark);
			return;
		}
		buffer_put(out, field);
	}
}
