/*
 * One attempt to bring a queued message on: its envelope, and what became of each recipient. The recipients of one
 * route go together; the attempt passes from route to route until all that are pending have been tried, and is then
 * recorded as one outcome. Found afresh each time, nothing of it is kept with the message (lesson 28).
 */
#ifndef RELAY_ATTEMPT_H
#define RELAY_ATTEMPT_H

#include "mail/report.h"
#include "relay/route.h"
#include "smtp/client.h"

struct attempt_recipient {
	struct slice address;
	uint16_t code;			/* of the decisive reply; 0: none came */
	uint16_t words_len;
	uint16_t remote_len;
	uint32_t words_at;		/* of the reply's text in `words` */
	uint32_t remote_at;		/* likewise, of the host that said so */
	uint8_t state;			/* enum recipient_state */
	bool tried, in_group, expired;
	bool again;			/* the group's verdict is not for it: it goes once more, see attempt_recipient_again */
	bool told;			/* pending, and the sender knows that it is late */
	bool skipped;			/* tried, but only for form: its route couldn't be used */
};

struct attempt {
	struct keeping keeping;		/* first; of the return mail this attempt makes */
	struct attempt *next;		/* in the relay's list of those that wait for a courier, or for their return mail */
	struct relay *relay;
	uint64_t id;
	char id_text[SPOOL_ID_TEXT];
	uint32_t tries;			/* finished attempts before this one */
	struct spool_message message;
	struct buffer memory;		/* behind the message's slices */
	unsigned count;
	struct attempt_recipient *recipients;	/* count of them */
	struct slice *group;		/* addresses of the group, for the client session */
	unsigned *group_index;		/* their places in recipients */
	unsigned group_count;
	int login;			/* of the group: route_login in these settings */
	int route;			/* of the group, in the settings it was made with; -1: none */
	char route_name[64];		/* likewise, for the log: settings may be replaced meanwhile */
	bool null_refused;		/* [return] envelope = auto: the upstream refuses <>, the address is used */
	bool carried;			/* some courier had it: not just put off because its route is down */
	bool withdrawn;			/* given up by hand */
	bool notice;			/* its return mail says that it is late, not that it failed */
	bool parked;			/* it has failed and can't be returned */
	int64_t not_before;		/* monotonic ms: its route isn't tried before; 0: as [queue] retry says */
	bool in_doubt;			/* the dot was sent to `remote`, and no verdict came */
	char only_host[HOST_MAX + 1];	/* the host that may have it already; empty: any of the route's */
	bool knocked;			/* a fresh POP login was made for it */
	bool redialled;			/* once already, after a kept connection turned out to be closed */
	bool direct;			/* passed on while it comes in: not in the spool */
	bool flowing;			/* direct: 354 came, content may have left */
	int64_t give_up_at;		/* direct, monotonic ms: not flowing by then, it is given back */
	struct passage *passage;	/* direct: the client's side of it; NULL when the client has gone */
	char remote[HOST_MAX + 1];	/* the host of the last group */
	char words[SMTP_REPLY_TEXT_MAX * 24];	/* replies' texts, as far as they fit */
	size_t words_len;
};

/* Loads a taken message. NULL with *error -errno. */
struct attempt *attempt_new(struct spool *s, uint64_t id, uint32_t tries, int *error);
/* Of a message that is passed on while it comes in. NULL without memory. */
struct attempt *attempt_of_passage(struct passage *p);
void attempt_free(struct attempt *a);

/* Makes the next group: pending recipients not yet tried, of one route. Its route's index; -1 when all have been tried. */
int attempt_group(struct attempt *a, const struct relay_settings *s);

/* Whose login it goes by; return mail is sent by the account of [return] from. */
struct slice attempt_account(const struct attempt *a, const struct relay_settings *s);
/* The envelope sender to use, without brackets. */
struct slice attempt_sender(const struct attempt *a, const struct relay_settings *s);

/* What the upstream said about recipient `i` of the group. 2xx is only preliminary: see attempt_group_verdict. */
void attempt_recipient_reply(struct attempt *a, unsigned i, unsigned code, struct slice words);
/* Recipient `i` of the group is left to the attempt's next group: what the upstream said of it may change at once. */
void attempt_recipient_again(struct attempt *a, unsigned i);
/*
 * The verdict on the group's message: for all its recipients (`all`), or for those that had a 2xx. Code 0 is a failure
 * without a reply (connection lost, time-out): tried again.
 */
void attempt_group_verdict(struct attempt *a, unsigned code, struct slice words, bool all);
/* The host that the group has been tried at. */
void attempt_group_host(struct attempt *a, const char *host);
/* The group's route can't be used now: nothing is known of its recipients. */
void attempt_skip_group(struct attempt *a, struct slice why);
/* Somebody has put off a recipient: the message waits as [queue] retry says. */
bool attempt_was_deferred(const struct attempt *a);
/* Nothing but refusals of our login was said about the group (530 and its kin); its words in *words. */
bool attempt_login_refused(const struct attempt *a, struct slice *words);
/* All pending recipients failed for good: expired, or given up by hand. */
void attempt_give_up(struct attempt *a, bool by_hand);

struct slice attempt_words(const struct attempt *a, const struct attempt_recipient *r);
/* The host that said them; empty: none did. */
struct slice attempt_remote(const struct attempt *a, const struct attempt_recipient *r);
unsigned attempt_count(const struct attempt *a, enum recipient_state state);
/* Permanent failures may become return mail: there is a sender, and it is no machine's (R49). */
bool attempt_returnable(const struct attempt *a);

#endif
