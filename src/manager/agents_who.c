/* Who it is: an agent is known by its certificate, or in clear by its address. */
#include "manager/agents_inner.h"

#include "base/secret.h"

struct agent_state *agents_state(struct agents *a, struct slice name)
{
	struct agent_state *free_one = NULL;

	for (unsigned i = 0; i < STATES_MAX; i++) {
		struct agent_state *s = &a->states[i];

		if (s->name[0] && slice_equal(slice_of(s->name), name))
			return s;
		if (!free_one && (!s->name[0] || (!s->listed && !s->session)))
			free_one = s;
	}
	if (!free_one || name.len == 0 || name.len > AGENT_NAME_MAX)
		return NULL;
	*free_one = (struct agent_state){ .listed = false };
	slice_copy(name, free_one->name, sizeof(free_one->name));
	return free_one;
}

static bool may_come_from(const struct agent_rule *r, const struct ip_address *client)
{
	return r->from.count == 0 || network_list_match(&r->from, client) >= 0;
}

static bool fits(const struct agent_rule *r, const struct agent_session *s)
{
	uint8_t digest[DIGEST_SHA256_SIZE];

	if (!may_come_from(r, &s->client))
		return false;
	if (!s->is_tls)
		return r->from.count > 0 && !r->pinned && !r->tls_name[0];
	if (r->pinned)
		return tls_peer_digest(s->stream.tls, digest) && secret_equal(digest, r->pin, sizeof(digest));
	return r->tls_name[0] && tls_peer_is(s->stream.tls, r->tls_name);
}

struct agent_state *agents_identify(const struct agent_session *s)
{
	struct agents *a = s->agents;

	for (unsigned i = 0; i < a->rule_count; i++)
		if (fits(&a->rules[i], s))
			return agents_state(a, slice_of(a->rules[i].name));
	return NULL;
}

bool agents_expect(const struct agents *a, const struct ip_address *client)
{
	for (unsigned i = 0; i < a->rule_count; i++)
		if (may_come_from(&a->rules[i], client))
			return true;
	return false;
}
