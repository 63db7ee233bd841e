#include "smtp/pop3.h"

#include <string.h>

#include "base/secret.h"
#include "smtp/echo.h"
#include "smtp/line.h"
#include "smtp/sending.h"

enum state {
	AT_GREETING, AT_CAPA, AT_CAPA_LIST, AT_STLS, AT_TLS,
	AT_STAMPED,	/* TIMESTAMP is to be told */
	AT_CHALLENGED, AT_APOP, AT_USER, AT_PASS,
	AT_OPEN,	/* OPEN is to be told */
	AT_QUIT, AT_CLOSED, AT_FAILED
};

/* What a status line does: calls act, or without one moves on to next. */
struct step {
	void (*act)(struct pop3 *p, struct slice text);	/* text as it came, behind the indicator */
	enum state next;
};

struct row {
	enum pop3_stage stage;
	/* What is sent on entering the state: a fixed part, then what `rest` names; then CRLF. */
	const char *command;
	struct slice (*rest)(const struct pop3 *p);
	struct step ok, err;		/* all zero: nothing is read */
	bool is_list;			/* lines up to a lone dot are read, each by learn */
	/* What is told on entering the state, in place of sending and reading. */
	void (*enter)(struct pop3 *p, struct pop3_event *event);
};
static const struct row rows[AT_FAILED + 1];

const char *pop3_stage_name(enum pop3_stage stage)
{
	static const char *const names[] = {
		[POP3_STAGE_GREETING] = "greeting", [POP3_STAGE_STLS] = "stls",
		[POP3_STAGE_LOGIN] = "login", [POP3_STAGE_QUIT] = "quit",
		[POP3_STAGE_PROTOCOL] = "protocol",
	};

	return names[stage];
}

static void go(struct pop3 *p, enum state state)
{
	p->state = (uint8_t)state;
	p->waiting = false;
}

static void keep(struct pop3_reply *r, struct slice text)
{
	size_t i;

	r->len = 0;
	for (i = 0; i < text.len && r->len < sizeof(r->text); i++)
		r->text[r->len++] = ascii_is_print(text.at[i]) ? text.at[i] : '?';
}

/* The reply that is there tells why. */
static void fail(struct pop3 *p, enum pop3_stage stage)
{
	p->failed = (uint8_t)stage;
	go(p, AT_FAILED);
}

static void fail_because(struct pop3 *p, enum pop3_stage stage, const char *reason)
{
	p->reply.ok = false;
	p->reply.code = POP3_CODE_NONE;
	keep(&p->reply, slice_of(reason));
	fail(p, stage);
}

/* The timestamp */

static bool is_atom(struct slice s)
{
	static const struct slice others = SLICE("!#$%&'*+-/=?^_`{|}~.");
	size_t i;

	for (i = 0; i < s.len; i++)
		if (!ascii_is_alnum(s.at[i]) && slice_find(others, s.at[i]) == others.len)
			return false;
	return s.len > 0;
}

/* `[192.0.2.1]` and `[IPv6:…]`, as hosts without a name write themselves. */
static bool is_literal(struct slice s)
{
	size_t i;

	if (s.len < 3 || s.at[0] != '[' || s.at[s.len - 1] != ']')
		return false;
	for (i = 1; i < s.len - 1; i++)
		if (!ascii_is_alnum(s.at[i]) && s.at[i] != '.' && s.at[i] != ':')
			return false;
	return true;
}

/*
 * What stands between the brackets. RFC 1939 wants a msg-id of RFC 822: somebody in the middle who sends other octets can make
 * MD5 collide and read the password out of our digests, character by character (CVE-2007-1558).
 */
static bool is_message_id(struct slice s)
{
	size_t at = slice_find(s, '@');
	struct slice right = slice_skip(s, at + 1);

	return at < s.len && is_atom(slice_first(s, at)) && (is_atom(right) || is_literal(right));
}

/* The first <…> of the greeting that holds an `@`, brackets included; empty when there is none. */
static struct slice find_timestamp(struct slice greeting)
{
	while (slice_find(greeting, '<') < greeting.len) {
		struct slice rest = slice_skip(greeting, slice_find(greeting, '<'));
		size_t end = slice_find(rest, '>');

		if (end == rest.len)
			break;
		if (slice_find(slice_first(rest, end), '@') < end)
			return slice_first(rest, end + 1);
		greeting = slice_skip(rest, 1);
	}
	return slice_bytes("", 0);
}

static bool keep_timestamp(struct pop3 *p, struct slice s)
{
	if (s.len > sizeof(p->timestamp) || !is_message_id(slice_first(slice_skip(s, 1), s.len - 2)))
		return false;
	memcpy(p->timestamp, s.at, s.len);
	p->timestamp_len = (uint16_t)s.len;
	return true;
}

/* Replies */

static void refused(struct pop3 *p, struct slice text)
{
	(void)text;
	fail(p, rows[p->state].stage);
}

static bool tls_due(const struct pop3 *p)
{
	return p->settings->starttls && !p->secured;
}

static void start_login(struct pop3 *p)
{
	uint8_t login = p->settings->login;

	if (login == POP3_APOP && !p->timestamp_len)
		fail_because(p, POP3_STAGE_LOGIN, "APOP is not offered");
	else
		go(p, p->timestamp_len && login != POP3_USER ? AT_STAMPED : AT_USER);
}

static void on_greeting(struct pop3 *p, struct slice text)
{
	struct slice stamp = find_timestamp(text);

	if (tls_due(p))
		go(p, AT_CAPA);
	else if (stamp.len && p->settings->login != POP3_USER && !keep_timestamp(p, stamp))
		fail_because(p, POP3_STAGE_LOGIN, "the greeting's APOP timestamp is no message id");
	else
		start_login(p);
}

static void on_list(struct pop3 *p, struct slice text)
{
	(void)text;
	p->lines = 0;
	go(p, AT_CAPA_LIST);
}

static void on_list_end(struct pop3 *p)
{
	if (p->has_stls)
		go(p, AT_STLS);
	else
		fail_because(p, POP3_STAGE_STLS, "STLS is not offered");
}

static void on_login_refused(struct pop3 *p, struct slice text)
{
	if (p->reply.code == POP3_CODE_IN_USE)
		go(p, AT_OPEN);
	else
		refused(p, text);
}

/* What is told on entering a state */

static void enter_tls(struct pop3 *p, struct pop3_event *event)
{
	(void)p;
	event->type = POP3_TLS;
}

static void enter_stamped(struct pop3 *p, struct pop3_event *event)
{
	event->type = POP3_TIMESTAMP;
	event->timestamp = slice_bytes(p->timestamp, p->timestamp_len);
	go(p, AT_CHALLENGED);
}

static void enter_open(struct pop3 *p, struct pop3_event *event)
{
	event->type = POP3_OPEN;
	go(p, AT_QUIT);
}

static void enter_closed(struct pop3 *p, struct pop3_event *event)
{
	(void)p;
	event->type = POP3_CLOSED;
}

static void enter_failed(struct pop3 *p, struct pop3_event *event)
{
	event->type = POP3_FAILED;
	event->stage = p->failed;
}

static struct slice rest_user(const struct pop3 *p)
{
	return p->settings->user;
}

static struct slice rest_password(const struct pop3 *p)
{
	return p->settings->password;
}

#define DO(act)		{ act, AT_FAILED }
#define TO(state)	{ NULL, state }

/* A server that doesn't know CAPA (RFC 2449 is of 1998) may know STLS all the same; if not, it refuses that. */
static const struct row rows[AT_FAILED + 1] = {
	[AT_GREETING] = { .stage = POP3_STAGE_GREETING, .ok = DO(on_greeting), .err = DO(refused) },
	[AT_CAPA] = { .stage = POP3_STAGE_STLS, .command = "CAPA", .ok = DO(on_list), .err = TO(AT_STLS) },
	[AT_CAPA_LIST] = { .stage = POP3_STAGE_STLS, .is_list = true },
	[AT_STLS] = { .stage = POP3_STAGE_STLS, .command = "STLS", .ok = TO(AT_TLS), .err = DO(refused) },
	[AT_TLS] = { .stage = POP3_STAGE_STLS, .enter = enter_tls },

	[AT_STAMPED] = { .stage = POP3_STAGE_LOGIN, .enter = enter_stamped },
	[AT_CHALLENGED] = { .stage = POP3_STAGE_LOGIN },
	[AT_APOP] = { .stage = POP3_STAGE_LOGIN, .ok = TO(AT_OPEN), .err = DO(on_login_refused) },
	[AT_USER] = { .stage = POP3_STAGE_LOGIN, .command = "USER ", .rest = rest_user,
		.ok = TO(AT_PASS), .err = DO(refused) },
	[AT_PASS] = { .stage = POP3_STAGE_LOGIN, .command = "PASS ", .rest = rest_password,
		.ok = TO(AT_OPEN), .err = DO(on_login_refused) },

	[AT_OPEN] = { .stage = POP3_STAGE_QUIT, .enter = enter_open },
	[AT_QUIT] = { .stage = POP3_STAGE_QUIT, .command = "QUIT",
		.ok = TO(AT_CLOSED), .err = TO(AT_CLOSED) },
	[AT_CLOSED] = { .stage = POP3_STAGE_QUIT, .enter = enter_closed },
	[AT_FAILED] = { .stage = POP3_STAGE_PROTOCOL, .enter = enter_failed },
};

/* Sending */

static enum sending send_due(struct pop3 *p, struct buffer *out)
{
	const struct row *row = &rows[p->state];
	char text[POP3_COMMAND_MAX];
	struct buffer line;
	enum sending sent;

	if (p->waiting || !row->command)
		return SENDING_DONE;
	buffer_init(&line, text, sizeof(text));
	buffer_put_text(&line, row->command);
	if (row->rest)
		buffer_put(&line, row->rest(p));
	sent = sending_put(out, &line);
	secret_wipe(text, sizeof(text));
	p->waiting = sent == SENDING_DONE;
	return sent;
}

static enum sending enter(struct pop3 *p, struct buffer *out, struct pop3_event *event)
{
	enum sending sent = SENDING_DONE;

	if (!rows[p->state].enter)
		sent = send_due(p, out);
	if (sent == SENDING_IMPOSSIBLE)
		fail_because(p, rows[p->state].stage, "a command of ours can't be put into a line");
	if (rows[p->state].enter)
		rows[p->state].enter(p, event);
	return sent;
}

/* Reading */

/* With the words that RFC 1939 itself gives to servers without response codes. */
static enum pop3_code code_of(struct slice text)
{
	static const struct {
		struct slice start;
		enum pop3_code code;
	} known[] = {
		{ SLICE("[AUTH]"), POP3_CODE_AUTH },
		{ SLICE("[SYS/TEMP]"), POP3_CODE_TEMPORARY }, { SLICE("[SYS/PERM]"), POP3_CODE_PERMANENT },
		{ SLICE("[IN-USE]"), POP3_CODE_IN_USE }, { SLICE("[LOGIN-DELAY]"), POP3_CODE_DELAY },
		{ SLICE("unable to lock maildrop"), POP3_CODE_TEMPORARY },
		{ SLICE("maildrop already locked"), POP3_CODE_IN_USE },
	};
	size_t i;

	for (i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (slice_starts_fold(text, known[i].start))
			return known[i].code;
	return POP3_CODE_NONE;
}

/* Servers repeat what they don't understand, and what they say goes to the log. */
static void withhold_secret(struct pop3 *p)
{
	struct slice text = slice_bytes(p->reply.text, p->reply.len);

	if (echo_repeats(text, p->settings->password) ||
	    (p->digest[0] && echo_repeats(text, slice_bytes(p->digest, sizeof(p->digest)))))
		keep(&p->reply, SLICE_OF("(the reply repeats our credentials)"));
}

/* False when it is no status line. */
static bool take_status(struct pop3 *p, struct slice line)
{
	static const struct slice indicators[] = { SLICE("-ERR"), SLICE("+OK") };
	const struct row *row = &rows[p->state];
	const struct step *step;
	bool ok = slice_starts_fold(line, indicators[1]);
	struct slice text = slice_skip(line, indicators[ok].len);

	if (!slice_starts_fold(line, indicators[ok]) || (text.len && !ascii_is_blank(text.at[0])))
		return false;
	text = slice_trim(text);
	p->reply.ok = ok;
	p->reply.code = (uint8_t)(ok ? POP3_CODE_NONE : code_of(text));
	keep(&p->reply, text);
	if (row->stage == POP3_STAGE_LOGIN)
		withhold_secret(p);
	step = ok ? &row->ok : &row->err;
	if (step->act)
		step->act(p, text);
	else
		go(p, step->next);
	return true;
}

static void take_listed(struct pop3 *p, struct slice line)
{
	struct slice word;

	if (slice_equal(line, SLICE_OF(".")))
		on_list_end(p);
	else if (p->lines++ == POP3_LIST_MAX)
		fail_because(p, POP3_STAGE_PROTOCOL, "answer to CAPA of too many lines");
	else if (slice_word(&line, &word) && slice_equal_fold(word, SLICE_OF("STLS")))
		p->has_stls = true;
}

static bool reply_due(const struct pop3 *p)
{
	const struct row *row = &rows[p->state];

	return row->is_list || ((row->ok.act || row->ok.next) && (p->waiting || !row->command));
}

/* False when there is nothing to be taken. */
static bool take_line(struct pop3 *p, struct slice in, size_t *used)
{
	enum line_status found;
	struct slice line;
	size_t octets;

	if (!reply_due(p))
		return false;
	found = line_read(slice_skip(in, *used), POP3_LINE_MAX, &p->scanned, &line, &octets);
	if (found == LINE_MORE)
		return false;
	if (found != LINE_OK) {
		fail_because(p, POP3_STAGE_PROTOCOL, found == LINE_TOO_LONG ? "line too long" : "bare CR, bare LF or NUL");
		return true;
	}
	*used += octets;
	if (rows[p->state].is_list)
		take_listed(p, line);
	else if (!take_status(p, line))
		fail_because(p, POP3_STAGE_PROTOCOL, "not a POP3 reply");
	return true;
}

size_t pop3_feed(struct pop3 *p, struct slice in, struct buffer *out, struct pop3_event *event)
{
	enum sending sent;
	size_t used = 0;
	bool taken;

	*event = (struct pop3_event){ .type = POP3_MORE, .reply = &p->reply };
	do {
		sent = enter(p, out, event);
		taken = event->type == POP3_MORE && take_line(p, in, &used);
	} while (taken);
	if (event->type == POP3_MORE && sent == SENDING_NO_ROOM)
		event->type = POP3_ROOM;
	return used;
}

void pop3_init(struct pop3 *p, const struct pop3_settings *settings)
{
	*p = (struct pop3){ .settings = settings, .state = AT_GREETING, .secured = settings->secured };
}

/* A blank in the name would be its end to one server and a part of it to the next. */
bool pop3_respond(struct pop3 *p, struct buffer *out, struct slice hex)
{
	struct slice user = p->settings->user;
	char text[POP3_COMMAND_MAX];
	struct buffer line;
	enum sending sent;

	if (p->state != AT_CHALLENGED)
		return false;
	buffer_init(&line, text, sizeof(text));
	buffer_put_text(&line, "APOP ");
	buffer_put(&line, user);
	buffer_put_text(&line, " ");
	buffer_put(&line, hex);
	if (slice_find(user, ' ') < user.len || hex.len != sizeof(p->digest))
		line.overflow = true;
	sent = sending_put(out, &line);
	if (sent == SENDING_IMPOSSIBLE)
		fail_because(p, POP3_STAGE_LOGIN, "the user's name can't be used with APOP");
	if (sent != SENDING_DONE)
		return sent == SENDING_IMPOSSIBLE;
	memcpy(p->digest, hex.at, sizeof(p->digest));
	p->by_apop = true;
	go(p, AT_APOP);
	return true;
}

void pop3_secured(struct pop3 *p)
{
	const struct pop3_settings *settings = p->settings;

	if (p->state != AT_TLS)
		return;
	*p = (struct pop3){ .settings = settings, .secured = true };
	start_login(p);
}

enum pop3_stage pop3_stage(const struct pop3 *p)
{
	return p->state == AT_FAILED ? p->failed : rows[p->state].stage;
}

bool pop3_temporary(const struct pop3 *p)
{
	return p->state != AT_FAILED || p->failed != POP3_STAGE_LOGIN || p->reply.code == POP3_CODE_TEMPORARY ||
	       p->reply.code == POP3_CODE_DELAY || p->reply.code == POP3_CODE_IN_USE;
}
