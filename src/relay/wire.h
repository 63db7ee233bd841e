/*
 * A connection that a person watches (relay/probe.h): look-up, connect and TLS are told here; the conversation is somebody else's.
 */
#ifndef RELAY_WIRE_H
#define RELAY_WIRE_H

#include "net/dial.h"
#include "net/stream.h"
#include "relay/probe.h"

#define WIRE_REPLY_MS	30000	/* a step: a person waits */

struct wire;

struct wire_talk {
	void (*connected)(struct wire *w);
	void (*secured)(struct wire *w);
	/* One event of the session. False: nothing more can be done with the input now, or it is over. */
	bool (*feed)(struct wire *w, struct buffer *out);
	/* Cut off, or no answer in time: `why`. */
	void (*lost)(struct wire *w, const char *why);
};

struct wire_end {			/* where to, and how; all outlives it */
	const char *host;
	uint16_t port;
	enum tls_use tls;
	struct tls_context *context;
	const char *tls_name;
	const char *bind;
	const char *prefix, *key_prefix;	/* of steps and of settings: "" or "pop-", "pop_" */
};

struct wire {
	struct watch watch;		/* first */
	const struct probe_house *house;
	const struct relay_route *route;
	const struct wire_talk *talk;
	struct wire_end end;
	uint8_t stage;			/* enum wire_stage */
	bool brief;
	bool starved, over, reaped;
	uint8_t shakes;			/* handshakes that were tried again at once: stream_retry_tls */
	enum probe_result worst;
	struct dial *dial;
	struct stream stream;
	struct tls_shown shown;
	int64_t deadline, give_up;	/* ms */
	size_t found_len;
	char found[RESOLVED_MAX * 56];
	char failed[FAULT_MAX];		/* addresses that were tried in vain, and why */
	char address[80];
	char source[INET6_ADDRSTRLEN];
};

/* Turns the loop until it is over. What must be set before: house, route, talk, end, brief. */
enum probe_result wire_run(struct wire *w);
/* The session is over. */
void wire_finish(struct wire *w);
/* The answer that a feed waited for has come: on with it. */
void wire_go_on(struct wire *w);
/* STARTTLS and STLS: the handshake. False when it can't begin (told, and over). */
bool wire_shake(struct wire *w);
/* `step` without prefix; `change` may be empty. */
void wire_tell(struct wire *w, const char *step, enum probe_result result, const char *change, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

#endif
