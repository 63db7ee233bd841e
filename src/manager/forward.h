/*
 * The agent's way to the manager on another box (R56): the lines of our own audit file, as syslog messages (base/syslog.h) over TLS or TCP.
 * The file is the store: while the manager is away nothing is held in memory, and what is rotated away unsent is told as missing. A
 * record is sent once it is on our own disk, and counts as sent when the manager has it: another Sekimori says so (manager/agents.h);
 * of a plain syslog server no more is known than that its machine has taken every octet. How far that is stands in FILE.sent.
 */
#ifndef MANAGER_FORWARD_H
#define MANAGER_FORWARD_H

#include "base/fault.h"
#include "base/pool.h"
#include "manager/audit.h"
#include "net/helper.h"
#include "net/tls.h"

struct forward_settings {
	char host[HOST_MAX + 1];	/* empty: nothing is forwarded */
	uint16_t port;
	bool acknowledged;		/* the other side is a Sekimori */
	char tls_name[HOST_MAX + 1];	/* empty: host */
	struct tls_context *context;	/* NULL: in clear */
	char hostname[HOST_MAX + 1];	/* ours */
	char path[256];			/* the audit file's */
	unsigned keep;			/* older ones beside it */
};

struct forward_status {
	bool on, connected;
	uint64_t number;		/* the last record that the manager has; 0: none */
	uint64_t waiting;		/* records behind it, reckoned */
	uint64_t missing;		/* records since the start that were gone before they could be sent */
	int64_t reached;		/* wall s when the manager last took some; 0: not since the start */
	char address[80];		/* empty: never connected */
	char error[FAULT_MAX];		/* why it isn't connected */
};

struct forward;

#if CONFIG_FORWARD

/* `flusher` serves keeper_serve. In the loop until its end. NULL without memory. */
struct forward *forward_new(struct loop *l, struct pool *blocks, struct helper *resolver, struct helper *flusher,
			    struct audit *audit);
/* From now on; copied. After audit_apply. */
void forward_apply(struct forward *f, const struct forward_settings *s);
void forward_state(const struct forward *f, struct forward_status *out);
/* Before loop_free, which frees it. NULL is ignored. */
void forward_end(struct forward *f);

#else

static inline struct forward *forward_new(struct loop *l, struct pool *blocks, struct helper *resolver, struct helper *flusher,
					  struct audit *audit)
{
	(void)l, (void)blocks, (void)resolver, (void)flusher, (void)audit;
	return NULL;
}

static inline void forward_apply(struct forward *f, const struct forward_settings *s)
{
	(void)f, (void)s;
}

static inline void forward_state(const struct forward *f, struct forward_status *out)
{
	(void)f;
	*out = (struct forward_status){ .on = false };
}

static inline void forward_end(struct forward *f)
{
	(void)f;
}

#endif

#endif
