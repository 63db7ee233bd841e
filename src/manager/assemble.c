/* draft_assemble: from sections to what the rooms take, with what can be judged only across sections. */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "manager/draft.h"
#include "manager/text.h"
#include "spool/medium.h"
#include "trust/accounts.h"

#define ONE_BOX_MAX 1000		/* accounts that one box is laid out for (R55) */

static bool assemble_names(struct draft *d)
{
	struct config *c = d->config;
	char name[HOST_MAX + 1];

	if (c->ingest.hostname[0] == '\0') {
		if (gethostname(name, sizeof(name)) < 0 || !memchr(name, '\0', sizeof(name)) ||
		    !address_is_domain(slice_of(name)))
			return draft_refuse(d, &d->singles[DRAFT_SERVER], NULL,
					    "the system's name is no domain name: write hostname = … in [server]");
		slice_copy(slice_of(name), c->ingest.hostname, sizeof(c->ingest.hostname));
	}
	slice_copy(slice_of(c->ingest.hostname), c->relay.hostname, sizeof(c->relay.hostname));
	if (c->ingest.max_message_size > c->spool_size)
		return draft_refuse(d, &d->singles[DRAFT_SERVER], "max_message_size",
				    "max_message_size is larger than spool_size: no such message could ever be kept");
	return true;
}

/* The smallest file (R52) names no domains; the return address is ours in any case. */
static bool default_domain(struct draft *d)
{
	struct slice from = slice_of(d->config->relay.return_from);
	struct slice domain = slice_skip(from, slice_find(from, '@') + 1);

	if (domain.len == 0)
		return draft_refuse(d, &d->singles[DRAFT_SERVER], NULL,
				    "our mail domains are missing: write domains = … in [server]");
	draft_notice(d, "%s: [server] domains is missing: %.*s, the domain of [return] from, is ours", d->path,
		     SLICE_ARGS(domain));
	return trust_add_domain(d->config->trust, domain, d->path,
				draft_line(d, &d->singles[DRAFT_RETURN], "from"), d->fault);
}

static bool assemble_domains(struct draft *d)
{
	struct config *c = d->config;
	unsigned line = draft_line(d, &d->singles[DRAFT_SERVER], "domains");

	if (c->domain_count == 0)
		return default_domain(d);
	for (unsigned i = 0; i < c->domain_count; i++)
		if (!trust_add_domain(c->trust, slice_of(c->domains[i]), d->path, line, d->fault))
			return false;
	return true;
}

static void assemble_policy(struct draft *d)
{
	struct draft_block *b = &d->singles[DRAFT_TRUST];

	trust_set_policy(d->config->trust, &d->config->policy);
	if (!draft_has(b, "level"))
		draft_notice(d, "%s: [trust] level is missing: level 1 (auth) is in force, users can impersonate each other",
			     d->path);
}

static bool add_device(struct draft *d, struct draft_block *b)
{
	struct trust_device *device = &b->device->device;

	if (!address_key_of(slice_of(b->device->sender), &device->sender))
		return draft_refuse(d, b, "sender", "sender = %s: not a mail address", b->device->sender);
	slice_copy(slice_of(b->device->sender), device->address, sizeof(device->address));
	return trust_add_device(d->config->trust, device, d->path, draft_line(d, b, "sender"), d->fault);
}

static bool assemble_device(struct draft *d, struct draft_block *b)
{
	slice_copy(slice_of(b->name), b->device->device.name, sizeof(b->device->device.name));
	return add_device(d, b);
}

/* No device can have such a name, with its colon. */
static bool assemble_user(struct draft *d, struct draft_block *b)
{
	struct trust_device *device = &b->device->device;
	const struct passwd *pw = b->name[0] ? getpwnam(b->name) : NULL;

	if (b->name[0] && !pw)
		return draft_refuse(d, b, NULL, "[local %s]: this machine has no such user", b->name);
	device->is_user = true;
	device->is_everybody = !pw;
	device->uid = pw ? pw->pw_uid : 0;
	snprintf(device->name, sizeof(device->name), "local:%s", pw ? b->name : "*");
	return add_device(d, b);
}

/* Of the sections of a kind, those whose machine reads no mail of its own: who gets what comes back. */
static void take_owners(struct draft *d, enum draft_kind kind)
{
	struct relay_settings *r = &d->config->relay;

	for (struct draft_block *b = draft_next(d, NULL, kind); b; b = draft_next(d, b, kind)) {
		const struct trust_device *device = &b->device->device;

		if (!device->owner[0])
			continue;
		slice_copy(slice_of(device->name), r->owners[r->owner_count].device, sizeof(r->owners[0].device));
		slice_copy(slice_of(device->owner), r->owners[r->owner_count].address, sizeof(r->owners[0].address));
		r->owner_count++;
	}
}

static bool assemble_owners(struct draft *d)
{
	struct relay_settings *r = &d->config->relay;
	unsigned count = d->config->device_count + d->config->user_count;

	if (!count)
		return true;
	r->owners = calloc(count, sizeof(r->owners[0]));
	if (!r->owners)
		return fault_set(d->fault, STATUS_TEMPORARY, "out of memory");
	take_owners(d, DRAFT_DEVICE);
	take_owners(d, DRAFT_LOCAL);
	return true;
}

static bool assemble_hosts(struct draft *d)
{
	struct draft_block *b;

	for (b = draft_next(d, NULL, DRAFT_DEVICE); b; b = draft_next(d, b, DRAFT_DEVICE))
		if (!assemble_device(d, b))
			return false;
	for (b = draft_next(d, NULL, DRAFT_LOCAL); b; b = draft_next(d, b, DRAFT_LOCAL))
		if (!assemble_user(d, b))
			return false;
	for (b = draft_next(d, NULL, DRAFT_PEER); b; b = draft_next(d, b, DRAFT_PEER)) {
		slice_copy(slice_of(b->name), b->peer->name, sizeof(b->peer->name));
		if (!trust_add_peer(d->config->trust, b->peer, d->path, draft_line(d, b, "ip"), d->fault))
			return false;
	}
	return true;
}

static bool assemble_aliases(struct draft *d)
{
	for (const struct draft_alias *a = d->aliases; a; a = a->next)
		if (!trust_add_alias(d->config->trust, a->key, a->accounts, d->path, a->line, d->fault))
			return false;
	return true;
}

/* Nothing stops working (R55). */
static void notice_licences(const struct draft *d)
{
	const struct config *c = d->config;
	size_t used = c->licences_used;

	if (used > c->licences)
		draft_notice(d, "%s: %zu accounts and devices, but [manager] licences = %u", c->path, used, c->licences);
	if (used > ONE_BOX_MAX && !strcmp(c->role, "combined"))
		draft_notice(d, "%s: %zu accounts and devices: above %d, agent and manager belong on two boxes ([manager] role)",
			     c->path, used, ONE_BOX_MAX);
}

static void notice_accounts(const struct draft *d)
{
	const struct trust *t = d->config->trust;
	size_t count = accounts_count(t);

	for (size_t i = 0; i < count; i++) {
		const struct trust_account *a = accounts_at(t, i);

		if (a->level != LEVEL_DEFAULT && a->level < d->config->policy.level)
			draft_notice(d, "%s:%u: %.*s has level %s, lower than everybody's %s", d->config->accounts, a->line,
				     SLICE_ARGS(account_name(a)), trust_level_name(a->level),
				     trust_level_name(d->config->policy.level));
	}
	if (!accounts_any_login(t) && !d->config->device_count && !d->config->peer_count && !d->config->user_count)
		draft_notice(d, "%s: nobody can send: no account with a password, no device, no peer: sekimori passwd ADDRESS",
			     d->config->accounts);
	notice_licences(d);
}

static bool assemble_accounts(struct draft *d)
{
	const char *path = d->config->accounts;
	struct draft_block *server = &d->singles[DRAFT_SERVER];
	int others = text_others(path);

	if (others == -ENOENT)
		return draft_refuse(d, server, "accounts", "%s does not exist: sekimori passwd ADDRESS makes it", path);
	if (others < 0)
		return draft_refuse(d, server, "accounts", "%s: %s", path, strerror(-others));
	if (others > 0)
		return draft_refuse(d, server, "accounts", "%s is open to others: chmod 640 %s", path, path);
	if (!trust_load_accounts(d->config->trust, path, d->fault) || !trust_seal(d->config->trust, d->fault))
		return false;
	d->config->licences_used = accounts_count(d->config->trust) + d->config->device_count;
	notice_accounts(d);
	return true;
}

static bool is_manager(const struct draft *d)
{
	return !strcmp(d->config->role, "manager");
}

static bool assemble_trust(struct draft *d)
{
	d->config->trust = trust_new();
	if (!d->config->trust)
		return fault_set(d->fault, STATUS_TEMPORARY, "out of memory");
	d->config->ingest.trust = d->config->trust;
	if (!is_manager(d))
		assemble_policy(d);
	if (is_manager(d))		/* nobody sends mail here */
		return trust_seal(d->config->trust, d->fault);
	if (!assemble_domains(d))
		return false;
	if (!d->accounts)
		return true;
	return assemble_aliases(d) && assemble_hosts(d) && assemble_owners(d) && assemble_accounts(d);
}

static bool same_endpoint(const struct ingest_listen *l, const struct setting_endpoint *e)
{
	return l->address_len == e->len && memcmp(&l->address, &e->address, e->len) == 0;
}

static bool add_listen(struct draft *d, struct draft_block *b, const struct setting_endpoint *e)
{
	struct ingest_settings *s = &d->config->ingest;
	struct ingest_listen *l = &s->listen[s->listen_count];

	for (unsigned i = 0; i < s->listen_count; i++)
		if (same_endpoint(&s->listen[i], e))
			return draft_refuse(d, b, "address", "[listen %s] has an address of [listen %s], or one twice", b->name,
					    s->listen[i].name);
	if (s->listen_count == LISTENERS_MAX)
		return draft_refuse(d, b, "address", "more than %d addresses to listen on", LISTENERS_MAX);
	*l = b->listen->listen;
	slice_copy(slice_of(b->name), l->name, sizeof(l->name));
	l->address = e->address;
	l->address_len = e->len;
	s->listen_count++;
	return true;
}

static bool key_is_private(struct draft *d)
{
	const struct config *c = d->config;

	if (text_others(c->key) > 0)
		return draft_refuse(d, &d->singles[DRAFT_TLS], "key", "%s is open to others: chmod 640 %s", c->key,
				    c->key);
	return true;
}

/* `b` is the first section that needs it. */
static bool assemble_certificate(struct draft *d, struct draft_block *b)
{
	struct config *c = d->config;
	struct draft_block *tls = &d->singles[DRAFT_TLS];
	struct fault own = { .text = "" };

	if (!d->network || c->ingest.tls)
		return true;
	if (!draft_has(tls, "certificate") && access(c->certificate, F_OK) < 0)
		return draft_refuse(d, b, "tls", "[listen %s] speaks TLS, but there is no certificate: write certificate and key in [tls], or tls = none here",
				    b->name);
	if (!key_is_private(d))
		return false;
	c->ingest.tls = tls_server_new(c->certificate, c->key, c->tls_min_13, &own);
	if (c->ingest.tls)
		return true;
	return draft_refuse(d, tls, "certificate", "%s", own.text);
}

static bool assemble_listen(struct draft *d, struct draft_block *b)
{
	for (unsigned i = 0; i < b->listen->count; i++)
		if (!add_listen(d, b, &b->listen->endpoints[i]))
			return false;
	return b->listen->listen.tls == TLS_USE_NONE || assemble_certificate(d, b);
}

static bool assemble_listens(struct draft *d)
{
	struct draft_block *b = draft_next(d, NULL, DRAFT_LISTEN);

	d->config->ingest.local = (struct ingest_listen){ .name = "local", .is_local = true, .tls = TLS_USE_NONE };
	if (!b)
		return draft_refuse(d, NULL, NULL,
				    "nothing to listen on: write [listen submission] and below it address = 0.0.0.0:587");
	for (; b; b = draft_next(d, b, DRAFT_LISTEN))
		if (!assemble_listen(d, b))
			return false;
	return true;
}

static bool read_keyring(struct draft *d, struct slice *text)
{
	struct draft_block *b = &d->singles[DRAFT_STAMP];
	const char *path = d->config->stamp_keys;
	int others, result = text_read(path, KEYRING_FILE_MAX, text, &others);

	if (result == -ENOENT)
		return draft_refuse(d, b, "key_file", "%s does not exist: sekimori verify --new-key makes it", path);
	if (result < 0)
		return draft_refuse(d, b, "key_file", "%s: %s", path, strerror(-result));
	if (others > 0)
		return draft_refuse(d, b, "key_file", "%s is open to others: chmod 640 %s", path, path);
	d->config->keyring = calloc(1, sizeof(*d->config->keyring));
	if (!d->config->keyring)
		return fault_set(d->fault, STATUS_TEMPORARY, "out of memory");
	return keyring_parse(*text, path, d->config->keyring, d->fault);
}

static bool assemble_stamp(struct draft *d)
{
	struct slice text = slice_bytes(NULL, 0);
	bool good;

	if (!d->stamp && !(d->network && d->config->stamp_keys[0]))
		return true;
	if (!d->config->stamp_keys[0])
		return draft_refuse(d, &d->singles[DRAFT_STAMP], NULL, "there are no keys: write key_file = … in [stamp]");
	good = read_keyring(d, &text);
	text_free(text);
	d->config->ingest.keyring = d->config->keyring;
	return good;
}

static bool assemble_alarms(struct draft *d)
{
	if (d->config->alarm_to[0] && !d->config->relay.return_from[0])
		return draft_refuse(d, &d->singles[DRAFT_MANAGER], "alarm_to",
				    "alarm_to needs an address that such mail comes from: write from = … in [return]");
	return true;
}

/* What passes mail belongs to an agent: here it would do nothing, and nobody shall trust in it. */
static bool refuse_mail(struct draft *d)
{
	static const enum draft_kind kinds[] = { DRAFT_LISTEN, DRAFT_RELAY, DRAFT_DEVICE, DRAFT_LOCAL, DRAFT_PEER };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct draft_block *b = draft_next(d, NULL, kinds[i]);

		if (b)
			return draft_refuse(d, b, NULL, "[%.*s] has no effect with [manager] role = manager, which passes no mail",
					    SLICE_ARGS(draft_sections[kinds[i]].title));
	}
	if (d->config->alarm_to[0])
		return draft_refuse(d, &d->singles[DRAFT_MANAGER], "alarm_to",
				    "alarm_to has no effect with [manager] role = manager, which passes no mail");
	return !d->aliases || draft_refuse(d, NULL, NULL, "[alias] has no effect with [manager] role = manager, which passes no mail");
}

/* On routers /var/log is memory, of which the files would take more than there is to spare: there it takes a word of the owner's. */
static void assemble_audit(struct draft *d)
{
	struct config *c = d->config;
	const char *memory = CONFIG_AUDIT && !draft_has(&d->singles[DRAFT_MANAGER], "audit") ? medium_memory(c->audit) : NULL;

	if (!memory || !strcmp(c->role, "agent"))
		return;
	draft_notice(d, "%s: no audit file is written: %s would be in memory (%s); name a file on a disk, or none, in [manager] audit",
		     d->path, c->audit, memory);
	slice_copy(SLICE_OF("none"), c->audit, sizeof(c->audit));
}

bool draft_assemble(struct draft *d)
{
	assemble_audit(d);
	if (!assemble_names(d) || !assemble_stamp(d) || !assemble_trust(d))
		return false;
	if (!d->accounts)
		return true;
	if (is_manager(d))
		return refuse_mail(d) && draft_assemble_boxes(d);
	return assemble_alarms(d) && assemble_listens(d) && draft_assemble_relay(d) && draft_assemble_boxes(d);
}
