/*
 * How a login at a next hop fares: whether it may be tried now. A refused one is tried again with growing pauses, and by one connection
 * only, so that the provider doesn't take us for a guesser and lock the account (R42). Pure: the clock is the caller's (monotonic ms).
 */
#ifndef RELAY_LOGIN_H
#define RELAY_LOGIN_H

#include <stdbool.h>
#include <stdint.h>

#define LOGIN_STORED	0	/* the route's own pair, or no login at all; others are rows of its table from 1 on */
#define LOGIN_MISSING	(-1)	/* credentials = sender or client, and there is no row for the account */
#define LOGIN_CHECK	(-2)	/* credentials = client: a pair that is being tried, and nobody's yet */

struct login_state {
	unsigned refusals;		/* in a row */
	int64_t down_until;		/* 0: may be tried */
	bool proved;			/* the last one was good: several connections may log in at once */
};

/* False: within a pause already; connections that were tried at once are refused as one. */
bool login_refused(struct login_state *s, int64_t now);
void login_accepted(struct login_state *s);
static inline bool login_is_down(const struct login_state *s, int64_t now)
{
	return s->down_until > now;
}
/* Replies that are about our login and not about the mail (530, 534, 535, 538). */
bool login_is_code(unsigned code);

#endif
