/* The table of `credentials = sender` (R40). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "manager/draft.h"
#include "manager/text.h"
#include "trust/accounts.h"

#define TABLE_MAX		(ACCOUNTS_MAX * 600)	/* octets of credentials_file: a line of three full parts each */

struct owner {				/* of a row: the name under which the spool keeps whose mail it is */
	struct slice principal;
	const char *kind;
};

struct owners {
	unsigned count;
	struct owner at[2];		/* the first two: with more than one nobody can say whose the row is */
};

static void add_owner(struct owners *o, struct slice principal, const char *kind)
{
	if (o->count < 2)
		o->at[o->count++] = (struct owner){ principal, kind };
}

static void find_sections(const struct draft *d, struct slice name, struct owners *o)
{
	for (struct draft_block *b = draft_next(d, NULL, DRAFT_DEVICE); b; b = draft_next(d, b, DRAFT_DEVICE))
		if (slice_equal(name, slice_of(b->name)))
			add_owner(o, slice_of(b->name), "device");
	for (struct draft_block *b = draft_next(d, NULL, DRAFT_PEER); b; b = draft_next(d, b, DRAFT_PEER))
		if (slice_equal(name, slice_of(b->name)))
			add_owner(o, slice_of(b->name), "peer");
}

/* A device that sends under an account's address is meant by its own name alone. */
static void find_senders(const struct draft *d, struct slice name, struct owners *o)
{
	struct address_key key, own;

	if (!address_key_of(name, &key))
		return;
	for (struct draft_block *b = draft_next(d, NULL, DRAFT_DEVICE); b; b = draft_next(d, b, DRAFT_DEVICE))
		if (address_key_of(slice_of(b->device->sender), &own) && address_key_equal(&key, &own))
			add_owner(o, slice_of(b->name), "device");
}

static void find_owners(const struct draft *d, struct slice name, struct owners *o)
{
	const struct trust_account *account = accounts_find(d->config->trust, name);
	struct slice return_from = slice_of(d->config->relay.return_from);

	o->count = 0;
	if (account)
		add_owner(o, account_name(account), "account");
	find_sections(d, name, o);
	if (!o->count)
		find_senders(d, name, o);
	if (!o->count && slice_equal_fold(name, return_from))
		add_owner(o, return_from, "[return] from");
}

struct table {
	struct draft *draft;
	const char *path;
	unsigned line;
	struct relay_route *route;
};

static bool is_print(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (ascii_is_control(s.at[i]))
			return false;
	return true;
}

static bool find_principal(const struct table *t, struct slice name, struct slice *principal)
{
	struct owners o;

	find_owners(t->draft, name, &o);
	*principal = o.at[0].principal;
	if (o.count == 1)
		return true;
	if (!o.count)
		return fault_at(t->draft->fault, t->path, t->line, "%.*s: no such account, device or peer", SLICE_ARGS(name));
	return fault_at(t->draft->fault, t->path, t->line,
			"%.*s may be %s %.*s or %s %.*s: write which one by a name that only it has (an account by its address)",
			SLICE_ARGS(name), o.at[0].kind, SLICE_ARGS(o.at[0].principal), o.at[1].kind, SLICE_ARGS(o.at[1].principal));
}

static bool take_row(struct table *t, struct slice name, struct slice user, struct slice file)
{
	struct relay_login *l = &t->route->logins[t->route->login_count];
	struct slice principal;
	struct fault *f = t->draft->fault, why = { .text = "" };
	char path[256];

	if (!find_principal(t, name, &principal))
		return false;
	if (!slice_copy(user, l->user, sizeof(l->user)))
		return fault_at(f, t->path, t->line, "the upstream user is longer than %d octets", LOGIN_MAX);
	if (file.at[0] != '/' || !slice_copy(file, path, sizeof(path)))
		return fault_at(f, t->path, t->line, "the password file must be a path from / of at most 255 octets");
	if (!slice_copy(principal, l->account, sizeof(l->account)))
		return fault_at(f, t->path, t->line, "%.*s: too long", SLICE_ARGS(name));
	l->line = t->line;
	t->route->login_count++;
	return draft_password(path, l->password, &why) || fault_at(f, t->path, t->line, "%s", why.text);
}

static bool take_line(struct table *t, struct slice line)
{
	struct slice rest = line, name, user, file, more;

	if (!is_print(line) && slice_find(line, '\t') == line.len)
		return fault_at(t->draft->fault, t->path, t->line, "a control character");
	if (!slice_word(&rest, &name) || name.at[0] == '#')
		return true;
	if (!slice_word(&rest, &user) || !slice_word(&rest, &file) || slice_word(&rest, &more))
		return fault_at(t->draft->fault, t->path, t->line, "a line is: account, upstream user, password file");
	if (t->route->login_count == ACCOUNTS_MAX)
		return fault_at(t->draft->fault, t->path, t->line, "more than %d lines", ACCOUNTS_MAX);
	return take_row(t, name, user, file);
}

static bool take_table(struct table *t, struct slice text)
{
	size_t lines = 1;
	struct slice line;

	for (size_t i = 0; i < text.len; i++)
		lines += text.at[i] == '\n';
	t->route->logins = calloc(lines < ACCOUNTS_MAX ? lines : ACCOUNTS_MAX, sizeof(*t->route->logins));
	if (!t->route->logins)
		return fault_set(t->draft->fault, STATUS_TEMPORARY, "out of memory");
	while (slice_cut(&text, '\n', &line)) {
		t->line++;
		if (!take_line(t, line))
			return false;
	}
	return true;
}

/* Two rows for one account would make it a matter of luck who sends. */
static bool sort_table(struct table *t)
{
	const struct relay_login *l = t->route->logins;

	qsort(t->route->logins, t->route->login_count, sizeof(*l), route_login_compare);
	for (unsigned i = 1; i < t->route->login_count; i++)
		if (route_login_compare(&l[i - 1], &l[i]) == 0)
			return fault_at(t->draft->fault, t->path, l[i].line > l[i - 1].line ? l[i].line : l[i - 1].line,
					"%s has a line already", l[i].account);
	return true;
}

static void notice_missing(const struct draft *d, const struct relay_route *r)
{
	const struct trust_account *first = NULL;
	size_t count = accounts_count(d->config->trust), missing = 0;

	for (size_t i = 0; i < count && !r->user[0]; i++) {
		const struct trust_account *a = accounts_at(d->config->trust, i);

		if (route_login(r, account_name(a)) >= 0)
			continue;
		missing++;
		first = first ? first : a;
	}
	if (missing)
		draft_notice(d, "%s: %zu accounts have no line, %.*s is the first: their mail waits", r->logins_path, missing,
			     SLICE_ARGS(account_name(first)));
	if (!r->user[0] && route_login(r, slice_of(d->config->relay.return_from)) < 0)
		draft_notice(d, "%s: [return] from, %s, has no line: return mail waits", r->logins_path,
			     d->config->relay.return_from);
}

bool draft_read_logins(struct draft *d, struct draft_block *b)
{
	struct relay_route *r = &b->relay->route;
	struct table t = { .draft = d, .path = r->logins_path, .route = r };
	struct slice text;
	int others = 0, result;
	bool good;

	slice_copy(slice_of(b->relay->credentials_file), r->logins_path, sizeof(r->logins_path));
	result = text_read(r->logins_path, TABLE_MAX, &text, &others);
	if (result == -EINVAL || result == -EFBIG)
		return draft_refuse(d, b, "credentials_file", "%s: must be a file of at most %d octets", r->logins_path, TABLE_MAX);
	if (result < 0)
		return draft_refuse(d, b, draft_has(b, "credentials_file") ? "credentials_file" : "credentials", "%s: %s", r->logins_path, strerror(-result));
	good = others > 0 ? draft_refuse(d, b, "credentials_file", "%s is open to others: chmod 640 %s", r->logins_path,
					 r->logins_path) :
			    take_table(&t, text) && sort_table(&t);
	text_free(text);
	if (good)
		notice_missing(d, r);
	return good;
}
