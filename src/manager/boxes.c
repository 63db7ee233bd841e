/* draft_assemble_boxes: agent and manager on two boxes (R56): where records are sent, and whose are taken. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "manager/draft.h"
#include "manager/text.h"

static struct draft_block *manager_of(struct draft *d)
{
	return &d->singles[DRAFT_MANAGER];
}

static bool is_role(const struct draft *d, const char *role)
{
	return !strcmp(d->config->role, role);
}

/* The way to the manager */

static const struct slice schemes[] = { SLICE("tls://"), SLICE("tcp://") };

/* "[::1]:601" or "name:601". */
static bool split(struct slice text, struct slice *host, uint64_t *port)
{
	size_t colon = text.len;

	while (colon > 0 && text.at[colon - 1] != ':')
		colon--;
	if (colon < 2 || !slice_number(slice_skip(text, colon), UINT16_MAX, port) || *port == 0)
		return false;
	*host = slice_first(text, colon - 1);
	if (host->at[0] == '[' && host->at[host->len - 1] == ']') {
		*host = slice_first(slice_skip(*host, 1), host->len - 2);
		return true;
	}
	return slice_find(*host, ':') == host->len;
}

static bool parse_forward(struct draft *d, bool *is_tls)
{
	struct config *c = d->config;
	struct slice text = slice_of(c->forward_to), host;
	struct ip_address address;
	uint64_t port;

	*is_tls = slice_starts(text, schemes[0]);
	if ((*is_tls || slice_starts(text, schemes[1])) && split(slice_skip(text, schemes[0].len), &host, &port) &&
	    (ip_parse(host, &address) || address_is_domain(host)) && slice_copy(host, c->forward.host, sizeof(c->forward.host))) {
		c->forward.port = (uint16_t)port;
		return true;
	}
	return draft_refuse(d, manager_of(d), "forward", "forward = %s: must be tls://HOST:PORT or tcp://HOST:PORT", c->forward_to);
}

static const char *const tls_keys[] = { "forward_name", "forward_ca", "forward_pin", "forward_certificate", "forward_key" };

/* One that is left empty may stay. */
static bool is_empty(const struct config *c, const char *key)
{
	const struct { const char *key; bool empty; } rows[] = {
		{ "forward", !c->forward_to[0] }, { "forward_name", !c->forward.tls_name[0] },
		{ "forward_pin", !c->forward_pin[0] }, { "forward_certificate", !c->forward_certificate[0] },
		{ "forward_key", !c->forward_key[0] }, { "listen", !c->listen_tls_count },
		{ "listen_tcp", !c->listen_tcp_count }, { "listen_ca", !c->listen_ca[0] },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (!strcmp(rows[i].key, key))
			return rows[i].empty;
	return false;
}

static bool refuse_key(struct draft *d, const char *key, const char *without)
{
	return !draft_has(manager_of(d), key) || is_empty(d->config, key) ||
	       draft_refuse(d, manager_of(d), key, "%s has no effect %s", key, without);
}

static bool make_forward_context(struct draft *d)
{
	struct config *c = d->config;
	struct tls_client_rules rules = {
		.ca = c->forward_ca, .pin = c->forward_pin[0] ? c->forward_pin : NULL, .min_13 = c->tls_min_13,
		.certificate = c->forward_certificate[0] ? c->forward_certificate : NULL,
		.key = c->forward_key[0] ? c->forward_key : NULL,
	};
	struct fault own = { .text = "" };

	if (!CONFIG_TLS)
		return draft_refuse(d, manager_of(d), "forward", "tls:// is not in this program, which was built without TLS");
	if (!rules.certificate != !rules.key)
		return draft_refuse(d, manager_of(d), rules.key ? "forward_key" : "forward_certificate",
				    "forward_certificate and forward_key go together");
	if (!d->network)
		return true;
	if (rules.key && text_others(rules.key) > 0)
		return draft_refuse(d, manager_of(d), "forward_key", "%s is open to others: chmod 640 %s", rules.key, rules.key);
	c->forward.context = tls_client_new(&rules, &own);
	return c->forward.context || draft_refuse(d, manager_of(d), "forward", "%s", own.text);
}

static bool assemble_forward(struct draft *d)
{
	struct config *c = d->config;
	bool is_tls;

	if (!c->forward_to[0])
		return draft_refuse(d, manager_of(d), "role", "role = agent needs forward = tls://… in [manager]");
	if (!strcmp(c->audit, "none"))
		return draft_refuse(d, manager_of(d), "audit", "an agent keeps in its audit file what the manager hasn't got yet: audit can't be none");
	if (!parse_forward(d, &is_tls))
		return false;
	slice_copy(slice_of(c->ingest.hostname), c->forward.hostname, sizeof(c->forward.hostname));
	slice_copy(slice_of(c->audit), c->forward.path, sizeof(c->forward.path));
	c->forward.keep = c->audit_keep;
	for (size_t i = 0; !is_tls && i < sizeof(tls_keys) / sizeof(tls_keys[0]); i++)
		if (!refuse_key(d, tls_keys[i], "with tcp://"))
			return false;
	return !is_tls || make_forward_context(d);
}

/* Agents */

/* 64 digits, as keys.c has checked. */
static void read_pin(char *text, uint8_t pin[DIGEST_SHA256_SIZE])
{
	draft_strip_colons(text);
	for (size_t i = 0; i < 2 * DIGEST_SHA256_SIZE; i++) {
		int value = ascii_is_digit(text[i]) ? text[i] - '0' : text[i] - 'a' + 10;

		pin[i / 2] = (uint8_t)(pin[i / 2] << 4 | value);
	}
}

static bool add_agent(struct draft *d, struct draft_block *b)
{
	struct agents_settings *s = &d->config->agents;
	struct agent_rule *r = &b->agent->rule;

	if (b->agent->pin[0] && r->tls_name[0])
		return draft_refuse(d, b, "tls_pin", "tls_pin and tls_name: only one of them");
	if (r->tls_name[0] && !d->config->listen_ca[0])
		return draft_refuse(d, b, "tls_name", "tls_name needs listen_ca in [manager]: whose certificates are to be believed?");
	if (!b->agent->pin[0] && !r->tls_name[0] && !r->from.count)
		return draft_refuse(d, b, NULL, "[agent %s] needs tls_pin or tls_name, or in clear ip", b->name);
	if (!b->agent->pin[0] && !r->tls_name[0] && !d->config->listen_tcp_count)
		return draft_refuse(d, b, NULL, "[agent %s] has only an address, but there is no listen_tcp", b->name);
	if ((b->agent->pin[0] || r->tls_name[0]) && !d->config->listen_tls_count)
		return draft_refuse(d, b, NULL, "[agent %s] has a certificate, but there is no listen", b->name);
	slice_copy(slice_of(b->name), r->name, sizeof(r->name));
	r->pinned = b->agent->pin[0];
	if (r->pinned)
		read_pin(b->agent->pin, r->pin);
	s->rules[s->rule_count++] = *r;
	return true;
}

static bool make_agents_context(struct draft *d)
{
	struct config *c = d->config;
	struct draft_block *tls = &d->singles[DRAFT_TLS];
	struct fault own = { .text = "" };

	if (!CONFIG_TLS)
		return draft_refuse(d, manager_of(d), "listen", "listen needs TLS, which was left out of this program: use listen_tcp");
	if (!d->network)
		return true;
	if (text_others(c->key) > 0)
		return draft_refuse(d, tls, "key", "%s is open to others: chmod 640 %s", c->key, c->key);
	c->agents.tls = tls_mutual_new(c->certificate, c->key, c->listen_ca[0] ? c->listen_ca : NULL, c->tls_min_13, &own);
	return c->agents.tls || draft_refuse(d, tls, "certificate", "%s", own.text);
}

static void add_listeners(struct agents_settings *s, const struct setting_endpoint *at, unsigned count, bool is_tls)
{
	for (unsigned i = 0; i < count; i++)
		s->listen[s->listen_count++] = (struct agents_listen){ .address = at[i].address, .len = at[i].len, .tls = is_tls };
}

static bool assemble_agents(struct draft *d)
{
	struct config *c = d->config;
	struct draft_block *b;

	if (!strcmp(c->audit, "none"))
		return draft_refuse(d, manager_of(d), "audit", "a manager's records go into the audit file: audit can't be none");
	if (!c->listen_tls_count && !c->listen_tcp_count)
		return draft_refuse(d, manager_of(d), "role", "role = manager needs listen = ADDRESS:PORT in [manager]");
	add_listeners(&c->agents, c->listen_tls, c->listen_tls_count, true);
	add_listeners(&c->agents, c->listen_tcp, c->listen_tcp_count, false);
	c->agents.rules = calloc(AGENTS_MAX, sizeof(*c->agents.rules));
	if (!c->agents.rules)
		return fault_set(d->fault, STATUS_TEMPORARY, "out of memory");
	for (b = draft_next(d, NULL, DRAFT_AGENT); b; b = draft_next(d, b, DRAFT_AGENT))
		if (!add_agent(d, b))
			return false;
	if (!c->agents.rule_count)
		draft_notice(d, "%s: nobody can send records here: no [agent NAME]", d->path);
	return !c->listen_tls_count || make_agents_context(d);
}

/* Settings of another role would be believed in. */
static bool refuse_others(struct draft *d)
{
	static const struct { const char *key, *role; } rows[] = {
		{ "forward", "agent" }, { "forward_ack", "agent" }, { "forward_name", "agent" }, { "forward_ca", "agent" },
		{ "forward_pin", "agent" }, { "forward_certificate", "agent" }, { "forward_key", "agent" },
		{ "listen", "manager" }, { "listen_tcp", "manager" }, { "listen_ca", "manager" },
	};
	char without[40];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(without, sizeof(without), "without role = %s", rows[i].role);
		if (!is_role(d, rows[i].role) && !refuse_key(d, rows[i].key, without))
			return false;
	}
	if (!is_role(d, "manager") && draft_next(d, NULL, DRAFT_AGENT))
		return draft_refuse(d, draft_next(d, NULL, DRAFT_AGENT), NULL, "[agent] has no effect without [manager] role = manager");
	return true;
}

bool draft_assemble_boxes(struct draft *d)
{
	if (!refuse_others(d))
		return false;
	if (is_role(d, "agent"))
		return assemble_forward(d);
	return !is_role(d, "manager") || assemble_agents(d);
}
