/* How old mail is, on a machine whose clock may be wrong. */
#include "base/clock.h"
#include "base/log.h"
#include "relay/inner.h"

/* Before 2026-01-01 the clock has not been set yet (no battery): ages are not known. */
#define SANE_WALL	1767225600
#define CLOCK_STEP_S	60	/* a jump beyond this is no slewing */

/*
 * Without a battery the clock is months behind at power-on, and is stepped when NTP answers: what arrived before the step is not
 * so old as it looks. (Known in this run only: after a restart the clock is taken at its word.)
 */
void age_watch(struct relay *r)
{
	int64_t wall = clock_wall(), offset = wall - relay_now(r) / 1000, jump = offset - r->clock_offset;

	if (r->clock_offset && jump > CLOCK_STEP_S) {
		r->clock_step = jump;
		r->clock_stepped_at = wall - jump;
		log_line(SEVERITY_NOTICE, "the clock was stepped by %lld s", (long long)jump);
	}
	r->clock_offset = offset;
}

int64_t age_of(const struct relay *r, int64_t arrived)
{
	int64_t wall = clock_wall(), age = wall - arrived;

	if (arrived <= r->clock_stepped_at)
		age -= r->clock_step;
	return arrived > SANE_WALL && wall > SANE_WALL && age > 0 ? age : 0;
}

bool age_is_over(const struct relay *r, int64_t arrived)
{
	return age_of(r, arrived) * 1000 > r->settings->expire;
}
