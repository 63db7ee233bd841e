#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "feature.h"
#include "base/buffer.h"
#include "mail/report.h"
#include "manager/config.h"
#include "relay/login.h"
#include "manager_common.h"
#include "net/tls.h"
#include "smtp/server.h"
#include "trust/accounts.h"

struct heard {
	char memory[4096];
	struct buffer text;
};

static void hear(void *context, const char *text)
{
	struct heard *h = context;

	buffer_putf(&h->text, "%s\n", text);
}

static void hear_fault(void *context, const struct fault *f)
{
	hear(context, f->text);
}

static struct heard heard;

static struct config *read_config(bool network, struct fault *f)
{
	struct config *c;

	*f = (struct fault){ .text = "" };
	memset(heard.memory, 0, sizeof(heard.memory));
	buffer_init(&heard.text, heard.memory, sizeof(heard.memory) - 1);
	c = config_read("s.ini", network, hear, &heard, f);
	assert_int_equal(c == NULL, fault_is(f));
	return c;
}

/* The good file with one line changed is refused with this fault. */
static void expect_fault(unsigned line, const char *text, const char *fault)
{
	struct fault f;

	assert_int_equal(write_config("s.ini", line, text), 0);
	assert_null(read_config(true, &f));
	assert_string_equal(f.text, fault);
	assert_int_equal(f.status, STATUS_CONFIG);
}

static struct config *expect_good(unsigned line, const char *text)
{
	struct config *c;
	struct fault f;

	assert_int_equal(write_config("s.ini", line, text), 0);
	c = read_config(true, &f);
	assert_string_equal(f.text, "");
	return c;
}

static void test_good(void **state)
{
	struct config *c = expect_good(0, NULL);
	const struct relay_route *r;

	(void)state;
	assert_string_equal(c->path, "s.ini");
	assert_string_equal(c->ingest.hostname, "mail.test-sample.jp");
	assert_string_equal(c->relay.hostname, "mail.test-sample.jp");
	assert_int_equal(c->ingest.max_sessions, 10);
	assert_int_equal(c->ingest.listen_count, 2);
	assert_string_equal(c->ingest.listen[1].name, "main");
	assert_int_equal(c->ingest.listen[1].address.ss_family, AF_INET6);
	assert_int_equal(c->ingest.listen[0].tls, TLS_USE_NONE);
	assert_true(c->ingest.listen[0].auth_required);
	assert_int_equal(c->ingest.listen[0].plaintext_auth.count, 2);
	assert_null(c->ingest.tls);
	assert_ptr_equal(c->ingest.trust, c->trust);
	assert_int_equal(trust_policy(c->trust)->level, LEVEL_FROM);
	assert_int_equal(accounts_count(c->trust), 3);
	assert_int_equal(c->relay.route_count, 1);
	r = &c->relay.routes[0];
	assert_int_equal(r->line, 19);
	assert_int_equal(r->host_count, 2);
	assert_string_equal(r->host[1], "::1");
	assert_int_equal(r->port, 2526);
	assert_int_equal(r->mechanisms, SASL_PLAIN | SASL_LOGIN | SASL_CRAM_MD5 | (CONFIG_SCRAM ? SASL_SCRAM_SHA_256 : 0));
	assert_string_equal(r->user, "office");
	assert_string_equal(r->password, "geheim");
	assert_int_equal(c->relay.retry_count, 2);
	assert_int_equal(c->relay.retry[1], 300000);
	assert_string_equal(c->relay.return_from, "postmaster@test-sample.jp");
	assert_string_equal(c->role, "combined");
	assert_string_equal(heard.memory,
			    "accounts:3: user2@test-sample.jp has level auth=envelope, lower than everybody's auth=envelope=from\n");
	assert_true(config_unused(c));
	c->relay.users = 1;
	assert_false(config_unused(c));
	config_free(c);
	config_free(NULL);
}

/* What is not said is the login, the host and the file of SMTP, and the port goes by TLS. */
static void test_pop(void **state)
{
	struct config *c = expect_good(20, "host = 127.0.0.1\npop_before_smtp = agent");
	const struct relay_route *r = &c->relay.routes[0];

	(void)state;
	assert_int_equal(r->pop.use, POP_AGENT);
	assert_string_equal(r->pop.host, "127.0.0.1");
	assert_int_equal(r->pop.port, 110);
	assert_string_equal(r->pop.user, "office");
	assert_string_equal(r->pop.password, "geheim");
	assert_int_equal(r->pop.window, 600000);
	assert_int_equal(r->pop.wait, 1000);
	assert_true(r->mechanisms != 0 && r->login_optional);
	config_free(c);
	c = expect_good(20, "host = 127.0.0.1\npop_before_smtp = agent\nauth = none\npop_user = other\npop_host = 127.0.0.2");
	r = &c->relay.routes[0];
	assert_string_equal(r->pop.user, "other");
	assert_string_equal(r->pop.password, "geheim");
	assert_int_equal(r->mechanisms, 0);
	config_free(c);
	c = expect_good(20, "host = 127.0.0.1\npop_before_smtp = agent\nauth = plain\npop_port = 1110");
	assert_false(c->relay.routes[0].login_optional);
	assert_int_equal(c->relay.routes[0].pop.port, 1110);
	config_free(c);
	c = expect_good(20, "host = 127.0.0.1\npop_before_smtp = client");
	assert_int_equal(c->relay.routes[0].pop.use, POP_CLIENT);
	assert_false(c->relay.routes[0].login_optional);
	config_free(c);
}

static void test_defaults(void **state)
{
	struct config *c = expect_good(6, "");

	(void)state;
	assert_string_equal(c->control, "/run/sekimori.sock");
	assert_string_equal(c->user, "sekimori");
	assert_string_equal(c->certificate, "/etc/sekimori/cert.pem");
	assert_int_equal(c->spool_size, 64 << 20);
	assert_int_equal(c->ingest.max_sessions, 200);
	assert_int_equal(c->ingest.max_message_size, 30 << 20);
	assert_int_equal(c->ingest.max_recipients, 100);
	assert_int_equal(c->ingest.max_header, 64 << 10);
	assert_true(c->ingest.enhanced_codes);
	assert_int_equal(c->ingest.sessions_per_client, 20);
	assert_int_equal(c->ingest.auth_failures, 3);
	assert_int_equal(c->ingest.command_timeout, 300000);
	assert_int_equal(c->ingest.data_min_rate, 100);
	assert_int_equal(c->ingest.received_max, 25);
	assert_int_equal(c->ingest.lockout.after, 5);
	assert_int_equal(c->ingest.lockout.window, 600000);
	assert_int_equal(c->ingest.lockout.time, 1800000);
	assert_int_equal(c->ingest.lockout.allow.count, 2);
	assert_int_equal(c->ingest.lockout.allow.at[0].prefix, 8);
	assert_int_equal(c->relay.expire, 172800000);
	assert_int_equal(c->relay.return_envelope, RETURN_AUTO);
	assert_int_equal(c->relay.return_languages, CONFIG_RETURN_JA ? REPORT_JA | REPORT_EN : REPORT_EN);
	assert_int_equal(c->relay.routes[0].connections, 4);
	assert_int_equal(c->log_facility, 2);
	assert_int_equal(c->log_severity, 6);
	assert_int_equal(c->licences, 1000);
	assert_string_equal(c->audit, "/var/log/sekimori/audit.log");
	assert_int_equal(c->audit_size, 8 << 20);
	assert_int_equal(c->audit_keep, 4);
	assert_false(c->tls_min_13);
	config_free(c);
}

static const struct {
	unsigned line;
	const char *text, *fault;
} bad_rows[] = {
	{ 1, "[sever]", "s.ini:1: unknown section [sever]" },
	{ 1, "[server x]", "s.ini:1: unknown section [server x]" },
	{ 2, "hostnam = a", "s.ini:2: unknown key hostnam in [server]" },
	{ 2, "Hostname = a", "s.ini:2: unknown key Hostname in [server]" },
	{ 2, "hostname = a_b", "s.ini:2: hostname = a_b: not a domain name" },
	{ 2, "hostname =", "s.ini:2: hostname is empty" },
	{ 3, "domains = a.jp,, b.jp", "s.ini:3: domains = a.jp,, b.jp: an element between the commas is empty" },
	{ 3, "domains = test-sample.jp, Test-Sample.JP", "s.ini:3: domain given twice: Test-Sample.JP" },
	{ 3, "domains = test-sample.jp.", "s.ini:3: domains = test-sample.jp.: not a domain name" },
	{ 4, "accounts = nowhere", "s.ini:4: nowhere does not exist: sekimori passwd ADDRESS makes it" },
	{ 6, "max_sessions = 0", "s.ini:6: max_sessions = 0: must be 1 to 10000" },
	{ 6, "max_sessions = 10001", "s.ini:6: max_sessions = 10001: must be 1 to 10000" },
	{ 6, "max_sessions = -1", "s.ini:6: max_sessions = -1: must be 1 to 10000" },
	{ 6, "max_sessions = 0x10", "s.ini:6: max_sessions = 0x10: must be 1 to 10000" },
	{ 6, "max_sessions = 18446744073709551617", "s.ini:6: max_sessions = 18446744073709551617: must be 1 to 10000" },
	{ 6, "spool_size = 64", "s.ini:6: spool_size = 64: must be 4M to 16G" },
	{ 6, "spool_size = 64MB",
	  "s.ini:6: spool_size = 64MB: a size is a number, or a number with K, M or G behind it" },
	{ 6, "spool_size = M", "s.ini:6: spool_size = M: a size is a number, or a number with K, M or G behind it" },
	{ 6, "spool_size = 18446744073709551615G", "s.ini:6: spool_size = 18446744073709551615G: must be 4M to 16G" },
	/* 2^64 + 2^30 octets. */
	{ 6, "spool_size = 17179869185G", "s.ini:6: spool_size = 17179869185G: must be 4M to 16G" },
	{ 6, "max_message_size = 65M",
	  "s.ini:6: max_message_size is larger than spool_size: no such message could ever be kept" },
	{ 6, "enhanced_codes = maybe", "s.ini:6: enhanced_codes = maybe: must be yes | no" },
	{ 6, "enhanced_codes = YES", "s.ini:6: enhanced_codes = YES: must be yes | no" },
	{ 6, "user = a b", "s.ini:6: user = a b: not a user's name" },
	{ 6, "control = /01234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456",
	  "s.ini:6: control = /01234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456: too long" },
	{ 7, "[listen]", "s.ini:7: [listen]: must be [listen NAME], a name of letters, digits, - _ ." },
	{ 7, "[listen  x]", "s.ini:7: [listen  x]: must be [listen NAME], a name of letters, digits, - _ ." },
	{ 7, "[listen a/b]", "s.ini:7: [listen a/b]: must be [listen NAME], a name of letters, digits, - _ ." },
	{ 8, "address = 127.0.0.1", "s.ini:8: address = 127.0.0.1: must be like 192.0.2.1:587 or [::1]:587, separated by commas" },
	{ 8, "address = localhost:25",
	  "s.ini:8: address = localhost:25: must be like 192.0.2.1:587 or [::1]:587, separated by commas" },
	{ 8, "address = 127.0.0.1:25, 127.0.0.1:25", "s.ini:8: [listen main] has an address of [listen main], or one twice" },
	{ 8, "plaintext_auth = none", "s.ini:7: [listen main] needs address" },
	{ 9, "tls = starttls",
	  "s.ini:9: [listen main] speaks TLS, but there is no certificate: write certificate and key in [tls], or tls = none here" },
	{ 9, "tls = NONE", "s.ini:9: tls = NONE: must be none | starttls | implicit" },
	{ 9, "tls = none\nplaintext_auth = 10.0.0.1/8",
	  "s.ini:10: plaintext_auth = 10.0.0.1/8: must be addresses or networks like 192.168.0.0/24 (host bits zero), separated by commas" },
	{ 10, "[tls]\nmin_version = 1.1\n[trust]", "s.ini:11: min_version = 1.1: must be 1.2 | 1.3" },
	{ 11, "level = 4", "s.ini:11: level = 4: must be auth | auth=envelope | auth=envelope=from, or 1 | 2 | 3" },
	{ 11, "level = auth=from", "s.ini:11: level = auth=from: must be auth | auth=envelope | auth=envelope=from, or 1 | 2 | 3" },
	{ 11, "subaddress = .", "s.ini:11: subaddress = .: must be none | + | -" },
	{ 11, "action = drop", "s.ini:11: action = drop: must be refuse | log | tag" },
	{ 13, "info@test-sample.jp =", "s.ini:13: info@test-sample.jp is empty" },
	{ 13, "info@test-sample.jp = nobody@test-sample.jp",
	  "s.ini:13: alias info@test-sample.jp: nobody@test-sample.jp is no account" },
	{ 13, "user2@test-sample.jp = user1@test-sample.jp",
	  "s.ini:13: alias user2@test-sample.jp is the address of an account" },
	{ 14, "[device]", "s.ini:14: [device]: must be [device NAME], a name of letters, digits, - _ ." },
	{ 15, "ip = none",
	  "s.ini:15: ip = none: at least one address is needed" },
	{ 15, "", "s.ini:14: [device mfp1] needs ip" },
	{ 16, "", "s.ini:14: [device mfp1] needs sender" },
	{ 16, "sender = mfp1", "s.ini:16: sender = mfp1: not a mail address" },
	{ 16, "sender = mfp1@test-sample.jp\nrewrite_from = maybe", "s.ini:17: rewrite_from = maybe: must be yes | no" },
	{ 16, "sender = mfp1@test-sample.jp\nrecipients = none", "s.ini:17: recipients = none: must be any | local" },
	{ 16, "sender = user1@test-sample.jp",
	  "s.ini:16: [device mfp1] sender user1@test-sample.jp is an account with a password" },
	{ 19, "[relay x]", "s.ini:30: no next hop: write [relay] and below it host = …" },
	{ 19, "[relay]\ndomains = a.jp", "s.ini:20: [relay] is for all other mail: domains and senders belong into a [relay NAME]" },
	{ 20, "host = 192.168.0.999", "s.ini:20: host = 192.168.0.999: neither a host's name nor its address" },
	{ 20, "host = a b", "s.ini:20: host = a b: not a domain name" },
	{ 20, "host = a, b, c, d, e", "s.ini:20: host = a, b, c, d, e: too many elements" },
	{ 20, "", "s.ini:19: [relay] needs host" },
	{ 21, "port = 65536", "s.ini:21: port = 65536: must be 1 to 65535" },
	{ 21, "port = 2525", "s.ini:20: 127.0.0.1 port 2525 is a listener of our own: mail would go round for ever" },
	{ 22, "tls = none\ntls_name = a.jp", "s.ini:23: tls_name has no effect with tls = none" },
	{ 22, "tls_ca = nowhere", "s.ini:22: nowhere: No such file or directory" },
	{ 22, "tls_pin = 0123", "s.ini:22: tls_pin = 0123: must be 64 hex digits" },
	{ 22, "tls = none\ntls_key = a.key", "s.ini:23: tls_key has no effect with tls = none" },
	{ 22, "tls = none\ntls_certificate = a.pem", "s.ini:23: tls_certificate has no effect with tls = none" },
	{ 22, "tls_key = secret", "s.ini:22: tls_certificate and tls_key go together" },
	{ 22, "tls_certificate = a.pem", "s.ini:22: tls_certificate and tls_key go together" },
	{ 22, "tls_certificate = nowhere.pem\ntls_key = nowhere.key", "s.ini:22: nowhere.pem: No such file or directory" },
	{ 22, "tls_certificate = s.ini\ntls_key = s.ini", "s.ini:23: s.ini is open to others: chmod 640 s.ini" },
	{ 22, "bind = eth0", "s.ini:22: bind = eth0: not a numeric address" },
	{ 22, "credentials = sender", "s.ini:22: /etc/sekimori/upstream: No such file or directory" },
	{ 22, "credentials = sender\nauth = none", "s.ini:23: auth = none, yet there is a user" },
	{ 22, "credentials = client\nauth = none", "s.ini:23: auth = none, yet there is a user" },
	{ 22, "credentials = client\npop_before_smtp = agent",
	  "s.ini:22: credentials = client and pop_before_smtp = agent don't go together" },
	{ 20, "host = 127.0.0.1, 192.0.2.1\ncredentials = client", "s.ini:21: credentials = client with tls = none would send the users' passwords in clear" },
	{ 22, "pop_before_smtp = both", "s.ini:22: pop_before_smtp = both: must be off | agent | client" },
	{ 22, "pop_user = x", "s.ini:22: pop_user has no effect without pop_before_smtp = agent" },
	{ 22, "pop_before_smtp = client\npop_host = pop.example.net",
	  "s.ini:23: pop_host has no effect without pop_before_smtp = agent" },
	{ 22, "pop_before_smtp = agent\npop_password_file = nowhere", "s.ini:23: nowhere: No such file or directory" },
	{ 22, "pop_before_smtp = agent\npop_tls_name = a.example", "s.ini:23: pop_tls_name has no effect with pop_tls = none" },
	{ 22, "pop_before_smtp = agent\npop_tls_pin = 01:23", "s.ini:23: pop_tls_pin = 01:23: must be 64 hex digits" },
	{ 22, "pop_before_smtp = agent\npop_tls = starttls\npop_auth = apop",
	  "s.ini:24: pop_auth = apop can't go with pop_tls = starttls: its timestamp comes before TLS, and counts for nothing then" },
	{ 22, "pop_before_smtp = agent\npop_window = 10s\npop_wait = 8s", "s.ini:24: pop_wait must be less than 0.8 of pop_window" },
	{ 22, "pop_before_smtp = agent\nbind = 192.0.2.1\npop_host = ::1",
	  "s.ini:23: bind and pop_host are of different address families" },
	{ 22, "pop_before_smtp = agent\npop_port = 0", "s.ini:23: pop_port = 0: must be 1 to 65535" },
	{ 22, "pop_window = 600", "s.ini:22: pop_window = 600: a time is a number with s, m, h or d behind it" },
	{ 22, "pop_wait = 11s", "s.ini:22: pop_wait = 11s: must be 0 to 10s" },
	{ 22, "auth = none", "s.ini:22: auth = none, yet there is a user" },
	{ 22, "auth = digest-md5", "s.ini:22: auth = digest-md5: must be auto | plain | login | cram-md5 | scram-sha-256 | xoauth2 | none" },
	{ 22, "connections = 65", "s.ini:22: connections = 65: must be 1 to 64" },
	{ 23, "", "s.ini:24: a password without user" },
	{ 23, "user =", "s.ini:23: user is empty" },
	{ 24, "", "s.ini:23: user without a password: write password_file = …" },
	{ 24, "password_file = nowhere", "s.ini:24: nowhere: No such file or directory" },
	{ 24, "password_file = /", "s.ini:24: /: must be a file of one line, at most 255 octets" },
	{ 24, "password = geheim", "s.ini:24: a password in a file that is open to others: chmod 640 s.ini, or use password_file" },
	{ 24, "password_file = secret\npassword = geheim", "s.ini:25: password and password_file: only one of them" },
	{ 24, "password = ge ;heim",
	  "s.ini:24: ` ;` would cut the password and begin a comment: use password_file, or move the comment" },
	{ 26, "", "s.ini:25: where a relay logs in, return mail needs an address that exists: write from = … in [return]" },
	{ 26, "from = postmaster", "s.ini:26: from = postmaster: not a mail address" },
	{ 26, "envelope = none", "s.ini:26: envelope = none: must be auto | null | address" },
	{ 28, "retry = 1m, 5", "s.ini:28: retry = 1m, 5: a time is a number with s, m, h or d behind it" },
	{ 28, "retry = 1m,", "s.ini:28: retry = 1m,: an element between the commas is empty" },
	{ 28, "retry = 1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s",
	  "s.ini:28: retry = 1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s: too many elements" },
	{ 28, "expire = 31d", "s.ini:28: expire = 31d: must be 1s to 30d" },
	{ 28, "[limits]\nlockout_after = 0", "s.ini:29: lockout_after = 0: must be 1 to 20" },
	{ 28, "[limits]\nlockout_after = 21", "s.ini:29: lockout_after = 21: must be 1 to 20" },
	{ 28, "[limits]\nlockout_allow = 10.0.0.1/8",
	  "s.ini:29: lockout_allow = 10.0.0.1/8: must be addresses or networks like 192.168.0.0/24 (host bits zero), separated by commas" },
	{ 28, "[limits]\nreceived_max = many", "s.ini:29: received_max = many: must be 1 to 1000" },
	{ 28, "[log]\nlevel = warn", "s.ini:29: level = warn: must be err | warning | notice | info | debug" },
	{ 28, "[log]\nfacility = post",
	  "s.ini:29: facility = post: must be mail, daemon, user, auth, local0 to local7 or another facility of syslog(3)" },
	{ 30, "role = agent", "s.ini:30: role = agent needs forward = tls://… in [manager]" },
	{ 30, "role = agent\nforward = m.example", "s.ini:31: forward = m.example: must be tls://HOST:PORT or tcp://HOST:PORT" },
	{ 30, "role = agent\nforward = udp://m.example:514", "s.ini:31: forward = udp://m.example:514: must be tls://HOST:PORT or tcp://HOST:PORT" },
	{ 30, "role = agent\nforward = tcp://m.example:0", "s.ini:31: forward = tcp://m.example:0: must be tls://HOST:PORT or tcp://HOST:PORT" },
	{ 30, "role = agent\nforward = tcp://::1:601", "s.ini:31: forward = tcp://::1:601: must be tls://HOST:PORT or tcp://HOST:PORT" },
	{ 30, "role = agent\nforward = tcp://m.example:601\nforward_ca = /ca.pem", "s.ini:32: forward_ca has no effect with tcp://" },
	{ 30, "role = agent\nforward = tcp://m.example:601\naudit = none",
	  "s.ini:32: an agent keeps in its audit file what the manager hasn't got yet: audit can't be none" },
	{ 30, "role = agent\nforward = tls://m.example:6514\nforward_key = /key.pem",
	  "s.ini:32: forward_certificate and forward_key go together" },
	{ 30, "role = manager\nlisten_tcp = 127.0.0.1:601",
	  "s.ini:7: [listen] has no effect with [manager] role = manager, which passes no mail" },
	{ 30, "role = boss", "s.ini:30: role = boss: must be combined | agent | manager" },
	{ 30, "forward = tls://m.example:6514", "s.ini:30: forward has no effect without role = agent" },
	{ 30, "listen = 0.0.0.0:6514", "s.ini:30: listen has no effect without role = manager" },
	{ 30, "[agent x]\nip = 127.0.0.1", "s.ini:30: [agent] has no effect without [manager] role = manager" },
	{ 30, "role = combined\nrole = combined", "s.ini:31: role stands a second time in [manager]" },
	{ 30, "[relay default]\nhost = a.jp\ndomains = b.jp",
	  "s.ini:30: [relay default]: the default next hop is [relay], without a name" },
	{ 30, "[relay x]\nhost = a.jp\ntls = none", "s.ini:30: [relay x] needs domains or senders: whose mail goes there?" },
	{ 30, "[listen second]\naddress = [::1]:2525\ntls = none",
	  "s.ini:31: [listen second] has an address of [listen main], or one twice" },
	{ 18, "ip = 0.0.0.0/0", NULL },
};

/* A whole file. */
static struct config *read_text(const char *text, struct fault *f)
{
	FILE *file = fopen("s.ini", "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	fclose(file);
	assert_int_equal(chmod("s.ini", 0600), 0);
	return read_config(true, f);
}

#define MANAGER "[server]\nhostname = m.example\n[manager]\nrole = manager\n"
#define PIN "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF"

static void test_manager(void **state)
{
	static const struct { const char *text, *fault; } rows[] = {
		{ MANAGER, "s.ini:4: role = manager needs listen = ADDRESS:PORT in [manager]" },
		{ MANAGER "listen_tcp = 127.0.0.1:601\n[agent a]\n", "s.ini:6: [agent a] needs tls_pin or tls_name, or in clear ip" },
		{ MANAGER "listen_tcp = 127.0.0.1:601\n[agent]\nip = 127.0.0.1\n", "s.ini:6: [agent]: must be [agent NAME], a name of letters, digits, - _ ." },
		{ MANAGER "listen_tcp = 127.0.0.1:601\n[agent a]\nip = none\n", "s.ini:7: ip = none: at least one address is needed" },
		{ MANAGER "listen_tcp = 127.0.0.1:601\n[agent a]\nip = 127.0.0.1\n[agent a]\nip = 127.0.0.2\n", "s.ini:8: [agent a] stands here a second time" },
		{ MANAGER "listen_tcp = 127.0.0.1:601\n[agent a]\ntls_pin = " PIN "\n", "s.ini:6: [agent a] has a certificate, but there is no listen" },
		{ MANAGER "listen = 127.0.0.1:6514\n[agent a]\nip = 127.0.0.1\n", "s.ini:6: [agent a] has only an address, but there is no listen_tcp" },
		{ MANAGER "listen = 127.0.0.1:6514\n[agent a]\ntls_name = a.example\n",
		  "s.ini:7: tls_name needs listen_ca in [manager]: whose certificates are to be believed?" },
		{ MANAGER "listen = 127.0.0.1:6514\nlisten_ca = /ca.pem\n[agent a]\ntls_name = a.example\ntls_pin = " PIN "\n",
		  "s.ini:9: tls_pin and tls_name: only one of them" },
		{ MANAGER "listen_tcp = 127.0.0.1:601\naudit = none\n", "s.ini:6: a manager's records go into the audit file: audit can't be none" },
		{ MANAGER "listen_tcp = 127.0.0.1:601\n[relay]\nhost = a.jp\ntls = none\n",
		  "s.ini:6: [relay] has no effect with [manager] role = manager, which passes no mail" },
	};
	struct config *c;
	struct fault f;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_null(read_text(rows[i].text, &f));
		assert_string_equal(f.text, rows[i].fault);
	}
	c = read_text(MANAGER "listen_tcp = 127.0.0.1:601, [::1]:601\n[agent a]\nip = 127.0.0.0/8, ::1\n[agent b]\nip = 192.0.2.1\n", &f);
	assert_string_equal(f.text, "");
	assert_int_equal(c->agents.listen_count, 2);
	assert_int_equal(c->agents.rule_count, 2);
	assert_string_equal(c->agents.rules[1].name, "b");
	assert_int_equal(c->agents.rules[0].from.count, 2);
	assert_int_equal(c->ingest.listen_count + c->relay.route_count, 0);
	config_free(c);
	c = expect_good(30, "role = agent\nforward = tcp://[::1]:601\nforward_ack = no");
	assert_string_equal(c->forward.host, "::1");
	assert_int_equal(c->forward.port, 601);
	assert_false(c->forward.acknowledged);
	assert_string_equal(c->forward.hostname, "mail.test-sample.jp");
	config_free(c);
}

/* A board that has left something out refuses it as such, and offers less. */
static void expect_some_fault(unsigned line, const char *text, const char *fault)
{
	const char *offer = strstr(fault, "must be ");
	struct fault f;

	assert_int_equal(write_config("s.ini", line, text), 0);
	assert_null(read_config(true, &f));
	if (!strstr(f.text, "is not available in this version") && !(!CONFIG_TLS && strstr(f.text, "] needs tls")) &&
	    strncmp(f.text, fault, offer ? (size_t)(offer - fault) : strlen(fault) + 1) != 0)
		fail_msg("%s, not %s", f.text, fault);
	assert_int_equal(f.status, STATUS_CONFIG);
}

static void test_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad_rows) / sizeof(bad_rows[0]); i++) {
		struct fault f;

		if (bad_rows[i].fault && !EVERY_WORD) {
			expect_some_fault(bad_rows[i].line, bad_rows[i].text, bad_rows[i].fault);
			continue;
		}
		if (bad_rows[i].fault) {
			expect_fault(bad_rows[i].line, bad_rows[i].text, bad_rows[i].fault);
			continue;
		}
		/* Words of another room: the place must be right. */
		assert_int_equal(write_config("s.ini", bad_rows[i].line, bad_rows[i].text), 0);
		assert_null(read_config(true, &f));
		assert_int_equal(strncmp(f.text, "s.ini:18: ", 10), 0);
	}
}

/* Keys whose default is nothing may say so. */
static void test_empty_allowed(void **state)
{
	static const char *const keys[] = {
		"tls_name =", "tls_pin =", "tls_certificate =", "tls_key =", "bind =", "pop_host =  ; default: host", "pop_user =", "pop_password_file =", "pop_tls_name =", "pop_tls_pin ="
	};

	(void)state;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		char text[64];

		snprintf(text, sizeof(text), "tls = none\n%s", keys[i]);
		config_free(expect_good(22, text));
	}
	config_free(expect_good(30, "forward =\nlisten ="));
	config_free(expect_good(30, "audit_keep = 3\n[limits]\nlockout_time = 1h\nlockout_allow = none"));
	assert_null(strstr(heard.memory, "lockout"));
	config_free(expect_good(30, "audit = none"));
}

/* R51: what reaches a listener of ours, by whatever name. */
static void test_loops(void **state)
{
	static const struct { const char *address, *host; bool loop; } rows[] = {
		{ "127.0.0.1:2526", "127.0.0.1", true }, { "127.0.0.1:2526", "127.0.0.2", false },
		{ "127.0.0.1:2527", "127.0.0.1", false }, { "127.0.0.1:2526", "localhost", true },
		{ "0.0.0.0:2526", "127.0.0.2", true }, { "0.0.0.0:2526", "LocalHost", true },
		{ "0.0.0.0:2526", "::1", false }, { "[::]:2526", "::1", true },
		{ "127.0.0.1:2526", "0.0.0.0", true }, { "[::1]:2526", "::", true },
		{ "192.0.2.1:2526", "Mail.test-sample.jp", true }, { "192.0.2.1:2526", "localhost", false },
		{ "192.0.2.1:2526", "smtp.provider.example", false }, { "127.0.0.1:2526", "::ffff:127.0.0.1", true },
		{ "127.0.0.1:2526", "a.jp, 127.0.0.1", true }, { "0.0.0.0:2526", "192.0.2.1", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[2048];
		struct fault f;
		struct config *c;

		snprintf(text, sizeof(text),
			 "[server]\nhostname = mail.test-sample.jp\ndomains = test-sample.jp\naccounts = accounts\n"
			 "[listen a]\naddress = %s\ntls = none\n[relay]\nhost = %s\nport = 2526\ntls = none\n",
			 rows[i].address, rows[i].host);
		assert_int_equal(write_text("s.ini", slice_of(text), 0644), 0);
		c = read_config(true, &f);
		assert_int_equal(c == NULL, rows[i].loop);
		if (rows[i].loop)
			assert_non_null(strstr(f.text, "s.ini:9: "));
		config_free(c);
	}
}

/* R52: listen, relay host, user, password — and the address of R48. */
static void test_smallest(void **state)
{
	static const char text[] = "[listen a]\naddress = 127.0.0.1:2525\ntls = none\n"
				   "[server]\naccounts = accounts\nhostname = a.example\n"
				   "[relay]\nhost = smtp.provider.example\ntls = none\nuser = office\npassword = geheim\n"
				   "[return]\nfrom = post@test-sample.jp\n";
	struct config *c;
	struct fault f;

	(void)state;
	assert_int_equal(write_text("s.ini", slice_of(text), 0600), 0);
	c = read_config(true, &f);
	assert_string_equal(f.text, "");
	assert_string_equal(c->relay.routes[0].password, "geheim");
	assert_int_equal(c->relay.routes[0].port, 587);
	assert_int_equal(c->policy.level, LEVEL_AUTH);
	assert_non_null(strstr(heard.memory, "users can impersonate each other"));
	assert_non_null(strstr(heard.memory, "test-sample.jp, the domain of [return] from, is ours"));
	assert_non_null(strstr(heard.memory, "go to smtp.provider.example in clear"));
	config_free(c);
	assert_int_equal(chmod("s.ini", 0644), 0);
	assert_null(read_config(true, &f));
	assert_non_null(strstr(f.text, "s.ini:11: a password in a file that is open to others"));
}

static void test_nothing(void **state)
{
	struct fault f;

	(void)state;
	assert_int_equal(write_text("s.ini", SLICE_OF("[server]\ndomains = test-sample.jp\naccounts = accounts\nhostname = a.example\n"), 0644), 0);
	assert_null(read_config(true, &f));
	assert_string_equal(f.text,
			    "s.ini:4: nothing to listen on: write [listen submission] and below it address = 0.0.0.0:587");
	assert_int_equal(write_text("s.ini", SLICE_OF(""), 0644), 0);
	assert_null(read_config(true, &f));
	assert_int_equal(unlink("s.ini"), 0);
	assert_null(read_config(true, &f));
	assert_string_equal(f.text, "s.ini: No such file or directory");
	assert_int_equal(f.status, STATUS_CONFIG);
}

static void expect_file_fault(const char *path, struct slice text, mode_t mode, const char *fault)
{
	struct fault f;

	assert_int_equal(write_config("s.ini", 0, NULL), 0);
	assert_int_equal(write_text(path, text, mode), 0);
	assert_null(read_config(true, &f));
	assert_string_equal(f.text, fault);
	assert_int_equal(f.status, STATUS_CONFIG);
}

/* R63. */
static void test_secret_files(void **state)
{
	static const char words[] = "s.ini:24: secret: must hold one line of 1 to 255 octets, without CR or other control characters";
	char longest[PASSWORD_MAX + 2];
	struct config *c;

	(void)state;
	expect_file_fault("secret", SLICE_OF("geheim\n"), 0604, "s.ini:24: secret is open to others: chmod 640 secret");
	expect_file_fault("secret", SLICE_OF("geheim\n"), 0620, "s.ini:24: secret is open to others: chmod 640 secret");
	expect_file_fault("secret", SLICE_OF(""), 0600, words);
	expect_file_fault("secret", SLICE_OF("\n"), 0600, words);
	expect_file_fault("secret", SLICE_OF("geheim\r\n"), 0600, words);
	expect_file_fault("secret", SLICE_OF("a\nb\n"), 0600, words);
	expect_file_fault("secret", SLICE_OF("a\0b\n"), 0600, words);
	memset(longest, 'x', sizeof(longest));
	expect_file_fault("secret", slice_bytes(longest, PASSWORD_MAX + 1), 0600, words);
	assert_int_equal(write_text("secret", slice_bytes(longest, PASSWORD_MAX), 0600), 0);
	c = expect_good(0, NULL);
	assert_int_equal(strlen(c->relay.routes[0].password), PASSWORD_MAX);
	config_free(c);
	assert_int_equal(write_text("secret", SLICE_OF("ge ;heim \n"), 0640), 0);
	c = expect_good(0, NULL);
	assert_string_equal(c->relay.routes[0].password, "ge ;heim ");
	config_free(c);
	assert_int_equal(chmod("accounts", 0644), 0);
	expect_fault(0, NULL, "s.ini:4: accounts is open to others: chmod 640 accounts");
	assert_int_equal(chmod("accounts", 0640), 0);
	assert_int_equal(write_text("key.pem", SLICE_OF("x"), 0644), 0);
	expect_fault(9, "[tls]\ncertificate = key.pem\nkey = key.pem\n[listen b]\naddress = 127.0.0.1:2465\ntls = implicit",
		     "s.ini:11: key.pem is open to others: chmod 640 key.pem");
	assert_int_equal(chmod("key.pem", 0600), 0);
	expect_fault(9, "tls = none\n[listen b]\naddress = 127.0.0.1:2465\ntls = implicit\n[tls]\ncertificate = nowhere\nkey = key.pem",
		     "s.ini:14: nowhere: No such file or directory");
	assert_int_equal(write_text("secret", SLICE_OF("geheim\n"), 0600), 0);
}

/* credentials = sender: the table, line by line. `table` stands with its directory for DIR. */
static void put_table(const char *table)
{
	char text[2048], here[256];
	struct buffer out;

	assert_non_null(getcwd(here, sizeof(here)));
	buffer_init(&out, text, sizeof(text));
	for (; *table; table++) {
		if (strncmp(table, "DIR", 3) == 0) {
			buffer_put_text(&out, here);
			table += 2;
		} else {
			buffer_put(&out, slice_bytes(table, 1));
		}
	}
	assert_false(out.overflow);
	assert_int_equal(write_text("table", buffer_bytes(&out), 0600), 0);
}

#define SENDER "credentials = sender\ncredentials_file = table"

static void test_table(void **state)
{
	static const struct {
		const char *table, *fault;	/* behind the directory's name, if any */
	} bad[] = {
		{ "nobody@test-sample.jp u DIR/secret\n", "table:1: nobody@test-sample.jp: no such account, device or peer" },
		{ "# x\n\nuser1@test-sample.jp u\n", "table:3: a line is: account, upstream user, password file" },
		{ "user1@test-sample.jp u DIR/secret x\n", "table:1: a line is: account, upstream user, password file" },
		{ "user1@test-sample.jp u secret\n", "table:1: the password file must be a path from / of at most 255 octets" },
		{ "user1@test-sample.jp u /nowhere\n", "table:1: /nowhere: No such file or directory" },
		{ "user1@test-sample.jp u DIR/secret\r\n", "table:1: a control character" },
		{ "user1@test-sample.jp u DIR/secret\nUSER1 v DIR/secret\n", "table:2: user1@test-sample.jp has a line already" },
		{ "mfp1 u DIR/secret\nmfp1@test-sample.jp v DIR/secret\n", "table:2: mfp1 has a line already" },
	};
	struct config *c;
	struct relay_route *r;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		put_table(bad[i].table);
		expect_fault(22, "tls = none\n" SENDER, bad[i].fault);
	}
	put_table("# the office\n\n  user1@test-sample.jp\ttaro DIR/secret\nmfp1@test-sample.jp mfp DIR/secret\n"
		  "mailserver ms DIR/secret\nPostmaster@test-sample.jp pm DIR/secret");
	c = expect_good(22, "tls = none\n" SENDER);
	r = &c->relay.routes[0];
	assert_true(r->by_sender);
	assert_int_equal(r->login_count, 4);
	assert_true(slice_equal(route_user(r, route_login(r, slice_of("user1@test-sample.jp"))), slice_of("taro")));
	assert_true(slice_equal(route_user(r, route_login(r, slice_of("mfp1"))), slice_of("mfp")));
	assert_true(slice_equal(route_user(r, route_login(r, slice_of("mailserver"))), slice_of("ms")));
	assert_true(slice_equal(route_user(r, route_login(r, slice_of("postmaster@test-sample.jp"))), slice_of("pm")));
	assert_true(slice_equal(route_password(r, route_login(r, slice_of("mfp1"))), slice_of("geheim")));
	assert_int_equal(route_login(r, slice_of("user2@test-sample.jp")), LOGIN_STORED);
	assert_int_equal(route_login(r, slice_of("")), LOGIN_STORED);
	r->user[0] = '\0';
	assert_int_equal(route_login(r, slice_of("user2@test-sample.jp")), LOGIN_MISSING);
	config_free(c);
	assert_int_equal(chmod("table", 0644), 0);
	expect_fault(22, "tls = none\n" SENDER, "s.ini:24: table is open to others: chmod 640 table");
	assert_int_equal(chmod("table", 0600), 0);
	assert_int_equal(write_text("secret", SLICE_OF("geheim\n"), 0604), 0);
	expect_fault(22, "tls = none\ncredentials = stored\ncredentials_file = table", "s.ini:26: secret is open to others: chmod 640 secret");
	assert_int_equal(unlink("table"), 0);
	assert_int_equal(write_text("secret", SLICE_OF("geheim\n"), 0600), 0);
}

#define WHICH ": write which one by a name that only it has (an account by its address)"

static void test_table_with_a_name_of_two(void **state)
{
	static const struct {
		const char *more, *table, *fault;	/* one more section; NULL: it is good */
	} rows[] = {
		{ "[device user2]\nip = 192.0.2.9\nsender = scan@test-sample.jp", "\nuser2 u DIR/secret\n",
		  "table:2: user2 may be account user2@test-sample.jp or device user2" WHICH },
		{ "[device zwei]\nip = 192.0.2.9\nsender = scan@test-sample.jp", "zwei u DIR/secret\n",
		  "table:1: zwei may be account user2@test-sample.jp or device zwei" WHICH },
		{ "[peer user2]\nip = 192.0.2.9", "user2 u DIR/secret\n",
		  "table:1: user2 may be account user2@test-sample.jp or peer user2" WHICH },
		{ "[peer mfp1]\nip = 192.0.2.9", "mfp1 u DIR/secret\n", "table:1: mfp1 may be device mfp1 or peer mfp1" WHICH },
		{ "[device mfp2]\nip = 192.0.2.9\nsender = mfp1@test-sample.jp", "MFP1@test-sample.jp u DIR/secret\n",
		  "table:1: MFP1@test-sample.jp may be device mfp1 or device mfp2" WHICH },
		{ "[device user2]\nip = 192.0.2.9\nsender = scan@test-sample.jp",
		  "user2@test-sample.jp u DIR/secret\nscan@test-sample.jp v DIR/secret\n", NULL },
		{ "[device mfp2]\nip = 192.0.2.9\nsender = desk@test-sample.jp",
		  "desk@test-sample.jp u DIR/secret\nmfp2 v DIR/secret\n", NULL },
	};
	char text[512];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		put_table(rows[i].table);
		snprintf(text, sizeof(text), "%s\n[relay]\n" SENDER, rows[i].more);
		if (rows[i].fault)
			expect_fault(19, text, rows[i].fault);
		else
			config_free(expect_good(19, text));
	}
	assert_int_equal(unlink("table"), 0);
}

static void test_accounts_damaged(void **state)
{
	struct fault f;

	(void)state;
	assert_int_equal(write_text("accounts", SLICE_OF("user1@test-sample.jp:{PLAIN}a:\nuser1@elsewhere.example:{PLAIN}a:\n"), 0640), 0);
	assert_int_equal(write_config("s.ini", 0, NULL), 0);
	assert_null(read_config(false, &f));
	assert_int_equal(strncmp(f.text, "accounts:2: ", 12), 0);
	assert_int_equal(f.status, STATUS_CONFIG);
	assert_int_equal(write_accounts(), 0);
}

/* Without network, secrets of the way out are not touched. */
static void test_without_network(void **state)
{
	struct config *c;
	struct fault f;

	(void)state;
	assert_int_equal(write_config("s.ini", 9, "tls = starttls"), 0);
	assert_int_equal(unlink("secret"), 0);
	c = read_config(false, &f);
	assert_string_equal(f.text, "");
	assert_int_equal(accounts_count(c->trust), 3);
	config_free(c);
	assert_int_equal(unlink("accounts"), 0);
	assert_null(read_config(false, &f));
	f.text[0] = '\0';
	c = config_read_domains("s.ini", &f);
	assert_non_null(c);
	assert_true(trust_is_our_domain(c->trust, SLICE_OF("other.test-sample.jp")));
	assert_string_equal(c->accounts, "accounts");
	config_free(c);
	assert_int_equal(write_accounts(), 0);
	assert_int_equal(write_text("secret", SLICE_OF("geheim\n"), 0600), 0);
}

static void test_all_faults(void **state)
{
	struct fault f = { .text = "" };

	(void)state;
	assert_int_equal(write_config("s.ini", 6, "max_sessions = 0\nx = y\n[foo]\nz = 1\n[limits]\nauth_failures = 0"), 0);
	memset(heard.memory, 0, sizeof(heard.memory));
	buffer_init(&heard.text, heard.memory, sizeof(heard.memory) - 1);
	assert_null(config_check("s.ini", hear, hear_fault, &heard, &f));
	assert_string_equal(heard.memory, "s.ini:6: max_sessions = 0: must be 1 to 10000\n"
					  "s.ini:7: unknown key x in [server]\n"
					  "s.ini:8: unknown section [foo]\n"
					  "s.ini:11: auth_failures = 0: must be 1 to 20\n");
	assert_string_equal(f.text, "s.ini:6: max_sessions = 0: must be 1 to 10000");
	/* What only the whole can tell is told once, too. */
	f.text[0] = '\0';
	buffer_clear(&heard.text);
	memset(heard.memory, 0, sizeof(heard.memory));
	assert_int_equal(write_config("s.ini", 24, ""), 0);
	assert_null(config_check("s.ini", NULL, hear_fault, &heard, &f));
	assert_string_equal(heard.memory, "s.ini:23: user without a password: write password_file = …\n");
}

static void test_routes(void **state)
{
	struct config *c = expect_good(30, "[relay partner]\nhost = 192.0.2.7\ntls = none\ndomains = a.jp, b.jp\nauth = auto\n"
					   "[relay boss]\nhost = b.example\ntls = none\nsenders = boss@test-sample.jp, c.jp");

	(void)state;
	assert_int_equal(c->relay.route_count, 3);
	assert_int_equal(c->relay.routes[1].port, 25);
	assert_int_equal(c->relay.routes[1].mechanisms, 0);
	assert_int_equal(c->relay.routes[1].domain_count, 2);
	assert_string_equal(c->relay.routes[2].senders[0], "boss@test-sample.jp");
	assert_string_equal(c->relay.routes[2].name, "boss");
	config_free(c);
}

/* A pin stands for the CA; colons as openssl writes them. */
static void test_tls(void **state)
{
	struct config *c = expect_good(22, "tls = implicit\ntls_ca = nowhere\ntls_pin = "
					   "00:11:22:33:44:55:66:77:88:99:AA:bb:cc:dd:ee:ff:00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff");

	(void)state;
	assert_non_null(c->relay.routes[0].context);
	config_free(c);
}

/* The contract, line by line, apart from the files it names. */
static void test_contract(void **state)
{
	struct fault f;
	struct slice text;
	static char memory[16384], changed[16384];
	int fd = openat(manager_root, "tests/fuzz/seeds/ini/contract.ini", O_RDONLY | O_CLOEXEC);
	ssize_t n;
	char *at;
	struct config *c;

	(void)state;
	if (fd < 0)
		skip();
	n = read(fd, memory, sizeof(memory) - 1);
	close(fd);
	assert_true(n > 0);
	memory[n] = '\0';
	assert_int_equal(write_text("s.ini", slice_bytes(memory, (size_t)n), 0644), 0);
	assert_null(read_config(false, &f));
	assert_non_null(strstr(f.text, "/etc/sekimori/accounts"));
	at = strstr(memory, "/etc/sekimori/accounts");
	assert_non_null(at);
	snprintf(changed, sizeof(changed), "%.*saccounts%s", (int)(at - memory), memory,
		 at + strlen("/etc/sekimori/accounts"));
	text = slice_of(changed);
	assert_int_equal(write_text("s.ini", text, 0644), 0);
	c = read_config(false, &f);
	assert_string_equal(f.text, "");
	assert_int_equal(c->ingest.listen_count, 2);
	assert_string_equal(c->relay.routes[0].user, "office@provider.example");
	assert_int_equal(c->device_count, 1);
	assert_int_equal(c->peer_count, 1);
	config_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		unit_test_of(CONFIG_POP_BEFORE_SMTP, test_pop),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_bad),
		unit_test_of(CONFIG_AGENTS && CONFIG_FORWARD, test_manager),
		unit_test_of(EVERY_WORD, test_empty_allowed),
		cmocka_unit_test(test_loops),
		cmocka_unit_test(test_smallest),
		cmocka_unit_test(test_nothing),
		unit_test_of(CONFIG_TLS, test_secret_files),
		unit_test_of(CONFIG_CREDENTIALS_SENDER, test_table),
		unit_test_of(CONFIG_CREDENTIALS_SENDER, test_table_with_a_name_of_two),
		cmocka_unit_test(test_accounts_damaged),
		unit_test_of(CONFIG_TLS, test_without_network),
		cmocka_unit_test(test_all_faults),
		cmocka_unit_test(test_routes),
		unit_test_of(CONFIG_TLS, test_tls),
		unit_test_of(EVERY_WORD, test_contract),
	};

	if (tls_start() < 0)
		return 1;
	return cmocka_run_group_tests(tests, enter_directory, leave_directory);
}
