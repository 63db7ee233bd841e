#include "mail/header.h"

#include <string.h>

#define ESC	'\033'

enum {			/* where the reader is within a line */
	AT_START,	/* nothing seen */
	AT_DOT,		/* a dot was taken off: RFC 5321 4.5.2 */
	IN_NAME,
	BEFORE_COLON,	/* blanks after the name: RFC 5322 4.5 */
	IN_BODY,
	IN_JUNK,	/* judged as no field; the rest of the line says nothing */
	READERS
};

const char *header_defect_name(unsigned defects)
{
	static const char *const names[] = {
		"control", "bare-cr-lf", "line-too-long", "header-too-large", "not-a-field",
		"first-continues", "field-too-long", "escape",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (defects & 1u << i)
			return names[i];
	}
	return NULL;
}

static enum header_field find_field(struct slice name)
{
	static const struct slice names[FIELD_OTHER] = {
		[FIELD_FROM] = SLICE("from"),
		[FIELD_SENDER] = SLICE("sender"),
		[FIELD_RESENT_FROM] = SLICE("resent-from"),
		[FIELD_RESENT_SENDER] = SLICE("resent-sender"),
		[FIELD_MESSAGE_ID] = SLICE("message-id"),
		[FIELD_AUTO_SUBMITTED] = SLICE("auto-submitted"),
		[FIELD_SUBJECT] = SLICE("subject"),
		[FIELD_ORIGINAL_FROM] = SLICE("x-original-from"),
		[FIELD_DATE] = SLICE("date"),
		[FIELD_RECEIVED] = SLICE("received"),
		[FIELD_RETURN_PATH] = SLICE("return-path"),
		[FIELD_CONTENT_TYPE] = SLICE("content-type"),
	};
	enum header_field f = FIELD_FROM;

	while (f < FIELD_OTHER &&
	       (name.len != names[f].len || memcmp(name.at, names[f].at, name.len) != 0))
		f++;
	return f;
}

static uint16_t saturate(size_t n)
{
	return (uint16_t)(n < UINT16_MAX ? n : UINT16_MAX);
}

/* Puts what fits behind the *len octets in text; false when it had to be cut. */
static bool append(char *text, uint16_t *len, size_t max, struct slice s)
{
	struct slice part = slice_first(s, max - *len);

	if (part.len > 0)
		memcpy(text + *len, part.at, part.len);
	*len = (uint16_t)(*len + part.len);
	return part.len == s.len;
}

static void keep(struct header *h, struct slice s)
{
	if (!h->first_of_its_kind)
		return;
	if (h->field > FIELD_RESENT_SENDER) {
		size_t i = (size_t)(h->field - FIELD_MESSAGE_ID);

		append(h->short_text[i], &h->short_len[i], FIELD_SHORT_MAX, s);
		return;
	}

	struct header_kept *k = &h->kept[h->field];

	if (!append(k->text, &k->len, FIELD_KEEP_MAX, s))
		h->defects |= HEADER_FIELD_TOO_LONG;
}

static void start_body(struct header *h)
{
	size_t known = h->name_len < sizeof(h->name) ? h->name_len : sizeof(h->name);

	h->field = (uint8_t)find_field(slice_bytes(h->name, known));
	if (h->count[h->field] < UINT16_MAX)
		h->count[h->field]++;
	h->first_of_its_kind = h->field <= FIELD_ORIGINAL_FROM && h->count[h->field] == 1;
	h->state = IN_BODY;
}

static void not_a_field(struct header *h)
{
	h->defects |= HEADER_NOT_A_FIELD;
	h->state = IN_JUNK;
}

/* A blank in the first column continues the field before: RFC 5322 2.2.3. */
static size_t read_start(struct header *h, struct slice s)
{
	if (!ascii_is_blank(s.at[0])) {
		h->name_len = 0;
		h->field = FIELD_OTHER;
		h->first_of_its_kind = false;
		h->state = IN_NAME;
	} else {
		if (!h->any_line)
			h->defects |= HEADER_FIRST_CONTINUES;
		if (h->field <= FIELD_RESENT_SENDER)
			keep(h, SLICE_OF("\r\n"));
		h->state = IN_BODY;
	}
	h->any_line = true;
	return 0;
}

static bool is_name_octet(char c)
{
	return ascii_is_print(c) && c != ' ' && c != ':';
}

static void keep_name(struct header *h, struct slice s)
{
	for (size_t i = 0; i < s.len && h->name_len + i < sizeof(h->name); i++)
		h->name[h->name_len + i] = ascii_fold(s.at[i]);
	h->name_len = saturate(h->name_len + s.len);
}

static size_t read_name(struct header *h, struct slice s)
{
	size_t n = 0;

	while (n < s.len && is_name_octet(s.at[n]))
		n++;
	keep_name(h, slice_first(s, n));
	if (n == s.len)
		return n;
	if (s.at[n] == ESC)
		h->defects |= HEADER_ESCAPE;
	if (s.at[n] == ':' && h->name_len > 0)
		start_body(h);
	else if (ascii_is_blank(s.at[n]))
		h->state = BEFORE_COLON;
	else
		not_a_field(h);
	return n + 1;
}

static size_t read_before_colon(struct header *h, struct slice s)
{
	if (s.at[0] == ':')
		start_body(h);
	else if (!ascii_is_blank(s.at[0]))
		not_a_field(h);
	return 1;
}

static size_t read_body(struct header *h, struct slice s)
{
	keep(h, s);
	return s.len;
}

static size_t read_junk(struct header *h, struct slice s)
{
	(void)h;
	return s.len;
}

/* Octets of one line, without its CR LF. */
static void read_octets(struct header *h, struct slice s)
{
	static size_t (*const readers[READERS])(struct header *, struct slice) = {
		[AT_START] = read_start,
		[AT_DOT] = read_start,
		[IN_NAME] = read_name,
		[BEFORE_COLON] = read_before_colon,
		[IN_BODY] = read_body,
		[IN_JUNK] = read_junk,
	};

	if (s.len > 0 && h->state == AT_START && s.at[0] == '.') {
		h->state = AT_DOT;
		s = slice_skip(s, 1);
	}
	h->line_len = saturate(h->line_len + s.len);
	while (s.len > 0)
		s = slice_skip(s, readers[h->state](h, s));
}

/* Without a branch per octet, since every header passes here. */
static unsigned find_controls(struct slice s)
{
	enum { C = HEADER_CONTROL, R = HEADER_BARE_CR_LF };
	static const uint8_t kinds[256] = {
		C, C, C, C, C, C, C, C, C, 0, C, C, C, R, C, C,		/* HTAB and CR */
		C, C, C, C, C, C, C, C, C, C, C, 0, C, C, C, C,		/* ESC */
		[0x7f] = C,
	};
	unsigned found = 0;

	for (size_t i = 0; i < s.len; i++)
		found |= kinds[(unsigned char)s.at[i]];
	return found;
}

/* A CR that no LF followed belongs to the line. */
static void settle_cr(struct header *h)
{
	if (!h->seen_cr)
		return;
	h->seen_cr = false;
	h->defects |= HEADER_BARE_CR_LF;
	read_octets(h, SLICE_OF("\r"));
}

/* Octets without LF; a CR at their end waits for what comes next. */
static void read_piece(struct header *h, struct slice s)
{
	if (s.len == 0)
		return;
	settle_cr(h);
	h->seen_cr = s.at[s.len - 1] == '\r';
	if (h->seen_cr)
		s = slice_first(s, s.len - 1);
	h->defects |= find_controls(s);
	read_octets(h, s);
}

static void end_line(struct header *h)
{
	if (h->line_len > DATA_LINE_MAX)
		h->defects |= HEADER_LINE_TOO_LONG;
	if (h->state == IN_NAME || h->state == BEFORE_COLON)
		h->defects |= HEADER_NOT_A_FIELD;
	h->ended = h->state == AT_START || h->state == AT_DOT;
	h->line_len = 0;
	h->state = AT_START;
}

static void read_lf(struct header *h)
{
	if (!h->seen_cr)
		h->defects |= HEADER_BARE_CR_LF;
	h->seen_cr = false;
	h->size++;
	end_line(h);
}

void header_init(struct header *h, uint32_t max_header)
{
	memset(h, 0, sizeof(*h));
	h->max = max_header;
	h->field = FIELD_OTHER;
	h->state = AT_START;
}

void header_feed(struct header *h, struct slice wire)
{
	while (!h->ended && wire.len > 0) {
		struct slice room = slice_first(wire, h->max - h->size);

		if (room.len == 0) {
			h->defects |= HEADER_TOO_LARGE;
			h->ended = true;
			return;
		}

		const char *lf = memchr(room.at, '\n', room.len);
		size_t n = lf != NULL ? (size_t)(lf - room.at) : room.len;

		read_piece(h, slice_first(room, n));
		h->size += (uint32_t)n;
		if (lf != NULL)
			read_lf(h);
		wire = slice_skip(wire, lf != NULL ? n + 1 : n);
	}
}

void header_finish(struct header *h)
{
	if (h->ended)
		return;
	settle_cr(h);
	if (h->state != AT_START)
		end_line(h);
	h->ended = true;
}

struct slice header_body(const struct header *h, enum header_field field)
{
	if (field <= FIELD_RESENT_SENDER)
		return slice_bytes(h->kept[field].text, h->kept[field].len);
	if (field > FIELD_ORIGINAL_FROM)
		return slice_bytes(NULL, 0);

	size_t i = (size_t)(field - FIELD_MESSAGE_ID);

	return slice_trim(slice_bytes(h->short_text[i], h->short_len[i]));
}

void header_put(struct header *h, enum header_field field, struct slice body)
{
	struct header_kept *k = &h->kept[field];

	k->len = 0;
	append(k->text, &k->len, FIELD_KEEP_MAX, body);
	h->count[field] = 1;
}
