/*
 * A hostile upstream (hostile.h). The session never says more than EHLO and STARTTLS in clear where TLS is demanded, sends no mail
 * without a login where one is demanded, and sends only lines.
 */
#include "../dialog/play_client.h"
#include "hostile.h"

#define SENT_MAX	4096	/* octets: all commands of the mails below, and their content */

static const struct slice recipients[] = {
	SLICE("b@y.example"), SLICE("c@y.example"), SLICE("d@y.example"),
};
static struct play_client whole = { .play.session = &play_client }, cut = { .play.session = &play_client };

static void set(struct play *play, unsigned flags)
{
	struct play_client *p = play_client_of(play);

	p->settings = (struct smtp_client_settings){
		.helo = SLICE("gate.example"), .user = SLICE("user"), .password = SLICE("secret"),
		.starttls = flags & 1, .secured = flags & 2, .mechanisms = flags >> 2 & 7,
		.nonce = SLICE("nonce"), .token = SLICE("0123456789token"),
	};
	/* In place of the other mechanisms, and beside PLAIN: */
	if (flags & 128)
		p->settings.mechanisms = flags & 4 ? SASL_XOAUTH2 :
			SASL_SCRAM_SHA_256 | (flags & 8 ? SASL_PLAIN : 0u);
	p->open_content = flags & 32;
	p->quit = flags & 64;
	p->mail_count = 3;
	for (unsigned i = 0; i < 3; i++)
		p->mails[i] = (struct smtp_client_mail){
			.sender = SLICE("a@x.example"), .size = i * 1000, .body_8bit = i == 1,
			.recipients = recipients, .recipient_count = i + 1, .rehearsal = i == 2 && (flags & 256),
		};
}

/* Index of the first `part` in s, or s.len. */
static size_t find(struct slice s, struct slice part)
{
	size_t i = 0;

	while (i < s.len && !slice_starts(slice_skip(s, i), part))
		i++;
	return i;
}

static void check_clear(const struct play *p)
{
	const struct smtp_client_settings *settings = &((const struct play_client *)p)->settings;
	struct slice rest = buffer_bytes(&p->sent), line;

	if (!settings->starttls || settings->secured || p->secured)
		return;
	while (rest.len > 0) {
		line = slice_first(rest, slice_find(rest, '\n'));
		play_must(slice_equal(line, SLICE_OF("EHLO gate.example\r")) ||
			  slice_equal(line, SLICE_OF("STARTTLS\r")), "said in clear");
		rest = slice_skip(rest, line.len + 1);
	}
}

static void check_sent(const struct play *p)
{
	static const struct {
		struct slice command;
		unsigned bit;
	} logins[] = {
		{ SLICE("AUTH PLAIN"), SASL_PLAIN }, { SLICE("AUTH LOGIN"), SASL_LOGIN },
		{ SLICE("AUTH CRAM-MD5"), SASL_CRAM_MD5 },
		{ SLICE("AUTH SCRAM-SHA-256"), SASL_SCRAM_SHA_256 }, { SLICE("AUTH XOAUTH2"), SASL_XOAUTH2 },
	};
	unsigned mechanisms = ((const struct play_client *)p)->settings.mechanisms;
	struct slice sent = buffer_bytes(&p->sent);
	size_t login = find(sent, SLICE_OF("AUTH ")), mail = find(sent, SLICE_OF("MAIL FROM"));

	play_must(sent.len <= SENT_MAX, "sent too much");
	play_must(!mechanisms || login <= mail, "mail without a login");
	play_must(mechanisms || login == sent.len, "a login without need");
	for (size_t i = 0; i < sizeof(logins) / sizeof(logins[0]); i++)
		if (!(mechanisms & logins[i].bit))
			play_must(find(sent, logins[i].command) == sent.len, "not allowed");
	for (size_t i = 0; i < sent.len; i++)
		if (ascii_is_control(sent.at[i])) {
			play_must(slice_starts(slice_skip(sent, i), SLICE_OF("\r\n")), "no lines");
			i++;
		}
}

static void check_told(const struct play *p)
{
	struct slice rest = buffer_bytes(&p->events), line;
	unsigned sent = 0;

	while (rest.len > 0) {
		line = slice_first(rest, slice_find(rest, '\n'));
		rest = slice_skip(rest, line.len + 1);
		sent += slice_starts(line, SLICE_OF("sent "));
		if (slice_starts(line, SLICE_OF("failed auth")) &&
		    (find(line, SLICE_OF("c2VjcmV0")) < line.len ||
		     find(line, SLICE_OF("secret")) < line.len ||
		     find(line, SLICE_OF("0123456789token")) < line.len))
			play_must(false, "the password is told");
		for (size_t i = 0; i < line.len; i++)
			play_must(ascii_is_print(line.at[i]), "told what can't be printed");
	}
	play_must(sent <= ((const struct play_client *)p)->mail_next, "more verdicts than mails");
}

static void check_end(const struct play *p)
{
	check_sent(p);
	check_told(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct hostile h = {
		.whole = &whole.play, .cut = &cut.play, .set = set, .check = check_clear, .check_end = check_end, .early = true,
	};

	hostile_say(&h, data, size);
	return 0;
}
