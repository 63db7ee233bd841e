/*
 * The manager's way in (R56): agents on other boxes connect and send their audit records as syslog messages (base/syslog.h), which go
 * into the audit file with the agent's name before them. An agent is known by its certificate, or in clear by its address.
 *
 * What is on disk is told: `ok N` in a line of its own, N being the sequence of the last record of this agent that the file holds for
 * good; `no WHY` before we hang up. A record that the file holds already is taken, and not written again.
 */
#ifndef MANAGER_AGENTS_H
#define MANAGER_AGENTS_H

#include <sys/socket.h>

#include "base/fault.h"
#include "base/pool.h"
#include "manager/audit.h"
#include "net/tls.h"
#include "trust/network.h"

#define AGENT_NAME_MAX		48	/* octets, as of [agent NAME] */
#define AGENT_LISTENERS_MAX	8	/* addresses, with and without TLS */
#define AGENT_STREAM_MAX	32	/* octets of the name of an agent's numbering */

struct agent_rule {
	char name[AGENT_NAME_MAX + 1];
	char tls_name[HOST_MAX + 1];	/* in its certificate; empty: any, then `pinned` */
	bool pinned;
	uint8_t pin[DIGEST_SHA256_SIZE];
	struct network_list from;	/* empty: from anywhere, with a certificate */
};

struct agents_listen {
	struct sockaddr_storage address;
	socklen_t len;
	bool tls;
};

struct agents_settings {
	unsigned listen_count;		/* 0: no agents here */
	struct agents_listen listen[AGENT_LISTENERS_MAX];
	unsigned rule_count;
	struct agent_rule *rules;	/* owned by who owns the settings */
	struct tls_context *tls;	/* tls_mutual_new; NULL: all listeners are in clear */
};

struct agent_face {			/* for status */
	const char *name;
	const char *address;		/* empty: not connected */
	int64_t heard;			/* wall s when the last new record came; 0: none since the start */
	uint64_t records, doubles;	/* that came, and that were there already */
	uint64_t renumbered;		/* numberings that its records have begun anew */
	uint64_t sequence;		/* the last record in the file; 0: none */
};

struct agents;

#if CONFIG_AGENTS

/* NULL without memory. */
struct agents *agents_new(struct loop *l, struct pool *blocks, struct audit *audit);
/* After the loop has ended, or before it has begun. */
void agents_free(struct agents *a);
/* At start, after audit_apply: what the files hold of each agent. */
void agents_recall(struct agents *a, const char *path, unsigned keep);
/* All or nothing, as ingest_apply; what is needed of the settings is copied. */
bool agents_apply(struct agents *a, const struct agents_settings *s, struct fault *f);
/* Hangs up, and takes nobody any more. */
void agents_shutdown(struct agents *a);
/* Row by row from 0; false behind the last, or of NULL. */
bool agents_at(const struct agents *a, unsigned row, struct agent_face *out);

#else

static inline struct agents *agents_new(struct loop *l, struct pool *blocks, struct audit *audit)
{
	(void)l, (void)blocks, (void)audit;
	return NULL;
}

static inline void agents_free(struct agents *a)
{
	(void)a;
}

static inline void agents_recall(struct agents *a, const char *path, unsigned keep)
{
	(void)a, (void)path, (void)keep;
}

static inline bool agents_apply(struct agents *a, const struct agents_settings *s, struct fault *f)
{
	(void)a, (void)s, (void)f;
	return true;
}

static inline void agents_shutdown(struct agents *a)
{
	(void)a;
}

static inline bool agents_at(const struct agents *a, unsigned row, struct agent_face *out)
{
	(void)a, (void)row, (void)out;
	return false;
}

#endif

#endif
