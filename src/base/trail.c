#include "base/trail.h"

#include "base/clock.h"

#define MS_PER_STRANGER	(60000 / STRANGERS_MINUTE)

static struct {
	trail_sink *sink;
	void *context;
	int64_t stranger_at;	/* monotonic ms: when the burst would be whole again */
	int64_t omitted;	/* strangers' records since the last one */
} state;

void trail_open(trail_sink *sink, void *context)
{
	state.sink = sink;
	state.context = context;
	state.stranger_at = 0;
	state.omitted = 0;
}

bool trail_is_open(void)
{
	return state.sink != NULL;
}

/* A bucket of STRANGERS_BURST, kept as the time at which it is full. */
static bool stranger_may(int64_t now)
{
	int64_t from = state.stranger_at > now ? state.stranger_at : now;

	if (from - now > (STRANGERS_BURST - 1) * (int64_t)MS_PER_STRANGER)
		return false;
	state.stranger_at = from + MS_PER_STRANGER;
	return true;
}

static void tell_omitted(void)
{
	struct record r;

	record_start_audit(&r, "omitted");
	record_number(&r, "count", state.omitted);
	state.omitted = 0;
	state.sink(state.context, &r);
}

void trail_put(enum trail_of whose, const struct record *r)
{
	if (!state.sink)
		return;
	if (whose == TRAIL_STRANGER && !stranger_may(clock_monotonic())) {
		state.omitted++;
		return;
	}
	if (state.omitted)
		tell_omitted();
	state.sink(state.context, r);
}
