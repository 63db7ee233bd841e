/*
 * The inside of struct trust, for the files of this folder.
 */
#ifndef TRUST_TABLE_H
#define TRUST_TABLE_H

#include "trust/accounts.h"
#include "trust/trust.h"

struct trust_place {		/* where a setting stands */
	const char *file;
	unsigned line;
};

struct trust_alias {
	struct address_key key;
	struct trust_place place;
	unsigned count;
	struct address_key *names;		/* as written; freed once sealed */
	const struct trust_account **accounts;	/* set by trust_seal */
};

struct trust_host {		/* a network and whose it is; one of the two is set */
	struct network network;
	const struct trust_device *device;
	const struct trust_peer *peer;
	struct trust_place place;
};

struct trust_device_row {
	struct trust_device device;
	struct trust_place place;
};

struct trust_peer_row {
	struct trust_peer peer;
	struct trust_place place;
};

/*
 * Rows move while the table grows, so nothing outside points at them before trust_seal; by_key
 * and by_login are built afresh at the end of accounts_parse.
 */
struct trust {
	struct trust_policy policy;
	unsigned domain_count, account_count, login_count, alias_count;
	unsigned device_count, peer_count, host_count;
	char domains[DOMAINS_MAX][DOMAIN_MAX + 1];	/* lower case */
	struct trust_account *accounts;
	struct trust_alias *aliases;			/* sorted by key once sealed */
	struct trust_device_row *devices;
	struct trust_peer_row *peers;
	const struct trust_account **by_key, **by_login;	/* by_login: those with login= */
	unsigned sender_count;
	const struct trust_device **by_sender;		/* sorted by sender; without users of this machine, who may share an account's */
	struct trust_host *hosts;			/* sorted by network */
	bool any_login, all_cram;
};

/*
 * Room for one more row: `rows` as it is, or a copy with twice the room; the old rows are wiped
 * and freed, since they may hold secrets. NULL without memory, and `rows` is then untouched.
 * `count` rows are in use.
 */
void *table_room(void *rows, size_t count, size_t size);
bool table_no_memory(struct fault *f);

/*
 * An address that may stand in our tables: a dot-string (no quoting needed, no doubled dots), no
 * `*`, no `#` in front.
 */
bool table_address(struct slice text, struct address_key *key);

/* bsearch, but for tables that are not there yet: a null pointer may not be passed to it. */
const void *table_search(const void *key, const void *rows, size_t count, size_t size,
			 int (*order)(const void *, const void *));
/* By canonical address; NULL: none has it. */
const struct trust_account *table_account(const struct trust *t, const struct address_key *key);
const struct trust_alias *table_alias(const struct trust *t, const struct address_key *key);
const struct trust_device *table_device(const struct trust *t, const struct address_key *sender);

#endif
