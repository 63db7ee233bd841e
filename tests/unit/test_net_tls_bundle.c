/* Of a CA file with many, only an index is in memory: the verdicts are those of all its CAs nevertheless. */
#include "net_common.h"

#include "base/slice.h"
#include "net/tls.h"

#include <mbedtls/version.h>

/* With TLS 1.3, mbedTLS' client sends that alert without the keys the server awaits it with. */
#define TELLS_WHY (MBEDTLS_VERSION_NUMBER < 0x03000000)

#define MANY	70	/* CAs that have nothing to do with it, before and behind the others */

static size_t before;

static int count(void **state)
{
	(void)state;
	before = count_descriptors();
	return 0;
}

static int compare(void **state)
{
	(void)state;
	return count_descriptors() == before ? 0 : -1;
}

/* NAME.pem for the key NAME.key, which is made when there is none, or for that of `like`; signed by `by`, or by itself. */
static int sign(const char *name, const char *like, const char *subject, const char *by, bool is_ca, const char *from,
		const char *to)
{
	char key[128], csr[128], pem[128], cert[128], by_key[128];
	int status;

	snprintf(key, sizeof(key), "%s/%s.key", certificates, like ? like : name);
	snprintf(csr, sizeof(csr), "%s/%s.csr", certificates, name);
	snprintf(pem, sizeof(pem), "%s/%s.pem", certificates, name);
	snprintf(cert, sizeof(cert), "%s/%s.pem", certificates, by ? by : name);
	snprintf(by_key, sizeof(by_key), "%s/%s.key", certificates, by ? by : like ? like : name);
	if (!like && run(in_certificates("log"), (char *[]){ "openssl", "ecparam", "-genkey", "-noout", "-name", "prime256v1",
							    "-out", key, NULL }) != 0)
		return -1;
	status = run(in_certificates("log"), (char *[]){
		"openssl", "req", "-new", "-key", key, "-subj", (char *)(uintptr_t)subject, "-addext",
		is_ca ? "nsComment=a CA" : "subjectAltName=DNS:mail.example", "-out", csr, "-config",
		(char *)(uintptr_t)in_certificates("ca.cnf"), NULL });
	if (status != 0)
		return status;
	return run(in_certificates("log"), (char *[]){
		"openssl", "ca", "-batch", "-notext", "-config", (char *)(uintptr_t)in_certificates("ca.cnf"), "-keyfile", by_key,
		"-startdate", (char *)(uintptr_t)from, "-enddate", (char *)(uintptr_t)to, "-in", csr, "-out", pem,
		by ? "-cert" : "-selfsign", by ? cert : "-batch", is_ca ? "-extensions" : "-batch", is_ca ? "v3_ca" : "-batch",
		NULL });
}

#define THEN	"20210203000000Z"

/* In this order, as some sign others. */
static const struct {
	const char *name, *like, *subject, *by;
	bool is_ca;
	const char *from, *to;
} more[] = {
	{ "impostor", NULL, "/CN=Test CA", NULL, true, LONG_AGO, FAR_AHEAD },	/* another key */
	{ "false", NULL, "/CN=false", "impostor", false, LONG_AGO, FAR_AHEAD },
	{ "old", "ca", "/CN=Test CA", NULL, true, LONG_AGO, THEN },		/* the same key, as a CA renews itself */
	{ "crossed", "ca", "/CN=Test CA", "stranger", true, LONG_AGO, FAR_AHEAD },
	{ "letters", "ca", "/CN=TEST ca", NULL, true, LONG_AGO, FAR_AHEAD },
	{ "middle", NULL, "/CN=Middle CA", "ca", true, LONG_AGO, FAR_AHEAD },
	{ "below", NULL, "/CN=below", "middle", false, LONG_AGO, FAR_AHEAD },
	{ "alone", NULL, "/CN=alone", NULL, false, LONG_AGO, FAR_AHEAD },	/* self-signed */
	{ "one", NULL, "/CN=One", NULL, true, LONG_AGO, FAR_AHEAD },
	{ "of1", NULL, "/CN=of1", "one", false, LONG_AGO, FAR_AHEAD },
	{ "two", NULL, "/CN=Two", NULL, true, LONG_AGO, FAR_AHEAD },
	{ "of2", NULL, "/CN=of2", "two", false, LONG_AGO, FAR_AHEAD },
	{ "three", NULL, "/CN=Three", NULL, true, LONG_AGO, FAR_AHEAD },
	{ "of3", NULL, "/CN=of3", "three", false, LONG_AGO, FAR_AHEAD },
	{ "four", NULL, "/CN=Four", NULL, true, LONG_AGO, FAR_AHEAD },
	{ "of4", NULL, "/CN=of4", "four", false, LONG_AGO, FAR_AHEAD },
	{ "five", NULL, "/CN=Five", NULL, true, LONG_AGO, FAR_AHEAD },
	{ "of5", NULL, "/CN=of5", "five", false, LONG_AGO, FAR_AHEAD },
};

static int make_more(void **state)
{
	if (make_certificates(state) != 0 || tls_start() != 0)
		return -1;
	for (size_t i = 0; certificates[0] && i < sizeof(more) / sizeof(more[0]); i++)
		if (sign(more[i].name, more[i].like, more[i].subject, more[i].by, more[i].is_ca, more[i].from, more[i].to) != 0) {
			show_log();
			return -1;
		}
	return 0;
}

/* The text of a file; static. */
static const char *text_of(const char *name)
{
	static char text[8192];
	char path[128];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", certificates, name);
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	n = read(fd, text, sizeof(text) - 1);
	assert_true(n > 0);
	text[n] = '\0';
	close(fd);
	return text;
}

static void add_text(char *room, size_t size, const char *name)
{
	char file[64];
	size_t used = strlen(room);

	snprintf(file, sizeof(file), "%s.pem", name);
	assert_true((size_t)snprintf(room + used, size - used, "%s", text_of(file)) < size - used);
}

/* Of the names in `words`; "many" are MANY. */
static void write_bundle(const char *file, const char *words)
{
	static char room[2 * MANY * 1024 + 65536];
	struct slice rest = slice_of(words);

	room[0] = '\0';
	while (rest.len > 0) {
		char word[32];
		size_t n = 0;

		while (n < rest.len && rest.at[n] != ' ')
			n++;
		assert_true(slice_copy(slice_first(rest, n), word, sizeof(word)));
		for (int i = strcmp(word, "many") == 0 ? MANY : 1; i > 0; i--)
			add_text(room, sizeof(room), strcmp(word, "many") == 0 ? "stranger" : word);
		rest = slice_skip(rest, n < rest.len ? n + 1 : n);
	}
	write_file(file, room, 0600);
}

static struct tls_context *client(const char *file)
{
	struct tls_client_rules rules = { .ca = in_certificates(file) };
	struct fault f = { .text = "" };
	struct tls_context *c = tls_client_new(&rules, &f);

	if (!c)
		fail_msg("%s", f.text);
	return c;
}

/* What it shows is the certificate of `key`, and what is behind it in "chain.pem". */
static struct tls_context *server(const char *shown, const char *key)
{
	char path[64];
	struct fault f = { .text = "" };
	struct tls_context *c;

	snprintf(path, sizeof(path), "%s.key", key);
	write_bundle("chain.pem", shown);
	c = tls_server_new(in_certificates("chain.pem"), in_certificates(path), false, &f);
	if (!c)
		fail_msg("%s", f.text);
	return c;
}

static bool goes_on(int result)
{
	return result == TLS_WANT_READ || result == TLS_WANT_WRITE;
}

/* A handshake; expects this reason for its failure, or NULL: none. Who refuses tells the other, before the handshake's end. */
static void expect(struct tls_context *client, struct tls_context *server, const char *name, const char *reason, const char *what)
{
	int fds[2], client_end = TLS_WANT_READ, server_end = TLS_WANT_READ;
	struct tls *c, *s;

	tcp_pair(fds);
	c = tls_new(client, fds[0], name);
	s = tls_new(server, fds[1], NULL);
	assert_true(c && s);
	for (int i = 0; i < 1000 && (goes_on(client_end) || goes_on(server_end)); i++) {
		if (goes_on(client_end))
			client_end = tls_handshake(c);
		if (goes_on(server_end))
			server_end = tls_handshake(s);
		if (client_end == TLS_FAILED)
			shutdown(fds[0], SHUT_WR);
	}
	if (!reason && client_end != 0)
		fail_msg("%s: %s", what, tls_error(c));
	if (reason && (client_end != TLS_FAILED || !strstr(tls_error(c), reason)))
		fail_msg("%s: %s", what, tls_error(c));
	if (reason && (server_end != TLS_FAILED || (TELLS_WHY && !strstr(tls_error(s), "certificate"))))
		fail_msg("%s: the server heard %s", what, tls_error(s));
	assert_false(tls_resumed(c));
	tls_free(c);
	tls_free(s);
	close(fds[0]);
	close(fds[1]);
}

#define NOT_IN_IT	"certificate is from a CA that is not in the CA file: Test CA"

static const struct {
	const char *bundle, *shown, *key, *name, *reason;
} rows[] = {
	{ "many ca many", "good", "good", "mail.example", NULL },
	{ "ca many", "rsa", "rsa", "mail.example", NULL },
	{ "many ca", "address", "address", "127.0.0.1", NULL },
	{ "many ca", "address", "address", "127.0.0.2", "not 127.0.0.2" },
	{ "many ca", "good", "good", "other.example", "not other.example" },
	{ "many ca", "expired", "expired", "mail.example", "certificate expired on 2021-02-03" },
	{ "many many", "good", "good", "mail.example", NOT_IN_IT },
	/* Of one name */
	{ "many impostor impostor ca many", "good", "good", "mail.example", NULL },
	{ "many ca impostor many", "good", "good", "mail.example", NULL },
	{ "many impostor many", "good", "good", "mail.example", NOT_IN_IT },
	{ "many ca many", "false", "false", "mail.example", NOT_IN_IT },
	{ "many old ca many", "good", "good", "mail.example", NULL },
	{ "many ca old many", "good", "good", "mail.example", NULL },
	{ "many old many", "good", "good", "mail.example", "a CA certificate of the chain expired on 2021-02-03" },
	{ "many crossed many", "good", "good", "mail.example", NULL },
	{ "many letters many", "good", "good", "mail.example", NULL },
	/* Ways up */
	{ "many ca many", "below middle", "below", "mail.example", NULL },
	{ "many ca many", "below middle ca", "below", "mail.example", NULL },
	{ "many middle many", "below middle ca", "below", "mail.example", NULL },
	{ "many middle many", "below", "below", "mail.example", NULL },
	{ "many ca many", "below", "below", "mail.example", "not in the CA file: Middle CA" },
	{ "many impostor many", "below middle ca", "below", "mail.example", "a CA certificate of the chain is self-signed" },
	{ "many ca many", "good crossed", "good", "mail.example", NULL },
	{ "many many", "good crossed", "good", "mail.example", NULL },
	{ "one two three four five ca", "good crossed", "good", "mail.example", NULL },
	{ "one two three four five", "good crossed", "good", "mail.example", "not in the CA file: Strange CA" },
	/* The server's own certificate is in the file */
	{ "many alone many", "alone", "alone", "mail.example", NULL },
	{ "many alone many", "alone", "alone", "other.example", "not other.example" },
	{ "many many", "alone", "alone", "mail.example", "certificate is self-signed" },
	/* Few, which are kept */
	{ "ca", "below middle", "below", "mail.example", NULL },
	{ "stranger impostor old ca", "good", "good", "mail.example", NULL },
	{ "stranger impostor old", "good", "good", "mail.example", "expired on 2021-02-03" },
};

/* The second time what vouched is parsed already; and a context of its own knows no session. */
static void test_verdicts(void **state)
{
	(void)state;
	need_certificates();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct tls_context *c, *again, *s = server(rows[i].shown, rows[i].key);
		char what[128];

		snprintf(what, sizeof(what), "row %zu, %s by %s", i, rows[i].shown, rows[i].bundle);
		write_bundle("bundle", rows[i].bundle);
		c = client("bundle");
		again = client("bundle");
		expect(c, s, rows[i].name, rows[i].reason, what);
		expect(again, s, rows[i].name, rows[i].reason, what);
		tls_context_release(c);
		tls_context_release(again);
		tls_context_release(s);
	}
}

/* More than are kept, in turn; a forged one in between is not helped by those. */
static void test_many_servers(void **state)
{
	static const char *const names[] = { "of1", "of2", "of3", "of4", "of5", "below middle", "good" };
	struct tls_context *holder;

	(void)state;
	need_certificates();
	write_bundle("bundle", "many one two three four five ca many");
	holder = client("bundle");
	for (size_t i = 0; i < 3 * sizeof(names) / sizeof(names[0]); i++) {
		const char *shown = names[i % (sizeof(names) / sizeof(names[0]))];
		struct tls_context *c = client("bundle"), *s = server(shown, strncmp(shown, "below", 5) ? shown : "below");

		expect(c, s, "mail.example", NULL, shown);
		tls_context_release(s);
		tls_context_release(c);
		c = client("bundle");
		s = server("false", "false");
		expect(c, s, "mail.example", NOT_IN_IT, "false");
		tls_context_release(s);
		tls_context_release(c);
	}
	tls_context_release(holder);
}

static void expect_of(struct tls_context *c, const char *name, const char *reason)
{
	struct tls_context *s = server(name, name);

	expect(c, s, "mail.example", reason, name);
	tls_context_release(s);
}

/* What was loaded counts until a reload, whatever becomes of the file; but nobody gets a CA in by writing into it. */
static void test_file_changes(void **state)
{
	struct tls_context *c, *fresh;

	(void)state;
	need_certificates();
	write_bundle("bundle", "many one ca many");
	c = client("bundle");
	/* Another in its place */
	write_bundle("other", "many impostor many");
	assert_int_equal(rename(in_certificates("other"), in_certificates("bundle")), 0);
	expect_of(c, "good", NULL);
	expect_of(c, "false", NOT_IN_IT);
	fresh = client("bundle");
	expect_of(fresh, "false", NULL);
	expect_of(fresh, "good", NOT_IN_IT);
	tls_context_release(fresh);
	tls_context_release(c);
	/* Gone */
	write_bundle("bundle", "many one ca many");
	c = client("bundle");
	assert_int_equal(unlink(in_certificates("bundle")), 0);
	expect_of(c, "of1", NULL);
	tls_context_release(c);
}

static void test_file_is_written_to(void **state)
{
	static const char *const writings[] = { "many impostor ca many", "many ca many", "impostor", "many impostor many" };

	(void)state;
	need_certificates();
	for (size_t i = 0; i < sizeof(writings) / sizeof(writings[0]); i++) {
		struct tls_context *c;

		write_bundle("bundle", "many ca one many");
		c = client("bundle");
		expect_of(c, "of1", NULL);
		write_bundle("bundle", writings[i]);
		expect_of(c, "false", NOT_IN_IT);
		/* It lies where it lay in some of them. */
		expect_of(c, "good", i == 1 ? NULL : "bundle was written to since it was read: reload");
		expect_of(c, "of1", NULL);	/* parsed already */
		tls_context_release(c);
	}
}

/* Where a CA lay, another lies whole: this one's certificate is shorter. */
static void test_file_is_forged(void **state)
{
	struct tls_context *c;

	(void)state;
	need_certificates();
	write_bundle("bundle", "many impostor many");
	c = client("bundle");
	write_bundle("bundle", "many ca many");
	expect_of(c, "good", NOT_IN_IT);
	expect_of(c, "false", "bundle was written to since it was read: reload");
	write_bundle("bundle", "many impostor many");
	expect_of(c, "false", NULL);
	tls_context_release(c);
}

static void expect_fault(const char *file, const char *text)
{
	struct tls_client_rules rules = { .ca = in_certificates(file) };
	struct fault f = { .text = "" };

	assert_null(tls_client_new(&rules, &f));
	assert_int_equal(f.status, STATUS_CONFIG);
	if (!strstr(f.text, text))
		fail_msg("%s: %s", file, f.text);
}

/* Some that are damaged, as mbedTLS lacks the algorithm of one or the other in a system's bundle; all that are. */
static void test_damaged(void **state)
{
	static const char rubbish[] = "-----BEGIN CERTIFICATE-----\nMIIBqDCCAU6gAwIBAgIUXX==\n-----END CERTIFICATE-----\n";
	static char room[65536];
	struct tls_context *c, *s;

	(void)state;
	need_certificates();
	room[0] = '\0';
	for (int i = 0; i < 10; i++)
		strncat(room, rubbish, sizeof(room) - strlen(room) - 1);
	write_file("rubbish", room, 0600);
	expect_fault("rubbish", "/rubbish: no CA certificate in PEM: ");
	add_text(room, sizeof(room), "ca");
	strncat(room, "words between them\n", sizeof(room) - strlen(room) - 1);
	strncat(room, rubbish, sizeof(room) - strlen(room) - 1);
	write_file("bundle", room, 0600);
	c = client("bundle");
	s = server("good", "good");
	expect(c, s, "mail.example", NULL, "some damaged");
	tls_context_release(c);
	tls_context_release(s);
	/* As a file that is cut off. */
	strncat(room, "-----BEGIN CERTIFICATE-----\nMIIB", sizeof(room) - strlen(room) - 1);
	write_file("bundle", room, 0600);
	c = client("bundle");
	tls_context_release(c);
}

static void test_der(void **state)
{
	struct tls_context *c, *s;

	(void)state;
	need_certificates();
	assert_int_equal(run(in_certificates("log"), (char *[]){ "openssl", "x509", "-in", (char *)(uintptr_t)in_certificates("ca.pem"),
			     "-outform", "DER", "-out", (char *)(uintptr_t)in_certificates("ca.der"), NULL }), 0);
	c = client("ca.der");
	s = server("good", "good");
	expect(c, s, "mail.example", NULL, "DER");
	tls_context_release(c);
	tls_context_release(s);
}

/* Agents of a manager are told its CAs: there all of a file are parsed, though a relay names the same one. */
static void test_mutual_of_many(void **state)
{
	struct tls_client_rules rules = { .ca = in_certificates("ca.pem"), .certificate = in_certificates("good.pem"),
					  .key = in_certificates("good.key") };
	struct fault f = { .text = "" };
	struct tls_context *relay, *agent, *manager;

	(void)state;
	need_certificates();
	write_bundle("bundle", "many ca many");
	relay = client("bundle");
	manager = tls_mutual_new(in_certificates("good.pem"), in_certificates("good.key"), in_certificates("bundle"), false, &f);
	agent = tls_client_new(&rules, &f);
	assert_true(relay && manager && agent);
	for (int i = 0; i < 2; i++) {
		int fds[2], client_end = TLS_WANT_READ, server_end = TLS_WANT_READ;
		struct tls *c, *s;

		tcp_pair(fds);
		c = tls_new(agent, fds[0], "mail.example");
		s = tls_new(manager, fds[1], NULL);
		for (int turn = 0; turn < 1000 && (goes_on(client_end) || goes_on(server_end)); turn++) {
			client_end = goes_on(client_end) ? tls_handshake(c) : client_end;
			server_end = goes_on(server_end) ? tls_handshake(s) : server_end;
		}
		assert_true(client_end == 0 && server_end == 0);
		assert_true(tls_peer_is(s, "mail.example"));
		tls_free(c);
		tls_free(s);
		close(fds[0]);
		close(fds[1]);
	}
	tls_context_release(relay);
	tls_context_release(manager);
	tls_context_release(agent);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_verdicts, count, compare),
		cmocka_unit_test_setup_teardown(test_many_servers, count, compare),
		cmocka_unit_test_setup_teardown(test_file_changes, count, compare),
		cmocka_unit_test_setup_teardown(test_file_is_written_to, count, compare),
		cmocka_unit_test_setup_teardown(test_file_is_forged, count, compare),
		cmocka_unit_test_setup_teardown(test_damaged, count, compare),
		cmocka_unit_test_setup_teardown(test_der, count, compare),
		cmocka_unit_test_setup_teardown(test_mutual_of_many, count, compare),
	};

	return cmocka_run_group_tests_name("net_tls_bundle", tests, make_more, remove_certificates);
}
