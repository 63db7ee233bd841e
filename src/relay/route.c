#include "relay/route.h"

#include <stdlib.h>

#include "mail/address.h"
#include "relay/login.h"
#include "relay/wallet.h"
#include "trust/accounts.h"

static struct slice domain_of(struct slice address)
{
	size_t at = address.len;

	while (at > 0 && address.at[at - 1] != '@')
		at--;
	return at ? slice_skip(address, at) : slice_bytes("", 0);
}

/*
 * Addresses compare as identities do (R6), not as typed: else a quoted local part would be a way around one's route. A row
 * without `@` is a domain.
 */
static bool is_for_sender(const struct relay_route *r, struct slice sender)
{
	struct address_key key, want;

	if (!r->sender_count || !address_key_of(sender, &key))
		return false;
	for (unsigned i = 0; i < r->sender_count; i++) {
		struct slice row = slice_of(r->senders[i]);

		if (address_key_of(row, &want) ? address_key_equal(&want, &key) :
						 slice_equal_fold(row, address_key_domain(&key)))
			return true;
	}
	return false;
}

static bool is_for_domain(const struct relay_route *r, struct slice domain)
{
	for (unsigned i = 0; i < r->domain_count; i++)
		if (slice_equal_fold(slice_of(r->domains[i]), domain))
			return true;
	return false;
}

int route_find(const struct relay_settings *s, struct slice sender, struct slice recipient)
{
	struct slice domain = domain_of(recipient);
	int by_domain = -1, plain = -1;

	for (unsigned i = 0; i < s->route_count; i++) {
		const struct relay_route *r = &s->routes[i];

		if (is_for_sender(r, sender))
			return (int)i;
		if (by_domain < 0 && is_for_domain(r, domain))
			by_domain = (int)i;
		if (plain < 0 && !r->sender_count && !r->domain_count)
			plain = (int)i;
	}
	return by_domain >= 0 ? by_domain : plain;
}

int route_named(const struct relay_settings *s, const char *name)
{
	for (unsigned i = 0; i < s->route_count; i++)
		if (slice_equal(slice_of(s->routes[i].name), slice_of(name)))
			return (int)i;
	return -1;
}

const char *route_name(const struct relay_route *r)
{
	return r->name[0] ? r->name : "default";
}

int route_login_compare(const void *a, const void *b)
{
	const struct relay_login *x = a, *y = b;

	return slice_compare_fold(slice_of(x->account), slice_of(y->account));
}

/* By its full name: `user1` may be a device, whose mail would wait for the account that logs in as user1. */
bool route_is_clients(const struct relay_route *r, struct slice account)
{
	const struct trust_account *a = r->by_client && r->trust && account.len ? accounts_find(r->trust, account) : NULL;

	return a && a->upstream && slice_equal_fold(account_name(a), account);
}

/* An account whose password only the next hop knows sends as itself or not at all; others have no pair of their own. */
static int client_login(const struct relay_route *r, struct slice account)
{
	bool is_clients = route_is_clients(r, account);
	int row = is_clients && r->wallet ? wallet_find(r->wallet, account) : -1;

	if (is_clients)
		return row < 0 ? LOGIN_MISSING : row + 1;
	return r->user[0] ? LOGIN_STORED : LOGIN_MISSING;
}

int route_login(const struct relay_route *r, struct slice account)
{
	const struct relay_login *found = NULL;
	struct relay_login key;

	if (!r->by_sender)
		return LOGIN_STORED;
	if (r->by_client)
		return client_login(r, account);
	if (r->login_count && account.len && slice_copy(account, key.account, sizeof(key.account)))
		found = bsearch(&key, r->logins, r->login_count, sizeof(key), route_login_compare);
	if (found)
		return (int)(found - r->logins) + 1;
	return r->user[0] ? LOGIN_STORED : LOGIN_MISSING;
}

struct slice route_user(const struct relay_route *r, int login)
{
	if (login > LOGIN_STORED && r->by_client)
		return wallet_user(r->wallet, login - 1);
	return slice_of(login > LOGIN_STORED ? r->logins[login - 1].user : r->user);
}

struct slice route_password(const struct relay_route *r, int login)
{
	if (login > LOGIN_STORED && r->by_client)
		return wallet_password(r->wallet, login - 1);
	return slice_of(login > LOGIN_STORED ? r->logins[login - 1].password : r->password);
}

int64_t route_pop_open(const struct relay_pop *o)
{
	return (int64_t)((uint64_t)o->window / 5 * 4);
}
