#include "trust/trust.h"

#include <stdlib.h>

#include "base/secret.h"
#include "trust/table.h"

/* A network wider than this is no machine of anybody's: an open relay (R16, R60). */
#define WIDEST_V4 8
#define WIDEST_V6 16

static const char *const level_names[][2] = {
	[LEVEL_DEFAULT] = { "none", "none" },
	[LEVEL_AUTH] = { "auth", "1" },
	[LEVEL_ENVELOPE] = { "auth=envelope", "2" },
	[LEVEL_FROM] = { "auth=envelope=from", "3" },
};

static const char *const action_names[] = {
	[ACTION_DEFAULT] = "none",
	[ACTION_REFUSE] = "refuse",
	[ACTION_LOG] = "log",
	[ACTION_TAG] = "tag",
};

enum trust_level trust_level_of(struct slice text)
{
	for (unsigned level = LEVEL_AUTH; level <= LEVEL_FROM; level++)
		for (unsigned i = 0; i < 2; i++)
			if (slice_equal(text, slice_of(level_names[level][i])))
				return level;
	return LEVEL_DEFAULT;
}

const char *trust_level_name(enum trust_level level)
{
	return level_names[level][0];
}

enum trust_action trust_action_of(struct slice text)
{
	for (unsigned action = ACTION_REFUSE; action <= ACTION_TAG; action++)
		if (slice_equal(text, slice_of(action_names[action])))
			return action;
	return ACTION_DEFAULT;
}

const char *trust_action_name(enum trust_action action)
{
	return action_names[action];
}

struct trust *trust_new(void)
{
	struct trust *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->policy = (struct trust_policy){
		.level = LEVEL_AUTH,
		.action = ACTION_REFUSE,
		.from_alias = true,
	};
	return t;
}

void trust_free(struct trust *t)
{
	if (!t)
		return;
	for (unsigned i = 0; i < t->alias_count; i++) {
		free(t->aliases[i].names);
		free(t->aliases[i].accounts);
	}
	if (t->accounts)
		secret_wipe(t->accounts, t->account_count * sizeof(t->accounts[0]));
	free(t->accounts);
	free(t->aliases);
	free(t->devices);
	free(t->peers);
	free(t->by_key);
	free(t->by_login);
	free(t->by_sender);
	free(t->hosts);
	free(t);
}

void trust_set_policy(struct trust *t, const struct trust_policy *policy)
{
	t->policy = *policy;
}

const struct trust_policy *trust_policy(const struct trust *t)
{
	return &t->policy;
}

bool trust_is_our_domain(const struct trust *t, struct slice domain)
{
	for (unsigned i = 0; i < t->domain_count; i++)
		if (slice_equal_fold(domain, slice_of(t->domains[i])))
			return true;
	return false;
}

struct slice trust_default_domain(const struct trust *t)
{
	return slice_of(t->domains[0]);
}

bool trust_add_domain(struct trust *t, struct slice domain, const char *file, unsigned line,
		      struct fault *f)
{
	char *at = t->domains[t->domain_count < DOMAINS_MAX ? t->domain_count : 0];

	if (!address_is_domain(domain))
		return fault_at(f, file, line, "not a domain: \"%.*s\"",
				SLICE_ARGS(slice_first(domain, 80)));
	if (trust_is_our_domain(t, domain))
		return fault_at(f, file, line, "domain given twice: %.*s", SLICE_ARGS(domain));
	if (t->domain_count == DOMAINS_MAX)
		return fault_at(f, file, line, "more than %d domains", DOMAINS_MAX);
	if (!slice_copy(domain, at, sizeof(t->domains[0])))
		return fault_at(f, file, line, "domain too long");
	for (; *at; at++)
		*at = ascii_fold(*at);
	t->domain_count++;
	return true;
}

static size_t count_parts(struct slice list)
{
	struct slice part;
	size_t n = 0;

	while (slice_cut(&list, ',', &part))
		n++;
	return n;
}

/* The accounts an alias names, as written; whether they exist is known at trust_seal. */
static bool read_names(struct trust_alias *a, struct slice accounts, struct fault *f)
{
	size_t count = count_parts(accounts);
	struct slice part;

	if (slice_trim(accounts).len == 0)
		return fault_at(f, a->place.file, a->place.line, "alias to nobody");
	if (count > ALIAS_ACCOUNTS_MAX)
		return fault_at(f, a->place.file, a->place.line, "alias to more than %d accounts",
				ALIAS_ACCOUNTS_MAX);
	a->names = calloc(count, sizeof(a->names[0]));
	if (!a->names)
		return table_no_memory(f);
	while (slice_cut(&accounts, ',', &part)) {
		part = slice_trim(part);
		if (!table_address(part, &a->names[a->count++]))
			return fault_at(f, a->place.file, a->place.line,
					"not an account's address: \"%.*s\"",
					SLICE_ARGS(slice_first(part, 80)));
	}
	return true;
}

bool trust_add_alias(struct trust *t, struct slice alias, struct slice accounts, const char *file,
		     unsigned line, struct fault *f)
{
	struct trust_alias *rows, *a;

	if (t->alias_count == ALIASES_MAX)
		return fault_at(f, file, line, "more than %d aliases", ALIASES_MAX);
	rows = table_room(t->aliases, t->alias_count, sizeof(*rows));
	if (!rows)
		return table_no_memory(f);
	t->aliases = rows;
	a = &rows[t->alias_count++];
	*a = (struct trust_alias){ .place = { file, line } };
	if (!table_address(alias, &a->key))
		return fault_at(f, file, line, "alias is not an address: \"%.*s\"",
				SLICE_ARGS(slice_first(alias, 80)));
	return read_names(a, accounts, f);
}

static bool check_networks(const struct network_list *l, struct trust_place place, struct fault *f)
{
	char text[48];

	if (l->count == 0)
		return fault_at(f, place.file, place.line, "no address given: ip = ADDRESS");
	for (unsigned i = 0; i < l->count; i++) {
		const struct network *n = &l->at[i];

		if (n->prefix >= (n->address.v6 ? WIDEST_V6 : WIDEST_V4))
			continue;
		ip_text(&n->address, text, sizeof(text));
		return fault_at(f, place.file, place.line, "%s/%u is too wide: an open relay", text,
				n->prefix);
	}
	return true;
}

bool trust_add_device(struct trust *t, const struct trust_device *d, const char *file,
		      unsigned line, struct fault *f)
{
	struct trust_device_row row = { .device = *d, .place = { file, line } };
	struct trust_device_row *rows;
	struct address_key key;

	if (!d->is_user && !check_networks(&d->from, row.place, f))
		return false;
	if (!table_address(slice_bytes(d->sender.text, d->sender.len), &key))
		return fault_at(f, file, line, "[%s %s] sender is not an address", d->is_user ? "local" : "device", d->name);
	if (t->device_count == ACCOUNTS_MAX)
		return fault_at(f, file, line, "more than %d devices", ACCOUNTS_MAX);
	rows = table_room(t->devices, t->device_count, sizeof(*rows));
	if (!rows)
		return table_no_memory(f);
	t->devices = rows;
	t->devices[t->device_count++] = row;
	return true;
}

bool trust_add_peer(struct trust *t, const struct trust_peer *p, const char *file, unsigned line,
		    struct fault *f)
{
	struct trust_peer_row row = { .peer = *p, .place = { file, line } };
	struct trust_peer_row *rows;

	if (!check_networks(&p->from, row.place, f))
		return false;
	if (t->peer_count == PEERS_MAX)
		return fault_at(f, file, line, "more than %d peers", PEERS_MAX);
	rows = table_room(t->peers, t->peer_count, sizeof(*rows));
	if (!rows)
		return table_no_memory(f);
	t->peers = rows;
	t->peers[t->peer_count++] = row;
	return true;
}
