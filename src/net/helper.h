/*
 * A helper process: does one thing that would block the loop (getaddrinfo, fdatasync, a slow hash), asked over a
 * socketpair, one request after the other. It holds no descriptor but its own end, has no more rights than we, and ends when we
 * do. A helper that dies is started again; its open requests are answered with nothing.
 */
#ifndef NET_HELPER_H
#define NET_HELPER_H

#include <sys/types.h>

#include "net/loop.h"

#define HELPER_MESSAGE_MAX	2048	/* octets of a request or answer */
#define HELPER_PENDING_MAX	256	/* requests under way */
#define HELPER_RESTART		1000	/* ms from one start to the next at least: one that dies at once must not eat the CPU */

/* In the child: `fd` is the descriptor that came with the request, or -1 (closed afterwards by the caller). Returns the answer's length. */
typedef size_t helper_serve(const void *request, size_t len, int fd, void *answer);
/* In the daemon: answer NULL when the helper died. Never called from within helper_ask. */
typedef void helper_done(void *context, const void *answer, size_t len);

struct helper;

/*
 * Forks. `name` appears in the process list ("sekimori: NAME"; the kernel keeps 5 octets of NAME). The child's memory is the
 * daemon's at this moment, shared until either writes: start helpers early. NULL: see errno.
 */
struct helper *helper_start(struct loop *l, const char *name, helper_serve *serve);
/*
 * Open requests are dropped without a call. To be called once: before loop_free, if it was started before all who use it, or
 * after. NULL is ignored.
 */
void helper_stop(struct helper *h);
/*
 * One that was started as root becomes this user, without other groups and capabilities, and can't gain any more; one
 * that can't ends, and is started again as what we are by then. To be called when we have become that user.
 */
void helper_become(struct helper *h, uid_t uid, gid_t gid);
/* False when too many are under way or it is down for a moment: try later. fd -1: none; it stays the caller's. */
bool helper_ask(struct helper *h, const void *request, size_t len, int fd, helper_done *done, void *context);
/* helper_ask would most likely take a request now; false while it is being started again. */
bool helper_ready(const struct helper *h);
/* Answers for `context` are dropped from now on. */
void helper_forget(struct helper *h, const void *context);
/* Requests under way. */
size_t helper_busy(const struct helper *h);

/* For a child right after fork: closes all from `low` on; signals as a new program expects them, but those for the group are ignored. */
void helper_close_above(int low);
void helper_reset_signals(void);

#endif
