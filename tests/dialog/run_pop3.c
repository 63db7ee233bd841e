/*
 * Dialogues of the POP3 session with a server: run_pop3 FILE... (exchange.h, play_pop3.h).
 *
 * Words of a case:	starttls | secured | apop | user-pass
 *			user TEXT | password TEXT	(`office` and `secret42` if not said)
 */
#include "exchange.h"
#include "play_pop3.h"

static struct play_pop3 pop = { .play.session = &play_pop3 };

static bool set(struct slice word, struct slice rest)
{
	if (slice_equal(word, SLICE_OF("user")))
		pop.settings.user = rest;
	else if (slice_equal(word, SLICE_OF("password")))
		pop.settings.password = rest;
	else if (slice_equal(word, SLICE_OF("starttls")))
		pop.settings.starttls = true;
	else if (slice_equal(word, SLICE_OF("secured")))
		pop.settings.secured = true;
	else if (slice_equal(word, SLICE_OF("apop")))
		pop.settings.login = POP3_APOP;
	else if (slice_equal(word, SLICE_OF("user-pass")))
		pop.settings.login = POP3_USER;
	else
		return false;
	return true;
}

static void reset(void)
{
	pop.settings = (struct pop3_settings){ .user = SLICE("office"), .password = SLICE("secret42") };
}

int main(int argc, char **argv)
{
	static const struct exchange x = { .play = &pop.play, .reset = reset, .set = set };

	return exchange_main(&x, argc, argv);
}
