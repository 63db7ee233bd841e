/*
 * A session: what it says and asks is the same for the same octets, however they are cut. The first octet switches
 * settings, the second is the size of the pieces of the third run; then comes what the client sends, in groups
 * parted by 0xfe: what follows STARTTLS in a group is lost, as in the house.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "smtp/server.h"

#define LOG_SIZE	(1 << 20)
#define INPUT_MAX	16384
#define GROUP_END	'\xfe'

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct run {
	struct smtp_server session;
	char log[LOG_SIZE];
	size_t len;
	uint64_t content;
	char tail[5];			/* the last octets of the content */
	bool deaf, closed, early;
};

static struct run whole, octets, pieces;

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void note(struct run *r, struct slice text)
{
	require(text.len <= sizeof r->log - r->len);
	if (text.len)
		memcpy(r->log + r->len, text.at, text.len);
	r->len += text.len;
}

/* The house: refuses by the first letter of what it is asked about. */
static enum reply judge(const struct address *a, enum reply good)
{
	if (a->text[0] == 'n')
		return REPLY_SENDER_REFUSED;
	return a->text[0] == 't' ? REPLY_DISK_FULL : a->text[0] == 'z' ? REPLY_SHUTDOWN : good;
}

static enum reply judge_login(const struct smtp_login *login)
{
	require(login->authcid.len > 0 && login->authcid.len <= LOGIN_MAX);
	require(slice_find(login->authcid, '\0') == login->authcid.len);
	require(login->mechanism == SASL_CRAM_MD5 ? login->response.len == 32 : login->password.len > 0);
	if (login->authcid.at[0] == 'n')
		return REPLY_AUTH_FAILED;
	return login->authcid.at[0] == 't' ? REPLY_AUTH_TEMPORARY : REPLY_AUTH_OK;
}

static void take_content(struct run *r, struct slice content)
{
	for (size_t i = 0; i < content.len; i++) {
		memmove(r->tail, r->tail + 1, 4);
		r->tail[4] = content.at[i];
		require(memcmp(r->tail, "\r\n.\r\n", 5) != 0);
	}
	r->content += content.len;
	note(r, content);
}

static void take_end(struct run *r, const struct smtp_server_event *event, struct buffer *out)
{
	require(event->end.size == r->content);
	require(r->content == 0 || memcmp(r->tail + 3, "\r\n", 2) == 0);
	smtp_server_answer(&r->session, out, event->end.bare_cr_lf ? REPLY_BARE_CR_LF :
			   r->content % 3 ? REPLY_ACCEPTED : REPLY_FILTERED, SLICE_OF("id"));
}

static void act(struct run *r, const struct smtp_server_event *event, struct buffer *out)
{
	static const char letters[] = "..LMRD.ERTX";

	if (letters[event->type] != '.')
		note(r, slice_bytes(letters + event->type, 1));
	if (event->type == SMTP_SERVER_LOGIN)
		smtp_server_login_done(&r->session, out, judge_login(&event->login));
	if (event->type == SMTP_SERVER_MAIL)
		smtp_server_answer(&r->session, out, judge(&event->mail.sender, REPLY_SENDER_OK), SLICE_OF("x"));
	if (event->type == SMTP_SERVER_RCPT)
		smtp_server_answer(&r->session, out, judge(&event->rcpt, REPLY_RECIPIENT_OK), SLICE_OF("x"));
	if (event->type == SMTP_SERVER_DATA) {
		r->content = 0;
		memset(r->tail, 0, sizeof r->tail);
		smtp_server_answer(&r->session, out, REPLY_START_INPUT, SLICE_OF("id"));
	}
	if (event->type == SMTP_SERVER_CONTENT)
		take_content(r, event->content);
	if (event->type == SMTP_SERVER_END)
		take_end(r, event, out);
	if (event->type == SMTP_SERVER_TLS) {
		smtp_server_secured(&r->session);
		r->deaf = true;
	}
	if (event->type == SMTP_SERVER_CLOSE)
		r->closed = true;
	r->early = r->early || (r->session.early && r->session.phase == PHASE_CLOSED);
}

/* Feeds what the session has not consumed of `in`; octets consumed. */
static size_t feed(struct run *r, struct slice in)
{
	char memory[SMTP_REPLY_MAX + 100];
	struct buffer out;
	struct smtp_server_event event;
	size_t used = 0;

	buffer_init(&out, memory, sizeof memory);
	do {
		used += smtp_server_feed(&r->session, slice_skip(in, used), &out, &event);
		require(used <= in.len);
		note(r, buffer_bytes(&out));
		buffer_clear(&out);
		act(r, &event, &out);
		require(!out.overflow);
		note(r, buffer_bytes(&out));
		buffer_clear(&out);
	} while (event.type != SMTP_SERVER_MORE && !r->deaf && !r->closed);
	require(event.type != SMTP_SERVER_MORE || used == in.len || in.len - used <= SMTP_AUTH_LINE_MAX);
	return used;
}

/* False when something is left of the group, which would have to be fed again, or the session is over. */
static bool play_group(struct run *r, struct slice group, size_t piece)
{
	size_t used = 0;

	r->deaf = false;
	for (size_t n = 0; n < group.len && !r->deaf && !r->closed;) {
		n = group.len - n < piece ? group.len : n + piece;
		used += feed(r, slice_skip(slice_first(group, n), used));
	}
	return r->deaf || (!r->closed && used == group.len);
}

static void play(struct run *r, const struct smtp_server_settings *settings, struct slice in, size_t piece)
{
	struct slice group;

	r->len = 0;
	r->content = 0;
	r->closed = r->early = false;
	smtp_server_init(&r->session, settings, "0123456789abcdef");
	while (slice_cut(&in, GROUP_END, &group) && play_group(r, group, piece))
		continue;
}

/* A session that ended early, for what stood behind a refused command, has said less; all others the same. */
static void compare(const struct run *a, const struct run *b)
{
	struct slice x = slice_bytes(a->log, a->len), y = slice_bytes(b->log, b->len);

	if (!a->early && !b->early)
		require(slice_equal(x, y));
	else if (a->early && (!b->early || x.len <= y.len))
		require(slice_starts(y, slice_first(x, x.len - 1)));
	else
		require(slice_starts(x, slice_first(y, y.len - 1)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct smtp_server_settings settings = {
		.hostname = SLICE("h.example"), .client = SLICE("[192.0.2.1]"), .mechanisms = SASL_PLAIN | SASL_LOGIN,
		.auth_failures = 3, .max_message_size = 1000,
	};
	struct slice in;

	if (size < 2 || size > INPUT_MAX)
		return 0;
	settings.enhanced_codes = data[0] & 1;
	settings.starttls = data[0] & 2;
	settings.plaintext_auth = data[0] & 4;
	settings.auth_required = data[0] & 8;
	settings.mechanisms |= data[0] & 16 ? SASL_CRAM_MD5 : 0;
	in = slice_bytes((const char *)data + 2, size - 2);
	play(&whole, &settings, in, INPUT_MAX);
	play(&octets, &settings, in, 1);
	play(&pieces, &settings, in, (size_t)data[1] + 1);
	compare(&whole, &octets);
	compare(&whole, &pieces);
	compare(&pieces, &octets);
	return 0;
}
