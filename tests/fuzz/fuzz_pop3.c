/*
 * A hostile POP3 server (hostile.h). The session never says more than CAPA and STLS in clear where TLS is demanded, only what a login
 * needs at any time, and it has logged in only where the server has said so.
 */
#include "../dialog/play_pop3.h"
#include "hostile.h"

static struct play_pop3 whole = { .play.session = &play_pop3 }, cut = { .play.session = &play_pop3 };

static void set(struct play *p, unsigned flags)
{
	play_pop3_of(p)->settings = (struct pop3_settings){
		.user = SLICE("office"), .password = SLICE("secret42"),
		.starttls = flags & 1, .secured = flags & 2, .login = (uint8_t)((flags >> 2 & 63) % 3),
	};
}

static bool is_known(struct slice line, bool clear)
{
	static const struct slice known[] = {
		SLICE("CAPA\r"), SLICE("STLS\r"),
		SLICE("USER office\r"), SLICE("PASS secret42\r"), SLICE("APOP office " PLAY_HEX "\r"), SLICE("QUIT\r"),
	};

	for (size_t i = 0; i < (clear ? 2 : sizeof(known) / sizeof(*known)); i++)
		if (slice_equal(line, known[i]))
			return true;
	return false;
}

static void check_sent(const struct play *p)
{
	const struct play_pop3 *pop = (const struct play_pop3 *)p;
	bool clear = pop->settings.starttls && !pop->settings.secured && !p->secured;
	struct slice rest = buffer_bytes(&p->sent), line;
	unsigned logins = 0;

	while (rest.len > 0) {
		line = slice_first(rest, slice_find(rest, '\n'));
		rest = slice_skip(rest, line.len + 1);
		play_must(is_known(line, clear), "said what it must not");
		logins += slice_starts(line, SLICE_OF("PASS")) || slice_starts(line, SLICE_OF("APOP"));
		play_must(pop->settings.login != POP3_APOP || !slice_starts(line, SLICE_OF("PASS")), "not APOP");
		play_must(pop->settings.login != POP3_USER || !slice_starts(line, SLICE_OF("APOP")), "not USER");
	}
	play_must(logins <= 1, "more than one login");
	play_must(logins == 1 || !pop->opened, "logged in without a login");
}

static void check_told(const struct play *p)
{
	struct slice told = buffer_bytes(&p->events);

	for (size_t i = 0; i < told.len; i++)
		play_must(told.at[i] == '\n' || ascii_is_print(told.at[i]), "told what can't be printed");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct hostile h = {
		.whole = &whole.play, .cut = &cut.play, .set = set, .check = check_sent, .check_end = check_told,
	};

	hostile_say(&h, data, size);
	return 0;
}
