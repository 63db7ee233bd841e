#include "ingest/window.h"

/* So long that a short stall doesn't end a session. */
#define WINDOW_MS	30000

void window_open(struct session *s)
{
	s->window_start = s->transaction ? s->transaction->came : 0;
	s->deadline = loop_now(s->house->loop) + WINDOW_MS;
}

bool window_was_slow(const struct session *s)
{
	uint64_t came = s->transaction ? s->transaction->came - s->window_start : 0;

	return came < (uint64_t)s->settings->data_min_rate * (WINDOW_MS / 1000);
}
