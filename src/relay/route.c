#include "relay/route.h"

static struct slice domain_of(struct slice address)
{
	size_t at = address.len;

	while (at > 0 && address.at[at - 1] != '@')
		at--;
	return at ? slice_skip(address, at) : slice_bytes("", 0);
}

static bool is_for_sender(const struct relay_route *r, struct slice sender)
{
	for (unsigned i = 0; i < r->sender_count; i++) {
		struct slice want = slice_of(r->senders[i]);
		bool whole = slice_find(want, '@') < want.len;

		if (slice_equal_fold(want, whole ? sender : domain_of(sender)))
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

const char *route_name(const struct relay_route *r)
{
	return r->name[0] ? r->name : "default";
}
