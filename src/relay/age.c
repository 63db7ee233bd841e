/* How old mail is, on a machine whose clock may be wrong. */
#include "base/clock.h"
#include "base/log.h"
#include "relay/inner.h"

/* Before 2026-01-01, or too late to be true, the clock has not been set yet (no battery): ages are not known. */
#define SANE_WALL	INT64_C(1767225600)
#define CLOCK_STEP_S	60	/* a jump beyond this is no slewing */

/*
 * Without a battery the clock is months behind at power-on, and is stepped when NTP answers: what arrived before the step is not
 * so old as it looks. Known in this run only: after a restart the clock is taken at its word, but for what arrived at a time that
 * can't be.
 */
static bool is_possible(int64_t wall)
{
	return wall > SANE_WALL && wall < CLOCK_FLOOR + CLOCK_SPAN;
}

static void step(struct relay *r, int64_t wall, int64_t jump)
{
	log_line(SEVERITY_NOTICE, "the clock was stepped by %lld s", (long long)jump);
	r->clock_since = relay_now(r);
	if (jump < 0)
		return;
	r->clock_step = jump;
	r->clock_stepped_at = wall - jump;
}

void age_watch(struct relay *r)
{
	int64_t wall = clock_wall(), offset = wall - clock_seconds(relay_now(r)), jump = offset - r->clock_offset;

	if (!r->clock_offset)
		r->clock_since = relay_now(r);
	else if (jump > CLOCK_STEP_S || jump < -CLOCK_STEP_S)
		step(r, wall, jump);
	r->clock_offset = offset;
}

int64_t age_of(const struct relay *r, int64_t arrived)
{
	int64_t wall = clock_wall(), age = wall - arrived;

	if (!is_possible(wall))
		return 0;
	if (arrived <= r->clock_stepped_at)
		age -= r->clock_step;
	/* Of a wrong clock's time: as old as what we know of the time, at least, so that it doesn't stay for ever. */
	else if (!is_possible(arrived) || age < -CLOCK_STEP_S)
		age = clock_seconds(relay_now(r) - r->clock_since);
	return age > 0 ? age : 0;
}

bool age_is_over(const struct relay *r, int64_t arrived)
{
	return age_of(r, arrived) * 1000 > r->settings->expire;
}
