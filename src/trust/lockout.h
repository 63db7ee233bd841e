/*
 * Guessers are shut out, people are not (R61). What counts is how many different wrong passwords were
 * tried: a phone that repeats an old one for ever is one, and locks nobody out.
 *
 * Counted twice, each within policy.window: per pair of who was meant and the client's network, up to
 * policy.after; and per network over everybody, up to LOCKOUT_ADDRESS_FACTOR times that. A network is an
 * IPv4 address or an IPv6 /64, within which a host takes any address it likes. Who reaches the bound is locked for
 * policy.time; then all begins at zero. Somebody who isn't there is counted like everybody else. There
 * is no count per account over all networks: with it, anybody could lock out anybody.
 *
 * A login of the pair ends the pair's count, and takes its wrong passwords off the network's count: an
 * office in which everybody mistypes once, and then gets in, stays open. What others tried stays, so
 * that an account of one's own is no rubber for guesses at others; so does what led to a lock.
 *
 * While a lock lasts nothing is counted, since nothing is learnt, and the lock isn't prolonged.
 *
 * What a full table does. Memory is fixed; a new row takes the place of one that has run out, else of
 * the one in which nothing was counted for the longest time, locked or not. To be forgotten early, a
 * guesser needs a whole table of fresher rows: a row of a network takes a wrong password from that network,
 * so LOCKOUT_ADDRESSES other networks; LOCKOUT_PAIRS other pairs cost as many wrong passwords, of which
 * a network has fewer than LOCKOUT_ADDRESS_FACTOR * after, and the network goes on counting what a pair
 * has forgotten. Whoever has so many networks is better served by a few guesses from each, which no
 * count per network can stop. Sparing rows that are locked or have counted much would be worse: once the
 * table is full of them, any two newcomers push each other out and guess for ever. Rows are found by
 * keyed digests, so nobody can choose whom he pushes out.
 *
 * No passwords, names or addresses are kept, only digests under a random key of this run. Times are ms
 * of the monotonic clock, given by the caller.
 */
#ifndef TRUST_LOCKOUT_H
#define TRUST_LOCKOUT_H

#include "trust/network.h"

struct lockout_policy {			/* [limits] lockout_* */
	unsigned after;			/* distinct wrong passwords of a pair: 1 to LOCKOUT_AFTER_MAX */
	int64_t window, time;		/* ms; at most 7 days, see lockout.c */
	struct network_list allow;	/* never counted, never locked */
};

enum lockout_scope { LOCKOUT_NONE, LOCKOUT_PAIR, LOCKOUT_ADDRESS };

#if CONFIG_LOCKOUT
/* "none", "pair", "address". */
const char *lockout_scope_name(enum lockout_scope scope);
/* Lives as long as the program: counts and locks stay over a reload, whatever the new policy is. */
struct lockout;
struct lockout *lockout_new(void);		/* NULL without memory or randomness */
void lockout_free(struct lockout *l);		/* NULL is ignored */

/*
 * `id` is the canonical name of the account that was meant, so that all its names are one, else the ID as
 * typed; upper and lower case are the same.
 *
 * For the caller: a locked client is told what a wrong password is told, after the same work, or it learns
 * from the answer or its delay that a password is right. So ask when the answer is due, once the password
 * has been checked for nothing; don't take the short cut of remembered passwords; and call neither
 * function below. (lockout_failed would count nothing.)
 */
bool lockout_is_locked(const struct lockout *l, const struct lockout_policy *policy, struct slice id,
		       const struct ip_address *client, int64_t now);
/*
 * A wrong password. Other than LOCKOUT_NONE: a lock has just begun, of the network when both have. An empty
 * password is one that we don't get to see (CRAM-MD5): it is a new one for the pair each time, but only
 * one for the network, or a single old device could shut out an office.
 */
enum lockout_scope lockout_failed(struct lockout *l, const struct lockout_policy *policy, struct slice id,
				  struct slice password, const struct ip_address *client, int64_t now);
void lockout_succeeded(struct lockout *l, struct slice id, const struct ip_address *client);
#else
struct lockout;

static inline struct lockout *lockout_new(void)
{
	return NULL;
}

static inline void lockout_free(struct lockout *l)
{
	(void)l;
}

static inline bool lockout_is_locked(const struct lockout *l, const struct lockout_policy *policy, struct slice id,
				     const struct ip_address *client, int64_t now)
{
	(void)l, (void)policy, (void)id, (void)client, (void)now;
	return false;
}

static inline enum lockout_scope lockout_failed(struct lockout *l, const struct lockout_policy *policy, struct slice id,
						struct slice password, const struct ip_address *client, int64_t now)
{
	(void)l, (void)policy, (void)id, (void)password, (void)client, (void)now;
	return LOCKOUT_NONE;
}

static inline void lockout_succeeded(struct lockout *l, struct slice id, const struct ip_address *client)
{
	(void)l, (void)id, (void)client;
}

static inline const char *lockout_scope_name(enum lockout_scope scope)
{
	(void)scope;
	return "none";
}
#endif

#endif
