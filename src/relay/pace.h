/*
 * How fast a route may be fed (`rate`): a bucket of a few tokens, one a message. What a provider counts is held exactly: no 60
 * seconds ever see more than `rate` messages, so the bucket fills a little more slowly than `rate` says when it is larger
 * than one token. Pure: the clock is the caller's (monotonic ms). A rate of 0 is no limit.
 */
#ifndef RELAY_PACE_H
#define RELAY_PACE_H

#include <stdint.h>

struct pace {
	int64_t full_at;		/* µs: when the bucket will be full again */
};

/* Tokens that the bucket holds: a few mails at once go at once. */
unsigned pace_burst(unsigned rate);
/* ms from one token to the next, rounded up. */
int64_t pace_interval(unsigned rate);
/* A bucket with one token: what was sent before a restart is not known. */
void pace_start(struct pace *p, unsigned rate, int64_t now);
/* Tokens there are now. */
unsigned pace_tokens(const struct pace *p, unsigned rate, int64_t now);
/* When there will be `tokens` of them, 1 to pace_burst, if none is taken meanwhile; may have passed. */
int64_t pace_at(const struct pace *p, unsigned rate, unsigned tokens);
/* A message begins. */
void pace_take(struct pace *p, unsigned rate, int64_t now);

#endif
