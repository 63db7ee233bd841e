#include "smtp/upstream.h"

#include "smtp/line.h"

#define CODE_LENGTH	3

const char *upstream_status_text(enum upstream_status status)
{
	static const char *const texts[] = {
		[UPSTREAM_MORE] = "",
		[UPSTREAM_LINE] = "",
		[UPSTREAM_LAST] = "",
		[UPSTREAM_TOO_LONG] = "reply line too long",
		[UPSTREAM_TOO_MANY] = "reply of too many lines",
		[UPSTREAM_BAD_END] = "bare CR, bare LF or NUL in a reply",
		[UPSTREAM_BAD_CODE] = "not an SMTP reply",
		[UPSTREAM_OTHER_CODE] = "reply code changes within a reply",
	};

	return texts[status];
}

/* 200 to 599; 0 otherwise. The second digit is not looked at: some invent their own. */
static uint16_t code_of(struct slice line)
{
	uint64_t code;

	if (line.len < CODE_LENGTH || !slice_number(slice_first(line, CODE_LENGTH), 599, &code))
		return 0;
	return code >= 200 ? (uint16_t)code : 0;
}

/* Past the code: RFC 5321 4.2 wants a client to take a bare code as a last line. */
static bool ends_reply(struct slice line)
{
	return line.len == CODE_LENGTH || line.at[CODE_LENGTH] == ' ';
}

static void keep(struct smtp_upstream_reply *r, struct slice text)
{
	size_t i;

	if (r->len > 0 && text.len > 0 && r->len < sizeof(r->text))
		r->text[r->len++] = ' ';
	for (i = 0; i < text.len && r->len < sizeof(r->text); i++)
		r->text[r->len++] = ascii_is_print(text.at[i]) ? text.at[i] : '?';
}

static enum upstream_status take_line(struct upstream *u, struct slice line, struct slice *text)
{
	uint16_t code = code_of(line);

	if (code == 0 || (!ends_reply(line) && line.at[CODE_LENGTH] != '-'))
		return UPSTREAM_BAD_CODE;
	if (u->lines == 0)
		u->reply = (struct smtp_upstream_reply){ .code = code };
	if (code != u->reply.code)
		return UPSTREAM_OTHER_CODE;
	if (u->lines == SMTP_REPLY_LINES_MAX)
		return UPSTREAM_TOO_MANY;
	*text = slice_skip(line, CODE_LENGTH + 1);
	keep(&u->reply, *text);
	if (!ends_reply(line)) {
		u->lines++;
		return UPSTREAM_LINE;
	}
	u->lines = 0;
	return UPSTREAM_LAST;
}

enum upstream_status upstream_read(struct upstream *u, struct slice in, struct slice *text,
				   size_t *used)
{
	static const enum upstream_status failures[] = {
		[LINE_OK] = UPSTREAM_LAST,
		[LINE_MORE] = UPSTREAM_MORE,
		[LINE_TOO_LONG] = UPSTREAM_TOO_LONG,
		[LINE_BAD_END] = UPSTREAM_BAD_END,
	};
	enum upstream_status status;
	enum line_status found;
	struct slice line;
	size_t octets;

	*used = 0;
	found = line_read(in, SMTP_REPLY_LINE_MAX, &u->scanned, &line, &octets);
	if (found != LINE_OK)
		return failures[found];
	status = take_line(u, line, text);
	if (status == UPSTREAM_LINE || status == UPSTREAM_LAST)
		*used = octets;
	return status;
}

void upstream_explain(struct upstream *u, const char *reason)
{
	u->reply = (struct smtp_upstream_reply){ .code = 0 };
	keep(&u->reply, slice_of(reason));
}
