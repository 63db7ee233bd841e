#include "manager/summary.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "mail/report.h"
#include "manager/alarms.h"
#include "manager/setting.h"
#include "net/listener.h"
#include "smtp/server.h"
#include "trust/accounts.h"

static const char *const tls_words[] = {
	[TLS_USE_NONE] = "without TLS", [TLS_USE_STARTTLS] = "STARTTLS", [TLS_USE_IMPLICIT] = "TLS from the first octet"
};

static const char *const level_words[] = {
	[LEVEL_AUTH] = "whoever logs in may send under any address",
	[LEVEL_ENVELOPE] = "the envelope sender must be an address of the account; From: is free",
	[LEVEL_FROM] = "the envelope sender and From: must both be addresses of the account",
};

static const char *const action_words[] = {
	[ACTION_REFUSE] = "mail that fails is refused", [ACTION_LOG] = "mail that fails is only logged, and let through",
	[ACTION_TAG] = "mail that fails is marked, and let through",
};

static void print_size(const char *before, uint64_t octets)
{
	if (octets % (UINT64_C(1) << 20) == 0)
		printf("%s%" PRIu64 "M", before, octets >> 20);
	else if (octets % 1024 == 0)
		printf("%s%" PRIu64 "K", before, octets >> 10);
	else
		printf("%s%" PRIu64 " octets", before, octets);
}

static void print_time(const char *before, int64_t ms)
{
	char text[24];

	setting_time(ms, text, sizeof(text));
	printf("%s%s", before, text);
}

static void print_networks(const struct network_list *l)
{
	char text[64];

	if (l->count == 0)
		fputs(" nowhere", stdout);
	for (unsigned i = 0; i < l->count; i++) {
		ip_text(&l->at[i].address, text, sizeof(text));
		printf("%s %s/%u", i ? "," : "", text, (unsigned)l->at[i].prefix);
	}
}

static void print_listen(const struct ingest_listen *l)
{
	char text[64];
	uint16_t port;
	bool v6 = l->address.ss_family == AF_INET6;

	listener_peer_text(&l->address, text, sizeof(text), &port);
	printf("listen %s: %s%s%s:%u, %s, %s; passwords without TLS from", l->name, v6 ? "[" : "", text, v6 ? "]" : "",
	       (unsigned)port, tls_words[l->tls],
	       l->auth_required ? "login required" : "login or a known device or peer");
	print_networks(&l->plaintext_auth);
	putchar('\n');
}

static void print_end(const struct tls_context *c)
{
	int64_t until = tls_context_valid_to(c), days = alarm_days(clock_wall(), until);
	char date[CLOCK_DATE_SIZE];

	printf("until %s, %" PRId64 " days left%s", clock_date(until, date), days, days < ALARM_DAYS ? ": RENEW IT" : "");
}

static void print_certificate(const struct config *c)
{
	if (!config_tls(c))
		return;
	printf("certificate: %s, ", c->certificate);
	print_end(config_tls(c));
	putchar('\n');
}

static void print_trust(const struct config *c)
{
	unsigned logins = 0;
	size_t count = accounts_count(c->trust);

	for (size_t i = 0; i < count; i++)
		logins += account_can_login(accounts_at(c->trust, i));
	printf("level %u (%s): %s; %s\n", (unsigned)c->policy.level, trust_level_name(c->policy.level),
	       level_words[c->policy.level], action_words[c->policy.action]);
	printf("accounts: %zu in %s, %u can log in; %u devices, %u peers\n", count, c->accounts, logins,
	       c->device_count, c->peer_count);
	if (c->user_count)
		printf("sendmail: programs of this machine send by %s; %u [local]\n", c->local, c->user_count);
	printf("licences: %zu of %u used\n", c->licences_used, c->licences);
}

static void print_audit(const struct config *c)
{
	if (!CONFIG_AUDIT || !strcmp(c->audit, "none")) {
		puts("audit: none");
		return;
	}
	printf("audit: %s", c->audit);
	print_size(", rotated at ", c->audit_size);
	printf(", %u older ones kept; ", c->audit_keep);
	if (c->keyring)
		printf("chained with key %.*s\n", SLICE_ARGS(keyring_id(c->keyring)));
	else
		puts("chained without a key");
}

static void print_boxes(const struct config *c)
{
	const struct agents_settings *s = &c->agents;

	if (c->forward.host[0])
		printf("manager: %s", c->forward_to);
	if (c->forward.context && tls_context_valid_to(c->forward.context) != INT64_MAX) {
		fputs(", with a certificate of our own ", stdout);
		print_end(c->forward.context);
	}
	if (c->forward.host[0])
		puts(c->forward.acknowledged ? "" : ", which is no Sekimori");
	if (s->listen_count)
		printf("agents: %u, at %u addresses\n", s->rule_count, s->listen_count);
}

static void print_stamp(const struct config *c)
{
	if (c->keyring)
		printf("stamp: sealed with key %.*s; %u keys in %s\n", SLICE_ARGS(keyring_id(c->keyring)), c->keyring->count,
		       c->stamp_keys);
	else
		puts("stamp: none");
}

static void print_login(const struct relay_route *r)
{
	const char *before = " by ";

	if (!r->mechanisms) {
		fputs(", no login", stdout);
		return;
	}
	if (r->by_client)
		fputs(", login as the client does", stdout);
	else if (r->by_sender)
		printf(", login as the sender's account says (%u in %s)", r->login_count, r->logins_path);
	if (r->by_sender && r->user[0])
		printf(", others as %s", r->user);
	if (!r->by_sender)
		printf(", login as %s", r->user);
	for (unsigned bit = SASL_PLAIN; bit <= SASL_XOAUTH2; bit <<= 1) {
		if (!(r->mechanisms & bit))
			continue;
		printf("%s%s", before, smtp_mechanism_name((enum smtp_mechanism)bit));
		before = ", ";
	}
}

static void print_pop(const struct relay_pop *o)
{
	if (o->use == POP_CLIENT)
		fputs(", after a mail program's own login by POP", stdout);
	if (o->use != POP_AGENT)
		return;
	printf(", after a POP login as %s at %s port %u, %s", o->user, o->host, (unsigned)o->port, tls_words[o->tls]);
	print_time(", again after ", clock_seconds(route_pop_open(o)) * 1000);
}

static void print_route(const struct relay_route *r)
{
	printf("relay %s:", route_name(r));
	for (unsigned i = 0; i < r->host_count; i++)
		printf("%s %s", i ? "," : "", r->host[i]);
	printf(" port %u, %s", (unsigned)r->port, tls_words[r->tls]);
	if (r->tls_name[0])
		printf(" (certificate for %s)", r->tls_name);
	print_login(r);
	print_pop(&r->pop);
	if (r->context && tls_context_valid_to(r->context) != INT64_MAX) {
		fputs(", with a certificate of our own ", stdout);
		print_end(r->context);
	}
	printf(", up to %u connections", r->connections);
	for (unsigned i = 0; i < r->domain_count; i++)
		printf("%s%s", i ? ", " : "; for recipients in ", r->domains[i]);
	for (unsigned i = 0; i < r->sender_count; i++)
		printf("%s%s", i ? ", " : "; for mail from ", r->senders[i]);
	putchar('\n');
}

static void print_queue(const struct config *c)
{
	static const char *const envelopes[] = {
		[RETURN_AUTO] = "<>, or its own address where that is refused", [RETURN_NULL] = "<>",
		[RETURN_ADDRESS] = "its own address"
	};
	struct stat st;

	printf("spool: %s", c->spool);
	print_size(", at most ", c->spool_size);
	print_size("; messages up to ", c->ingest.max_message_size);
	printf("%s\n", stat(c->spool, &st) < 0 || !S_ISDIR(st.st_mode) ? "; the directory will be made" : "");
	fputs("retry after", stdout);
	for (unsigned i = 0; i < c->relay.retry_count; i++)
		print_time(i ? ", " : " ", c->relay.retry[i]);
	print_time("; given up after ", c->relay.expire);
	if (c->relay.return_from[0])
		printf("\nreturn mail: from %s, envelope %s, in %s%s%s\n", c->relay.return_from,
		       envelopes[c->relay.return_envelope], c->relay.return_languages & REPORT_JA ? "Japanese" : "",
		       c->relay.return_languages == (REPORT_JA | REPORT_EN) ? " and " : "",
		       c->relay.return_languages & REPORT_EN ? "English" : "");
	else
		fputs("\nreturn mail: none\n", stdout);
}

void summary_print(const struct config *c)
{
	printf("name: %s; our domains:", c->ingest.hostname);
	for (unsigned i = 0; i < c->domain_count; i++)
		printf("%s %s", i ? "," : "", c->domains[i]);
	if (c->domain_count == 0)
		printf(" %.*s", SLICE_ARGS(trust_default_domain(c->trust)));
	putchar('\n');
	for (unsigned i = 0; i < c->ingest.listen_count; i++)
		print_listen(&c->ingest.listen[i]);
	print_certificate(c);
	print_trust(c);
	print_stamp(c);
	print_audit(c);
	print_boxes(c);
	for (unsigned i = 0; i < c->relay.route_count; i++)
		print_route(&c->relay.routes[i]);
	print_queue(c);
}
