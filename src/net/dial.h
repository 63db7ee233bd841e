/*
 * A connection to a host given by name or numeric address: looked up in the resolver helper (numeric addresses
 * need none, R37), then tried address by address without blocking.
 */
#ifndef NET_DIAL_H
#define NET_DIAL_H

#include "base/limits.h"
#include "net/helper.h"

#define DIAL_MS			30000	/* name look-up and all addresses of one host; for most callers */
#define DIAL_ATTEMPT_MAX	10000	/* ms for one address: a dead first address must leave time for the next */

/* The resolver: one per process, used by all dials. */
struct helper *dial_resolver_start(struct loop *l);

struct dial;
/*
 * The end of a dial: fd >= 0 connected (non-blocking, CLOEXEC, TCP_NODELAY), now the callee's, with `address` "192.0.2.1:587" for the log;
 * or -1 with `error` for a person ("no such host", "connection refused"). The dial itself is gone after the call. When
 * the loop ends first, it is called with -1.
 */
typedef void dial_done(void *context, int fd, const char *address, const char *error);

/*
 * `bind_to`: numeric local address to leave from, or empty; only addresses of its family are tried then. `timeout` in ms over all. NULL without memory or
 * when the loop is full. `done` is never called from within dial_start.
 */
struct dial *dial_start(struct loop *l, struct helper *resolver, const char *host, uint16_t port, const char *bind_to,
			int64_t timeout, dial_done *done, void *context);
/*
 * What a person wants to see of it: each address that the name has ("192.0.2.1"), with `error` NULL, once they are known; each that failed
 * ("192.0.2.1:587"), with words. To be set right after dial_start.
 */
typedef void dial_step(void *context, const char *address, const char *error);
void dial_show(struct dial *d, dial_step *step);
/* Whether an end's error is about `bind_to`: the host has no address of its family, or it isn't this machine's (any more). */
bool dial_blames_source(const char *error);
/* Ends it without a call. */
void dial_cancel(struct dial *d);

#endif
