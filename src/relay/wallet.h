/*
 * What clients have proved of themselves at the next hop (credentials = client, R40): the pair of each account, for its mail, and
 * what was refused a while ago. In memory only, never on the disk, and wiped.
 */
#ifndef RELAY_WALLET_H
#define RELAY_WALLET_H

#include <stdint.h>

#include "base/limits.h"
#include "base/slice.h"

/* A pair is good for logins so long without asking again; for mail it is kept until the upstream refuses it. */
#define WALLET_TRUSTED_MS	(60 * 60 * 1000)
/* A pair that was refused isn't asked again so long: a phone with an old password must not lock its account at the provider. */
#define WALLET_REFUSED_MS	(10 * 60 * 1000)

struct wallet;
#if CONFIG_CREDENTIALS_CLIENT
struct wallet *wallet_new(void);	/* NULL without memory or randomness */
void wallet_free(struct wallet *w);	/* NULL is ignored */

/* Rows are WALLET_ROWS at most; a row is one account's until it is forgotten. -1: there is none. */
int wallet_find(const struct wallet *w, struct slice account);
/* Valid until the row is put or forgotten. */
struct slice wallet_account(const struct wallet *w, int row);
struct slice wallet_user(const struct wallet *w, int row);
struct slice wallet_password(const struct wallet *w, int row);

/* It is the pair of the account, and was good lately. */
bool wallet_knows(const struct wallet *w, struct slice account, struct slice user, struct slice password, int64_t now);
bool wallet_has_refused(const struct wallet *w, struct slice account, struct slice user, struct slice password, int64_t now);
/*
 * The upstream has accepted it: the account's row, -1 without memory. A full wallet gives up the row that was proved the longest ago;
 * the caller sees by wallet_account that it is another's now.
 */
int wallet_put(struct wallet *w, struct slice account, struct slice user, struct slice password, int64_t now);
void wallet_refuse(struct wallet *w, struct slice account, struct slice user, struct slice password, int64_t now);
/* The upstream doesn't take it any more. */
void wallet_forget(struct wallet *w, int row);
#else
static inline struct wallet *wallet_new(void)
{
	return NULL;
}

static inline void wallet_free(struct wallet *w)
{
	(void)w;
}

static inline int wallet_find(const struct wallet *w, struct slice account)
{
	(void)w, (void)account;
	return -1;
}

static inline struct slice wallet_account(const struct wallet *w, int row)
{
	(void)w, (void)row;
	return slice_bytes("", 0);
}

static inline struct slice wallet_user(const struct wallet *w, int row)
{
	(void)w, (void)row;
	return slice_bytes("", 0);
}

static inline struct slice wallet_password(const struct wallet *w, int row)
{
	(void)w, (void)row;
	return slice_bytes("", 0);
}

static inline bool wallet_knows(const struct wallet *w, struct slice account, struct slice user,
			struct slice password, int64_t now)
{
	(void)w, (void)account, (void)user, (void)password, (void)now;
	return false;
}

static inline bool wallet_has_refused(const struct wallet *w, struct slice account, struct slice user,
			struct slice password, int64_t now)
{
	(void)w, (void)account, (void)user, (void)password, (void)now;
	return false;
}

static inline int wallet_put(struct wallet *w, struct slice account, struct slice user, struct slice password,
			int64_t now)
{
	(void)w, (void)account, (void)user, (void)password, (void)now;
	return -1;
}

static inline void wallet_refuse(struct wallet *w, struct slice account, struct slice user,
			struct slice password, int64_t now)
{
	(void)w, (void)account, (void)user, (void)password, (void)now;
}

static inline void wallet_forget(struct wallet *w, int row)
{
	(void)w, (void)row;
}
#endif

#endif
