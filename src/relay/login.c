#include "relay/login.h"

#include <stddef.h>

#define MINUTE	60000	/* ms */

/* Some four tries in the first hour, then one an hour: providers lock at five to ten in a short time. */
static int64_t pause_after(unsigned refusals)
{
	static const int64_t pauses[] = { 1 * MINUTE, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE, 60 * MINUTE };
	size_t count = sizeof(pauses) / sizeof(pauses[0]);

	return pauses[refusals < count ? refusals : count - 1];
}

bool login_refused(struct login_state *s, int64_t now)
{
	if (login_is_down(s, now))
		return false;
	s->down_until = now + pause_after(s->refusals);
	s->refusals++;
	s->proved = false;
	return true;
}

void login_accepted(struct login_state *s)
{
	*s = (struct login_state){ .proved = true };
}

bool login_is_code(unsigned code)
{
	return code == 530 || code == 534 || code == 535 || code == 538;
}
