#include "trust/lockout.h"

#include <stdlib.h>

#include "base/buffer.h"
#include "base/digest.h"
#include "base/secret.h"

#define PREFIX_V6	64	/* bits: the rest is the host's own choice (RFC 4291 2.5.1, RFC 8981) */
#define GUESSES_ADDRESS	(LOCKOUT_AFTER_MAX * LOCKOUT_ADDRESS_FACTOR)

/*
 * The lower half of the clock will do: guesses out of the window are dropped whenever one is added, and a row
 * that slept for a window is emptied, so none gets older than two windows, which is less than 2^31 ms.
 */
struct guess {
	uint32_t what;			/* of the digest */
	uint32_t at;			/* ms, when it was last tried */
};

struct row {
	uint64_t name;			/* of the digest */
	int64_t last, locked_until;	/* ms; last: when something was last counted */
	unsigned count;			/* of guesses; 0 as soon as it is locked */
	bool used;
};

struct table {
	unsigned size, depth;		/* rows, and guesses of each */
	struct row *rows;
	struct guess *guesses;
};

struct lockout {
	uint8_t key[DIGEST_SHA256_SIZE];
	uint32_t unseen;		/* makes passwords that we don't get to see differ */
	struct table pairs, addresses;
	struct row pair_rows[LOCKOUT_PAIRS], address_rows[LOCKOUT_ADDRESSES];
	struct guess pair_guesses[LOCKOUT_PAIRS * LOCKOUT_AFTER_MAX];
	struct guess address_guesses[LOCKOUT_ADDRESSES * GUESSES_ADDRESS];
};

struct names {				/* where something is to be counted */
	uint64_t pair, address;
};

const char *lockout_scope_name(enum lockout_scope scope)
{
	static const char *const names[] = {
		[LOCKOUT_NONE] = "none", [LOCKOUT_PAIR] = "pair", [LOCKOUT_ADDRESS] = "address"
	};

	return names[scope];
}

struct lockout *lockout_new(void)
{
	struct lockout *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	if (!secret_random(l->key, sizeof(l->key))) {
		free(l);
		return NULL;
	}
	l->pairs = (struct table){ LOCKOUT_PAIRS, LOCKOUT_AFTER_MAX, l->pair_rows, l->pair_guesses };
	l->addresses = (struct table){ LOCKOUT_ADDRESSES, GUESSES_ADDRESS, l->address_rows, l->address_guesses };
	return l;
}

void lockout_free(struct lockout *l)
{
	if (!l)
		return;
	secret_wipe(l->key, sizeof(l->key));
	free(l);
}

/* Digests */

static void put_network(struct buffer *b, const struct ip_address *client)
{
	struct network n = network_of(client, client->v6 ? PREFIX_V6 : 32);

	buffer_put(b, n.address.v6 ? SLICE_OF("6") : SLICE_OF("4"));
	buffer_put(b, slice_bytes((const char *)n.address.bytes, n.address.v6 ? PREFIX_V6 / 8 : 4));
}

static void put_folded(struct buffer *b, struct slice id)
{
	for (size_t i = 0; i < id.len; i++) {
		char c = ascii_fold(id.at[i]);

		buffer_put(b, slice_bytes(&c, 1));
	}
}

/* The first octets of the keyed digest, as a number; false when there is no memory for one. */
static bool digest_of(const struct lockout *l, struct buffer *b, uint64_t *value)
{
	uint8_t digest[DIGEST_SHA256_SIZE];
	bool ok = !b->overflow && digest_hmac(DIGEST_SHA256, slice_bytes((const char *)l->key, sizeof(l->key)),
					      buffer_bytes(b), digest);

	*value = 0;
	for (size_t i = 0; ok && i < sizeof(*value); i++)
		*value = *value << 8 | digest[i];
	return ok;
}

/* The letter in front keeps the kinds of digests apart, and nothing of variable length has anything behind it. */
static bool find_names(const struct lockout *l, struct slice id, const struct ip_address *client, struct names *n)
{
	char memory[LOGIN_MAX + 32];
	struct buffer b;

	buffer_init(&b, memory, sizeof(memory));
	buffer_put(&b, SLICE_OF("A"));
	put_network(&b, client);
	if (!digest_of(l, &b, &n->address))
		return false;
	buffer_clear(&b);
	buffer_put(&b, SLICE_OF("P"));
	put_network(&b, client);
	put_folded(&b, slice_first(id, LOGIN_MAX));
	return digest_of(l, &b, &n->pair);
}

/* Behind the pair's name, which is the ID's as well: of one network a guess is only ever compared with its own. */
static bool find_guess(const struct lockout *l, uint64_t pair, struct slice password, uint32_t *what)
{
	char memory[PASSWORD_MAX + 16];
	uint64_t value;
	struct buffer b;
	bool ok;

	buffer_init(&b, memory, sizeof(memory));
	buffer_put(&b, SLICE_OF("G"));
	for (int shift = 56; shift >= 0; shift -= 8) {
		char octet = (char)(pair >> shift & 0xff);

		buffer_put(&b, slice_bytes(&octet, 1));
	}
	buffer_put(&b, slice_first(password, PASSWORD_MAX));
	ok = digest_of(l, &b, &value);
	secret_wipe(memory, sizeof(memory));
	*what = (uint32_t)value;
	return ok;
}

/* Rows */

static struct row *find_row(const struct table *t, uint64_t name)
{
	for (unsigned i = 0; i < t->size; i++)
		if (t->rows[i].used && t->rows[i].name == name)
			return &t->rows[i];
	return NULL;
}

static struct guess *guesses_of(const struct table *t, const struct row *r)
{
	return t->guesses + (size_t)(r - t->rows) * t->depth;
}

static bool is_over(const struct row *r, const struct lockout_policy *policy, int64_t now)
{
	return !r->used || (now >= r->locked_until && (r->count == 0 || now - r->last >= policy->window));
}

/* The row that a new one takes the place of: see the header. */
static struct row *least_row(const struct table *t, const struct lockout_policy *policy, int64_t now)
{
	struct row *least = &t->rows[0];

	for (unsigned i = 0; i < t->size; i++) {
		if (is_over(&t->rows[i], policy, now))
			return &t->rows[i];
		if (t->rows[i].last < least->last)
			least = &t->rows[i];
	}
	return least;
}

static struct row *take_row(const struct table *t, const struct lockout_policy *policy, uint64_t name, int64_t now)
{
	struct row *r = find_row(t, name);

	if (r && !is_over(r, policy, now))
		return r;
	if (!r)
		r = least_row(t, policy, now);
	*r = (struct row){ .name = name, .used = true };
	return r;
}

static void drop_guess(const struct table *t, struct row *r, uint32_t what)
{
	struct guess *g = guesses_of(t, r);
	unsigned kept = 0;

	for (unsigned i = 0; i < r->count; i++)
		if (g[i].what != what)
			g[kept++] = g[i];
	r->count = kept;
}

static void drop_old(const struct table *t, struct row *r, int64_t window, int64_t now)
{
	struct guess *g = guesses_of(t, r);
	unsigned kept = 0;

	for (unsigned i = 0; i < r->count; i++)
		if ((uint32_t)now - g[i].at < window)
			g[kept++] = g[i];
	r->count = kept;
}

/* True when with this guess a lock begins. */
static bool count_guess(const struct table *t, const struct lockout_policy *policy, unsigned bound, uint64_t name,
			uint32_t what, int64_t now)
{
	struct row *r = take_row(t, policy, name, now);

	drop_old(t, r, policy->window, now);
	drop_guess(t, r, what);
	guesses_of(t, r)[r->count++] = (struct guess){ .what = what, .at = (uint32_t)now };
	r->last = now;
	/* A full row locks, whatever the policy says: there is always room for the next guess. */
	if (r->count < bound && r->count < t->depth)
		return false;
	r->count = 0;
	r->locked_until = now + policy->time;
	return true;
}

static bool is_allowed(const struct lockout_policy *policy, const struct ip_address *client)
{
	return network_list_match(&policy->allow, client) >= 0;
}

static bool row_locked(const struct table *t, uint64_t name, int64_t now)
{
	const struct row *r = find_row(t, name);

	return r && now < r->locked_until;
}

static bool names_locked(const struct lockout *l, const struct names *n, int64_t now)
{
	return row_locked(&l->addresses, n->address, now) || row_locked(&l->pairs, n->pair, now);
}

bool lockout_is_locked(const struct lockout *l, const struct lockout_policy *policy, struct slice id,
		       const struct ip_address *client, int64_t now)
{
	struct names n;

	if (is_allowed(policy, client))
		return false;
	/* Without memory for a digest nobody can tell: a guesser must gain nothing by that. */
	return !find_names(l, id, client, &n) || names_locked(l, &n, now);
}

enum lockout_scope lockout_failed(struct lockout *l, const struct lockout_policy *policy, struct slice id,
				  struct slice password, const struct ip_address *client, int64_t now)
{
	bool pair, address;
	struct names n;
	uint32_t what;

	if (is_allowed(policy, client) || !find_names(l, id, client, &n) || !find_guess(l, n.pair, password, &what) ||
	    names_locked(l, &n, now))
		return LOCKOUT_NONE;
	address = count_guess(&l->addresses, policy, policy->after * LOCKOUT_ADDRESS_FACTOR, n.address, what, now);
	if (password.len == 0)
		what += ++l->unseen;
	pair = count_guess(&l->pairs, policy, policy->after, n.pair, what, now);
	if (address)
		return LOCKOUT_ADDRESS;
	return pair ? LOCKOUT_PAIR : LOCKOUT_NONE;
}

void lockout_succeeded(struct lockout *l, struct slice id, const struct ip_address *client)
{
	struct row *pair, *address;
	uint32_t unseen;
	struct names n;

	if (!find_names(l, id, client, &n) || !find_guess(l, n.pair, SLICE_OF(""), &unseen))
		return;
	pair = find_row(&l->pairs, n.pair);
	address = find_row(&l->addresses, n.address);
	if (!pair)
		return;
	for (unsigned i = 0; address && i < pair->count; i++)
		drop_guess(&l->addresses, address, guesses_of(&l->pairs, pair)[i].what);
	if (address && pair->count > 0)
		drop_guess(&l->addresses, address, unseen);
	pair->used = false;
}
