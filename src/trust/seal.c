/* trust_seal: what can be checked only as a whole, and the orders that look-ups search. */
#include <stdlib.h>

#include "trust/table.h"

#define ADDRESS_ARGS(key) (int)(key).len, (key).text

static bool is_ours(const struct trust *t, const struct address_key *key, struct trust_place place,
		    struct fault *f)
{
	if (trust_is_our_domain(t, address_key_domain(key)))
		return true;
	return fault_at(f, place.file, place.line, "%.*s is not in our domains",
			ADDRESS_ARGS(*key));
}

static int compare_senders(const void *a, const void *b)
{
	const struct trust_device *const *x = a, *const *y = b;

	return address_key_compare(&(*x)->sender, &(*y)->sender);
}

/*
 * A device's sender is its identity: an account that logs in must not be the machine on the
 * corridor.
 */
static bool check_device(const struct trust *t, const struct trust_device_row *row, struct fault *f)
{
	const struct address_key *sender = &row->device.sender;
	const struct trust_account *a = table_account(t, sender);

	if (!is_ours(t, sender, row->place, f))
		return false;
	/* The kernel says who a user of this machine is: that is no weaker than a password. */
	if (a && account_can_login(a) && !row->device.is_user)
		return fault_at(f, row->place.file, row->place.line,
				"[device %s] sender %.*s is an account with a password",
				row->device.name, ADDRESS_ARGS(*sender));
	return true;
}

static bool is_user_before(const struct trust *t, unsigned n)
{
	const struct trust_device *d = &t->devices[n].device;

	for (unsigned i = 0; d->is_user && i < n; i++) {
		const struct trust_device *other = &t->devices[i].device;

		if (other->is_user && other->is_everybody == d->is_everybody && other->uid == d->uid)
			return true;
	}
	return false;
}

static bool seal_devices(struct trust *t, struct fault *f)
{
	if (t->device_count + t->account_count > ACCOUNTS_MAX)
		return fault_set(f, STATUS_CONFIG, "more than %d accounts and devices",
				 ACCOUNTS_MAX);
	for (unsigned i = 0; i < t->device_count; i++)
		if (!check_device(t, &t->devices[i], f))
			return false;
	for (unsigned i = 0; i < t->device_count; i++)
		if (is_user_before(t, i))
			return fault_at(f, t->devices[i].place.file, t->devices[i].place.line, "[local] names a user twice");
	if (t->device_count == 0)
		return true;
	t->by_sender = calloc(t->device_count, sizeof(t->by_sender[0]));
	if (!t->by_sender)
		return table_no_memory(f);
	for (unsigned i = 0; i < t->device_count; i++)
		if (!t->devices[i].device.is_user)
			t->by_sender[t->sender_count++] = &t->devices[i].device;
	qsort(t->by_sender, t->sender_count, sizeof(t->by_sender[0]), compare_senders);
	return true;
}

static int compare_aliases(const void *a, const void *b)
{
	const struct trust_alias *x = a, *y = b;
	int order = address_key_compare(&x->key, &y->key);

	if (order != 0)
		return order;
	return (x->place.line > y->place.line) - (x->place.line < y->place.line);
}

static bool check_alias(const struct trust *t, const struct trust_alias *a, struct fault *f)
{
	struct trust_place at = a->place;

	if (!is_ours(t, &a->key, at, f))
		return false;
	if (table_account(t, &a->key))
		return fault_at(f, at.file, at.line, "alias %.*s is the address of an account",
				ADDRESS_ARGS(a->key));
	if (table_device(t, &a->key))
		return fault_at(f, at.file, at.line, "alias %.*s is the sender of a device",
				ADDRESS_ARGS(a->key));
	return true;
}

static bool is_named_before(const struct trust_alias *a, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (address_key_equal(&a->names[i], &a->names[n]))
			return true;
	return false;
}

/* An alias names accounts, never another alias: so there are no loops to follow. */
static bool resolve_name(const struct trust *t, struct trust_alias *a, unsigned n, struct fault *f)
{
	const struct address_key *name = &a->names[n];
	const struct trust_account *account = table_account(t, name);
	const char *wrong = "is no account";

	if (account && !is_named_before(a, n)) {
		a->accounts[n] = account;
		return true;
	}
	if (account)
		wrong = "is named twice";
	else if (table_alias(t, name))
		wrong = "is an alias itself";
	else if (table_device(t, name))
		wrong = "is a device, which sends only as its sender";
	return fault_at(f, a->place.file, a->place.line, "alias %.*s: %.*s %s",
			ADDRESS_ARGS(a->key), ADDRESS_ARGS(*name), wrong);
}

static bool resolve_alias(const struct trust *t, struct trust_alias *a, struct fault *f)
{
	if (a->accounts)
		return true;
	a->accounts = calloc(a->count, sizeof(a->accounts[0]));
	if (!a->accounts)
		return table_no_memory(f);
	for (unsigned n = 0; n < a->count; n++)
		if (!resolve_name(t, a, n, f))
			return false;
	free(a->names);
	a->names = NULL;
	return true;
}

static bool seal_aliases(struct trust *t, struct fault *f)
{
	if (t->alias_count > 0)
		qsort(t->aliases, t->alias_count, sizeof(t->aliases[0]), compare_aliases);
	for (unsigned i = 0; i < t->alias_count; i++) {
		struct trust_alias *a = &t->aliases[i];

		if (i > 0 && address_key_equal(&a[-1].key, &a->key))
			return fault_at(f, a->place.file, a->place.line,
					"alias %.*s is given twice, first in line %u",
					ADDRESS_ARGS(a->key), a[-1].place.line);
		if (!check_alias(t, a, f) || !resolve_alias(t, a, f))
			return false;
	}
	return true;
}

static void add_hosts(struct trust *t, const struct network_list *l, struct trust_host host)
{
	for (unsigned i = 0; i < l->count; i++) {
		host.network = l->at[i];
		t->hosts[t->host_count++] = host;
	}
}

static size_t count_networks(const struct trust *t)
{
	size_t n = 0;

	for (unsigned i = 0; i < t->device_count; i++)
		n += t->devices[i].device.from.count;
	for (unsigned i = 0; i < t->peer_count; i++)
		n += t->peers[i].peer.from.count;
	return n;
}

static int compare_hosts(const void *a, const void *b)
{
	const struct trust_host *x = a, *y = b;
	int order = network_compare(&x->network, &y->network);

	if (order != 0)
		return order;
	return (x->place.line > y->place.line) - (x->place.line < y->place.line);
}

/* With one network given twice, chance would say who it is. */
static bool check_hosts(const struct trust *t, struct fault *f)
{
	for (unsigned i = 1; i < t->host_count; i++) {
		const struct trust_host *h = &t->hosts[i];
		char text[48];

		if (network_compare(&h[-1].network, &h->network) != 0)
			continue;
		ip_text(&h->network.address, text, sizeof(text));
		return fault_at(f, h->place.file, h->place.line,
				"%s/%u is given twice, first in line %u", text, h->network.prefix,
				h[-1].place.line);
	}
	return true;
}

static bool seal_hosts(struct trust *t, struct fault *f)
{
	size_t n = count_networks(t);

	if (n == 0)
		return true;
	t->hosts = calloc(n, sizeof(t->hosts[0]));
	if (!t->hosts)
		return table_no_memory(f);
	for (unsigned i = 0; i < t->device_count; i++)
		add_hosts(t, &t->devices[i].device.from,
			  (struct trust_host){ .device = &t->devices[i].device,
					       .place = t->devices[i].place });
	for (unsigned i = 0; i < t->peer_count; i++)
		add_hosts(t, &t->peers[i].peer.from,
			  (struct trust_host){ .peer = &t->peers[i].peer,
					       .place = t->peers[i].place });
	qsort(t->hosts, t->host_count, sizeof(t->hosts[0]), compare_hosts);
	return check_hosts(t, f);
}

bool trust_seal(struct trust *t, struct fault *f)
{
	return seal_devices(t, f) && seal_aliases(t, f) && seal_hosts(t, f);
}
