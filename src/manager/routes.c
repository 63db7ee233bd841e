/* draft_assemble_relay: routes with their passwords and TLS, the return address, and loops. */
#include <stdlib.h>

#include "manager/draft.h"
#include "manager/text.h"
#include "smtp/server.h"
#include "trust/accounts.h"

/* Names aren't looked up here; but two of them are ours by definition. */
static bool name_reaches(struct slice host, struct slice hostname, const struct ip_address *listener)
{
	if (slice_equal_fold(host, SLICE_OF("localhost")))
		return self_is_loopback(listener) || self_is_unspecified(listener);
	return slice_equal_fold(host, hostname);
}

static bool is_own_listener(const struct config *c, const char *host, uint16_t port)
{
	const struct self *self = &c->relay.self;
	struct ip_address there;

	if (ip_parse(slice_of(host), &there))
		return self_listens(self, &there, port);
	for (unsigned i = 0; i < self->count; i++)
		if (self->listeners[i].port == port &&
		    name_reaches(slice_of(host), slice_of(c->ingest.hostname), &self->listeners[i].address))
			return true;
	return false;
}

static void list_listeners(struct config *c)
{
	for (unsigned i = 0; i < c->ingest.listen_count; i++)
		self_add(&c->relay.self, &c->ingest.listen[i].address);
}

static bool check_loop(struct draft *d, struct draft_block *b)
{
	const struct relay_route *r = &b->relay->route;

	for (unsigned i = 0; i < r->host_count; i++)
		if (is_own_listener(d->config, r->host[i], r->port))
			return draft_refuse(d, b, "host", "%s port %u is a listener of our own: mail would go round for ever",
					    r->host[i], (unsigned)r->port);
	return true;
}

static bool take_secret(struct draft *d, struct draft_block *b)
{
	struct draft_relay *r = b->relay;

	if (draft_has(b, "password_file"))
		return !d->network || draft_read_password(d, b, "password_file", r->password_file, r->route.password);
	if (draft_has(b, "password") && text_others(d->path) > 0)
		return draft_refuse(d, b, "password",
				    "a password in a file that is open to others: chmod 640 %s, or use password_file", d->path);
	return true;
}

/* With pop_before_smtp = agent, user and password may be there for POP alone. */
static bool check_login(struct draft *d, struct draft_block *b)
{
	const struct draft_relay *r = b->relay;
	bool user = draft_has(b, "user"), sender = r->credentials != CREDENTIALS_STORED,
		agent = r->route.pop.use == POP_AGENT;
	bool password = draft_has(b, "password"), file = draft_has(b, "password_file");

	if (password && file)
		return draft_refuse(d, b, "password", "password and password_file: only one of them");
	if (user && !password && !file && !draft_has(b, "token_command") && !(agent && r->auth == 0))
		return draft_refuse(d, b, "user", "user without a password: write password_file = …");
	if (!user && (password || file) && !(agent && r->route.pop.user[0]))
		return draft_refuse(d, b, password ? "password" : "password_file", "a password without user");
	if (user && r->auth == 0 && !agent)
		return draft_refuse(d, b, "auth", "auth = none, yet there is a user");
	if (!user && !sender && r->auth != 0 && r->auth != MECHANISMS_ALL)
		return draft_refuse(d, b, "auth", "auth names a mechanism, but there is no user");
	if (user || sender) {
		b->relay->route.mechanisms = r->auth;
		b->relay->route.login_optional = agent && r->auth == MECHANISMS_ALL;
	}
	return take_secret(d, b);
}

/* A token is worth as much as a password while it lives: never in clear. */
static bool check_token(struct draft *d, struct draft_block *b)
{
	struct draft_relay *r = b->relay;

	if (!draft_has(b, "token_command"))
		return r->auth != SASL_XOAUTH2 || draft_refuse(d, b, "auth", "auth = xoauth2 needs token_command = …");
	if (!draft_has(b, "user"))
		return draft_refuse(d, b, "token_command", "token_command without user");
	if (draft_has(b, "password") || draft_has(b, "password_file"))
		return draft_refuse(d, b, "token_command", "token_command and a password: only one of them");
	if (r->credentials != CREDENTIALS_STORED)
		return draft_refuse(d, b, "token_command", "token_command makes one token for all: credentials must be stored");
	if (r->route.tls == TLS_USE_NONE)
		return draft_refuse(d, b, "token_command", "token_command needs TLS: tls = none would show the token");
	if (r->auth != MECHANISMS_ALL && r->auth != SASL_XOAUTH2)
		return draft_refuse(d, b, "auth", "token_command is for auth = xoauth2");
	r->route.mechanisms = SASL_XOAUTH2;
	r->route.login_optional = false;
	return true;
}

static bool reaches_only_loopback(const struct relay_route *r)
{
	struct ip_address host;

	for (unsigned i = 0; i < r->host_count; i++)
		if (!ip_parse(slice_of(r->host[i]), &host) || !self_is_loopback(&host))
			return false;
	return true;
}

/* The users' own passwords are not ours to give away. */
static bool check_client(struct draft *d, struct draft_block *b)
{
	struct relay_route *r = &b->relay->route;
	const struct relay_settings *s = &d->config->relay;

	if (b->relay->auth == 0)
		return draft_refuse(d, b, "credentials", "credentials = client, yet auth = none");
	if (r->tls == TLS_USE_NONE && !reaches_only_loopback(r))
		return draft_refuse(d, b, "credentials", "credentials = client with tls = none would send the users' passwords in clear");
	if (r->pop.use == POP_AGENT)
		return draft_refuse(d, b, "credentials", "credentials = client and pop_before_smtp = agent don't go together");
	for (unsigned i = 0; i < s->route_count; i++)
		if (s->routes[i].by_client)
			return draft_refuse(d, b, "credentials", "only one [relay] section can have credentials = client");
	r->by_client = r->by_sender = true;
	r->trust = d->config->trust;
	r->login_count = WALLET_ROWS;
	return true;
}

static bool check_credentials(struct draft *d, struct draft_block *b)
{
	if (b->relay->credentials != CREDENTIALS_SENDER) {
		if (draft_has(b, "credentials_file"))
			draft_notice(d, "%s:%u: credentials_file has no effect without credentials = sender", d->path,
				     draft_line(d, b, "credentials_file"));
		return b->relay->credentials != CREDENTIALS_CLIENT || check_client(d, b);
	}
	if (b->relay->auth == 0)
		return draft_refuse(d, b, "credentials", "credentials = sender, yet auth = none");
	b->relay->route.by_sender = true;
	return !d->network || draft_read_logins(d, b);
}

static uint16_t default_port(const struct draft_relay *r)
{
	if (r->route.tls == TLS_USE_IMPLICIT)
		return 465;
	return r->route.mechanisms ? 587 : 25;
}

static bool refuse_without_tls(struct draft *d, struct draft_block *b)
{
	const struct draft_relay *r = b->relay;
	const struct {
		const char *key, *value;
	} rows[] = {
		{ "tls_pin", r->pin }, { "tls_name", r->route.tls_name }, { "tls_certificate", r->certificate },
		{ "tls_key", r->key },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].value[0])
			return draft_refuse(d, b, rows[i].key, "%s has no effect with tls = none", rows[i].key);
	return true;
}

static bool check_own_certificate(struct draft *d, struct draft_block *b)
{
	const struct draft_relay *r = b->relay;

	if (!r->certificate[0] != !r->key[0])
		return draft_refuse(d, b, r->key[0] ? "tls_key" : "tls_certificate",
				    "tls_certificate and tls_key go together");
	if (r->key[0] && text_others(r->key) > 0)
		return draft_refuse(d, b, "tls_key", "%s is open to others: chmod 640 %s", r->key, r->key);
	return true;
}

/* Faults of files begin with the file's name: the key of its line. */
static const char *blame(const struct draft_relay *r, const struct fault *f)
{
	struct slice text = slice_of(f->text);

	if (r->key[0] && slice_starts_fold(text, slice_of(r->key)))
		return "tls_key";
	if (r->certificate[0] && slice_starts_fold(text, slice_of(r->certificate)))
		return "tls_certificate";
	return r->pin[0] ? "tls_pin" : "tls_ca";
}

static bool assemble_tls(struct draft *d, struct draft_block *b)
{
	struct draft_relay *r = b->relay;
	const struct tls_client_rules rules = { .ca = r->pin[0] ? NULL : r->ca, .pin = r->pin,
						.certificate = r->certificate, .key = r->key };
	struct fault own = { .text = "" };

	if (r->route.tls == TLS_USE_NONE)
		return refuse_without_tls(d, b);
	if (!d->network)
		return true;
	if (!check_own_certificate(d, b))
		return false;
	draft_strip_colons(r->pin);
	r->route.context = tls_client_new(&rules, &own);
	if (r->route.context)
		return true;
	return draft_refuse(d, b, blame(r, &own), "%s", own.text);
}

static bool check_purpose(struct draft *d, struct draft_block *b)
{
	const struct relay_route *r = &b->relay->route;
	bool chosen = r->domain_count > 0 || r->sender_count > 0;

	if (slice_equal_fold(slice_of(b->name), SLICE_OF("default")))
		return draft_refuse(d, b, NULL, "[relay default]: the default next hop is [relay], without a name");
	if (b->name[0] && !chosen)
		return draft_refuse(d, b, NULL, "[relay %s] needs domains or senders: whose mail goes there?", b->name);
	if (!b->name[0] && chosen)
		return draft_refuse(d, b, r->domain_count ? "domains" : "senders",
				    "[relay] is for all other mail: domains and senders belong into a [relay NAME]");
	return true;
}

static void notice_clear(const struct draft *d, const struct draft_block *b)
{
	const struct relay_route *r = &b->relay->route;
	struct ip_address host;

	if (r->tls != TLS_USE_NONE || !r->mechanisms)
		return;
	if (ip_parse(slice_of(r->host[0]), &host) && self_is_loopback(&host))
		return;
	draft_notice(d, "%s:%u: tls = none: user, password and mail go to %s in clear", d->path,
		     draft_line(d, b, "tls"), r->host[0]);
}

/* The row is wiped where it came from; config_free knows the copy from route_count. */
static bool assemble_route(struct draft *d, struct draft_block *b)
{
	struct relay_route *r = &b->relay->route;
	struct relay_settings *s = &d->config->relay;

	if (!check_purpose(d, b) || !check_login(d, b) || !check_token(d, b) || !check_credentials(d, b))
		return false;
	if (!draft_has(b, "port"))
		r->port = default_port(b->relay);
	if (!check_loop(d, b) || !draft_assemble_pop(d, b))
		return false;
	if (!assemble_tls(d, b)) {
		tls_context_release(r->pop.context);
		return false;
	}
	notice_clear(d, b);
	slice_copy(slice_of(b->name), r->name, sizeof(r->name));
	r->line = b->line;
	s->routes[s->route_count++] = *r;
	r->logins = NULL;		/* the configuration's now */
	return true;
}

static bool logs_in(const struct relay_route *r)
{
	return r->mechanisms || r->pop.use != POP_OFF;
}

/* An address that does not exist makes the upstream refuse, and return mail vanish (R48). */
static bool check_return(struct draft *d)
{
	for (unsigned i = 0; i < d->config->relay.route_count; i++)
		if (logs_in(&d->config->relay.routes[i]) && !d->config->relay.return_from[0])
			return draft_refuse(d, &d->singles[DRAFT_RETURN], NULL,
					    "where a relay logs in, return mail needs an address that exists: write from = … in [return]");
	if (!d->config->relay.return_from[0])
		draft_notice(d, "%s: [return] from is missing: return mail is parked and logged", d->path);
	return true;
}

static bool has_default(const struct draft *d)
{
	for (struct draft_block *b = draft_next(d, NULL, DRAFT_RELAY); b; b = draft_next(d, b, DRAFT_RELAY))
		if (!b->name[0])
			return true;
	return false;
}

static bool check_upstream_accounts(struct draft *d)
{
	const struct trust_account *a = accounts_upstream(d->config->trust);

	for (unsigned i = 0; i < d->config->relay.route_count; i++)
		if (d->config->relay.routes[i].by_client)
			return true;
	if (!a)
		return true;
	return fault_at(d->fault, d->config->accounts, a->line, "{UPSTREAM}, but no [relay] has credentials = client");
}

bool draft_assemble_relay(struct draft *d)
{
	struct draft_block *b;

	list_listeners(d->config);
	if (!has_default(d))
		return draft_refuse(d, NULL, NULL, "no next hop: write [relay] and below it host = …");
	d->config->relay.routes = calloc(ROUTES_MAX, sizeof(struct relay_route));
	if (!d->config->relay.routes)
		return fault_set(d->fault, STATUS_TEMPORARY, "out of memory");
	for (b = draft_next(d, NULL, DRAFT_RELAY); b; b = draft_next(d, b, DRAFT_RELAY))
		if (!assemble_route(d, b))
			return false;
	return check_upstream_accounts(d) && check_return(d);
}
