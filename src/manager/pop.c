/* draft_assemble_pop: what POP before SMTP needs, and what contradicts it. */
#include <string.h>

#include "manager/draft.h"
#include "smtp/pop3.h"

/* Settings that only a POP login of ours has a use for. */
static bool refuse_unused(struct draft *d, struct draft_block *b)
{
	const struct relay_pop *o = &b->relay->route.pop;
	const struct {
		const char *key, *value;
	} rows[] = {
		{ "pop_host", o->host }, { "pop_user", o->user }, { "pop_password_file", b->relay->pop_password_file },
		{ "pop_tls_name", o->tls_name }, { "pop_tls_pin", b->relay->pop_pin },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].value[0])
			return draft_refuse(d, b, rows[i].key, "%s has no effect without pop_before_smtp = agent", rows[i].key);
	return true;
}

/* Both default to the login of SMTP. */
static bool take_login(struct draft *d, struct draft_block *b)
{
	struct draft_relay *r = b->relay;
	struct relay_pop *o = &r->route.pop;
	bool file = r->pop_password_file[0];

	if (!o->user[0] && !r->route.user[0])
		return draft_refuse(d, b, file ? "pop_password_file" : "pop_before_smtp",
				    "pop_before_smtp = agent needs a login: write pop_user = … and pop_password_file = …");
	if (!file && !draft_has(b, "password") && !draft_has(b, "password_file"))
		return draft_refuse(d, b, "pop_user", "pop_user without a password: write pop_password_file = …");
	if (!o->user[0])
		memcpy(o->user, r->route.user, sizeof(o->user));
	if (!file) {
		memcpy(o->password, r->route.password, sizeof(o->password));
		return true;
	}
	return !d->network ||
	       draft_read_password(d, b, "pop_password_file", r->pop_password_file, o->password);
}

static bool check_families(struct draft *d, struct draft_block *b)
{
	const struct relay_route *r = &b->relay->route;
	struct ip_address pop, other;

	if (!ip_parse(slice_of(r->pop.host), &pop))
		return true;
	if (ip_parse(slice_of(r->bind), &other) && other.v6 != pop.v6)
		return draft_refuse(d, b, "bind", "bind and pop_host are of different address families");
	for (unsigned i = 0; i < r->host_count; i++)
		if (ip_parse(slice_of(r->host[i]), &other) && other.v6 != pop.v6)
			return draft_refuse(d, b, "pop_host", "pop_host and host are of different address families: the login would "
					    "open the door for an address that the mail doesn't come from");
	return true;
}

static bool check_ways(struct draft *d, struct draft_block *b)
{
	const struct relay_pop *o = &b->relay->route.pop;
	bool pin = b->relay->pop_pin[0];

	if (o->tls == TLS_USE_NONE && (pin || o->tls_name[0]))
		return draft_refuse(d, b, pin ? "pop_tls_pin" : "pop_tls_name", "%s has no effect with pop_tls = none",
				    pin ? "pop_tls_pin" : "pop_tls_name");
	if (o->tls == TLS_USE_STARTTLS && o->login == POP3_APOP)
		return draft_refuse(d, b, "pop_auth", "pop_auth = apop can't go with pop_tls = starttls: its timestamp comes "
				    "before TLS, and counts for nothing then");
	if (o->wait >= route_pop_open(o))
		return draft_refuse(d, b, "pop_wait", "pop_wait must be less than 0.8 of pop_window");
	return true;
}

static void notice_clear(const struct draft *d, const struct draft_block *b)
{
	const struct relay_pop *o = &b->relay->route.pop;
	struct ip_address host;

	if (o->tls != TLS_USE_NONE || (ip_parse(slice_of(o->host), &host) && self_is_loopback(&host)))
		return;
	draft_notice(d, "%s:%u: pop_tls = none: the POP login at %s goes in clear, its password too where the server has no APOP",
		     d->path, draft_line(d, b, "pop_tls"), o->host);
}

static bool take_tls(struct draft *d, struct draft_block *b)
{
	struct draft_relay *r = b->relay;
	const struct tls_client_rules rules = { .ca = r->pop_pin[0] ? NULL : r->ca, .pin = r->pop_pin };
	struct fault own = { .text = "" };

	if (r->route.pop.tls == TLS_USE_NONE || !d->network)
		return true;
	draft_strip_colons(r->pop_pin);
	r->route.pop.context = tls_client_new(&rules, &own);
	if (r->route.pop.context)
		return true;
	return draft_refuse(d, b, r->pop_pin[0] ? "pop_tls_pin" : "tls_ca", "%s", own.text);
}

bool draft_assemble_pop(struct draft *d, struct draft_block *b)
{
	struct relay_route *r = &b->relay->route;
	struct relay_pop *o = &r->pop;

	if (o->use != POP_AGENT)
		return refuse_unused(d, b);
	if (!o->host[0])
		memcpy(o->host, r->host[0], sizeof(o->host));
	if (!draft_has(b, "pop_port"))
		o->port = o->tls == TLS_USE_IMPLICIT ? 995 : 110;
	if (!take_login(d, b) || !check_ways(d, b) || !check_families(d, b) || !take_tls(d, b))
		return false;
	notice_clear(d, b);
	return true;
}
