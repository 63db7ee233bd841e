/* The keys of sekimori.ini, section by section: names, defaults, bounds, and where each value goes. */

#include "base/log.h"
#include "mail/report.h"
#include "manager/draft.h"
#include "net/program.h"
#include "smtp/pop3.h"
#include "smtp/server.h"

#define SECOND	UINT64_C(1000)		/* ms */
#define MINUTE	(60 * SECOND)
#define HOUR	(60 * MINUTE)
#define DAY	(24 * HOUR)
#define KIB	(UINT64_C(1) << 10)	/* octets */
#define MIB	(UINT64_C(1) << 20)
#define GIB	(UINT64_C(1) << 30)

/* Without TLS nothing goes in clear unless the file says so. */
#define TLS_DEFAULT	(CONFIG_TLS ? "starttls" : NULL)
#define TLS_SAID	(CONFIG_TLS ? 0 : SETTING_REQUIRED)
#define LANGUAGE_DEFAULT	(CONFIG_RETURN_JA ? "ja+en" : "en")

/* Where a row's value goes: offset and width. */
#define FIELD(type, member) .at = offsetof(type, member), .size = sizeof(((type *)0)->member)
#define FIELDS(type, member, counter) .at = offsetof(type, member), .size = sizeof(((type *)0)->member[0]), \
	.count_at = offsetof(type, counter), \
	.count_max = sizeof(((type *)0)->member) / sizeof(((type *)0)->member[0])

static const struct setting_word yes_no[] = { { "yes", 1, false }, { "no", 0, false }, { NULL, 0, false } };
static const struct setting_word tls_uses[] = {
	{ "none", TLS_USE_NONE, false }, { "starttls", TLS_USE_STARTTLS, !CONFIG_TLS },
	{ "implicit", TLS_USE_IMPLICIT, !CONFIG_TLS }, { NULL, 0, false }
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
	{ "auto", MECHANISMS_ALL, false }, { "plain", SASL_PLAIN, false },
	{ "login", SASL_LOGIN, false }, { "cram-md5", SASL_CRAM_MD5, false },
	{ "scram-sha-256", SASL_SCRAM_SHA_256, !CONFIG_SCRAM }, { "xoauth2", SASL_XOAUTH2, !CONFIG_XOAUTH2 }, { "none", 0, false }, { NULL, 0, false }
};
static const struct setting_word credentials[] = {
	{ "stored", CREDENTIALS_STORED, false }, { "sender", CREDENTIALS_SENDER, !CONFIG_CREDENTIALS_SENDER },
	{ "client", CREDENTIALS_CLIENT, !CONFIG_CREDENTIALS_CLIENT }, { NULL, 0, false }
};
static const struct setting_word modes[] = {
	{ "queue", PASSAGE_QUEUE, false }, { "direct", PASSAGE_DIRECT, !CONFIG_DIRECT },
	{ "direct-only", PASSAGE_DIRECT_ONLY, !CONFIG_DIRECT }, { NULL, 0, false }
};
static const struct setting_word pops[] = {
	{ "off", POP_OFF, false }, { "agent", POP_AGENT, false }, { "client", POP_CLIENT, false }, { NULL, 0, false }
};
static const struct setting_word pop_auths[] = {
	{ "auto", POP3_AUTO, false }, { "apop", POP3_APOP, false }, { "user", POP3_USER, false }, { NULL, 0, false }
};
static const struct setting_word envelopes[] = {
	{ "auto", RETURN_AUTO, false }, { "null", RETURN_NULL, false }, { "address", RETURN_ADDRESS, false },
	{ NULL, 0, false }
};
static const struct setting_word languages[] = {
	{ "ja", REPORT_JA, !CONFIG_RETURN_JA }, { "en", REPORT_EN, false }, { "ja+en", REPORT_JA | REPORT_EN, !CONFIG_RETURN_JA },
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

static const char *check_command(struct slice text)
{
	const char *wrong = check_print(text);

	return wrong ? wrong : program_check(text);
}

/* The gate works in "/". */
static const char *check_path(struct slice text)
{
	const char *wrong = check_print(text);

	if (wrong || slice_equal(text, SLICE_OF("none")))
		return wrong;
	return text.len > 1 && text.at[0] == '/' && text.at[text.len - 1] != '/' ? NULL : "must be none or the whole path of a file";
}

static const char *check_role(struct slice text)
{
	static const struct { struct slice name; bool built; } roles[] = {
		{ SLICE("combined"), true }, { SLICE("agent"), CONFIG_FORWARD }, { SLICE("manager"), CONFIG_AGENTS },
	};

	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
		if (slice_equal(text, roles[i].name))
			return roles[i].built ? NULL : "is not available in this version: it was built without it";
	return "must be combined | agent | manager";
}

static const struct setting_row server_rows[] = {
	{ "hostname", NULL, KIND_TEXT, 0, FIELD(struct config, ingest.hostname), .check = check_domain },
	{ "domains", NULL, KIND_LIST, 0, FIELDS(struct config, domains, domain_count), .check = check_domain },
	{ "accounts", "/etc/sekimori/accounts", KIND_TEXT, 0, FIELD(struct config, accounts) },
	{ "spool", "/var/spool/sekimori", KIND_TEXT, 0, FIELD(struct config, spool) },
	{ "spool_size", "64M", KIND_SIZE, 0, FIELD(struct config, spool_size), .min = 4 * MIB, .max = 16 * GIB },
	{ "control", CONTROL_DEFAULT, KIND_TEXT, 0, FIELD(struct config, control) },
	{ "local", LOCAL_DEFAULT, KIND_TEXT, SETTING_OF(CONFIG_SENDMAIL), FIELD(struct config, local) },
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
	{ "tls", TLS_DEFAULT, KIND_WORD, TLS_SAID, FIELD(struct draft_listen, listen.tls), .words = tls_uses },
	{ "auth", "required", KIND_WORD, 0, FIELD(struct draft_listen, listen.auth_required), .words = listen_auths },
	{ "plaintext_auth", "127.0.0.0/8, ::1/128", KIND_NETWORKS, 0, FIELD(struct draft_listen, listen.plaintext_auth) },
	{ .key = NULL }
};

static const struct setting_row tls_rows[] = {
	{ "certificate", "/etc/sekimori/cert.pem", KIND_TEXT, SETTING_OF(CONFIG_TLS), FIELD(struct config, certificate) },
	{ "key", "/etc/sekimori/key.pem", KIND_TEXT, SETTING_OF(CONFIG_TLS), FIELD(struct config, key) },
	{ "min_version", "1.2", KIND_WORD, SETTING_OF(CONFIG_TLS), FIELD(struct config, tls_min_13), .words = tls_versions },
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

static const struct setting_row stamp_rows[] = {
	{ "key_file", "", KIND_TEXT, SETTING_OF(CONFIG_STAMP), FIELD(struct config, stamp_keys) },
	{ .key = NULL }
};

static const struct setting_row device_rows[] = {
	{ "ip", NULL, KIND_NETWORKS, SETTING_REQUIRED, FIELD(struct draft_device, device.from), .min = 1 },
	{ "sender", NULL, KIND_TEXT, SETTING_REQUIRED, FIELD(struct draft_device, sender), .check = check_address },
	{ "owner", "", KIND_TEXT, 0, FIELD(struct draft_device, device.owner), .check = check_address },
	{ "recipients", "any", KIND_WORD, 0, FIELD(struct draft_device, device.local_only), .words = recipients },
	{ "rewrite_from", "no", KIND_WORD, 0, FIELD(struct draft_device, device.rewrite_from), .words = yes_no },
	{ .key = NULL }
};

static const struct setting_row local_rows[] = {
	{ "sender", NULL, KIND_TEXT, SETTING_REQUIRED | SETTING_OF(CONFIG_SENDMAIL), FIELD(struct draft_device, sender), .check = check_address },
	{ "owner", "", KIND_TEXT, 0, FIELD(struct draft_device, device.owner), .check = check_address },
	{ "recipients", "any", KIND_WORD, 0, FIELD(struct draft_device, device.local_only), .words = recipients },
	{ "rewrite_from", "yes", KIND_WORD, 0, FIELD(struct draft_device, device.rewrite_from), .words = yes_no },
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
	{ "tls", TLS_DEFAULT, KIND_WORD, TLS_SAID, FIELD(struct draft_relay, route.tls), .words = tls_uses },
	{ "tls_name", "", KIND_TEXT, SETTING_OF(CONFIG_TLS), FIELD(struct draft_relay, route.tls_name), .check = check_host },
	{ "tls_ca", "/etc/ssl/certs/ca-certificates.crt", KIND_TEXT, SETTING_OF(CONFIG_TLS), FIELD(struct draft_relay, ca) },
	{ "tls_pin", "", KIND_TEXT, SETTING_OF(CONFIG_TLS), FIELD(struct draft_relay, pin), .check = check_pin },
	{ "tls_certificate", "", KIND_TEXT, SETTING_OF(CONFIG_TLS), FIELD(struct draft_relay, certificate) },
	{ "tls_key", "", KIND_TEXT, SETTING_OF(CONFIG_TLS), FIELD(struct draft_relay, key) },
	{ "auth", "auto", KIND_WORD, 0, FIELD(struct draft_relay, auth), .words = relay_auths },
	{ "user", NULL, KIND_TEXT, 0, FIELD(struct draft_relay, route.user), .check = check_print },
	{ "password", NULL, KIND_TEXT, SETTING_SECRET, FIELD(struct draft_relay, route.password), .check = check_print },
	{ "password_file", NULL, KIND_TEXT, 0, FIELD(struct draft_relay, password_file) },
	{ "token_command", NULL, KIND_TEXT, SETTING_OF(CONFIG_XOAUTH2), FIELD(struct draft_relay, route.token_command), .check = check_command },
	{ "credentials", "stored", KIND_WORD, 0, FIELD(struct draft_relay, credentials), .words = credentials },
	{ "credentials_file", "/etc/sekimori/upstream", KIND_TEXT, SETTING_OF(CONFIG_CREDENTIALS_SENDER), FIELD(struct draft_relay, credentials_file) },
	{ "timeout", "5m", KIND_TIME, 0, FIELD(struct draft_relay, route.timeout), .min = SECOND, .max = HOUR },
	{ "connections", "4", KIND_NUMBER, 0, FIELD(struct draft_relay, route.connections), .min = 1, .max = 64 },
	{ "messages_per_connection", "0", KIND_NUMBER, 0, FIELD(struct draft_relay, route.messages_per_connection),
	  .min = 0, .max = 100000 },
	{ "rate", "0", KIND_NUMBER, 0, FIELD(struct draft_relay, route.rate), .min = 0, .max = 60000 },
	{ "mode", "queue", KIND_WORD, 0, FIELD(struct draft_relay, route.mode), .words = modes },
	{ "direct_wait", "10s", KIND_TIME, SETTING_OF(CONFIG_DIRECT), FIELD(struct draft_relay, route.direct_wait), .min = SECOND,
	  .max = 5 * MINUTE },
	{ "bind", "", KIND_TEXT, 0, FIELD(struct draft_relay, route.bind), .check = check_local_address },
	{ "pop_before_smtp", "off", KIND_WORD, SETTING_OF(CONFIG_POP_BEFORE_SMTP), FIELD(struct draft_relay, route.pop.use), .words = pops },
	{ "pop_host", "", KIND_TEXT, SETTING_OF(CONFIG_POP_BEFORE_SMTP), FIELD(struct draft_relay, route.pop.host), .check = check_host },
	{ "pop_port", NULL, KIND_NUMBER, SETTING_OF(CONFIG_POP_BEFORE_SMTP), FIELD(struct draft_relay, route.pop.port), .min = 1, .max = 65535 },
	{ "pop_tls", "none", KIND_WORD, SETTING_OF(CONFIG_POP_BEFORE_SMTP), FIELD(struct draft_relay, route.pop.tls), .words = tls_uses },
	{ "pop_tls_name", "", KIND_TEXT, SETTING_OF(CONFIG_POP_BEFORE_SMTP), FIELD(struct draft_relay, route.pop.tls_name), .check = check_host },
	{ "pop_tls_pin", "", KIND_TEXT, SETTING_OF(CONFIG_POP_BEFORE_SMTP), FIELD(struct draft_relay, pop_pin), .check = check_pin },
	{ "pop_auth", "auto", KIND_WORD, SETTING_OF(CONFIG_POP_BEFORE_SMTP), FIELD(struct draft_relay, route.pop.login), .words = pop_auths },
	{ "pop_user", "", KIND_TEXT, SETTING_OF(CONFIG_POP_BEFORE_SMTP), FIELD(struct draft_relay, route.pop.user), .check = check_print },
	{ "pop_password_file", "", KIND_TEXT, SETTING_OF(CONFIG_POP_BEFORE_SMTP), FIELD(struct draft_relay, pop_password_file) },
	{ "pop_window", "600s", KIND_TIME, SETTING_OF(CONFIG_POP_BEFORE_SMTP), FIELD(struct draft_relay, route.pop.window), .min = 10 * SECOND, .max = DAY },
	{ "pop_wait", "1s", KIND_TIME, SETTING_OF(CONFIG_POP_BEFORE_SMTP), FIELD(struct draft_relay, route.pop.wait), .min = 0, .max = 10 * SECOND },
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
	{ "delay_notice", "0", KIND_TIME, 0, FIELD(struct config, relay.delay_notice), .min = 0, .max = 30 * DAY },
	{ "language", LANGUAGE_DEFAULT, KIND_WORD, 0, FIELD(struct config, relay.return_languages), .words = languages },
	{ .key = NULL }
};

static const struct setting_row queue_rows[] = {
	{ "retry", "1m, 5m, 15m, 30m, 1h", KIND_TIMES, 0, FIELDS(struct config, relay.retry, relay.retry_count),
	  .min = SECOND, .max = DAY },
	{ "expire", "2d", KIND_TIME, 0, FIELD(struct config, relay.expire), .min = SECOND, .max = 30 * DAY },
	{ "alarm_age", "4h", KIND_TIME, 0, FIELD(struct config, alarm_age), .min = 0, .max = 30 * DAY },
	{ .key = NULL }
};

static const struct setting_row limits_rows[] = {
	{ "sessions_per_client", "20", KIND_NUMBER, 0, FIELD(struct config, ingest.sessions_per_client), .min = 1,
	  .max = 10000 },
	{ "auth_failures", "3", KIND_NUMBER, 0, FIELD(struct config, ingest.auth_failures), .min = 1, .max = 20 },
	{ "lockout_after", "5", KIND_NUMBER, SETTING_OF(CONFIG_LOCKOUT), FIELD(struct config, ingest.lockout.after), .min = 1,
	  .max = LOCKOUT_AFTER_MAX },
	{ "lockout_window", "10m", KIND_TIME, SETTING_OF(CONFIG_LOCKOUT), FIELD(struct config, ingest.lockout.window), .min = SECOND,
	  .max = 7 * DAY },
	{ "lockout_time", "30m", KIND_TIME, SETTING_OF(CONFIG_LOCKOUT), FIELD(struct config, ingest.lockout.time), .min = SECOND, .max = 7 * DAY },
	{ "lockout_allow", "127.0.0.0/8, ::1/128", KIND_NETWORKS, SETTING_OF(CONFIG_LOCKOUT), FIELD(struct config, ingest.lockout.allow) },
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
	{ "stats_interval", "1h", KIND_TIME, 0, FIELD(struct config, stats_interval), .min = 0, .max = 30 * DAY },
	{ .key = NULL }
};

static const struct setting_row manager_rows[] = {
	{ "role", "combined", KIND_TEXT, 0, FIELD(struct config, role), .check = check_role },
	{ "licences", "1000", KIND_NUMBER, 0, FIELD(struct config, licences), .min = 1, .max = LICENCES_MAX },
	{ "audit", "/var/log/sekimori/audit.log", KIND_TEXT, SETTING_OF(CONFIG_AUDIT), FIELD(struct config, audit),
	  .check = check_path },
	{ "audit_size", "8M", KIND_SIZE, SETTING_OF(CONFIG_AUDIT), FIELD(struct config, audit_size), .min = 64 * KIB, .max = GIB },
	{ "audit_keep", "4", KIND_NUMBER, SETTING_OF(CONFIG_AUDIT), FIELD(struct config, audit_keep), .min = 0, .max = 1000 },
	{ "alarm_to", "", KIND_TEXT, SETTING_OF(CONFIG_ALARM_MAIL), FIELD(struct config, alarm_to), .check = check_address },
	{ "forward", "", KIND_TEXT, SETTING_OF(CONFIG_FORWARD), FIELD(struct config, forward_to), .check = check_print },
	{ "forward_ack", "yes", KIND_WORD, SETTING_OF(CONFIG_FORWARD), FIELD(struct config, forward.acknowledged), .words = yes_no },
	{ "forward_name", "", KIND_TEXT, SETTING_OF(CONFIG_FORWARD), FIELD(struct config, forward.tls_name), .check = check_host },
	{ "forward_ca", "/etc/ssl/certs/ca-certificates.crt", KIND_TEXT, SETTING_OF(CONFIG_FORWARD), FIELD(struct config, forward_ca) },
	{ "forward_pin", "", KIND_TEXT, SETTING_OF(CONFIG_FORWARD), FIELD(struct config, forward_pin), .check = check_pin },
	{ "forward_certificate", "", KIND_TEXT, SETTING_OF(CONFIG_FORWARD), FIELD(struct config, forward_certificate) },
	{ "forward_key", "", KIND_TEXT, SETTING_OF(CONFIG_FORWARD), FIELD(struct config, forward_key) },
	{ "listen", "", KIND_ENDPOINTS, SETTING_OF(CONFIG_AGENTS), FIELDS(struct config, listen_tls, listen_tls_count) },
	{ "listen_tcp", "", KIND_ENDPOINTS, SETTING_OF(CONFIG_AGENTS), FIELDS(struct config, listen_tcp, listen_tcp_count) },
	{ "listen_ca", "", KIND_TEXT, SETTING_OF(CONFIG_AGENTS), FIELD(struct config, listen_ca) },
	{ .key = NULL }
};

static const struct setting_row agent_rows[] = {
	{ "tls_name", "", KIND_TEXT, SETTING_OF(CONFIG_AGENTS), FIELD(struct draft_agent, rule.tls_name), .check = check_domain },
	{ "tls_pin", "", KIND_TEXT, SETTING_OF(CONFIG_AGENTS), FIELD(struct draft_agent, pin), .check = check_pin },
	{ "ip", NULL, KIND_NETWORKS, SETTING_OF(CONFIG_AGENTS), FIELD(struct draft_agent, rule.from), .min = 1 },
	{ .key = NULL }
};

const struct draft_section draft_sections[DRAFT_KINDS] = {
	[DRAFT_SERVER] = { SLICE("server"), server_rows, NAME_NONE, 1, 0 },
	[DRAFT_TLS] = { SLICE("tls"), tls_rows, NAME_NONE, 1, 0 },
	[DRAFT_TRUST] = { SLICE("trust"), trust_rows, NAME_NONE, 1, 0 },
	[DRAFT_STAMP] = { SLICE("stamp"), stamp_rows, NAME_NONE, 1, 0 },
	[DRAFT_RETURN] = { SLICE("return"), return_rows, NAME_NONE, 1, 0 },
	[DRAFT_QUEUE] = { SLICE("queue"), queue_rows, NAME_NONE, 1, 0 },
	[DRAFT_LIMITS] = { SLICE("limits"), limits_rows, NAME_NONE, 1, 0 },
	[DRAFT_LOG] = { SLICE("log"), log_rows, NAME_NONE, 1, 0 },
	[DRAFT_MANAGER] = { SLICE("manager"), manager_rows, NAME_NONE, 1, 0 },
	[DRAFT_RELAY] = { SLICE("relay"), relay_rows, NAME_MAYBE, ROUTES_MAX, sizeof(struct draft_relay) },
	[DRAFT_LISTEN] = { SLICE("listen"), listen_rows, NAME_MUST, LISTENERS_MAX, sizeof(struct draft_listen) },
	[DRAFT_DEVICE] = { SLICE("device"), device_rows, NAME_MUST, ACCOUNTS_MAX, sizeof(struct draft_device) },
	[DRAFT_LOCAL] = { SLICE("local"), local_rows, NAME_MAYBE, 64, sizeof(struct draft_device) },
	[DRAFT_PEER] = { SLICE("peer"), peer_rows, NAME_MUST, NETWORKS_MAX, sizeof(struct trust_peer) },
	[DRAFT_AGENT] = { SLICE("agent"), agent_rows, NAME_MUST, AGENTS_MAX, sizeof(struct draft_agent) },
	[DRAFT_ALIAS] = { SLICE("alias"), NULL, NAME_NONE, 1, 0 },
};
