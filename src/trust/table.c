#include "trust/table.h"

#include <stdlib.h>
#include <string.h>

#include "base/secret.h"

void *table_room(void *rows, size_t count, size_t size)
{
	const size_t least = 8;
	void *more;

	if (rows && (count < least || (count & (count - 1)) != 0))
		return rows;
	more = calloc(count < least ? least : 2 * count, size);
	if (more && rows) {
		memcpy(more, rows, count * size);
		secret_wipe(rows, count * size);
		free(rows);
	}
	return more;
}

bool table_no_memory(struct fault *f)
{
	return fault_set(f, STATUS_TEMPORARY, "no memory for accounts and aliases");
}

/* All of atext but `*`: nobody's address, and somebody's idea of a wildcard (R7). */
static bool is_table_char(char c)
{
	return address_is_atext(c) && c != '*';
}

bool table_address(struct slice text, struct address_key *key)
{
	struct slice local;
	bool dot = true;

	if (!address_key_of(text, key))
		return false;
	local = address_key_local(key);
	/* Its line would be a comment. */
	if (local.len > 0 && local.at[0] == '#')
		return false;
	for (size_t i = 0; i < local.len; i++) {
		bool is_dot = local.at[i] == '.';

		if (is_dot ? dot : !is_table_char(local.at[i]))
			return false;
		dot = is_dot;
	}
	return !dot;
}

const void *table_search(const void *key, const void *rows, size_t count, size_t size,
			 int (*order)(const void *, const void *))
{
	return rows && count > 0 ? bsearch(key, rows, count, size, order) : NULL;
}

static int account_order(const void *key, const void *row)
{
	const struct trust_account *const *a = row;

	return address_key_compare(key, &(*a)->key);
}

static int alias_order(const void *key, const void *row)
{
	const struct trust_alias *a = row;

	return address_key_compare(key, &a->key);
}

static int device_order(const void *key, const void *row)
{
	const struct trust_device *const *d = row;

	return address_key_compare(key, &(*d)->sender);
}

const struct trust_account *table_account(const struct trust *t, const struct address_key *key)
{
	const struct trust_account *const *a =
		table_search(key, t->by_key, t->account_count, sizeof(t->by_key[0]), account_order);

	return a ? *a : NULL;
}

const struct trust_alias *table_alias(const struct trust *t, const struct address_key *key)
{
	return table_search(key, t->aliases, t->alias_count, sizeof(t->aliases[0]), alias_order);
}

const struct trust_device *table_device(const struct trust *t, const struct address_key *sender)
{
	const struct trust_device *const *d = table_search(sender, t->by_sender, t->sender_count,
							   sizeof(t->by_sender[0]), device_order);

	return d ? *d : NULL;
}
