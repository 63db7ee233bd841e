#include "relay/pace.h"

#include "base/clock.h"

#define MINUTE_US	60000000U
#define BURST_EVERY	20	/* one token more for each so many messages a minute */
#define BURST_MAX	10

unsigned pace_burst(unsigned rate)
{
	unsigned burst = 1 + rate / BURST_EVERY;

	return burst < BURST_MAX ? burst : BURST_MAX;
}

/* A full bucket and what flows in during the rest of a minute are `rate` together, and no more. Rounded up: never faster. */
static int64_t interval_us(unsigned rate)
{
	unsigned per_minute = rate - pace_burst(rate) + 1;

	return (MINUTE_US + per_minute - 1) / per_minute;
}

static int64_t ms_of(int64_t us)
{
	return clock_seconds(us > 0 ? us + 999 : us);
}

int64_t pace_interval(unsigned rate)
{
	return rate ? ms_of(interval_us(rate)) : 0;
}

void pace_start(struct pace *p, unsigned rate, int64_t now)
{
	p->full_at = now * 1000;
	if (rate)
		p->full_at += (pace_burst(rate) - 1) * interval_us(rate);
}

int64_t pace_at(const struct pace *p, unsigned rate, unsigned tokens)
{
	if (!rate)
		return 0;
	return ms_of(p->full_at - (int64_t)(pace_burst(rate) - tokens) * interval_us(rate));
}

unsigned pace_tokens(const struct pace *p, unsigned rate, int64_t now)
{
	unsigned n = 0;

	while (n < pace_burst(rate) && pace_at(p, rate, n + 1) <= now)
		n++;
	return n;
}

void pace_take(struct pace *p, unsigned rate, int64_t now)
{
	if (!rate)
		return;
	if (p->full_at < now * 1000)
		p->full_at = now * 1000;
	p->full_at += interval_us(rate);
}
