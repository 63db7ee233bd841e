/*
 * A hostile server, for a session of tests/dialog/play.h. The first octet of an input chooses the settings, the second the room for
 * output; the rest is what the server says, in groups that end in HOSTILE_GROUP_END. However a group is cut, the session sends and
 * tells the same.
 */
#ifndef FUZZ_HOSTILE_H
#define FUZZ_HOSTILE_H

#include "../dialog/play.h"

#define HOSTILE_GROUP_END	'\xff'

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct hostile {
	struct play *whole, *cut;
	void (*set)(struct play *p, unsigned flags);
	void (*check)(const struct play *p);		/* between any two steps */
	void (*check_end)(const struct play *p);
	bool early;	/* replies that come too early find fewer commands sent where there is little room: not compared */
};

/* What must never have been sent or told tells itself by a `check`. */
static inline void hostile_run(const struct hostile *h, struct play *p, struct slice in, size_t step)
{
	play_start(p);
	while (in.len > 0) {
		struct slice group = slice_first(in, slice_find(in, HOSTILE_GROUP_END));

		in = slice_skip(in, group.len + 1);
		for (; group.len > 0; group = slice_skip(group, step))
			play_feed(p, slice_first(group, step));
		do
			h->check(p);
		while (play_act(p));
		h->check(p);
	}
	h->check_end(p);
}

static inline void hostile_same(const struct hostile *h)
{
	static const char what[] = "it depends on how replies are cut";

	play_must(slice_equal(buffer_bytes(&h->whole->sent), buffer_bytes(&h->cut->sent)), what);
	play_must(slice_equal(buffer_bytes(&h->whole->events), buffer_bytes(&h->cut->events)), what);
}

static inline void hostile_say(const struct hostile *h, const uint8_t *data, size_t size)
{
	static const size_t steps[] = { 1, 7, 1000, SIZE_MAX };
	struct slice in;

	if (size < 2)
		return;
	in = slice_bytes((const char *)data + 2, size - 2);
	h->set(h->whole, data[0] | (data[1] & 128u) << 1);
	h->set(h->cut, data[0] | (data[1] & 128u) << 1);
	h->whole->room = h->cut->room = PLAY_ROOM;
	hostile_run(h, h->whole, in, SIZE_MAX);
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		bool little = steps[i] == SIZE_MAX;

		h->cut->room = little ? 64u + data[1] : PLAY_ROOM;
		hostile_run(h, h->cut, in, steps[i]);
		if (!little || !h->early)
			hostile_same(h);
	}
}

#endif
