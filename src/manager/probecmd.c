/* sekimori probe */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/json.h"
#include "manager/commands.h"
#include "manager/config.h"
#include "manager/rights.h"
#include "net/dial.h"
#include "relay/login.h"
#include "relay/probe.h"
#include "relay/prove.h"
#include "relay/token.h"
#include "trust/accounts.h"

#define HELPERS		2
#define WATCHES		16	/* helpers, a connection, its dial, a token's command */
#define BLOCKS		4	/* of a connection, and one to spare */
#define LOGINS_MAX	10	/* rows of credentials_file that are tried: more in a row look like guessing */

struct run {
	struct probe_house house;
	struct config *config;
	bool json;
	unsigned told;
	enum probe_result worst;
	const char *relay, *host;	/* of the last step, for headings */
};

/* Telling */

static void put_json(const char *key, const char *text)
{
	char memory[6 * 2 * FAULT_MAX];
	struct buffer b;

	buffer_init(&b, memory, sizeof(memory));
	json_text(&b, slice_of(text));
	printf("\"%s\":%.*s", key, SLICE_ARGS(buffer_bytes(&b)));
}

static void tell_json(const struct run *r, const struct probe_step *s)
{
	const struct {
		const char *key, *text;
	} rows[] = {
		{ "relay", s->relay }, { "host", s->host }, { "step", s->step }, { "result", probe_result_name(s->result) },
		{ "text", s->text }, { "change", s->change },
	};

	fputs(r->told ? ",\n{" : "{", stdout);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		fputs(i ? "," : "", stdout);
		put_json(rows[i].key, rows[i].text);
	}
	putchar('}');
}

static void tell_text(const struct run *r, const struct probe_step *s)
{
	if (!r->host || strcmp(r->relay, s->relay) != 0 || strcmp(r->host, s->host) != 0)
		printf("%srelay %s, %s\n", r->told ? "\n" : "", s->relay, s->host);
	printf("%-6s%-13s%s\n", probe_result_name(s->result), s->step, s->text);
	if (s->change[0])
		printf("      %-13s%s\n", "change:", s->change);
}

static void tell(void *context, const struct probe_step *s)
{
	struct run *r = context;

	(r->json ? tell_json : tell_text)(r, s);
	r->told++;
	r->relay = s->relay;
	r->host = s->host;
	if (s->result > r->worst)
		r->worst = s->result;
	fflush(stdout);
}

static void tell_own(struct run *r, const struct relay_route *route, const char *step, enum probe_result result,
		     const char *text, const char *change)
{
	const struct probe_step s = { .relay = route_name(route), .host = route->host[0], .step = step, .result = result,
				      .text = text, .change = change };

	tell(r, &s);
}

/* The walk */

struct fetch {
	struct run *run;
	const struct relay_route *route;
	bool done, failed;
};

static void fetched(void *context, unsigned route, const char *error)
{
	struct fetch *f = context;

	(void)route;
	f->done = true;
	f->failed = error != NULL;
	if (error)
		tell_own(f->run, f->route, "token", PROBE_WRONG, error, "run token_command by hand, as the user of [server] user");
}

/* NULL: there is none, and that has been told. */
static struct token *fetch_token(struct run *r, unsigned route, struct slice *out)
{
	struct fetch f = { .run = r, .route = &r->config->relay.routes[route] };
	struct token *t = token_new(r->house.loop, slice_of(f.route->token_command), fetched, &f, route);

	*out = slice_of("");
	if (t)
		*out = token_get(t);
	while (t && !out->len && !f.done && loop_turn(r->house.loop) >= 0)
		;
	if (t && f.done && !f.failed)
		*out = token_get(t);
	if (out->len) {
		tell_own(r, f.route, "token", PROBE_OK, "token_command has made one", "");
		return t;
	}
	token_free(t);
	return NULL;
}

static unsigned login_count(const struct relay_route *route)
{
	if (!route->by_sender || route->by_client)
		return 0;
	return route->login_count < LOGINS_MAX ? route->login_count : LOGINS_MAX;
}

/* Its own pair, and those of its table, over the first host that answers. */
static void visit_host(struct run *r, struct probe_visit v)
{
	const struct relay_route *route = &r->config->relay.routes[v.route];
	bool stored = !route->by_sender || route->by_client || route->user[0];
	unsigned rows = v.host ? 0 : login_count(route);
	int row = 1;

	if (!stored && !rows && v.host)
		rows = 1;			/* another host: its first row shows whether it is well */
	if (!stored && !route->login_count) {
		tell_own(r, route, "login", PROBE_WRONG, "credentials_file holds no login", "write one, or user and password_file");
		return;
	}
	v.login = stored ? LOGIN_STORED : row++;
	if (probe_smtp(&r->house, &v) == PROBE_UNREACHABLE)
		return;
	v.brief = true;
	for (; row <= (int)rows; row++) {
		v.login = row;
		probe_smtp(&r->house, &v);
	}
	if (rows && rows < route->login_count)
		tell_own(r, route, "login", PROBE_NOTE, "more lines of credentials_file have not been tried", "");
}

static void visit_route(struct run *r, unsigned n)
{
	const struct relay_route *route = &r->config->relay.routes[n];
	char source[INET6_ADDRSTRLEN] = "";
	struct probe_visit v = { .route = n, .bind = route->bind };
	struct token *token = NULL;

	if (route->token_command[0]) {
		token = fetch_token(r, n, &v.token);
		if (!token)
			return;
	}
	if (route->pop.use == POP_AGENT) {
		if (probe_pop(&r->house, n, source) >= PROBE_TEMPORARY)
			return;
		poll(NULL, 0, (int)route->pop.wait);
		if (!route->bind[0])
			v.bind = source;
	}
	for (v.host = 0; v.host < route->host_count; v.host++)
		visit_host(r, v);
	token_free(token);
}

/* A sample of the accounts whose address is neither the login nor the return address. */
static void choose_senders(struct run *r)
{
	const struct relay_settings *s = &r->config->relay;

	for (size_t i = 0; i < accounts_count(r->config->trust) && r->house.sender_count < PROBE_SENDERS_MAX; i++) {
		struct slice name = account_name(accounts_at(r->config->trust, i));
		bool used = slice_equal_fold(name, slice_of(s->return_from));

		for (unsigned n = 0; n < s->route_count; n++)
			used |= slice_equal_fold(name, slice_of(s->routes[n].user));
		if (!used)
			r->house.senders[r->house.sender_count++] = name;
	}
}

/* Start and end */

static bool drop_rights(struct run *r, struct fault *f)
{
	bool was_root = !geteuid();

	if (!rights_drop(r->config->user, NULL, f))
		return false;
	if (was_root && geteuid()) {
		helper_become(r->house.resolver, geteuid(), getegid());
		helper_become(r->house.hasher, geteuid(), getegid());
	}
	return true;
}

/* Helpers first: their memory is ours at their birth, and holds no secret then. */
static bool start(struct run *r, const char *path, struct fault *f)
{
	const struct rlimit no_core = { 0, 0 };
	int result;

	setrlimit(RLIMIT_CORE, &no_core);	/* R63: passwords are in memory */
	r->house.loop = loop_new(WATCHES);
	r->house.blocks = pool_new(CHUNK_SIZE, BLOCKS);
	if (!r->house.loop || !r->house.blocks)
		return fault_set(f, STATUS_TEMPORARY, "out of memory");
	r->house.resolver = dial_resolver_start(r->house.loop);
	r->house.hasher = helper_start(r->house.loop, "hash", relay_hash);
	if (!r->house.resolver || !r->house.hasher)
		return fault_set(f, STATUS_TEMPORARY, "no more processes can be started: %s", strerror(errno));
	result = tls_start();
	if (result < 0)
		return fault_set(f, STATUS_TEMPORARY, "TLS: %s", strerror(-result));
	r->config = config_read(path, true, NULL, NULL, f);
	return r->config && drop_rights(r, f);
}

static void finish(struct run *r)
{
	helper_stop(r->house.resolver);
	helper_stop(r->house.hasher);
	if (r->house.loop)
		loop_free(r->house.loop);
	pool_free(r->house.blocks);
	config_free(r->config);
}

static int status_of(enum probe_result worst)
{
	static const int statuses[] = {
		[PROBE_OK] = STATUS_OK, [PROBE_NOTE] = STATUS_OK, [PROBE_TEMPORARY] = STATUS_TEMPORARY,
		[PROBE_UNREACHABLE] = STATUS_UNAVAILABLE, [PROBE_WRONG] = STATUS_NO,
	};

	return statuses[worst];
}

static bool walk(struct run *r, const char *relay, struct fault *f)
{
	const struct relay_settings *s = &r->config->relay;
	int only = relay ? route_named(s, strcmp(relay, "default") == 0 ? "" : relay) : -1;

	if (relay && only < 0)
		return fault_set(f, STATUS_USAGE, "there is no [relay %s]", relay);
	r->house.settings = s;
	r->house.max_message_size = r->config->ingest.max_message_size;
	r->house.tell = tell;
	r->house.context = r;
	choose_senders(r);
	if (r->json)
		fputs("{\"steps\":[", stdout);
	for (unsigned n = 0; n < s->route_count; n++)
		if (!relay || n == (unsigned)only)
			visit_route(r, n);
	if (r->json)
		printf("],\n\"result\":\"%s\",\"status\":%d}\n", probe_result_name(r->worst), status_of(r->worst));
	return true;
}

int command_probe(const char *path, int argc, char **argv)
{
	struct fault f = { .text = "" };
	struct run r = { .json = argc > 0 && strcmp(argv[0], "--json") == 0 };
	int status;

	if (argc > 1 + r.json || (argc == 1 + r.json && argv[r.json][0] == '-'))
		return command_usage("probe [--json] [RELAY]");
	if (start(&r, path, &f) && walk(&r, argc > r.json ? argv[r.json] : NULL, &f))
		status = status_of(r.worst);
	else
		status = command_failed(&f);
	finish(&r);
	return status;
}
