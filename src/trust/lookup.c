#include "trust/lookup.h"

#include <string.h>

static int host_order(const void *key, const void *row)
{
	const struct trust_host *h = row;

	return network_compare(key, &h->network);
}

static bool find_exact(const struct trust *t, const struct address_key *key, struct identity *id)
{
	*id = (struct identity){ .account = table_account(t, key) };
	if (id->account)
		return true;
	id->alias = table_alias(t, key);
	/* A device's address is found so that it can't be taken for somebody's sub-address. */
	return id->alias || table_device(t, key);
}

/* `a-b-c@d` to `a-b@d`; false when there is nothing more to take off. */
static bool cut_detail(struct address_key *key, char separator)
{
	size_t at = key->local_len;

	while (at > 0 && key->text[at - 1] != separator)
		at--;
	if (at < 2)
		return false;
	at--;
	/* With the domain and the final NUL. */
	memmove(key->text + at, key->text + key->local_len,
		(size_t)(key->len - key->local_len) + 1);
	key->len = (uint16_t)(key->len - (key->local_len - at));
	key->local_len = (uint16_t)at;
	return true;
}

/*
 * The longest address that exists wins: with `-`, `mary-ann-lists` is mary-ann's and not mary's.
 * All addresses of the tables are in our domains, so no other domain's are cut (R12).
 */
void identity_find(const struct trust *t, const struct address_key *key, struct identity *id)
{
	struct address_key base = *key;

	while (!find_exact(t, &base, id))
		if (!t->policy.subaddress || !cut_detail(&base, t->policy.subaddress))
			return;
}

bool identity_is(const struct identity *id, const struct trust_account *a, bool with_alias)
{
	if (id->account)
		return id->account == a;
	if (!id->alias || !with_alias)
		return false;
	for (unsigned i = 0; i < id->alias->count; i++)
		if (id->alias->accounts[i] == a)
			return true;
	return false;
}

void trust_by_address(const struct trust *t, const struct ip_address *client, struct principal *p)
{
	const struct trust_host *h = NULL;

	*p = (struct principal){ .kind = PRINCIPAL_NOBODY };
	for (int prefix = client->v6 ? 128 : 32; !h && prefix >= 0; prefix--) {
		struct network n = network_of(client, (unsigned)prefix);

		h = table_search(&n, t->hosts, t->host_count, sizeof(t->hosts[0]), host_order);
	}
	if (!h)
		return;
	p->kind = h->device ? PRINCIPAL_DEVICE : PRINCIPAL_PEER;
	p->device = h->device;
	p->peer = h->peer;
}

void trust_by_user(const struct trust *t, uint32_t uid, struct principal *p)
{
	const struct trust_device *found = NULL;

	for (unsigned i = 0; i < t->device_count; i++) {
		const struct trust_device *d = &t->devices[i].device;

		if (d->is_user && (d->is_everybody ? !found : d->uid == uid))
			found = d;
	}
	*p = (struct principal){ .kind = found ? PRINCIPAL_DEVICE : PRINCIPAL_NOBODY, .device = found };
}

struct slice principal_name(const struct principal *p)
{
	switch (p->kind) {
	case PRINCIPAL_ACCOUNT:
		return account_name(p->account);
	case PRINCIPAL_DEVICE:
		return slice_of(p->device->name);
	case PRINCIPAL_PEER:
		return slice_of(p->peer->name);
	default:
		return SLICE_OF("");
	}
}

const char *principal_kind_name(enum principal_kind kind)
{
	static const char *const names[] = {
		[PRINCIPAL_NOBODY] = "none",
		[PRINCIPAL_ACCOUNT] = "account",
		[PRINCIPAL_DEVICE] = "device",
		[PRINCIPAL_PEER] = "peer",
	};

	return names[kind];
}
