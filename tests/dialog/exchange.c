#include "exchange.h"

#define SMALL_ROOM	64
#define PAIRS_MAX	200	/* octets of a group; a longer one is cut at every single place */

/* Where a group of S lines is cut. */
struct cut {
	size_t group;			/* others are whole; SIZE_MAX: none is cut */
	size_t first, second;
	bool octets;			/* every group octet by octet */
};

static const struct exchange *exchange;
static struct play *play;
static size_t small_room;

static bool set_room(struct slice digits)
{
	uint64_t room;

	if (!slice_number(digits, PLAY_ROOM, &room))
		return false;
	small_room = (size_t)room;
	return true;
}

static bool set_words(const struct script *s, const struct script_case *c)
{
	exchange->reset();
	small_room = SMALL_ROOM;
	for (size_t i = 0; i < c->count; i++) {
		const struct script_step *step = &c->steps[i];
		struct slice rest = text_bytes(&step->text), word;

		if (step->kind != SCRIPT_WORDS)
			continue;
		slice_word(&rest, &word);
		rest = slice_trim(rest);
		if (slice_equal(word, SLICE_OF("room")) ? set_room(rest) : exchange->set(word, rest))
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
			play_feed(play, slice_bytes(octets.at + i, 1));
	} else if (cut->group == group) {
		play_feed(play, slice_first(octets, cut->first));
		play_feed(play, slice_skip(slice_first(octets, cut->second), cut->first));
		play_feed(play, slice_skip(octets, cut->second));
	} else {
		play_feed(play, octets);
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
	struct slice want = text_bytes(&step->text), got = buffer_bytes(&play->sent);

	if (!slice_starts(got, want)) {
		printf("\tline %u: sent instead: %.*s\n", step->line, SLICE_ARGS(slice_first(got, 120)));
		return false;
	}
	buffer_take(&play->sent, want.len);
	return true;
}

static bool expect_event(const struct script_step *step)
{
	struct slice got = buffer_bytes(&play->events);

	got = slice_first(got, slice_find(got, '\n'));
	if (!script_match(text_bytes(&step->text), got)) {
		printf("\tline %u: told instead: %.*s\n", step->line, SLICE_ARGS(got));
		return false;
	}
	buffer_take(&play->events, got.len + 1);
	return true;
}

static bool expect_nothing_more(unsigned line)
{
	struct slice sent = buffer_bytes(&play->sent), told = buffer_bytes(&play->events);

	if (sent.len == 0 && told.len == 0)
		return true;
	printf("\tbefore line %u: also sent: %.*s told: %.*s\n", line, SLICE_ARGS(slice_first(sent, 120)),
	       SLICE_ARGS(slice_first(told, 120)));
	return false;
}

static bool expect(const struct script_step *step)
{
	switch (step->kind) {
	case SCRIPT_CLIENT:
		return expect_sent(step);
	case SCRIPT_EVENT:
		return expect_event(step);
	case SCRIPT_WORDS:
		return true;
	case SCRIPT_CLOSED:
		if (!play->over)
			printf("\tline %u: the session goes on\n", step->line);
		return play->over;
	default:
		printf("\tline %u: no step of a dialogue with a server\n", step->line);
		return false;
	}
}

static bool run_cut(const struct script_case *c, const struct cut *cut)
{
	bool good = true;

	play_start(play);
	for (size_t i = 0, group = 0; good && i < c->count; group++) {
		struct text octets = { .at = NULL };

		good = expect_nothing_more(c->steps[i].line);
		i = gather(c, i, &octets);
		feed_cut(text_bytes(&octets), cut, group);
		text_free(&octets);
		while (play_act(play))
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
		play->room = rooms[i];
		if (run_cut(c, &whole) && run_cut(c, &octets) && run_pairs(c))
			continue;
		printf("\tfailed with room for %zu\n", play->room);
		return false;
	}
	return true;
}

int exchange_main(const struct exchange *x, int argc, char **argv)
{
	exchange = x;
	play = x->play;
	return script_main(argc, argv, run_case);
}
