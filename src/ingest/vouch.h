/*
 * A login whose password the next hop knows and we don't (credentials = client, R40): what ingest, which has the client, and
 * the relay, which asks the upstream, tell each other about it. Lives in the client's session; the relay's answer is seen in the
 * loop's next turn.
 */
#ifndef INGEST_VOUCH_H
#define INGEST_VOUCH_H

#include "base/slice.h"

enum vouch_state {
	VOUCH_NONE,
	VOUCH_ASKED,
	VOUCH_GOOD,
	VOUCH_BAD,			/* the upstream, now or a moment ago, says no */
	VOUCH_UNKNOWN			/* it could not be asked */
};

struct vouch {
	uint8_t state;			/* enum vouch_state */
	void *carrier;			/* the relay's; NULL: it knows nothing of it (any more) */
};

struct vouch_way {
	void *context;
	/* Asks: `user` and `password` as typed, for a mail account of ours. There may be an answer in v already when it returns. */
	void (*ask)(void *context, struct vouch *v, struct slice account, struct slice user, struct slice password);
	/* Nobody waits for the answer any more. */
	void (*cancel)(void *context, struct vouch *v);
};

#endif
