/*
 * The way in: listeners and SMTP server sessions, joined to trust and spool. Each session ends under the
 * settings it began with (R20).
 */
#ifndef INGEST_INGEST_H
#define INGEST_INGEST_H

#include <sys/socket.h>

#include "base/pool.h"
#include "ingest/keeper.h"
#include "ingest/passage.h"
#include "ingest/vouch.h"
#include "net/helper.h"
#include "net/tls.h"
#include "trust/keyring.h"
#include "trust/lockout.h"
#include "trust/trust.h"

enum tls_use { TLS_USE_NONE, TLS_USE_STARTTLS, TLS_USE_IMPLICIT };

struct ingest_listen {			/* one address of a [listen NAME] */
	char name[64];
	bool is_local;			/* the socket of sendmail(1): programs of this machine, known by their user */
	struct sockaddr_storage address;
	socklen_t address_len;
	uint8_t tls;			/* enum tls_use */
	bool auth_required;
	struct network_list plaintext_auth;
};

struct ingest_settings {
	char hostname[HOST_MAX + 1];
	bool enhanced_codes;
	unsigned max_sessions, max_recipients;
	unsigned sessions_per_client, auth_failures, received_max;
	struct lockout_policy lockout;
	unsigned data_min_rate;			/* octets per second */
	uint64_t max_message_size;		/* octets */
	uint32_t max_header;			/* octets */
	int64_t command_timeout;		/* ms */
	const struct trust *trust;
	const struct keyring *keyring;		/* of the stamp; NULL: mail isn't stamped */
	struct tls_context *tls;		/* NULL: no listener needs it */
	unsigned listen_count;
	struct ingest_listen listen[LISTENERS_MAX];
	struct ingest_listen local;		/* address unused: see ingest_take_local */
	unsigned users;				/* sessions and listeners that hold these settings */
};

struct ingest_counters {
	uint64_t sessions, refused_sessions, messages, refused_messages, logins, refused_logins, lockouts, octets;
	uint64_t refused_senders;		/* by the check at MAIL */
	unsigned open_sessions;
};

struct ingest;

/* `hasher` serves ingest_hash. max_sessions of `settings` is fixed from now on. NULL without memory. */
struct ingest *ingest_new(struct loop *l, struct pool *blocks, struct keeper *k, struct helper *hasher,
			  const struct ingest_settings *settings);
void ingest_free(struct ingest *i);

/* How messages are passed on while they come in. Without it all go into the queue. */
void ingest_pass_by(struct ingest *i, const struct passage_way *way);
/* Who is asked for passwords that only the next hop knows ({UPSTREAM}). */
void ingest_ask_upstream(struct ingest *i, const struct vouch_way *way);

/* The password check, for helper_start. */
size_t ingest_hash(const void *request, size_t len, int fd, void *answer);

/*
 * Opens what `settings` lists and is not open yet, then closes what it doesn't list; new sessions begin under it. All or
 * nothing: with a fault, everything stays as it was. `settings` must live until its `users` is 0.
 */
bool ingest_apply(struct ingest *i, struct ingest_settings *settings, struct fault *f);
/* Listens on a UNIX socket for programs of this machine, from now on to the end; takes fd over. After the first ingest_apply. */
bool ingest_take_local(struct ingest *i, int fd);
/* 421 to every session that isn't in the middle of a commit; no new ones. Then ingest_idle tells when all are gone. */
void ingest_shutdown(struct ingest *i);
bool ingest_idle(const struct ingest *i);
const struct ingest_counters *ingest_counters(const struct ingest *i);

#endif
