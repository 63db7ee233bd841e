/*
 * Dialogues of the client session with an upstream: run_client FILE... (exchange.h, play_client.h).
 *
 * Words of a case:	starttls | secured | open | quit
 *			optional		(the login, where no AUTH is offered)
 *			auth MECHANISM...	(user and password are `user` and `secret`)
 *			user TEXT | password TEXT | token TEXT
 *			mail SENDER SIZE RECIPIENT...	`<>` is the null sender; `100/8` for SIZE asks
 *						for 8BITMIME
 *			rehearse SENDER RECIPIENT...	MAIL and RCPT without a message
 */
#include "exchange.h"
#include "play_client.h"
#include "smtp/sasl.h"

#define RECIPIENTS	64

static struct play_client client = { .play.session = &play_client };
static struct slice recipients[PLAY_MAILS][RECIPIENTS];

static bool set_auth(struct slice rest)
{
	struct slice word;

	while (slice_word(&rest, &word)) {
		unsigned mechanism = sasl_find(word);

		if (!mechanism)
			return false;
		client.settings.mechanisms |= mechanism;
	}
	return true;
}

/* SENDER, behind it SIZE where `sized`, and the recipients. */
static bool set_mail(struct slice rest, bool sized)
{
	struct smtp_client_mail *m = &client.mails[client.mail_count];
	struct slice *to, size, digits;

	if (client.mail_count == PLAY_MAILS)
		return false;
	to = recipients[client.mail_count++];
	*m = (struct smtp_client_mail){ .recipients = to, .rehearsal = !sized };
	if (!slice_word(&rest, &m->sender) || (sized && !slice_word(&rest, &size)))
		return false;
	if (slice_equal(m->sender, SLICE_OF("<>")))
		m->sender.len = 0;
	while (m->recipient_count < RECIPIENTS && slice_word(&rest, &to[m->recipient_count]))
		m->recipient_count++;
	if (!sized)
		return true;
	digits = slice_first(size, slice_find(size, '/'));
	m->body_8bit = digits.len < size.len;
	return slice_number(digits, UINT64_MAX, &m->size);
}

static bool set_text(struct slice word, struct slice text)
{
	const struct {
		struct slice word;
		struct slice *setting;
	} texts[] = {
		{ SLICE("user"), &client.settings.user },
		{ SLICE("password"), &client.settings.password },
		{ SLICE("token"), &client.settings.token },
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		if (slice_equal(word, texts[i].word)) {
			*texts[i].setting = text;
			return true;
		}
	return false;
}

static bool set_flag(struct slice word)
{
	const struct {
		struct slice word;
		bool *flag;
	} flags[] = {
		{ SLICE("starttls"), &client.settings.starttls },
		{ SLICE("secured"), &client.settings.secured },
		{ SLICE("optional"), &client.settings.login_optional },
		{ SLICE("open"), &client.open_content },
		{ SLICE("quit"), &client.quit },
	};

	for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++)
		if (slice_equal(word, flags[i].word)) {
			*flags[i].flag = true;
			return true;
		}
	return false;
}

static bool set(struct slice word, struct slice rest)
{
	if (slice_equal(word, SLICE_OF("mail")))
		return set_mail(rest, true);
	if (slice_equal(word, SLICE_OF("rehearse")))
		return set_mail(rest, false);
	if (slice_equal(word, SLICE_OF("auth")))
		return set_auth(rest);
	return set_text(word, rest) || set_flag(word);
}

static void reset(void)
{
	client.settings = (struct smtp_client_settings){
		.helo = SLICE("gate.example"), .user = SLICE("user"), .password = SLICE("secret"),
		.nonce = SLICE("nonce"),
	};
	client.mail_count = 0;
	client.quit = client.open_content = false;
}

int main(int argc, char **argv)
{
	static const struct exchange x = { .play = &client.play, .reset = reset, .set = set };

	return exchange_main(&x, argc, argv);
}
