/*
 * Replays the dialogues of server-*.txt against smtp_server: in lock step, in whole groups (pipelined), byte by byte,
 * and cut at every pair of places. What the session says and asks must be the script's, and the same however it was cut.
 *
 * Settings of a case, with their defaults:
 *	set ready | set greeting	begin behind an EHLO | begin with the greeting (neither)
 *	set enhanced_codes yes		set auth_required no	set plaintext_auth yes
 *	set starttls no			set secured no		set mechanisms PLAIN LOGIN CRAM-MD5
 *	set auth_failures 3		set max_message_size 31457280
 *	set uncut			in lock step only, as the pieces are: where it matters what stands behind a command
 *	answer WHAT REPLY [WHOM]	WHAT: mail, rcpt, data, end, login; WHOM: an address, for `end` the number of the
 *					message; without it all
 *
 * Accounts: user1 (user1234) and user2 (user2345) at test-sample.jp.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/limits.h"
#include "script.h"
#include "smtp/server.h"

#define QUEUE_ID	"B0000000001"
#define OUT_SIZE	(SMTP_REPLY_MAX + 200)	/* little more than must be free, so that SMTP_SERVER_ROOM comes */
#define PAIRS_WHOLE	400			/* octets of a group up to which every pair of cuts is tried */
#define CUTS_MAX	1500			/* of longer ones: so many first cuts, the second close behind */

/* Settings and answers of a case */

struct answer {
	char what[8], whom[64];
	enum reply reply;
};

struct house {
	struct smtp_server_settings settings;
	bool ready, greeting, secured, uncut;
	struct answer answers[16];
	unsigned answer_count;
};

#define NAME(reply) { #reply, reply }
static const struct {
	const char *name;
	enum reply reply;
} reply_names[] = {
	NAME(REPLY_SENDER_REFUSED), NAME(REPLY_SENDER_SYNTAX), NAME(REPLY_DISK_FULL), NAME(REPLY_RELAY_DENIED),
	NAME(REPLY_TOO_MANY_RECIPIENTS), NAME(REPLY_SPOOL_FAILED), NAME(REPLY_FILTERED), NAME(REPLY_TOO_LARGE),
	NAME(REPLY_LOOP), NAME(REPLY_AUTH_TEMPORARY), NAME(REPLY_SHUTDOWN), NAME(REPLY_RECIPIENT_SYNTAX),
};

static bool copy_word(struct slice *rest, char *out, size_t size)
{
	struct slice word;

	return slice_word(rest, &word) && slice_copy(word, out, size);
}

static bool add_answer(struct house *h, struct slice rest)
{
	struct answer *a = &h->answers[h->answer_count];
	struct slice word;

	if (h->answer_count == sizeof h->answers / sizeof h->answers[0])
		return false;
	if (!copy_word(&rest, a->what, sizeof a->what) || !slice_word(&rest, &word))
		return false;
	copy_word(&rest, a->whom, sizeof a->whom);
	for (size_t i = 0; i < sizeof reply_names / sizeof reply_names[0]; i++) {
		if (!slice_equal(word, slice_of(reply_names[i].name)))
			continue;
		a->reply = reply_names[i].reply;
		h->answer_count++;
		return true;
	}
	return false;
}

static enum reply find_answer(const struct house *h, const char *what, struct slice whom, enum reply otherwise)
{
	for (unsigned i = 0; i < h->answer_count; i++) {
		const struct answer *a = &h->answers[i];

		if (strcmp(a->what, what) == 0 && (!a->whom[0] || slice_equal_fold(whom, slice_of(a->whom))))
			return a->reply;
	}
	return otherwise;
}

static bool set_mechanisms(struct house *h, struct slice rest)
{
	static const enum smtp_mechanism all[] = { SASL_PLAIN, SASL_LOGIN, SASL_CRAM_MD5 };
	struct slice word;

	h->settings.mechanisms = 0;
	while (slice_word(&rest, &word))
		for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
			if (slice_equal(word, slice_of(smtp_mechanism_name(all[i]))))
				h->settings.mechanisms |= all[i];
	return true;
}

static bool set_number(struct house *h, struct slice name, uint64_t value)
{
	if (slice_equal(name, SLICE_OF("auth_failures")))
		h->settings.auth_failures = (unsigned)value;
	else if (slice_equal(name, SLICE_OF("max_message_size")))
		h->settings.max_message_size = value;
	else
		return false;
	return true;
}

static bool set(struct house *h, struct slice rest)
{
	struct {
		const char *name;
		bool *at;
	} flags[] = {
		{ "ready", &h->ready }, { "greeting", &h->greeting }, { "secured", &h->secured },
		{ "uncut", &h->uncut },
		{ "enhanced_codes", &h->settings.enhanced_codes }, { "starttls", &h->settings.starttls },
		{ "plaintext_auth", &h->settings.plaintext_auth }, { "auth_required", &h->settings.auth_required },
	};
	struct slice name;
	uint64_t value;

	if (!slice_word(&rest, &name))
		return false;
	rest = slice_trim(rest);
	if (slice_equal(name, SLICE_OF("mechanisms")))
		return set_mechanisms(h, rest);
	for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
		if (!slice_equal(name, slice_of(flags[i].name)))
			continue;
		*flags[i].at = !slice_equal(rest, SLICE_OF("no"));
		return true;
	}
	return slice_number(rest, UINT64_MAX, &value) && set_number(h, name, value);
}

static bool build_house(struct house *h, const struct script_case *c)
{
	*h = (struct house){ .settings = {
		.hostname = SLICE("test-sample.jp"), .client = SLICE("[192.0.2.1]"), .enhanced_codes = true,
		.mechanisms = SASL_PLAIN | SASL_LOGIN | SASL_CRAM_MD5, .plaintext_auth = true, .auth_failures = 3,
		.max_message_size = 31457280,
	} };
	for (size_t i = 0; i < c->count; i++) {
		struct slice rest = text_bytes(&c->steps[i].text), word;

		if (c->steps[i].kind != SCRIPT_WORDS || !slice_word(&rest, &word))
			continue;
		if (slice_equal(word, SLICE_OF("set")) ? set(h, rest) :
		    slice_equal(word, SLICE_OF("answer")) && add_answer(h, rest))
			continue;
		printf("%s (line %u): what is this setting?\n", c->name, c->steps[i].line);
		return false;
	}
	return true;
}

/* A session being played */

struct player {
	const struct house *house;
	struct smtp_server session;
	struct text pending;		/* input not consumed yet */
	struct text log;		/* what was said and asked, a line each */
	struct text content;
	unsigned messages;
	bool deaf, closed;		/* the group's rest is dropped: STARTTLS; the session's: closed */
	bool broken;			/* the session did what it may not */
};

static void log_text(struct player *p, const char *text)
{
	text_add(&p->log, slice_of(text));
}

static void log_escaped(struct player *p, struct slice s)
{
	static const char hex[] = "0123456789abcdef";

	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.at[i];
		char escape[4] = { '\\', 'x', hex[c >> 4], hex[c & 15] };
		bool plain = ascii_is_print(s.at[i]);

		text_add(&p->log, plain ? slice_bytes(s.at + i, 1) : slice_bytes(escape, 4));
	}
}

/* Server lines go to the log as `S: …`; one without CRLF shows by having no end or a \x0a in it. */
static void drain(struct player *p, struct buffer *out)
{
	struct slice rest = buffer_bytes(out);

	while (rest.len) {
		size_t cr = slice_find(rest, '\r');

		log_text(p, "S: ");
		log_escaped(p, slice_first(rest, cr));
		log_text(p, "\n");
		rest = slice_skip(rest, cr + 2);
	}
	buffer_clear(out);
}

static void log_content(struct player *p)
{
	if (!p->content.len)
		return;
	log_text(p, "E: content ");
	log_escaped(p, text_bytes(&p->content));
	log_text(p, "\n");
	p->content.len = 0;
}

static bool is_hex_of(struct slice hex, const uint8_t *digest, size_t len)
{
	char text[2 * DIGEST_MAX + 1];

	for (size_t i = 0; i < len; i++)
		snprintf(text + 2 * i, 3, "%02x", digest[i]);
	return slice_equal(hex, slice_of(text));
}

static bool knows(const struct smtp_login *login)
{
	static const struct {
		struct slice user, address, password;
	} accounts[] = {
		{ SLICE("user1"), SLICE("user1@test-sample.jp"), SLICE("user1234") },
		{ SLICE("user2"), SLICE("user2@test-sample.jp"), SLICE("user2345") },
	};
	uint8_t digest[DIGEST_MAX];

	for (size_t i = 0; i < sizeof accounts / sizeof accounts[0]; i++) {
		if (!slice_equal_fold(login->authcid, accounts[i].user) &&
		    !slice_equal_fold(login->authcid, accounts[i].address))
			continue;
		if (login->authzid.len && !slice_equal_fold(login->authzid, login->authcid))
			return false;
		if (login->mechanism != SASL_CRAM_MD5)
			return slice_equal(login->password, accounts[i].password);
		return digest_hmac(DIGEST_MD5, accounts[i].password, login->challenge, digest) &&
			is_hex_of(login->response, digest, DIGEST_MD5_SIZE);
	}
	return false;
}

static void answer_login(struct player *p, const struct smtp_login *login, struct buffer *out)
{
	enum reply reply = knows(login) ? REPLY_AUTH_OK : REPLY_AUTH_FAILED;

	log_text(p, "E: login ");
	log_text(p, smtp_mechanism_name(login->mechanism));
	log_text(p, " authzid=");
	log_escaped(p, login->authzid);
	log_text(p, " authcid=");
	log_escaped(p, login->authcid);
	log_text(p, " password=");
	log_escaped(p, login->password);
	log_text(p, "\n");
	smtp_server_login_done(&p->session, out, find_answer(p->house, "login", login->authcid, reply));
}

static void answer_mail(struct player *p, const struct smtp_mail *mail, struct buffer *out)
{
	struct address sender = mail->sender;
	char line[64];

	log_text(p, "E: mail <");
	log_escaped(p, address_text(&sender));
	snprintf(line, sizeof line, "> size=%llu %s\n", (unsigned long long)mail->size, mail->body_8bit ? "8bit" : "7bit");
	log_text(p, line);
	smtp_server_answer(&p->session, out, find_answer(p->house, "mail", address_text(&sender), REPLY_SENDER_OK),
			   address_text(&sender));
}

static void answer_rcpt(struct player *p, const struct address *recipient, struct buffer *out)
{
	struct address a = *recipient;

	log_text(p, "E: rcpt <");
	log_escaped(p, address_text(&a));
	log_text(p, ">\n");
	smtp_server_answer(&p->session, out, find_answer(p->house, "rcpt", address_text(&a), REPLY_RECIPIENT_OK),
			   address_text(&a));
}

static void answer_data(struct player *p, struct buffer *out)
{
	log_text(p, "E: data\n");
	smtp_server_answer(&p->session, out, find_answer(p->house, "data", slice_of(NULL), REPLY_START_INPUT),
			   SLICE_OF(QUEUE_ID));
}

static void answer_end(struct player *p, bool bare, uint64_t size, struct buffer *out)
{
	char line[64], number[16];
	enum reply reply = REPLY_ACCEPTED;

	log_content(p);
	snprintf(line, sizeof line, "E: end size=%llu%s\n", (unsigned long long)size, bare ? " bare" : "");
	log_text(p, line);
	snprintf(number, sizeof number, "%u", ++p->messages);
	if (size > p->house->settings.max_message_size)
		reply = REPLY_TOO_LARGE;
	reply = find_answer(p->house, "end", slice_of(number), reply);
	smtp_server_answer(&p->session, out, bare ? REPLY_BARE_CR_LF : reply, SLICE_OF(QUEUE_ID));
}

/* While an answer is due nothing may be consumed or said (smtp/server.h). */
static void prod(struct player *p, struct buffer *out)
{
	struct smtp_server_event event;

	if (smtp_server_feed(&p->session, SLICE_OF("NOOP\r\n"), out, &event) || event.type != SMTP_SERVER_MORE ||
	    buffer_length(out))
		p->broken = true;
}

static void act(struct player *p, const struct smtp_server_event *event, struct buffer *out)
{
	drain(p, out);
	if (p->session.waiting)
		prod(p, out);
	switch (event->type) {
	case SMTP_SERVER_LOGIN:
		answer_login(p, &event->login, out);
		break;
	case SMTP_SERVER_MAIL:
		answer_mail(p, &event->mail, out);
		break;
	case SMTP_SERVER_RCPT:
		answer_rcpt(p, &event->rcpt, out);
		break;
	case SMTP_SERVER_DATA:
		answer_data(p, out);
		break;
	case SMTP_SERVER_CONTENT:
		text_add(&p->content, event->content);
		break;
	case SMTP_SERVER_END:
		answer_end(p, event->end.bare_cr_lf, event->end.size, out);
		break;
	case SMTP_SERVER_RESET:
		log_text(p, "E: reset\n");
		break;
	case SMTP_SERVER_TLS:
		log_text(p, "E: tls\n");
		p->deaf = true;
		smtp_server_secured(&p->session);
		break;
	case SMTP_SERVER_CLOSE:
		log_text(p, "closed\n");
		p->closed = true;
		break;
	case SMTP_SERVER_MORE:
	case SMTP_SERVER_ROOM:
		break;
	}
}

static void feed(struct player *p, struct slice bytes)
{
	char memory[OUT_SIZE];
	struct buffer out;
	struct smtp_server_event event;
	size_t used = 0;

	text_add(&p->pending, bytes);
	buffer_init(&out, memory, sizeof memory);
	do {
		used += smtp_server_feed(&p->session, slice_skip(text_bytes(&p->pending), used), &out, &event);
		if (event.type != SMTP_SERVER_MORE)
			act(p, &event, &out);
	} while (event.type != SMTP_SERVER_MORE && !p->deaf && !p->closed);
	if (out.overflow)
		p->broken = true;
	drain(p, &out);
	if (p->deaf || p->closed)
		used = p->pending.len;
	p->pending.len -= used;
	memmove(p->pending.at, p->pending.at + used, p->pending.len);
}

static void feed_group(struct player *p, struct slice bytes)
{
	if (bytes.len && !p->deaf && !p->closed)
		feed(p, bytes);
}

static void begin(struct player *p, const struct house *h)
{
	char memory[OUT_SIZE];
	struct buffer out;

	*p = (struct player){ .house = h };
	text_add(&p->pending, SLICE_OF(" "));	/* so that there is memory to point to */
	p->pending.len = 0;
	buffer_init(&out, memory, sizeof memory);
	smtp_server_init(&p->session, &h->settings, "0123456789abcdef");
	if (h->secured)
		smtp_server_secured(&p->session);
	if (h->greeting)
		smtp_server_greet(&p->session, &out);
	drain(p, &out);
	if (h->ready) {
		feed(p, SLICE_OF("EHLO client.example\r\n"));
		p->session.verbs = 0;
		p->log.len = 0;
	}
}

static void end(struct player *p)
{
	text_free(&p->pending);
	text_free(&p->log);
	text_free(&p->content);
}

/* *to becomes what *from is; what it logs begins anew. */
static void fork_player(struct player *to, const struct player *from)
{
	to->house = from->house;
	to->session = from->session;
	to->messages = from->messages;
	to->deaf = from->deaf;
	to->closed = from->closed;
	to->broken = false;
	to->log.len = to->pending.len = to->content.len = 0;
	text_add(&to->pending, text_bytes(&from->pending));
	text_add(&to->content, text_bytes(&from->content));
}

/* Comparing with the script */

static bool has_events(const struct script_case *c)
{
	for (size_t i = 0; i < c->count; i++)
		if (c->steps[i].kind == SCRIPT_EVENT)
			return true;
	return false;
}

/* The next line of the log that the script has an opinion on. */
static bool next_line(struct slice *log, bool events, struct slice *line)
{
	while (log->len && slice_cut(log, '\n', line))
		if (events || !slice_starts(*line, SLICE_OF("E: ")))
			return true;
	return false;
}

static bool fits_step(const struct script_step *step, struct slice line)
{
	struct slice text = text_bytes(&step->text), said = slice_skip(line, 3);

	switch (step->kind) {
	case SCRIPT_SERVER:	/* without its CRLF */
		return slice_starts(line, SLICE_OF("S: ")) && text.len >= 2 &&
			slice_equal(said, slice_first(text, text.len - 2));
	case SCRIPT_PATTERN:
		return slice_starts(line, SLICE_OF("S: ")) && script_match(text, said);
	case SCRIPT_EVENT:
		return slice_starts(line, SLICE_OF("E: ")) && script_match(text, said);
	case SCRIPT_CLOSED:
		return slice_equal(line, SLICE_OF("closed"));
	default:
		return false;
	}
}

static bool is_expectation(enum script_kind kind)
{
	return kind != SCRIPT_CLIENT && kind != SCRIPT_SYNC && kind != SCRIPT_WORDS;
}

static bool starts_saying(const struct script_case *c, size_t i)
{
	return c->steps[i].kind == SCRIPT_CLIENT && i > 0 && c->steps[i - 1].kind != SCRIPT_CLIENT;
}

/* Each answer must be there as soon as what it answers has been sent, and no other. */
static bool lock_step(const struct script_case *c, struct player *p)
{
	bool events = has_events(c);
	size_t seen = 0;

	for (size_t i = 0; i < c->count; i++) {
		const struct script_step *step = &c->steps[i];
		struct slice rest = slice_skip(text_bytes(&p->log), seen), line = { NULL, 0 };

		if (step->kind == SCRIPT_SYNC)
			p->deaf = false;
		if (starts_saying(c, i) && next_line(&rest, events, &line)) {
			printf("%s (line %u): too much: %.*s\n", c->name, step->line, SLICE_ARGS(line));
			return false;
		}
		if (step->kind == SCRIPT_CLIENT)
			feed_group(p, text_bytes(&step->text));
		if (!is_expectation(step->kind))
			continue;
		if (!next_line(&rest, events, &line) || !fits_step(step, line)) {
			printf("%s (line %u): wanted %.*s, got %.*s\n", c->name, step->line,
			       SLICE_ARGS(slice_trim(text_bytes(&step->text))), SLICE_ARGS(line));
			return false;
		}
		seen = rest.at ? (size_t)(rest.at - p->log.at) : p->log.len;
	}
	struct slice rest = slice_skip(text_bytes(&p->log), seen), line;

	if (next_line(&rest, events, &line)) {
		printf("%s: too much at the end: %.*s\n", c->name, SLICE_ARGS(line));
		return false;
	}
	return true;
}

/* Cutting */

static bool same_log(const struct script_case *c, const struct player *want, const struct player *got, size_t i, size_t k)
{
	if (slice_equal(text_bytes(&want->log), text_bytes(&got->log)) && !got->broken)
		return true;
	printf("%s: cut at %zu and %zu it goes otherwise%s:\n%.*s--- instead of\n%.*s", c->name, i, k,
	       got->broken ? " (and out of turn)" : "", SLICE_ARGS(text_bytes(&got->log)), SLICE_ARGS(text_bytes(&want->log)));
	return false;
}

static bool cut_at(const struct script_case *c, const struct player *start, const struct player *whole, struct player *p,
		   struct slice group, size_t i, size_t k)
{
	fork_player(p, start);
	feed_group(p, slice_first(group, i));
	feed_group(p, slice_first(slice_skip(group, i), k - i));
	feed_group(p, slice_skip(group, k));
	return same_log(c, whole, p, i, k);
}

static bool cut_everywhere(const struct script_case *c, const struct player *start, const struct player *whole,
			   struct slice group)
{
	struct player p = { .house = NULL };
	bool every = group.len <= PAIRS_WHOLE, same;
	size_t stride = every ? script_stride() : group.len / CUTS_MAX + 1;

	fork_player(&p, start);
	for (size_t i = 0; i < group.len; i++)
		feed_group(&p, slice_bytes(group.at + i, 1));
	same = same_log(c, whole, &p, 1, 2);
	for (size_t i = 0; i < group.len && same; i += stride)
		for (size_t k = i + 1; k <= group.len && same && (every || k < i + 4); k += script_stride())
			same = cut_at(c, start, whole, &p, group, i, k);
	end(&p);
	return same;
}

/* Octets of the client up to the next `sync`; false at the end. */
static bool next_group(const struct script_case *c, size_t *at, struct text *group)
{
	size_t first = *at;

	group->len = 0;
	for (; *at < c->count; (*at)++) {
		if (c->steps[*at].kind == SCRIPT_CLIENT)
			text_add(group, text_bytes(&c->steps[*at].text));
		if (c->steps[*at].kind == SCRIPT_SYNC)
			break;
	}
	*at += 1;
	return first < c->count;
}

/* All that was logged, group by group, must be what lock step gave. */
static bool in_groups(const struct script_case *c, const struct house *h, const struct player *stepped)
{
	struct player now = { .house = NULL }, whole = { .house = NULL };
	struct text group = { .at = NULL }, all = { .at = NULL };
	bool good = true;
	size_t at = 0;

	begin(&now, h);
	text_add(&all, text_bytes(&now.log));
	while (good && next_group(c, &at, &group)) {
		now.deaf = false;
		fork_player(&whole, &now);
		feed_group(&whole, text_bytes(&group));
		text_add(&all, text_bytes(&whole.log));
		good = !whole.broken && cut_everywhere(c, &now, &whole, text_bytes(&group));
		fork_player(&now, &whole);
	}
	if (good && !slice_equal(text_bytes(&all), text_bytes(&stepped->log))) {
		printf("%s: pipelined it goes otherwise:\n%.*s--- instead of\n%.*s", c->name, SLICE_ARGS(text_bytes(&all)),
		       SLICE_ARGS(text_bytes(&stepped->log)));
		good = false;
	}
	text_free(&group);
	text_free(&all);
	end(&now);
	end(&whole);
	return good;
}

static bool run_case(const struct script *s, const struct script_case *c)
{
	struct house house;
	struct player stepped;
	bool good;

	(void)s;
	if (!build_house(&house, c))
		return false;
	begin(&stepped, &house);
	good = lock_step(c, &stepped) && (house.uncut || in_groups(c, &house, &stepped));
	end(&stepped);
	return good;
}

int main(int argc, char **argv)
{
	return script_main(argc, argv, run_case);
}
