/*
 * Dialogues of the client session with an upstream: run_client FILE... (tests/dialog/script.h). S
 * lines are what the upstream says: each group of them is fed whole, octet by octet, and cut at every
 * pair of places (a long one at every place), and all again with little room for output. C lines are
 * what the session must have sent when the next group comes, E lines what it must have told
 * (play_client.h).
 *
 * Words of a case:	starttls | secured | open | quit
 *			optional		(the login, where no AUTH is offered)
 *			auth MECHANISM...	(user and password are `user` and `secret`)
 *			user TEXT | password TEXT | token TEXT
 *			room N			octets of `out` in the second round, 64 if not said
 *			mail SENDER SIZE RECIPIENT...	`<>` is the null sender; `100/8` for SIZE asks
 *						for 8BITMIME
 *			rehearse SENDER RECIPIENT...	MAIL and RCPT without a message
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "play_client.h"
#include "script.h"
#include "smtp/sasl.h"

#define RECIPIENTS	64
#define SMALL_ROOM	64
#define PAIRS_MAX	200	/* octets of a group; a longer one is cut at every single place */

/* Where a group of S lines is cut. */
struct cut {
	size_t group;			/* others are whole; SIZE_MAX: none is cut */
	size_t first, second;
	bool octets;			/* every group octet by octet */
};

static struct play play;
static struct slice recipients[PLAY_MAILS][RECIPIENTS];
static size_t small_room;

static void word_auth(struct slice rest)
{
	struct slice word;

	while (slice_word(&rest, &word))
		play.settings.mechanisms |= sasl_find(word);
}

static bool word_mail(struct slice rest)
{
	struct smtp_client_mail *m = &play.mails[play.mail_count];
	struct slice *to = recipients[play.mail_count], size, digits;

	if (play.mail_count == PLAY_MAILS)
		return false;
	*m = (struct smtp_client_mail){ .recipients = to };
	if (!slice_word(&rest, &m->sender) || !slice_word(&rest, &size))
		return false;
	if (slice_equal(m->sender, SLICE_OF("<>")))
		m->sender.len = 0;
	digits = slice_first(size, slice_find(size, '/'));
	m->body_8bit = digits.len < size.len;
	while (m->recipient_count < RECIPIENTS && slice_word(&rest, &to[m->recipient_count]))
		m->recipient_count++;
	play.mail_count++;
	return slice_number(digits, UINT64_MAX, &m->size);
}

static bool word_rehearse(struct slice rest)
{
	struct smtp_client_mail *m = &play.mails[play.mail_count];
	struct slice *to = recipients[play.mail_count];

	if (play.mail_count == PLAY_MAILS)
		return false;
	*m = (struct smtp_client_mail){ .recipients = to, .rehearsal = true };
	if (!slice_word(&rest, &m->sender))
		return false;
	if (slice_equal(m->sender, SLICE_OF("<>")))
		m->sender.len = 0;
	while (m->recipient_count < RECIPIENTS && slice_word(&rest, &to[m->recipient_count]))
		m->recipient_count++;
	play.mail_count++;
	return true;
}

static bool word_room(struct slice rest)
{
	uint64_t room;

	if (!slice_number(rest, PLAY_ROOM, &room))
		return false;
	small_room = (size_t)room;
	return true;
}

static bool set_word(struct slice line)
{
	struct slice word, rest = line;

	slice_word(&rest, &word);
	rest = slice_trim(rest);
	if (slice_equal(word, SLICE_OF("mail")))
		return word_mail(rest);
	if (slice_equal(word, SLICE_OF("rehearse")))
		return word_rehearse(rest);
	if (slice_equal(word, SLICE_OF("room")))
		return word_room(rest);
	if (slice_equal(word, SLICE_OF("auth")))
		word_auth(rest);
	else if (slice_equal(word, SLICE_OF("user")))
		play.settings.user = rest;
	else if (slice_equal(word, SLICE_OF("password")))
		play.settings.password = rest;
	else if (slice_equal(word, SLICE_OF("token")))
		play.settings.token = rest;
	else if (slice_equal(word, SLICE_OF("starttls")))
		play.settings.starttls = true;
	else if (slice_equal(word, SLICE_OF("secured")))
		play.settings.secured = true;
	else if (slice_equal(word, SLICE_OF("optional")))
		play.settings.login_optional = true;
	else if (slice_equal(word, SLICE_OF("open")))
		play.open_content = true;
	else if (slice_equal(word, SLICE_OF("quit")))
		play.quit = true;
	else
		return false;
	return true;
}

static bool set_words(const struct script *s, const struct script_case *c)
{
	play.settings = (struct smtp_client_settings){
		.helo = SLICE("gate.example"), .user = SLICE("user"), .password = SLICE("secret"),
		.nonce = SLICE("nonce"),
	};
	play.mail_count = 0;
	play.quit = play.open_content = false;
	small_room = SMALL_ROOM;
	for (size_t i = 0; i < c->count; i++) {
		const struct script_step *step = &c->steps[i];

		if (step->kind != SCRIPT_WORDS || set_word(text_bytes(&step->text)))
			continue;
		fprintf(stderr, "%s:%u: unknown words\n", s->file, step->line);
		return false;
	}
	return true;
}

static void feed_cut(struct slice octets, const struct cut *cut, size_t group)
{
	if (cut->octets) {
		for (size_t i = 0; i < octets.len; i++)
			play_feed(&play, slice_bytes(octets.at + i, 1));
	} else if (cut->group == group) {
		play_feed(&play, slice_first(octets, cut->first));
		play_feed(&play, slice_skip(slice_first(octets, cut->second), cut->first));
		play_feed(&play, slice_skip(octets, cut->second));
	} else {
		play_feed(&play, octets);
	}
}

/* All S lines from step i on, as one; settings between them have had their turn. */
static size_t gather(const struct script_case *c, size_t i, struct text *octets)
{
	for (; i < c->count; i++) {
		if (c->steps[i].kind == SCRIPT_SERVER)
			text_add(octets, text_bytes(&c->steps[i].text));
		else if (c->steps[i].kind != SCRIPT_WORDS)
			break;
	}
	return i;
}

static bool expect_sent(const struct script_step *step)
{
	struct slice want = text_bytes(&step->text), got = buffer_bytes(&play.sent);

	if (!slice_starts(got, want)) {
		printf("\tline %u: sent instead: %.*s\n", step->line,
		       SLICE_ARGS(slice_first(got, 120)));
		return false;
	}
	buffer_take(&play.sent, want.len);
	return true;
}

static bool expect_event(const struct script_step *step)
{
	struct slice got = buffer_bytes(&play.events);

	got = slice_first(got, slice_find(got, '\n'));
	if (!script_match(text_bytes(&step->text), got)) {
		printf("\tline %u: told instead: %.*s\n", step->line, SLICE_ARGS(got));
		return false;
	}
	buffer_take(&play.events, got.len + 1);
	return true;
}

static bool expect_nothing_more(unsigned line)
{
	struct slice sent = buffer_bytes(&play.sent), told = buffer_bytes(&play.events);

	if (sent.len == 0 && told.len == 0)
		return true;
	printf("\tbefore line %u: also sent: %.*s told: %.*s\n", line,
	       SLICE_ARGS(slice_first(sent, 120)), SLICE_ARGS(slice_first(told, 120)));
	return false;
}

static bool expect(const struct script_step *step)
{
	if (step->kind == SCRIPT_CLIENT)
		return expect_sent(step);
	if (step->kind == SCRIPT_EVENT)
		return expect_event(step);
	if (step->kind != SCRIPT_CLOSED || play.over)
		return true;
	printf("\tline %u: the session goes on\n", step->line);
	return false;
}

static bool run_cut(const struct script_case *c, const struct cut *cut)
{
	bool good = true;

	play_start(&play);
	play_drive(&play);
	for (size_t i = 0, group = 0; good && i < c->count; group++) {
		struct text octets = { .at = NULL };

		good = expect_nothing_more(c->steps[i].line);
		i = gather(c, i, &octets);
		feed_cut(text_bytes(&octets), cut, group);
		text_free(&octets);
		while (play_act(&play))
			;
		for (; good && i < c->count && c->steps[i].kind != SCRIPT_SERVER; i++)
			good = expect(&c->steps[i]);
	}
	return good && expect_nothing_more(0);
}

static bool run_pairs_of(const struct script_case *c, size_t group, size_t len)
{
	struct cut cut = { .group = group };

	for (cut.first = 0; cut.first <= len; cut.first += script_stride())
		for (cut.second = cut.first; cut.second <= len; cut.second += script_stride()) {
			if (len > PAIRS_MAX)
				cut.second = len;
			if (run_cut(c, &cut))
				continue;
			printf("\tgroup %zu cut at %zu and %zu\n", group, cut.first, cut.second);
			return false;
		}
	return true;
}

static bool run_pairs(const struct script_case *c)
{
	bool good = true;

	for (size_t i = 0, group = 0; good && i < c->count; group++) {
		struct text octets = { .at = NULL };

		i = gather(c, i, &octets);
		good = run_pairs_of(c, group, octets.len);
		text_free(&octets);
		while (i < c->count && c->steps[i].kind != SCRIPT_SERVER)
			i++;
	}
	return good;
}

static bool run_case(const struct script *s, const struct script_case *c)
{
	static const struct cut whole = { .group = SIZE_MAX }, octets = { .octets = true };
	size_t rooms[2];

	if (!set_words(s, c))
		return false;
	rooms[0] = PLAY_ROOM;
	rooms[1] = small_room;
	for (size_t i = 0; i < 2; i++) {
		play.room = rooms[i];
		if (run_cut(c, &whole) && run_cut(c, &octets) && run_pairs(c))
			continue;
		printf("%s:%u: %s: failed with room for %zu\n", s->file, c->line, c->name,
		       play.room);
		return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	unsigned passed = 0, failed = 0;

	for (int i = 1; i < argc; i++) {
		struct script s;

		if (!script_read(&s, argv[i]))
			return 2;
		for (size_t k = 0; k < s.count; k++) {
			if (run_case(&s, &s.cases[k]))
				passed++;
			else
				failed++;
		}
		script_free(&s);
	}
	printf("dialogues: %u passed, %u failed\n", passed, failed);
	return failed > 0 || passed == 0;
}
