/*
 * The way out: takes due messages from the spool, and brings them to the next hop over a few connections that are kept
 * for many messages. Temporary failures are tried again with back-off, permanent ones and those that expire become return mail.
 */
#ifndef RELAY_RELAY_H
#define RELAY_RELAY_H

#include "base/pool.h"
#include "ingest/keeper.h"
#include "relay/route.h"

struct relay;

/* `hasher` serves relay_hash (relay/prove.h) as well. */
struct relay *relay_new(struct loop *l, struct pool *blocks, struct keeper *k, struct helper *resolver,
			struct helper *hasher);
void relay_free(struct relay *r);
/* New mail goes by `settings` from now on; it must live until its `users` is 0. False without memory. */
bool relay_apply(struct relay *r, struct relay_settings *settings);
/* Look at the queue in this turn (a commit, a retry by hand). */
void relay_wake(struct relay *r);
/* Relays that are down are tried now (queue retry). */
void relay_retry(struct relay *r);
/* No new attempts; connections are closed once their message is through. */
void relay_shutdown(struct relay *r);
bool relay_idle(const struct relay *r);

/* How ingest passes messages on while they come in ([relay] mode). */
#if CONFIG_DIRECT
void relay_way(struct relay *r, struct passage_way *out);
#else
static inline void relay_way(struct relay *r, struct passage_way *out)
{
	(void)r;
	*out = (struct passage_way){ .context = NULL };
}
#endif
/* How ingest has passwords tried at the next hop (credentials = client). */
#if CONFIG_CREDENTIALS_CLIENT
void relay_vouch_way(struct relay *r, struct vouch_way *out);
#else
static inline void relay_vouch_way(struct relay *r, struct vouch_way *out)
{
	(void)r;
	*out = (struct vouch_way){ .context = NULL };
}
#endif

struct relay_counters {
	uint64_t delivered, deferred, failed, returned;	/* recipients; returned: messages */
};
const struct relay_counters *relay_counters(const struct relay *r);

enum relay_wait { WAIT_NOT, WAIT_CONNECTION, WAIT_RATE, WAIT_DOWN, WAIT_LOGIN };
/* Why mail of this route doesn't go now: "", "connection", "rate", "relay-down". */
const char *relay_wait_name(enum relay_wait wait);

/* Per route, for `sekimori status`. */
struct relay_status {
	const char *name;
	const char *host;
	unsigned connections;			/* open now */
	int64_t last_success;			/* wall seconds; 0: none yet */
	int64_t last_failure;
	const char *last_error;			/* empty: none since the last success */
	int64_t down_for;			/* ms until tried again; 0: not down */
	bool by_pop;				/* a POP login of ours comes first */
	int64_t pop_age;			/* ms since the last one; -1: none yet */
	unsigned rate;				/* messages a minute; 0: no limit */
	enum relay_wait wait;			/* what its mail would have to wait for now */
};
unsigned relay_route_count(const struct relay *r);
void relay_status(const struct relay *r, unsigned route, struct relay_status *out);

/* What a queued message waits for beside its own time: the route of its first pending recipient is looked at. */
enum relay_wait relay_waits_for(const struct relay *r, const struct spool_entry *e, const struct spool_message *m);

/* It has failed and can't be returned: kept for a person to look at (R49). */
bool relay_is_parked(const struct spool_message *m);
/* Those in force: for the schedule of `queue show`. */
const struct relay_settings *relay_settings_now(const struct relay *r);
/* Seconds since a mail arrived, by a clock that may have been stepped meanwhile; 0 when nobody knows. */
int64_t relay_age(const struct relay *r, int64_t arrived);

/* Makes return mail of a queued message at once (queue return), or drops it (queue remove). 0 or -errno (-EBUSY: being
 * sent; -EPERM: there is nobody to return it to). */
int relay_give_up(struct relay *r, uint64_t id, bool return_it);

#endif
