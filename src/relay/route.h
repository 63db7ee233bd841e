/*
 * Where a mail goes next: [relay] and [relay NAME], specific first (R37). Pure.
 */
#ifndef RELAY_ROUTE_H
#define RELAY_ROUTE_H

#include "ingest/ingest.h"	/* enum tls_use */
#include "base/limits.h"
#include "relay/self.h"

enum pop_use {
	POP_OFF,
	POP_AGENT,			/* we log in ourselves */
	POP_CLIENT			/* a PC behind our address does, on its own account */
};

/* POP before SMTP (R43, R44); with POP_AGENT all of it, else `use` alone. */
struct relay_pop {
	uint8_t use;			/* enum pop_use */
	uint8_t tls;			/* enum tls_use */
	uint8_t login;			/* enum pop3_login */
	uint16_t port;
	char host[HOST_MAX + 1];
	struct tls_context *context;	/* NULL with TLS_USE_NONE */
	char tls_name[HOST_MAX + 1];	/* empty: the host */
	char user[LOGIN_MAX + 1];
	char password[PASSWORD_MAX + 1];	/* wiped with the configuration */
	int64_t window;			/* ms: how long a login opens the door */
	int64_t wait;			/* ms: from the login until the door is open */
};

/* ms from a login until the next: while the door is surely open. */
int64_t route_pop_open(const struct relay_pop *o);

struct relay_login {			/* a line of credentials_file */
	char account[ADDRESS_MAX + 1];	/* as the spool keeps it: an account's address, NAME of a device or peer */
	unsigned line;
	char user[LOGIN_MAX + 1];
	char password[PASSWORD_MAX + 1];	/* wiped with the configuration */
};

struct wallet;

struct relay_route {			/* one [relay NAME]; the default one has an empty name */
	char name[64];
	unsigned line;			/* in the configuration, for errors */
	unsigned host_count;
	char host[HOSTS_MAX][HOST_MAX + 1];
	uint16_t port;
	uint8_t tls;			/* enum tls_use */
	struct tls_context *context;	/* NULL with TLS_USE_NONE */
	char tls_name[HOST_MAX + 1];	/* empty: the host */
	unsigned mechanisms;		/* enum smtp_mechanism; 0: no login */
	bool login_optional;		/* where no AUTH is offered the POP login is the login */
	struct relay_pop pop;
	char user[LOGIN_MAX + 1];
	char password[PASSWORD_MAX + 1];	/* wiped with the configuration */
	char token_command[256];	/* XOAUTH2: makes the token, in place of a password; or empty */
	bool by_client;			/* credentials = client: rows are the wallet's */
	const struct wallet *wallet;	/* the relay's; NULL: it has none yet */
	const struct trust *trust;	/* whose password is the next hop's */
	bool by_sender;			/* credentials = sender, or client: */
	unsigned login_count;
	struct relay_login *logins;	/* sorted by account; owned by the configuration */
	char logins_path[256];
	unsigned connections;
	uint8_t mode;			/* enum passage_mode */
	int64_t direct_wait;		/* ms: for an upstream to take the content of a message that is passed on directly */
	unsigned messages_per_connection;	/* then QUIT; 0: no limit */
	unsigned rate;			/* messages a minute, over all connections; 0: no limit */
	int64_t timeout;		/* ms: for each reply; twice that after the final dot (RFC 5321 4.5.3.2) */
	char bind[64];			/* numeric local address, or empty */
	unsigned domain_count, sender_count;
	char domains[DOMAINS_MAX][DOMAIN_MAX + 1];	/* recipient domains, or senders (address or domain) it is for */
	char senders[DOMAINS_MAX][ADDRESS_MAX + 1];
};

struct relay_owner {			/* who gets the return mail of a [device NAME] */
	char device[64];
	char address[ADDRESS_MAX + 1];
};

/* The relay's share of the configuration. */
struct relay_settings {
	char hostname[HOST_MAX + 1];
	unsigned route_count;
	struct relay_route *routes;		/* route_count of them */
	unsigned retry_count;
	int64_t retry[16];			/* ms; the last repeats */
	int64_t expire;				/* ms */
	char return_from[ADDRESS_MAX + 1];	/* empty: return mail is parked and logged */
	uint8_t return_envelope;		/* enum return_envelope */
	unsigned return_languages;		/* enum report_language */
	int64_t delay_notice;			/* ms: mail that is older is told to its sender as late; 0: never */
	struct self self;			/* where we listen: no next hop */
	unsigned owner_count;
	struct relay_owner *owners;
	unsigned users;				/* couriers that hold these settings */
};

enum return_envelope { RETURN_AUTO, RETURN_NULL, RETURN_ADDRESS };

/* The route for a recipient and a sender (without brackets): by sender, then by domain, then the default; -1: none. */
int route_find(const struct relay_settings *s, struct slice sender, struct slice recipient);
/* The route of that name (empty: the default one); -1: none. */
int route_named(const struct relay_settings *s, const char *name);
/* The login for a mail of that account: LOGIN_STORED, a row of logins from 1 on, or LOGIN_MISSING (relay/login.h). */
int route_login(const struct relay_route *r, struct slice account);
/* credentials = client: it sends with the pair that it has logged in with, or waits for one. */
bool route_is_clients(const struct relay_route *r, struct slice account);
struct slice route_user(const struct relay_route *r, int login);
struct slice route_password(const struct relay_route *r, int login);
/* For bsearch and qsort: accounts compare as addresses do, without regard to case. */
int route_login_compare(const void *a, const void *b);
/* "default" or its name. */
const char *route_name(const struct relay_route *r);

#endif
