/*
 * `sekimori probe` (R41, R73): a walk through each step to a next hop, told to a person as it goes. Nothing is ever sent: a mail is begun
 * and taken back. The sessions are those of real mail (smtp/client.h, smtp/pop3.h), the settings those of its route.
 */
#ifndef RELAY_PROBE_H
#define RELAY_PROBE_H

#include <netinet/in.h>

#include "base/pool.h"
#include "net/helper.h"
#include "relay/route.h"

#define PROBE_SENDERS_MAX	3	/* accounts whose address is tried as a sender: a sample; each is a refusal that a provider may count */

/* From good to bad: the worst of all is the result. */
enum probe_result {
	PROBE_OK,
	PROBE_NOTE,			/* well, but worth knowing */
	PROBE_TEMPORARY,		/* the server says so, or it was cut off: later perhaps */
	PROBE_UNREACHABLE,
	PROBE_WRONG			/* somebody has to change something */
};
/* "ok", "note", "later", "away", "wrong". */
const char *probe_result_name(enum probe_result result);

struct probe_step {
	const char *relay;		/* route_name */
	const char *host;		/* as the configuration says it */
	const char *step;		/* "lookup", "connect", "greeting", "tls", "login", …; with "pop-" in front where POP is meant */
	enum probe_result result;
	const char *text;		/* what was seen; one line, printable */
	const char *change;		/* what to do about it; or empty */
};

struct probe_house {
	struct loop *loop;
	struct pool *blocks;
	struct helper *resolver, *hasher;
	const struct relay_settings *settings;
	uint64_t max_message_size;
	unsigned sender_count;
	struct slice senders[PROBE_SENDERS_MAX];
	void (*tell)(void *context, const struct probe_step *s);
	void *context;
};

struct probe_visit {
	unsigned route, host;
	int login;			/* route_login */
	struct slice token;		/* with XOAUTH2 */
	const char *bind;		/* numeric address to leave from; empty: any */
	bool brief;			/* steps before the login have been told by a visit before */
};

/* Both turn the loop until they are over, a minute or two at the worst. The worst result. */
enum probe_result probe_smtp(const struct probe_house *h, const struct probe_visit *v);
#if CONFIG_POP_BEFORE_SMTP
/* The POP login of a route with POP_AGENT; `source`: where it came from (as pop_source). */
enum probe_result probe_pop(const struct probe_house *h, unsigned route, char source[INET6_ADDRSTRLEN]);
#else
static inline enum probe_result probe_pop(const struct probe_house *h, unsigned route, char source[INET6_ADDRSTRLEN])
{
	(void)h, (void)route, (void)source;
	return PROBE_OK;
}
#endif

#endif
