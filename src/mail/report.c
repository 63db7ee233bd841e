#include "mail/report.h"

#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "base/limits.h"
#include "mail/address.h"
#include "mail/fields.h"
#include "mail/words.h"

#define HEADER_RETURNED_MAX	8192	/* octets of the original's header that go back */
#define BASE64_BLOCK		57	/* octets that make one line of 76: RFC 2045 6.8 */
#define QUOTED_LINE_MAX		72	/* columns; 76 with a soft end: RFC 2045 6.7 */
#define FOLD_COLUMN		76	/* a blank behind it becomes a fold */
#define DATE_SIZE		40
#define PIECE_SIZE		1024		/* octets the sink gets at once */

struct writer {
	report_sink *sink;
	void *context;
	bool ok;
	size_t gathered;
	char piece[PIECE_SIZE];
	bool line_start;
	bool base64;			/* text passes through block */
	size_t filled;
	char block[BASE64_BLOCK];
};

static void flush_piece(struct writer *w)
{
	if (w->gathered > 0)
		w->ok = w->ok && w->sink(w->context, slice_bytes(w->piece, w->gathered));
	w->gathered = 0;
}

static void gather(struct writer *w, struct slice s)
{
	while (s.len > 0) {
		struct slice part = slice_first(s, PIECE_SIZE - w->gathered);

		memcpy(w->piece + w->gathered, part.at, part.len);
		w->gathered += part.len;
		s = slice_skip(s, part.len);
		if (w->gathered == PIECE_SIZE)
			flush_piece(w);
	}
}

/* Bytes as they go on the wire but for the dots, which are doubled here: RFC 5321 4.5.2. */
static void put_raw(struct writer *w, struct slice s)
{
	while (s.len > 0) {
		size_t n = slice_find(s, '\n');
		struct slice line = slice_first(s, n < s.len ? n + 1 : n);

		if (w->line_start && line.at[0] == '.')
			gather(w, SLICE_OF("."));
		gather(w, line);
		w->line_start = line.at[line.len - 1] == '\n';
		s = slice_skip(s, line.len);
	}
}

static void flush_block(struct writer *w)
{
	char memory[BASE64_LENGTH(BASE64_BLOCK) + 2];
	struct buffer line;

	if (w->filled == 0)
		return;
	buffer_init(&line, memory, sizeof(memory));
	base64_encode(&line, slice_bytes(w->block, w->filled));
	buffer_put_text(&line, "\r\n");
	put_raw(w, buffer_bytes(&line));
	w->filled = 0;
}

static void put(struct writer *w, struct slice s)
{
	if (!w->base64) {
		put_raw(w, s);
		return;
	}
	while (s.len > 0) {
		struct slice part = slice_first(s, BASE64_BLOCK - w->filled);

		memcpy(w->block + w->filled, part.at, part.len);
		w->filled += part.len;
		s = slice_skip(s, part.len);
		if (w->filled == BASE64_BLOCK)
			flush_block(w);
	}
}

static void put_text(struct writer *w, const char *text)
{
	put(w, slice_of(text));
}

/* Words from outside on one line: whatever is not printable becomes `?`. */
static void put_foreign(struct writer *w, struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = ascii_is_print(s.at[i]) ? s.at[i] : '?';

		put(w, slice_bytes(&c, 1));
	}
}

/* Likewise, but folded: a line that follows begins with indent. */
static void put_folded(struct writer *w, struct slice s, size_t column, const char *indent)
{
	struct slice word;

	for (bool first = true; slice_word(&s, &word); first = false) {
		if (!first && column + word.len >= FOLD_COLUMN) {
			put_text(w, "\r\n");
			put_text(w, indent);
			column = strlen(indent);
		} else if (!first) {
			put_text(w, " ");
		}
		put_foreign(w, word);
		column += word.len + 1;
	}
}

static void put_date(struct writer *w, int64_t wall, int zone)
{
	char memory[DATE_SIZE];
	struct buffer date;

	buffer_init(&date, memory, sizeof(memory));
	fields_date(&date, wall, zone);
	put(w, buffer_bytes(&date));
}

static void put_day(struct writer *w, int64_t wall, int zone)
{
	char memory[DATE_SIZE];
	struct buffer date;

	buffer_init(&date, memory, sizeof(memory));
	fields_day(&date, wall, zone);
	put(w, buffer_bytes(&date));
}

/* "name: value" CRLF, unless the value is empty. */
static void put_field(struct writer *w, const char *name, struct slice value)
{
	if (value.len == 0)
		return;
	put_text(w, name);
	put_folded(w, value, strlen(name), "\t");
	put_text(w, "\r\n");
}

/* ---- The header ---- */

static void put_encoded_word(struct writer *w, const char *utf8)
{
	/* RFC 2047 2: an encoded-word has 75 octets at most, 12 are its frame. */
	char memory[BASE64_LENGTH(45)];
	struct buffer word;

	buffer_init(&word, memory, sizeof(memory));
	base64_encode(&word, slice_of(utf8));
	put_text(w, "=?UTF-8?B?");
	put(w, buffer_bytes(&word));
	put_text(w, "?=");
}

static void put_subject(struct writer *w, const struct report *r, unsigned languages)
{
	put_text(w, "Subject: ");
	if (languages & REPORT_JA)
		put_encoded_word(w, report_japanese()->subject[r->until != 0]);
	if (languages == (REPORT_JA | REPORT_EN))
		put_text(w, "\r\n (");
	if (languages & REPORT_EN)
		put_text(w, report_english()->subject[r->until != 0]);
	put_text(w, languages == (REPORT_JA | REPORT_EN) ? ")\r\n" : "\r\n");
}

static void put_recipient(struct writer *w, struct slice to)
{
	struct address a;

	/* At level 1 the envelope sender may be no address at all; the field has to be one. */
	if (!address_parse(to, &a)) {
		put_text(w, "To: undisclosed-recipients:;\r\n");
		return;
	}
	put_text(w, "To: <");
	put(w, to);
	put_text(w, ">\r\n");
}

/* RFC 2045 6.7: `=_` occurs in neither Base64 nor quoted-printable. */
static void put_boundary(struct writer *w, const struct report *r)
{
	put_text(w, "=_");
	put_foreign(w, r->id);
	put_text(w, "_return");
}

static void write_header(struct writer *w, const struct report *r, unsigned languages)
{
	put_text(w, "From: Mail Delivery System <");
	put_foreign(w, r->from);
	put_text(w, ">\r\n");
	put_recipient(w, r->to);
	put_subject(w, r, languages);
	put_text(w, "Date: ");
	put_date(w, r->wall, r->zone);
	put_text(w, "\r\nMessage-ID: <");
	put_foreign(w, r->id);
	put_text(w, ".return@");
	put_foreign(w, r->hostname);
	put_text(w, ">\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
		 "Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"");
	put_boundary(w, r);
	put_text(w, "\"\r\n");
}

static void start_part(struct writer *w, const struct report *r, const char *fields)
{
	put_text(w, "\r\n--");
	put_boundary(w, r);
	put_text(w, "\r\n");
	put_text(w, fields);
	put_text(w, "\r\n");
}

/* ---- What people read ---- */

/* By the start of the status, less its class (RFC 3463 3); the first that fits. */
static const struct {
	const char *status;
	enum advice advice;
} advices[] = {
	{ ".1.8", ADVICE_SENDER }, { ".1.7", ADVICE_SENDER }, { ".1.", ADVICE_ADDRESS }, { ".2.2", ADVICE_FULL },
	{ ".2.3", ADVICE_LARGE }, { ".2.", ADVICE_UNUSABLE }, { ".3.4", ADVICE_LARGE }, { ".4.", ADVICE_LATER },
	{ ".7.", ADVICE_POLICY }, { "", ADVICE_OTHER },
};

static struct slice status_of(const struct report_recipient *to)
{
	if (to->status.len > 0)
		return to->status;
	return to->cause == REPORT_EXPIRED ? SLICE_OF("4.4.7") :
	       to->cause == REPORT_DELAYED ? SLICE_OF("4.4.1") : SLICE_OF("5.0.0");
}

static enum advice find_advice(struct slice status)
{
	size_t i = 0;

	while (!slice_starts(slice_skip(status, 1), slice_of(advices[i].status)))
		i++;
	return advices[i].advice;
}

/* "  label words" CRLF, unless there are none. */
static void put_item(struct writer *w, const char *label, struct slice words)
{
	if (words.len == 0)
		return;
	put_text(w, "  ");
	put_text(w, label);
	put_folded(w, words, 2 + strlen(label), "    ");
	put_text(w, "\r\n");
}

/* With the code, as whoever helps the reader will ask for it. */
static void put_reply(struct writer *w, const char *label, const struct report_recipient *to)
{
	char code[16];

	if (!to->code) {
		put_item(w, label, to->diagnostic);
		return;
	}
	snprintf(code, sizeof(code), "%u ", to->code % 1000);
	put_text(w, "  ");
	put_text(w, label);
	put_text(w, code);
	put_folded(w, to->diagnostic, 6 + strlen(label), "    ");
	put_text(w, "\r\n");
}

static void put_recipient_words(struct writer *w, const struct report_words *in, const struct report_recipient *to)
{
	put_text(w, "\r\n");
	put_item(w, in->to, to->address);
	put_text(w, "  ");
	put_text(w, in->cause[to->cause]);
	put_text(w, "\r\n");
	put_item(w, in->host, to->remote);
	put_reply(w, in->said, to);
	put_text(w, "  ");
	put_text(w, in->advice);
	put_text(w, to->cause == REPORT_DELAYED ? in->wait : in->advices[find_advice(status_of(to))]);
	put_text(w, "\r\n");
}

static void put_words(struct writer *w, const struct report *r, const struct report_words *in)
{
	put_text(w, in->greeting);
	put_foreign(w, r->hostname);
	put_text(w, in->after_host);
	put_text(w, in->opening[r->until != 0]);
	if (r->until) {
		put_text(w, in->until);
		put_day(w, r->until, r->zone);
		put_text(w, "\r\n");
	}
	for (size_t i = 0; i < r->recipient_count; i++)
		put_recipient_words(w, in, &r->recipients[i]);
	put_text(w, in->end);
	put_foreign(w, r->original_id);
	put_text(w, in->after_id);
}

static void write_words(struct writer *w, const struct report *r, unsigned languages)
{
	bool ja = (languages & REPORT_JA) != 0;

	start_part(w, r, ja ? "Content-Type: text/plain; charset=UTF-8\r\n"
			      "Content-Transfer-Encoding: base64\r\n" :
			      "Content-Type: text/plain; charset=us-ascii\r\n");
	w->base64 = ja;
	if (ja)
		put_words(w, r, report_japanese());
	if (languages == (REPORT_JA | REPORT_EN))
		put_text(w, "\r\n--------------------------------------------------\r\n\r\n");
	if (languages & REPORT_EN)
		put_words(w, r, report_english());
	flush_block(w);
	w->base64 = false;
}

/* ---- What programs read: RFC 3464 2 ---- */

static bool is_code_part(struct slice s)
{
	uint64_t value;

	return s.len <= 3 && slice_number(s, 999, &value);
}

/* RFC 3464 2.3.6: the words of the SMTP server as they came, else our own. */
static void put_diagnostic(struct writer *w, const struct report_recipient *to)
{
	struct slice rest = to->diagnostic, first;
	bool begins = slice_word(&rest, &first) && first.len == 3 && is_code_part(first);
	char name[48];

	if (!to->code && !begins) {
		put_field(w, "Diagnostic-Code: X-Sekimori; ", to->diagnostic);
		return;
	}
	if (!to->code) {
		put_field(w, "Diagnostic-Code: smtp; ", to->diagnostic);
		return;
	}
	snprintf(name, sizeof(name), "Diagnostic-Code: smtp; %u ", to->code % 1000);
	put_field(w, name, to->diagnostic.len ? to->diagnostic : SLICE_OF("(no text)"));
}

static void put_status(struct writer *w, const struct report *r, const struct report_recipient *to)
{
	put_text(w, "\r\n");
	put_field(w, "Final-Recipient: rfc822; ", to->address);
	put_text(w, to->cause == REPORT_DELAYED ? "Action: delayed\r\n" : "Action: failed\r\n");
	put_field(w, "Status: ", status_of(to));
	put_field(w, "Remote-MTA: dns; ", to->remote);
	put_diagnostic(w, to);
	if (to->cause != REPORT_DELAYED)
		return;
	put_text(w, "Will-Retry-Until: ");
	put_date(w, r->until, r->zone);
	put_text(w, "\r\n");
}

static void write_status(struct writer *w, const struct report *r)
{
	start_part(w, r, "Content-Type: message/delivery-status\r\n");
	put_field(w, "Reporting-MTA: dns; ", r->hostname);
	put_field(w, "X-Sekimori-Queue-ID: ", r->original_id);
	put_text(w, "Arrival-Date: ");
	put_date(w, r->arrived, r->zone);
	put_text(w, "\r\n");
	for (size_t i = 0; i < r->recipient_count; i++)
		put_status(w, r, &r->recipients[i]);
}

/* ---- The original's header ---- */

/* The header without its empty line and what follows, cut at the end of a line. */
static struct slice returned_header(struct slice header)
{
	struct slice s = slice_first(header, HEADER_RETURNED_MAX);
	size_t whole = 0;

	for (size_t i = 0; i < s.len; i++) {
		if (s.at[i] != '\n')
			continue;
		if (i == whole || (i == whole + 1 && s.at[whole] == '\r'))
			return slice_first(s, whole);
		whole = i + 1;
	}
	return whole > 0 ? slice_first(s, whole) : s;
}

/* The next line of wire bytes, without CRLF and the stuffed dot; false at the end. */
static bool next_line(struct slice *rest, struct slice *line)
{
	if (rest->len == 0 || !slice_cut(rest, '\n', line))
		return false;
	if (line->len > 0 && line->at[line->len - 1] == '\r')
		line->len--;
	if (line->len > 0 && line->at[0] == '.')
		*line = slice_skip(*line, 1);
	return true;
}

/*
 * A line that could pass for a boundary, is over-long or not plain text makes the part
 * quoted-printable.
 */
static bool is_plain_line(struct slice line)
{
	if (line.len > DATA_LINE_MAX || slice_starts(line, SLICE_OF("--")))
		return false;
	for (size_t i = 0; i < line.len; i++) {
		if (!ascii_is_print(line.at[i]) && line.at[i] != '\t')
			return false;
	}
	return true;
}

static bool is_plain(struct slice header)
{
	struct slice line;

	while (next_line(&header, &line)) {
		if (!is_plain_line(line))
			return false;
	}
	return true;
}

/* RFC 2045 6.7: a blank stays only when something follows it on the line. */
static bool stays_itself(struct slice line, size_t i)
{
	char c = line.at[i];

	if (ascii_is_blank(c))
		return i + 1 < line.len;
	return ascii_is_print(c) && c != '=' && !(i == 0 && c == '-');
}

static void put_quoted_line(struct writer *w, struct slice line)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t column = 0;

	for (size_t i = 0; i < line.len; i++) {
		unsigned char c = (unsigned char)line.at[i];
		char code[3] = { '=', hex[c >> 4], hex[c & 15] };
		bool itself = stays_itself(line, i);
		struct slice s = itself ? slice_bytes(line.at + i, 1) : slice_bytes(code, 3);

		if (column + s.len > QUOTED_LINE_MAX) {
			put_text(w, "=\r\n");
			column = 0;
		}
		put(w, s);
		column += s.len;
	}
	put_text(w, "\r\n");
}

static void write_original(struct writer *w, const struct report *r)
{
	struct slice rest = returned_header(r->header), line;
	bool plain = is_plain(rest);

	start_part(w, r, plain ? "Content-Type: text/rfc822-headers\r\n" :
				 "Content-Type: text/rfc822-headers\r\n"
				 "Content-Transfer-Encoding: quoted-printable\r\n");
	while (next_line(&rest, &line)) {
		if (plain) {
			put(w, line);
			put_text(w, "\r\n");
		} else {
			put_quoted_line(w, line);
		}
	}
}

bool report_write(const struct report *r, report_sink *sink, void *context)
{
	struct writer w = { .sink = sink, .context = context, .ok = true, .line_start = true };
	unsigned languages = r->languages & (CONFIG_RETURN_JA ? REPORT_JA | REPORT_EN : REPORT_EN);

	if (languages == 0)
		languages = REPORT_EN;
	write_header(&w, r, languages);
	write_words(&w, r, languages);
	write_status(&w, r);
	write_original(&w, r);
	put_text(&w, "\r\n--");
	put_boundary(&w, r);
	put_text(&w, "--\r\n");
	flush_piece(&w);
	return w.ok;
}

struct slice report_status(unsigned code, struct slice text)
{
	struct slice fallback = code / 100 == 4 ? SLICE_OF("4.0.0") : SLICE_OF("5.0.0");
	struct slice rest = text, word, class, subject, detail, part;

	if (!slice_word(&rest, &word) || word.at != text.at)
		return fallback;
	part = word;
	if (!slice_cut(&part, '.', &class) || !slice_equal(class, slice_first(fallback, 1)) ||
	    !slice_cut(&part, '.', &subject) || !is_code_part(subject))
		return fallback;
	if (!slice_cut(&part, '.', &detail) || !is_code_part(detail) || part.at != NULL)
		return fallback;
	return word;
}
