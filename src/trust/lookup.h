/*
 * Whose address is this (R6, R7, R12). Inside of the room; what others look up is in
 * trust/trust.h.
 */
#ifndef TRUST_LOOKUP_H
#define TRUST_LOOKUP_H

#include "trust/table.h"

struct identity {		/* what an address resolves to; neither: a device or nobody */
	const struct trust_account *account;
	const struct trust_alias *alias;
};

/* An address that exists as it stands wins over a sub-address. The table is sealed. */
void identity_find(const struct trust *t, const struct address_key *key, struct identity *id);
/* Whether the account may use it; with_alias: aliases it is listed for count as well. */
bool identity_is(const struct identity *id, const struct trust_account *a, bool with_alias);

#endif
