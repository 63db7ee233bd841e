#include "manager/changes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "manager/said.h"
#include "net/listener.h"
#include "trust/accounts.h"

#define TOLD_MAX	300	/* octets of a line */
#define VALUE_SHOWN	100	/* octets of a value */

struct telling {
	const struct config *old, *new;
	changes_sink *sink;
	void *context;
	unsigned count;
};

static void tell(struct telling *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void tell(struct telling *t, const char *format, ...)
{
	char line[TOLD_MAX];
	va_list arguments;

	if (t->count++ >= CHANGES_MAX)
		return;
	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	ascii_tame(line);
	t->sink(t->context, line);
}

/* Listeners, by their sockets */

static bool listens(const struct config *c, const struct ingest_listen *l)
{
	for (unsigned i = 0; i < c->ingest.listen_count; i++) {
		const struct ingest_listen *other = &c->ingest.listen[i];

		if (other->address_len == l->address_len && !memcmp(&other->address, &l->address, l->address_len))
			return true;
	}
	return false;
}

static void tell_listeners(struct telling *t, const struct config *of, const struct config *other, const char *what)
{
	for (unsigned i = 0; i < of->ingest.listen_count; i++) {
		const struct ingest_listen *l = &of->ingest.listen[i];
		bool v6 = l->address.ss_family == AF_INET6;
		char text[64];
		uint16_t port;

		if (listens(other, l))
			continue;
		listener_peer_text(&l->address, text, sizeof(text), &port);
		tell(t, "listener %s %s%s%s:%u %s", l->name, v6 ? "[" : "", text, v6 ? "]" : "", (unsigned)port, what);
	}
}

/* Certificates of ours */

static const char *date_text(const struct tls_context *c, char out[32])
{
	time_t end = (time_t)(c ? tls_context_valid_to(c) : INT64_MAX);
	struct tm tm;

	if (!c || !gmtime_r(&end, &tm) || !strftime(out, 32, "%Y-%m-%d", &tm))
		slice_copy(SLICE_OF("none"), out, 32);
	return out;
}

static void tell_certificate(struct telling *t, const char *of, const struct tls_context *old, const struct tls_context *new)
{
	char before[32], after[32];

	if ((old ? tls_context_valid_to(old) : 0) != (new ? tls_context_valid_to(new) : 0))
		tell(t, "%scertificate: valid until %s -> %s", of, date_text(old, before), date_text(new, after));
}

/* Accounts */

static bool same_secrets(const struct trust_account *a, const struct trust_account *b)
{
	return a->has_scram == b->has_scram && a->has_cram == b->has_cram && a->has_plain == b->has_plain &&
	       a->upstream == b->upstream && !memcmp(&a->scram, &b->scram, sizeof(a->scram)) &&
	       !memcmp(a->cram, b->cram, sizeof(a->cram)) && !memcmp(a->plain, b->plain, sizeof(a->plain));
}

static const struct trust_account *same_account(const struct config *c, const struct trust_account *a)
{
	const struct trust_account *found = accounts_find(c->trust, account_name(a));

	return found && slice_equal(account_name(found), account_name(a)) ? found : NULL;
}

static const char *level_name(unsigned level)
{
	return level == LEVEL_DEFAULT ? "default" : trust_level_name((enum trust_level)level);
}

static void tell_account(struct telling *t, const struct trust_account *old, const struct trust_account *new)
{
	struct slice name = account_name(new);

	if (!same_secrets(old, new))
		tell(t, "account %.*s: password changed", SLICE_ARGS(name));
	if (old->level != new->level)
		tell(t, "account %.*s: level %s -> %s", SLICE_ARGS(name), level_name(old->level), level_name(new->level));
	if (old->action != new->action)
		tell(t, "account %.*s: action changed", SLICE_ARGS(name));
	if (strcmp(old->login, new->login) != 0)
		tell(t, "account %.*s: login %s -> %s", SLICE_ARGS(name), old->login[0] ? old->login : "none",
		     new->login[0] ? new->login : "none");
}

static void tell_accounts(struct telling *t)
{
	for (size_t i = 0; i < accounts_count(t->new->trust); i++) {
		const struct trust_account *a = accounts_at(t->new->trust, i), *before = same_account(t->old, a);

		if (before)
			tell_account(t, before, a);
		else
			tell(t, "account %.*s added", SLICE_ARGS(account_name(a)));
	}
	for (size_t i = 0; i < accounts_count(t->old->trust); i++) {
		const struct trust_account *a = accounts_at(t->old->trust, i);

		if (!same_account(t->new, a))
			tell(t, "account %.*s removed", SLICE_ARGS(account_name(a)));
	}
}

/* What stands in files that the configuration names */

static bool same_logins(const struct relay_route *a, const struct relay_route *b)
{
	bool same = a->login_count == b->login_count;

	for (unsigned i = 0; same && i < a->login_count; i++)
		same = !strcmp(a->logins[i].account, b->logins[i].account) && !strcmp(a->logins[i].user, b->logins[i].user) &&
		       !strcmp(a->logins[i].password, b->logins[i].password);
	return same;
}

static void tell_route(struct telling *t, const struct relay_route *old, const struct relay_route *new)
{
	char name[sizeof(new->name) + 16];

	if (strcmp(old->password, new->password) != 0)
		tell(t, "relay %s: password changed", route_name(new));
	if (strcmp(old->pop.password, new->pop.password) != 0)
		tell(t, "relay %s: POP password changed", route_name(new));
	/* With credentials = client they are the clients' own. */
	if (!old->by_client && !new->by_client && !same_logins(old, new))
		tell(t, "relay %s: logins of accounts changed, %u -> %u", route_name(new), old->login_count, new->login_count);
	snprintf(name, sizeof(name), "relay %s: ", route_name(new));
	tell_certificate(t, name, old->context, new->context);
}

static void tell_files(struct telling *t)
{
	struct slice before = t->old->keyring ? keyring_id(t->old->keyring) : SLICE_OF("none");
	struct slice after = t->new->keyring ? keyring_id(t->new->keyring) : SLICE_OF("none");

	tell_certificate(t, "", config_tls(t->old), config_tls(t->new));
	tell_certificate(t, "forward_", t->old->forward.context, t->new->forward.context);
	if (!slice_equal(before, after))
		tell(t, "stamp: key %.*s -> %.*s", SLICE_ARGS(before), SLICE_ARGS(after));
	for (unsigned i = 0; i < t->new->relay.route_count; i++) {
		int old = route_named(&t->old->relay, t->new->relay.routes[i].name);

		if (old >= 0)
			tell_route(t, &t->old->relay.routes[old], &t->new->relay.routes[i]);
	}
}

/* What the file itself says */

struct words {			/* of one file, sorted */
	const struct said **at;
	size_t count;
};

static bool is_named(struct slice section)
{
	return slice_starts(section, SLICE_OF("device ")) || slice_starts(section, SLICE_OF("peer ")) ||
	       slice_starts(section, SLICE_OF("relay"));
}

static bool has_section(const struct words *w, struct slice section)
{
	size_t low = 0, high = w->count;
	struct said wanted = { .section = section };

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (said_compare(w->at[middle], &wanted) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < w->count && slice_equal(w->at[low]->section, section);
}

/* "relay" alone is the default one. */
static const char *more_name(struct slice section)
{
	return slice_equal(section, SLICE_OF("relay")) ? " default" : "";
}

static struct slice value_of(const struct said *s)
{
	return s ? slice_first(s->value, VALUE_SHOWN) : SLICE_OF("default");
}

/* One of the two is NULL: it is new, or gone. */
static void tell_setting(struct telling *t, const struct said *old, const struct said *new)
{
	const struct said *s = new ? new : old;
	struct slice name = s->section;

	if (slice_equal(name, SLICE_OF("alias")) && !(old && new))
		tell(t, "alias %.*s %s", SLICE_ARGS(s->key), new ? "added" : "removed");
	else if (slice_equal(name, SLICE_OF("alias")))
		tell(t, "alias %.*s: %.*s -> %.*s", SLICE_ARGS(s->key), SLICE_ARGS(value_of(old)), SLICE_ARGS(value_of(new)));
	else if (slice_starts(name, SLICE_OF("listen ")) && !slice_equal(s->key, SLICE_OF("address")))
		tell(t, "listener %.*s: %.*s %.*s -> %.*s", SLICE_ARGS(slice_skip(name, 7)), SLICE_ARGS(s->key),
		     SLICE_ARGS(value_of(old)), SLICE_ARGS(value_of(new)));
	else if (is_named(name))
		tell(t, "%.*s%s: %.*s %.*s -> %.*s", SLICE_ARGS(name), more_name(name), SLICE_ARGS(s->key),
		     SLICE_ARGS(value_of(old)), SLICE_ARGS(value_of(new)));
	else if (!slice_starts(name, SLICE_OF("listen ")))
		tell(t, "[%.*s] %.*s: %.*s -> %.*s", SLICE_ARGS(name), SLICE_ARGS(s->key), SLICE_ARGS(value_of(old)),
		     SLICE_ARGS(value_of(new)));
}

/* A section that only one of them has is one line; a listener has been told of by its address. */
static bool is_whole(struct telling *t, const struct said *s, const struct words *other, const struct said **last, const char *what)
{
	bool is_listener = slice_starts(s->section, SLICE_OF("listen "));

	if (!(is_named(s->section) || is_listener) || has_section(other, s->section))
		return false;
	if (!is_listener && !(*last && slice_equal((*last)->section, s->section)))
		tell(t, "%.*s%s %s", SLICE_ARGS(s->section), more_name(s->section), what);
	*last = s;
	return true;
}

static void tell_words(struct telling *t, const struct words *old, const struct words *new)
{
	const struct said *last = NULL;
	size_t i = 0, k = 0;

	while (i < old->count || k < new->count) {
		const struct said *a = i < old->count ? old->at[i] : NULL, *b = k < new->count ? new->at[k] : NULL;
		int order = !a ? 1 : !b ? -1 : said_compare(a, b);

		i += order <= 0;
		k += order >= 0;
		if (order < 0 && !is_whole(t, a, new, &last, "removed"))
			tell_setting(t, a, NULL);
		else if (order > 0 && !is_whole(t, b, old, &last, "added"))
			tell_setting(t, NULL, b);
		else if (order == 0 && !slice_equal(a->value, b->value))
			tell_setting(t, a, b);
	}
}

/* Settings that are looked at only at start. */
static void tell_later(struct telling *t)
{
	const struct config *old = t->old, *new = t->new;
	const struct {
		const char *what;
		bool changed;
	} rows[] = {
		{ "[server] spool has changed: it takes", strcmp(old->spool, new->spool) != 0 },
		{ "[server] spool_size has changed: it takes", old->spool_size != new->spool_size },
		{ "[server] control has changed: it takes", strcmp(old->control, new->control) != 0 },
		{ "[server] local has changed: it takes", strcmp(old->local, new->local) != 0 },
		{ "[server] user has changed: it takes", strcmp(old->user, new->user) != 0 },
		{ "[server] max_sessions has changed: it takes", old->ingest.max_sessions != new->ingest.max_sessions },
		{ "[local] is new: programs of this machine can send after", !old->user_count && new->user_count },
	};
	char line[TOLD_MAX];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (!rows[i].changed)
			continue;
		snprintf(line, sizeof(line), "notice: %s a restart", rows[i].what);
		t->sink(t->context, line);
	}
}

unsigned changes_tell(const struct config *old, const struct config *new, changes_sink *sink, void *context)
{
	struct telling t = { .old = old, .new = new, .sink = sink, .context = context };
	struct words before, after;
	char line[64];

	tell_listeners(&t, new, old, "added");
	tell_listeners(&t, old, new, "removed");
	before.at = said_sort(old->said, &before.count);
	after.at = said_sort(new->said, &after.count);
	tell_words(&t, &before, &after);
	free(before.at);
	free(after.at);
	tell_files(&t);
	tell_accounts(&t);
	if (t.count > CHANGES_MAX) {
		snprintf(line, sizeof(line), "and %u more changes", t.count - CHANGES_MAX);
		sink(context, line);
	}
	tell_later(&t);
	return t.count;
}
