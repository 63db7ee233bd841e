/*
 * One connection to a next hop, kept for many messages: dial, TLS, login, then one attempt after the other
 * (lesson 27: another host only while nothing was accepted).
 */
#ifndef RELAY_COURIER_H
#define RELAY_COURIER_H

#include "net/dial.h"
#include "net/stream.h"
#include "relay/attempt.h"
#include "relay/pop.h"

/* KNOCKING: the route's POP login is being made. */
enum courier_stage { COURIER_KNOCKING, COURIER_DIALLING, COURIER_SHAKING, COURIER_TALKING, COURIER_IDLE, COURIER_LEAVING };

struct relay_house;

struct relay_pair {			/* of a client; wiped */
	char user[LOGIN_MAX + 1];
	char password[PASSWORD_MAX + 1];
};

struct courier {
	struct watch watch;		/* first */
	struct courier *next;		/* in the relay's list */
	struct relay *relay;
	const struct relay_house *house;
	struct relay_settings *settings;	/* it was made under; its `users` counts us */
	unsigned route;
	int login;			/* route_login: it carries mail of no other */
	bool checking;			/* it has no attempt, but tries a client's pair; ends with calls.ready or calls.failed */
	struct relay_pair own;		/* credentials = client: what it logs in with; the wallet's rows come and go */
	uint8_t stage;			/* enum courier_stage */
	uint8_t host;			/* index of the host being tried */
	uint8_t shakes;			/* handshakes with this host that were tried again at once: stream_retry_tls */
	bool quitting;
	bool begun;			/* MAIL of the attempt has been said */
	bool held;			/* ready, and waits for the rate */
	bool was_ready;			/* it could have accepted something: no other host any more */
	bool starved, in_turn;
	bool denied;			/* relaying was, and the attempt goes once more after a fresh POP login */
	bool turned;			/* POP and SMTP had no address family in common once already */
	struct pop *pop;		/* held; NULL: no POP login is needed */
	struct pop_waiter waiter;
	unsigned pop_login;		/* pop_number of the connection */
	struct dial *dial;
	struct stream stream;
	struct smtp_client smtp;
	struct smtp_client_settings rules;
	struct smtp_client_mail mail;
	char nonce[PROOF_NONCE_LENGTH + 1];	/* of rules */
	char *token;			/* of rules, or NULL */
	unsigned token_number;
	struct attempt *attempt;	/* under way; NULL while idle */
	uint64_t sent;			/* octets of the content put into the stream */
	bool sending;			/* content is due */
	unsigned messages;		/* brought over this connection */
	unsigned mails;			/* MAILs said over it */
	int64_t deadline;		/* ms */
	char address[80];		/* "192.0.2.1:587" */
};

/* The relay's side: what a courier reports. */
struct courier_calls {
	/* It is ready for mail for the first time: where there is a login, it was good. */
	void (*ready)(struct relay *r, struct courier *c);
	/* The attempt's group has been tried; the attempt is the relay's again. */
	void (*done)(struct relay *r, struct courier *c, struct attempt *a);
	/* Ready for another: courier_carry may be called. */
	void (*idle)(struct relay *r, struct courier *c);
	/* The route can't be used now; `words` say why; `login`: it refused our credentials. The attempt is the relay's again. */
	void (*failed)(struct relay *r, struct courier *c, struct attempt *a, const char *words, bool login);
	/* A message is about to begin: 0 when it may, else the monotonic ms at which to ask again (`rate`). */
	int64_t (*pace)(struct relay *r, struct courier *c);
	void (*gone)(struct relay *r, struct courier *c);
};

struct relay_house {			/* what couriers share; the relay's own */
	struct loop *loop;
	struct pool *blocks;
	struct spool *spool;
	struct helper *resolver, *hasher;
	struct courier_calls calls;
};

/* Starts with an attempt; `pop` is the route's, or NULL. NULL without memory; the attempt stays the caller's then. */
struct courier *courier_start(struct relay *r, const struct relay_house *house, struct relay_settings *settings,
			      unsigned route, struct pop *pop, struct attempt *a);
/* For XOAUTH2, right after courier_start: the token to log in with (token_number). False without memory. */
bool courier_bring_token(struct courier *c, struct slice token, unsigned number);
/* Starts without an attempt, to try a client's pair. */
struct courier *courier_check(struct relay *r, const struct relay_house *house, struct relay_settings *settings,
			      unsigned route, const struct relay_pair *pair);
/* The host it is connected to, or tries. */
const char *courier_host(const struct courier *c);
/* Its connection was made under a POP login that is over: no more attempts for it. */
bool courier_is_outdated(const struct courier *c);
/* Another attempt for an idle one, of its route and login. */
void courier_carry(struct courier *c, struct attempt *a);
/* Its attempt has been taken from it: the connection is dropped, whatever it was about to say. */
void courier_abandon(struct courier *c);
/* Says QUIT when idle, or as soon as it is. */
void courier_quit(struct courier *c);

#endif
