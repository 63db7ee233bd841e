/*
 * A hostile POP3 server. The first octet chooses the settings, the second the room for output; the rest is what the server says, in
 * groups that end in GROUP_END. However a group is cut, the session sends and tells the same. It never says more than CAPA and STLS in
 * clear where TLS is demanded, only what a login needs at any time, and it has logged in only where the server has said so.
 */
#include <string.h>

#include "../dialog/play_pop3.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define GROUP_END	'\xff'

static struct play whole, cut;

static void set(struct play *p, unsigned flags, size_t room)
{
	p->settings = (struct pop3_settings){
		.user = SLICE("office"), .password = SLICE("secret42"),
		.starttls = flags & 1, .secured = flags & 2, .login = (uint8_t)((flags >> 2) % 3),
	};
	p->room = room;
	play_start(p);
	play_drive(p);
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
	bool clear = p->settings.starttls && !p->settings.secured && !p->secured;
	struct slice rest = buffer_bytes(&p->sent), line;
	unsigned logins = 0;

	while (rest.len > 0) {
		line = slice_first(rest, slice_find(rest, '\n'));
		rest = slice_skip(rest, line.len + 1);
		play_must(is_known(line, clear), "said what it must not");
		logins += slice_starts(line, SLICE_OF("PASS")) || slice_starts(line, SLICE_OF("APOP"));
		play_must(p->settings.login != POP3_APOP || !slice_starts(line, SLICE_OF("PASS")), "not APOP");
		play_must(p->settings.login != POP3_USER || !slice_starts(line, SLICE_OF("APOP")), "not USER");
	}
	play_must(logins <= 1, "more than one login");
	play_must(logins == 1 || !p->opened, "logged in without a login");
}

static void check_told(const struct play *p)
{
	struct slice told = buffer_bytes(&p->events);

	for (size_t i = 0; i < told.len; i++)
		play_must(told.at[i] == '\n' || ascii_is_print(told.at[i]), "told what can't be printed");
}

static void run(struct play *p, struct slice in, size_t step)
{
	while (in.len > 0) {
		struct slice group = slice_first(in, slice_find(in, GROUP_END));

		in = slice_skip(in, group.len + 1);
		for (; group.len > 0; group = slice_skip(group, step))
			play_feed(p, slice_first(group, step));
		do
			check_sent(p);
		while (play_act(p));
		check_sent(p);
	}
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

	if (size < 2)
		return 0;
	in = slice_bytes((const char *)data + 2, size - 2);
	set(&whole, data[0], PLAY_ROOM);
	run(&whole, in, SIZE_MAX);
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		set(&cut, data[0], PLAY_ROOM);
		run(&cut, in, steps[i]);
		check_same(&whole.sent, &cut.sent);
		check_same(&whole.events, &cut.events);
	}
	set(&cut, data[0], 64 + data[1]);
	run(&cut, in, SIZE_MAX);
	check_same(&whole.sent, &cut.sent);
	check_same(&whole.events, &cut.events);
	return 0;
}
