/*
 * A hostile upstream. The first octet chooses the settings, the second the room for output; the
 * rest is what the upstream says, in groups that end in GROUP_END. However a group is cut, the
 * session sends and tells the same. It never says more than EHLO and STARTTLS in clear where TLS is
 * demanded, sends no mail without a login where one is demanded, and sends only lines.
 */
#include <string.h>

#include "../dialog/play_client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define GROUP_END	'\xff'
#define SENT_MAX	4096	/* octets: all commands of the mails below, and their content */

static const struct slice recipients[] = {
	SLICE("b@y.example"), SLICE("c@y.example"), SLICE("d@y.example"),
};
static struct play whole, cut;

static void set(struct play *p, unsigned flags, size_t room)
{
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
	p->room = room;
	p->mail_count = 3;
	for (unsigned i = 0; i < 3; i++)
		p->mails[i] = (struct smtp_client_mail){
			.sender = SLICE("a@x.example"), .size = i * 1000, .body_8bit = i == 1,
			.recipients = recipients, .recipient_count = i + 1, .rehearsal = i == 2 && (flags & 256),
		};
	play_start(p);
	play_drive(p);
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
	struct slice rest = buffer_bytes(&p->sent), line;

	if (!p->settings.starttls || p->settings.secured || p->secured)
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
	struct slice sent = buffer_bytes(&p->sent);
	size_t login = find(sent, SLICE_OF("AUTH ")), mail = find(sent, SLICE_OF("MAIL FROM"));

	play_must(sent.len <= SENT_MAX, "sent too much");
	play_must(!p->settings.mechanisms || login <= mail, "mail without a login");
	play_must(p->settings.mechanisms || login == sent.len, "a login without need");
	for (size_t i = 0; i < sizeof(logins) / sizeof(logins[0]); i++)
		if (!(p->settings.mechanisms & logins[i].bit))
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
	play_must(sent <= p->mail_next, "more verdicts than mails");
}

static void run(struct play *p, struct slice in, size_t step)
{
	while (in.len > 0) {
		struct slice group = slice_first(in, slice_find(in, GROUP_END));

		in = slice_skip(in, group.len + 1);
		for (; group.len > 0; group = slice_skip(group, step))
			play_feed(p, slice_first(group, step));
		do
			check_clear(p);
		while (play_act(p));
		check_clear(p);
	}
	check_sent(p);
	check_told(p);
}

static void check_same(const struct buffer *a, const struct buffer *b)
{
	play_must(slice_equal(buffer_bytes(a), buffer_bytes(b)), "it depends on how replies are cut");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t steps[] = { 1, 7, 1000 };
	struct slice in;
	unsigned flags;

	if (size < 2)
		return 0;
	flags = data[0] | (data[1] & 128u) << 1;
	in = slice_bytes((const char *)data + 2, size - 2);
	set(&whole, flags, PLAY_ROOM);
	run(&whole, in, SIZE_MAX);
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		set(&cut, flags, PLAY_ROOM);
		run(&cut, in, steps[i]);
		check_same(&whole.sent, &cut.sent);
		check_same(&whole.events, &cut.events);
	}
	/* With little room, replies that come too early find fewer commands sent: not compared. */
	set(&cut, flags, 64 + data[1]);
	run(&cut, in, SIZE_MAX);
	return 0;
}
