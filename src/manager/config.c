#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/secret.h"
#include "mail/report.h"
#include "manager/draft.h"
#include "manager/ini.h"
#include "smtp/server.h"

#define SECOND	UINT64_C(1000)		/* ms */
#define MINUTE	(60 * SECOND)
#define HOUR	(60 * MINUTE)
#define DAY	(24 * HOUR)
#define KIB	(UINT64_C(1) << 10)	/* octets */
#define MIB	(UINT64_C(1) << 20)
#define GIB	(UINT64_C(1) << 30)

/* Where a row's value goes: offset and width. */
#define FIELD(type, member) .at = offsetof(type, member), .size = sizeof(((type *)0)->member)
#define FIELDS(type, member, counter) .at = offsetof(type, member), .size = sizeof(((type *)0)->member[0]), \
	.count_at = offsetof(type, counter), \
	.count_max = sizeof(((type *)0)->member) / sizeof(((type *)0)->member[0])

static const struct setting_word yes_no[] = { { "yes", 1, false }, { "no", 0, false }, { NULL, 0, false } };
static const struct setting_word no_only[] = { { "no", 0, false }, { "yes", 1, true }, { NULL, 0, false } };
static const struct setting_word tls_uses[] = {
	{ "none", TLS_USE_NONE, false }, { "starttls", TLS_USE_STARTTLS, false },
	{ "implicit", TLS_USE_IMPLICIT, false }, { NULL, 0, false }
};
static const struct setting_word listen_auths[] = {
	{ "required", 1, false }, { "optional", 0, false }, { NULL, 0, false }
};
static const struct setting_word tls_versions[] = { { "1.2", 0, false }, { "1.3", 1, false }, { NULL, 0, false } };
static const struct setting_word matches[] = {
	{ "account", MATCH_ACCOUNT, false }, { "exact", MATCH_EXACT, false }, { NULL, 0, false }
};
static const struct setting_word null_senders[] = {
	{ "from", NULL_FROM, false }, { "deny", NULL_DENY, false }, { "allow", NULL_ALLOW, false }, { NULL, 0, false }
};
static const struct setting_word subaddresses[] = {
	{ "none", 0, false }, { "+", '+', false }, { "-", '-', false }, { NULL, 0, false }
};
static const struct setting_word displays[] = {
	{ "log", DISPLAY_LOG, false }, { "refuse", DISPLAY_REFUSE, false }, { NULL, 0, false }
};
static const struct setting_word actions[] = {
	{ "refuse", ACTION_REFUSE, false }, { "log", ACTION_LOG, false }, { "tag", ACTION_TAG, false },
	{ NULL, 0, false }
};
static const struct setting_word recipients[] = { { "any", 0, false }, { "local", 1, false }, { NULL, 0, false } };
static const struct setting_word relay_auths[] = {
	{ "auto", SASL_PLAIN | SASL_LOGIN | SASL_CRAM_MD5, false }, { "plain", SASL_PLAIN, false },
	{ "login", SASL_LOGIN, false }, { "cram-md5", SASL_CRAM_MD5, false }, { "none", 0, false }, { NULL, 0, false }
};
static const struct setting_word credentials[] = {
	{ "stored", 0, false }, { "sender", 1, true }, { "client", 2, true }, { NULL, 0, false }
};
static const struct setting_word pops[] = {
	{ "off", 0, false }, { "agent", 1, true }, { "client", 2, true }, { NULL, 0, false }
};
static const struct setting_word envelopes[] = {
	{ "auto", RETURN_AUTO, false }, { "null", RETURN_NULL, false }, { "address", RETURN_ADDRESS, false },
	{ NULL, 0, false }
};
static const struct setting_word languages[] = {
	{ "ja", REPORT_JA, false }, { "en", REPORT_EN, false }, { "ja+en", REPORT_JA | REPORT_EN, false },
	{ NULL, 0, false }
};

static int level_of(struct slice text)
{
	enum trust_level level = trust_level_of(text);

	return level == LEVEL_DEFAULT ? -1 : (int)level;
}

static const char *check_domain(struct slice text)
{
	return address_is_domain(text) ? NULL : "not a domain name";
}

/* A last label of digits is an address with a slip of the finger, never a name (RFC 3696 section 2). */
static const char *check_host(struct slice text)
{
	struct ip_address address;
	struct slice rest = text, label = text;

	if (ip_parse(text, &address))
		return NULL;
	while (slice_cut(&rest, '.', &label))
		;
	for (size_t i = 0; i < label.len; i++)
		if (!ascii_is_digit(label.at[i]))
			return check_domain(text);
	return "neither a host's name nor its address";
}

static const char *check_local_address(struct slice text)
{
	struct ip_address address;

	return ip_parse(text, &address) ? NULL : "not a numeric address";
}

static const char *check_address(struct slice text)
{
	struct address address;

	return address_parse(text, &address) ? NULL : "not a mail address";
}

static const char *check_sender(struct slice text)
{
	return slice_find(text, '@') < text.len ? check_address(text) : check_domain(text);
}

/* What is sent as a credential, or looked up: RFC 4616 forbids NUL, sense the other control characters. */
static const char *check_print(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (ascii_is_control(text.at[i]))
			return "holds a control character";
	return NULL;
}

static const char *check_user(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (!ascii_is_alnum(text.at[i]) && text.at[i] != '_' && text.at[i] != '-' && text.at[i] != '.')
			return "not a user's name";
	return NULL;
}

static const char *check_pin(struct slice text)
{
	size_t digits = 0;

	for (size_t i = 0; i < text.len; i++) {
		char c = ascii_fold(text.at[i]);

		if (c == ':' && digits > 0 && digits % 2 == 0)
			continue;
		if (!ascii_is_digit(c) && !(c >= 'a' && c <= 'f'))
			return "must be 64 hex digits";
		digits++;
	}
	return digits == 64 ? NULL : "must be 64 hex digits";
}

static const char *check_missing(struct slice text)
{
	(void)text;
	return "is not available in this version";
}

static const char *check_role(struct slice text)
{
	if (slice_equal(text, SLICE_OF("combined")))
		return NULL;
	if (slice_equal(text, SLICE_OF("agent")) || slice_equal(text, SLICE_OF("manager")))
		return check_missing(text);
	return "must be combined | agent | manager";
}

static const struct setting_row server_rows[] = {
	{ "hostname", NULL, KIND_TEXT, 0, FIELD(struct config, ingest.hostname), .check = check_domain },
	{ "domains", NULL, KIND_LIST, 0, FIELDS(struct config, domains, domain_count), .check = check_domain },
	{ "accounts", "/etc/sekimori/accounts", KIND_TEXT, 0, FIELD(struct config, accounts) },
	{ "spool", "/var/spool/sekimori", KIND_TEXT, 0, FIELD(struct config, spool) },
	{ "spool_size", "64M", KIND_SIZE, 0, FIELD(struct config, spool_size), .min = 4 * MIB, .max = 16 * GIB },
	{ "control", CONTROL_DEFAULT, KIND_TEXT, 0, FIELD(struct config, control) },
	{ "user", "sekimori", KIND_TEXT, 0, FIELD(struct config, user), .check = check_user },
	{ "enhanced_codes", "yes", KIND_WORD, 0, FIELD(struct config, ingest.enhanced_codes), .words = yes_no },
	{ "max_sessions", "200", KIND_NUMBER, 0, FIELD(struct config, ingest.max_sessions), .min = 1, .max = 10000 },
	{ "max_message_size", "30M", KIND_SIZE, 0, FIELD(struct config, ingest.max_message_size), .min = KIB,
	  .max = 2 * GIB },
	{ "max_recipients", "100", KIND_NUMBER, 0, FIELD(struct config, ingest.max_recipients), .min = 1,
	  .max = RECIPIENTS_CEILING },
	{ "max_header", "64K", KIND_SIZE, 0, FIELD(struct config, ingest.max_header), .min = KIB, .max = MIB },
	{ .key = NULL }
};

static const struct setting_row listen_rows[] = {
	{ "address", NULL, KIND_ENDPOINTS, SETTING_REQUIRED, FIELDS(struct draft_listen, endpoints, count) },
	{ "tls", "starttls", KIND_WORD, 0, FIELD(struct draft_listen, listen.tls), .words = tls_uses },
	{ "auth", "required", KIND_WORD, 0, FIELD(struct draft_listen, listen.auth_required), .words = listen_auths },
	{ "plaintext_auth", "127.0.0.0/8, ::1/128", KIND_NETWORKS, 0, FIELD(struct draft_listen, listen.plaintext_auth) },
	{ .key = NULL }
};

static const struct setting_row tls_rows[] = {
	{ "certificate", "/etc/sekimori/cert.pem", KIND_TEXT, 0, FIELD(struct config, certificate) },
	{ "key", "/etc/sekimori/key.pem", KIND_TEXT, 0, FIELD(struct config, key) },
	{ "min_version", "1.2", KIND_WORD, 0, FIELD(struct config, tls_min_13), .words = tls_versions },
	{ .key = NULL }
};

static const struct setting_row trust_rows[] = {
	{ "level", "auth", KIND_NAME, 0, FIELD(struct config, policy.level), .lookup = level_of,
	  .hint = "must be auth | auth=envelope | auth=envelope=from, or 1 | 2 | 3" },
	{ "match", "account", KIND_WORD, 0, FIELD(struct config, policy.match), .words = matches },
	{ "from_alias", "yes", KIND_WORD, 0, FIELD(struct config, policy.from_alias), .words = yes_no },
	{ "null_sender", "from", KIND_WORD, 0, FIELD(struct config, policy.null_sender), .words = null_senders },
	{ "subaddress", "none", KIND_WORD, 0, FIELD(struct config, policy.subaddress), .words = subaddresses },
	{ "display_addr", "log", KIND_WORD, 0, FIELD(struct config, policy.display_addr), .words = displays },
	{ "action", "refuse", KIND_WORD, 0, FIELD(struct config, policy.action), .words = actions },
	{ .key = NULL }
};

static const struct setting_row device_rows[] = {
	{ "ip", NULL, KIND_NETWORKS, SETTING_REQUIRED, FIELD(struct draft_device, device.from), .min = 1 },
	{ "sender", NULL, KIND_TEXT, SETTING_REQUIRED, FIELD(struct draft_device, sender), .check = check_address },
	{ "recipients", "any", KIND_WORD, 0, FIELD(struct draft_device, device.local_only), .words = recipients },
	{ "rewrite_from", "no", KIND_WORD, 0, FIELD(struct draft_device, device.rewrite_from), .words = no_only },
	{ .key = NULL }
};

static const struct setting_row peer_rows[] = {
	{ "ip", NULL, KIND_NETWORKS, SETTING_REQUIRED, FIELD(struct trust_peer, from), .min = 1 },
	{ .key = NULL }
};

static const struct setting_row relay_rows[] = {
	{ "host", NULL, KIND_LIST, SETTING_REQUIRED, FIELDS(struct draft_relay, route.host, route.host_count),
	  .check = check_host },
	{ "port", NULL, KIND_NUMBER, 0, FIELD(struct draft_relay, route.port), .min = 1, .max = 65535 },
	{ "tls", "starttls", KIND_WORD, 0, FIELD(struct draft_relay, route.tls), .words = tls_uses },
	{ "tls_name", "", KIND_TEXT, 0, FIELD(struct draft_relay, route.tls_name), .check = check_host },
	{ "tls_ca", "/etc/ssl/certs/ca-certificates.crt", KIND_TEXT, 0, FIELD(struct draft_relay, ca) },
	{ "tls_pin", "", KIND_TEXT, 0, FIELD(struct draft_relay, pin), .check = check_pin },
	{ "auth", "auto", KIND_WORD, 0, FIELD(struct draft_relay, auth), .words = relay_auths },
	{ "user", NULL, KIND_TEXT, 0, FIELD(struct draft_relay, route.user), .check = check_print },
	{ "password", NULL, KIND_TEXT, SETTING_SECRET, FIELD(struct draft_relay, route.password), .check = check_print },
	{ "password_file", NULL, KIND_TEXT, 0, FIELD(struct draft_relay, password_file) },
	{ "credentials", "stored", KIND_WORD, 0, FIELD(struct draft_relay, credentials), .words = credentials },
	{ "credentials_file", "/etc/sekimori/upstream", KIND_TEXT, 0, FIELD(struct draft_relay, credentials_file) },
	{ "timeout", "5m", KIND_TIME, 0, FIELD(struct draft_relay, route.timeout), .min = SECOND, .max = HOUR },
	{ "connections", "4", KIND_NUMBER, 0, FIELD(struct draft_relay, route.connections), .min = 1, .max = 64 },
	{ "bind", "", KIND_TEXT, 0, FIELD(struct draft_relay, route.bind), .check = check_local_address },
	{ "pop_before_smtp", "off", KIND_WORD, 0, FIELD(struct draft_relay, pop), .words = pops },
	{ "pop_host", "", KIND_TEXT, 0, FIELD(struct draft_relay, pop_host), .check = check_host },
	{ "pop_port", "110", KIND_NUMBER, 0, FIELD(struct draft_relay, pop_port), .min = 1, .max = 65535 },
	{ "pop_tls", "none", KIND_WORD, 0, FIELD(struct draft_relay, pop_tls), .words = tls_uses },
	{ "pop_user", "", KIND_TEXT, 0, FIELD(struct draft_relay, pop_user), .check = check_print },
	{ "pop_password_file", "", KIND_TEXT, 0, FIELD(struct draft_relay, pop_password_file) },
	{ "pop_window", "600s", KIND_TIME, 0, FIELD(struct draft_relay, pop_window), .min = 10 * SECOND, .max = DAY },
	{ "pop_wait", "1s", KIND_TIME, 0, FIELD(struct draft_relay, pop_wait), .min = 0, .max = 10 * SECOND },
	{ "domains", NULL, KIND_LIST, 0, FIELDS(struct draft_relay, route.domains, route.domain_count),
	  .check = check_domain },
	{ "senders", NULL, KIND_LIST, 0, FIELDS(struct draft_relay, route.senders, route.sender_count),
	  .check = check_sender },
	{ .key = NULL }
};

_Static_assert(sizeof(relay_rows) / sizeof(relay_rows[0]) <= DRAFT_KEYS_MAX, "lines of the longest table");

static const struct setting_row return_rows[] = {
	{ "from", NULL, KIND_TEXT, 0, FIELD(struct config, relay.return_from), .check = check_address },
	{ "envelope", "auto", KIND_WORD, 0, FIELD(struct config, relay.return_envelope), .words = envelopes },
	{ "language", "ja+en", KIND_WORD, 0, FIELD(struct config, relay.return_languages), .words = languages },
	{ .key = NULL }
};

static const struct setting_row queue_rows[] = {
	{ "retry", "1m, 5m, 15m, 30m, 1h", KIND_TIMES, 0, FIELDS(struct config, relay.retry, relay.retry_count),
	  .min = SECOND, .max = DAY },
	{ "expire", "2d", KIND_TIME, 0, FIELD(struct config, relay.expire), .min = SECOND, .max = 30 * DAY },
	{ .key = NULL }
};

static const struct setting_row limits_rows[] = {
	{ "sessions_per_client", "20", KIND_NUMBER, 0, FIELD(struct config, ingest.sessions_per_client), .min = 1,
	  .max = 10000 },
	{ "auth_failures", "3", KIND_NUMBER, 0, FIELD(struct config, ingest.auth_failures), .min = 1, .max = 20 },
	{ "lockout_after", "5", KIND_NUMBER, 0, FIELD(struct config, ingest.lockout.after), .min = 1,
	  .max = LOCKOUT_AFTER_MAX },
	{ "lockout_window", "10m", KIND_TIME, 0, FIELD(struct config, ingest.lockout.window), .min = SECOND,
	  .max = 7 * DAY },
	{ "lockout_time", "30m", KIND_TIME, 0, FIELD(struct config, ingest.lockout.time), .min = SECOND, .max = 7 * DAY },
	{ "lockout_allow", "127.0.0.0/8, ::1/128", KIND_NETWORKS, 0, FIELD(struct config, ingest.lockout.allow) },
	{ "command_timeout", "5m", KIND_TIME, 0, FIELD(struct config, ingest.command_timeout), .min = SECOND, .max = HOUR },
	{ "data_min_rate", "100", KIND_NUMBER, 0, FIELD(struct config, ingest.data_min_rate), .min = 1, .max = 1000000 },
	{ "received_max", "25", KIND_NUMBER, 0, FIELD(struct config, ingest.received_max), .min = 1, .max = 1000 },
	{ .key = NULL }
};

static const struct setting_row log_rows[] = {
	{ "facility", "mail", KIND_NAME, 0, FIELD(struct config, log_facility), .lookup = log_facility,
	  .hint = "must be mail, daemon, user, auth, local0 to local7 or another facility of syslog(3)" },
	{ "level", "info", KIND_NAME, 0, FIELD(struct config, log_severity), .lookup = log_severity,
	  .hint = "must be err | warning | notice | info | debug" },
	{ .key = NULL }
};

static const struct setting_row manager_rows[] = {
	{ "role", "combined", KIND_TEXT, 0, FIELD(struct config, role), .check = check_role },
	{ "licences", "1000", KIND_NUMBER, 0, FIELD(struct config, licences), .min = 1, .max = ACCOUNTS_MAX },
	{ "audit", "/var/log/sekimori/audit.log", KIND_TEXT, 0, FIELD(struct config, audit) },
	{ "audit_size", "8M", KIND_SIZE, 0, FIELD(struct config, audit_size), .min = 64 * KIB, .max = GIB },
	{ "audit_keep", "4", KIND_NUMBER, 0, FIELD(struct config, audit_keep), .min = 0, .max = 1000 },
	{ "forward", "", KIND_TEXT, 0, FIELD(struct config, forward), .check = check_missing },
	{ "listen", "", KIND_TEXT, 0, FIELD(struct config, agents), .check = check_missing },
	{ .key = NULL }
};

enum { NAME_NONE, NAME_MAYBE, NAME_MUST };

static const struct section {
	struct slice title;
	const struct setting_row *rows;	/* NULL: any key ([alias]) */
	uint8_t named;
	unsigned max;			/* how many of them */
	size_t size;			/* of its memory; 0: struct config */
} sections[] = {
	[DRAFT_SERVER] = { SLICE("server"), server_rows, NAME_NONE, 1, 0 },
	[DRAFT_TLS] = { SLICE("tls"), tls_rows, NAME_NONE, 1, 0 },
	[DRAFT_TRUST] = { SLICE("trust"), trust_rows, NAME_NONE, 1, 0 },
	[DRAFT_RETURN] = { SLICE("return"), return_rows, NAME_NONE, 1, 0 },
	[DRAFT_QUEUE] = { SLICE("queue"), queue_rows, NAME_NONE, 1, 0 },
	[DRAFT_LIMITS] = { SLICE("limits"), limits_rows, NAME_NONE, 1, 0 },
	[DRAFT_LOG] = { SLICE("log"), log_rows, NAME_NONE, 1, 0 },
	[DRAFT_MANAGER] = { SLICE("manager"), manager_rows, NAME_NONE, 1, 0 },
	[DRAFT_RELAY] = { SLICE("relay"), relay_rows, NAME_MAYBE, ROUTES_MAX, sizeof(struct draft_relay) },
	[DRAFT_LISTEN] = { SLICE("listen"), listen_rows, NAME_MUST, LISTENERS_MAX, sizeof(struct draft_listen) },
	[DRAFT_DEVICE] = { SLICE("device"), device_rows, NAME_MUST, ACCOUNTS_MAX, sizeof(struct draft_device) },
	[DRAFT_PEER] = { SLICE("peer"), peer_rows, NAME_MUST, NETWORKS_MAX, sizeof(struct trust_peer) },
	[DRAFT_ALIAS] = { SLICE("alias"), NULL, NAME_NONE, 1, 0 },
};
#define SECTIONS (sizeof(sections) / sizeof(sections[0]))

static int find_row(const struct draft_block *b, struct slice key)
{
	const struct setting_row *rows = sections[b->kind].rows;

	for (int i = 0; rows && rows[i].key; i++)
		if (slice_equal(key, slice_of(rows[i].key)))
			return i;
	return -1;
}

bool draft_has(const struct draft_block *b, const char *key)
{
	int row = find_row(b, slice_of(key));

	return row >= 0 && b->lines[row] > 0;
}

unsigned draft_line(const struct draft *d, const struct draft_block *b, const char *key)
{
	int row = b && key ? find_row(b, slice_of(key)) : -1;

	if (row >= 0 && b->lines[row] > 0)
		return b->lines[row];
	if (b && b->line > 0)
		return b->line;
	return d->last_line;
}

struct draft_block *draft_next(const struct draft *d, struct draft_block *b, enum draft_kind kind)
{
	for (b = b ? b->next : d->blocks; b; b = b->next)
		if (b->kind == kind)
			return b;
	return NULL;
}

bool draft_refuse(const struct draft *d, const struct draft_block *b, const char *key, const char *format, ...)
{
	char text[FAULT_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	return fault_at(d->fault, d->path, draft_line(d, b, key), "%s", text);
}

void draft_notice(const struct draft *d, const char *format, ...)
{
	char text[FAULT_MAX];
	va_list arguments;

	if (!d->notice)
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	ascii_tame(text);
	d->notice(d->context, text);
}

static bool is_name(struct slice name)
{
	for (size_t i = 0; i < name.len; i++)
		if (!ascii_is_alnum(name.at[i]) && !(i > 0 && memchr("-_.", name.at[i], 3)))
			return false;
	return name.len > 0 && name.len <= DRAFT_NAME_MAX;
}

static const struct section *find_section(struct slice title)
{
	for (size_t i = 0; i < SECTIONS; i++)
		if (slice_equal(title, sections[i].title))
			return &sections[i];
	return NULL;
}

static bool name_fits(const struct section *s, bool named, struct slice name)
{
	return named ? s->named != NAME_NONE && is_name(name) : s->named != NAME_MUST;
}

/* "relay NAME": its row of the table, and *name. */
static const struct section *read_title(const struct draft *d, const char *text, unsigned line, struct slice *name,
					struct fault *f)
{
	struct slice title = slice_first(slice_of(text), slice_find(slice_of(text), ' '));
	const struct section *s = find_section(title);

	*name = slice_skip(slice_of(text), title.len + 1);
	if (s && name_fits(s, title.len < strlen(text), *name))
		return s;
	if (s && s->named == NAME_MUST)
		fault_at(f, d->path, line, "[%s]: must be [%.*s NAME], a name of letters, digits, - _ .", text,
			 SLICE_ARGS(title));
	else
		fault_at(f, d->path, line, "unknown section [%s]", text);
	return NULL;
}

static unsigned count_of(const struct draft *d, enum draft_kind kind)
{
	unsigned count = 0;

	for (struct draft_block *b = draft_next(d, NULL, kind); b; b = draft_next(d, b, kind))
		count++;
	return count;
}

static struct draft_block *new_block(struct draft *d, const struct section *s, struct fault *f)
{
	struct draft_block *b = calloc(1, sizeof(*b));
	void *memory = s->size ? calloc(1, s->size) : NULL;

	if (!b || (s->size && !memory)) {
		free(b);
		free(memory);
		fault_set(f, STATUS_TEMPORARY, "out of memory");
		return NULL;
	}
	b->kind = (enum draft_kind)(s - sections);
	b->memory = memory;
	*d->blocks_end = b;
	d->blocks_end = &b->next;
	return b;
}

static bool begin_section(struct draft *d, const char *text, unsigned line, struct fault *f)
{
	struct slice name;
	const struct section *s = read_title(d, text, line, &name, f);
	struct draft_block *b;

	d->block = NULL;
	if (!s)
		return false;
	if (s - sections < DRAFT_SINGLES) {
		d->block = &d->singles[s - sections];
		d->block->line = line;
		return true;
	}
	if (count_of(d, (enum draft_kind)(s - sections)) >= s->max)
		return fault_at(f, d->path, line, "[%s]: more than %u sections of this kind", text, s->max);
	b = new_block(d, s, f);
	if (!b)
		return false;
	b->line = line;
	slice_copy(name, b->name, sizeof(b->name));
	d->block = b;
	return !s->rows || setting_defaults(s->rows, b->memory, f);
}

static bool add_alias(struct draft *d, struct slice key, struct slice accounts, unsigned line, struct fault *f)
{
	struct draft_alias *a;

	if (accounts.len == 0)
		return fault_at(f, d->path, line, "%.*s is empty", SLICE_ARGS(key));
	a = malloc(sizeof(*a) + key.len + accounts.len);
	if (!a)
		return fault_set(f, STATUS_TEMPORARY, "out of memory");
	memcpy(a->text, key.at, key.len);
	memcpy(a->text + key.len, accounts.at, accounts.len);
	a->next = NULL;
	a->line = line;
	a->key = slice_bytes(a->text, key.len);
	a->accounts = slice_bytes(a->text + key.len, accounts.len);
	*d->aliases_end = a;
	d->aliases_end = &a->next;
	return true;
}

static bool add_setting(struct draft *d, const char *section, struct slice key, struct slice value, unsigned line,
			struct fault *f)
{
	struct draft_block *b = d->block;
	const struct setting_row *rows;
	int row;

	if (!b)		/* of an unknown section: said once */
		return true;
	rows = sections[b->kind].rows;
	if (!rows)
		return add_alias(d, key, value, line, f);
	row = find_row(b, key);
	if (row < 0)
		return fault_at(f, d->path, line, "unknown key %.*s in [%s]", SLICE_ARGS(key), section);
	b->lines[row] = line;
	return setting_put(&rows[row], b->memory, value, d->path, line, f);
}

/* A fault of one line doesn't keep the next lines from being looked at; the first one is the result. */
static void take_fault(struct draft *d, const struct fault *f)
{
	d->faults++;
	if (d->each)
		d->each(d->context, f);
	if (!fault_is(d->fault))
		*d->fault = *f;
}

static bool take(void *context, const char *section, const char *key, struct slice value, unsigned line,
		 struct fault *f)
{
	struct draft *d = context;
	struct fault own = { .text = "" };
	bool good;

	(void)f;
	d->last_line = line;
	good = key ? add_setting(d, section, slice_of(key), value, line, &own) :
		     begin_section(d, section, line, &own);
	if (!good)
		take_fault(d, &own);
	return true;
}

static void require_keys(struct draft *d, const struct draft_block *b)
{
	const struct section *s = &sections[b->kind];

	for (unsigned i = 0; s->rows && s->rows[i].key; i++) {
		struct fault own = { .text = "" };

		if (!(s->rows[i].flags & SETTING_REQUIRED) || b->lines[i] > 0)
			continue;
		fault_at(&own, d->path, b->line, "[%.*s%s%s] needs %s", SLICE_ARGS(s->title), b->name[0] ? " " : "",
			 b->name, s->rows[i].key);
		take_fault(d, &own);
	}
}

static bool begin_singles(struct draft *d)
{
	for (unsigned i = 0; i < DRAFT_SINGLES; i++) {
		d->singles[i].kind = (enum draft_kind)i;
		d->singles[i].memory = d->config;
		if (!setting_defaults(sections[i].rows, d->config, d->fault))
			return false;
	}
	return true;
}

static bool read_draft(struct draft *d)
{
	struct fault own = { .text = "" };

	if (!begin_singles(d))
		return false;
	if (!ini_read(d->path, take, d, &own))
		take_fault(d, &own);
	for (const struct draft_block *b = d->blocks; b; b = b->next)
		require_keys(d, b);
	d->config->device_count = count_of(d, DRAFT_DEVICE);
	d->config->peer_count = count_of(d, DRAFT_PEER);
	return d->faults == 0;
}

static void free_draft(struct draft *d)
{
	while (d->blocks) {
		struct draft_block *b = d->blocks;

		d->blocks = b->next;
		if (b->memory)
			secret_wipe(b->memory, sections[b->kind].size);
		free(b->memory);
		free(b);
	}
	while (d->aliases) {
		struct draft_alias *a = d->aliases;

		d->aliases = a->next;
		free(a);
	}
}

static struct config *read_into(struct draft *d, const char *path)
{
	struct config *c = calloc(1, sizeof(*c));
	bool good;

	d->config = c;
	d->blocks_end = &d->blocks;
	d->aliases_end = &d->aliases;
	d->last_line = 1;
	if (!c) {
		fault_set(d->fault, STATUS_TEMPORARY, "out of memory");
		return NULL;
	}
	if (!slice_copy(slice_of(path), c->path, sizeof(c->path)))
		good = fault_set(d->fault, STATUS_CONFIG, "%s: the path is too long", path);
	else
		good = (d->path = c->path) && read_draft(d) && draft_assemble(d);
	free_draft(d);
	if (good)
		return c;
	config_free(c);
	return NULL;
}

struct config *config_read(const char *path, bool network, void (*notice)(void *context, const char *text), void *context,
			   struct fault *f)
{
	struct draft d = { .network = network, .accounts = true, .notice = notice, .context = context, .fault = f };

	return read_into(&d, path);
}

struct config *config_check(const char *path, void (*notice)(void *context, const char *text),
			    void (*each)(void *context, const struct fault *f), void *context, struct fault *f)
{
	struct draft d = {
		.network = true, .accounts = true, .notice = notice, .each = each, .context = context, .fault = f
	};
	struct config *c = read_into(&d, path);

	/* Those of single lines have been told of already. */
	if (!c && d.faults == 0)
		each(context, f);
	return c;
}

struct config *config_read_domains(const char *path, struct fault *f)
{
	struct draft d = { .fault = f };

	return read_into(&d, path);
}

static bool find_control(void *context, const char *section, const char *key, struct slice value, unsigned line,
			 struct fault *f)
{
	(void)line, (void)f;
	if (key && !strcmp(section, "server") && !strcmp(key, "control"))
		slice_copy(value, context, CONTROL_PATH_MAX);
	return true;
}

void config_control(const char *path, char out[CONTROL_PATH_MAX])
{
	struct fault ignored = { .text = "" };

	slice_copy(slice_of(CONTROL_DEFAULT), out, CONTROL_PATH_MAX);
	ini_read(path, find_control, out, &ignored);
}

void config_free(struct config *c)
{
	if (!c)
		return;
	tls_context_release(c->ingest.tls);
	for (unsigned i = 0; i < c->relay.route_count; i++)
		tls_context_release(c->relay.routes[i].context);
	if (c->relay.routes)
		secret_wipe(c->relay.routes, c->relay.route_count * sizeof(c->relay.routes[0]));
	free(c->relay.routes);
	trust_free(c->trust);
	secret_wipe(c, sizeof(*c));
	free(c);
}

bool config_unused(const struct config *c)
{
	return c->ingest.users == 0 && c->relay.users == 0;
}
