/*
 * POP before SMTP, with us as the one who logs in (R43, R44): a POP login opens the provider's SMTP door for the address it came from, for a
 * while. One of these a route: couriers ask it before they dial, it logs in once for all that ask meanwhile, and says from which
 * local address it was, so that SMTP leaves from the same.
 */
#ifndef RELAY_POP_H
#define RELAY_POP_H

#include "base/pool.h"
#include "net/helper.h"
#include "relay/route.h"

struct pop;

struct pop_waiter {
	struct pop_waiter *next;
	bool asked;
	void (*done)(struct pop_waiter *w, const char *error);	/* NULL: the door is open */
};

#if CONFIG_POP_BEFORE_SMTP
/* In the loop until released. NULL without memory. */
struct pop *pop_new(struct loop *l, struct pool *blocks, struct helper *resolver, struct relay_settings *settings,
		    unsigned route);
/* Counted: couriers that go by it keep it alive after a reload. NULL is ignored. */
struct pop *pop_hold(struct pop *p);
void pop_release(struct pop *p);

/* The last login is younger than 0.8 of the window, and nothing has shown that the door is shut. */
bool pop_is_open(const struct pop *p);
/*
 * Tells the waiter once it is open, or why not; never from within this call. A login that was refused isn't tried again for a growing
 * while, so that the provider doesn't lock the account: who asks meanwhile is told so.
 */
void pop_ask(struct pop *p, struct pop_waiter *w);
void pop_leave(struct pop *p, struct pop_waiter *w);

/* Which login it is, from 1. */
unsigned pop_number(const struct pop *p);
/* The numeric address that it was made from; empty with `bind`, or where it can't be bound to. */
const char *pop_source(const struct pop *p);
/*
 * The next hop can't be reached from that login's address: the next who asks gets a fresh one, which leaves by the other family
 * where it can. No effect when there has been another login since.
 */
void pop_turn(struct pop *p, unsigned number);
/*
 * Mail was denied on that login. True: a fresh one may help, and the next who asks gets it. False when it was just such a fresh one: else
 * each queued mail would make another, until the provider locks the account.
 */
bool pop_denied(struct pop *p, unsigned number);
/* By hand: a refused login is tried again at once, and the next denial gets a fresh one in any case. */
void pop_retry(struct pop *p);

/* ms since the last login; -1: none yet. */
int64_t pop_age(const struct pop *p);
#else
static inline struct pop *pop_new(struct loop *l, struct pool *blocks, struct helper *resolver,
			struct relay_settings *settings, unsigned route)
{
	(void)l, (void)blocks, (void)resolver, (void)settings, (void)route;
	return NULL;
}

static inline struct pop *pop_hold(struct pop *p)
{
	(void)p;
	return NULL;
}

static inline void pop_release(struct pop *p)
{
	(void)p;
}

static inline bool pop_is_open(const struct pop *p)
{
	(void)p;
	return false;
}

static inline void pop_ask(struct pop *p, struct pop_waiter *w)
{
	(void)p, (void)w;
}

static inline void pop_leave(struct pop *p, struct pop_waiter *w)
{
	(void)p, (void)w;
}

static inline unsigned pop_number(const struct pop *p)
{
	(void)p;
	return 0;
}

static inline const char *pop_source(const struct pop *p)
{
	(void)p;
	return "";
}

static inline void pop_turn(struct pop *p, unsigned number)
{
	(void)p, (void)number;
}

static inline bool pop_denied(struct pop *p, unsigned number)
{
	(void)p, (void)number;
	return false;
}

static inline void pop_retry(struct pop *p)
{
	(void)p;
}

static inline int64_t pop_age(const struct pop *p)
{
	(void)p;
	return -1;
}
#endif

#endif
