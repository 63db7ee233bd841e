#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "manager/draft.h"
#include "manager/ini.h"
#include "manager/said.h"
#include "trust/accounts.h"

static bool is_name(struct slice name)
{
	for (size_t i = 0; i < name.len; i++)
		if (!ascii_is_alnum(name.at[i]) && !(i > 0 && memchr("-_.", name.at[i], 3)))
			return false;
	return name.len > 0 && name.len <= DRAFT_NAME_MAX;
}

static const struct draft_section *find_section(struct slice title)
{
	for (size_t i = 0; i < DRAFT_KINDS; i++)
		if (slice_equal(title, draft_sections[i].title))
			return &draft_sections[i];
	return NULL;
}

static bool name_fits(const struct draft_section *s, bool named, struct slice name)
{
	return named ? s->named != NAME_NONE && is_name(name) : s->named != NAME_MUST;
}

/* "relay NAME": its row of the table, and *name. */
static const struct draft_section *read_title(const struct draft *d, const char *text, unsigned line, struct slice *name,
					struct fault *f)
{
	struct slice title = slice_first(slice_of(text), slice_find(slice_of(text), ' '));
	const struct draft_section *s = find_section(title);

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

static struct draft_block *new_block(struct draft *d, const struct draft_section *s, struct fault *f)
{
	struct draft_block *b = calloc(1, sizeof(*b));
	void *memory = s->size ? calloc(1, s->size) : NULL;

	if (!b || (s->size && !memory)) {
		free(b);
		free(memory);
		fault_set(f, STATUS_TEMPORARY, "out of memory");
		return NULL;
	}
	b->kind = (enum draft_kind)(s - draft_sections);
	b->memory = memory;
	*d->blocks_end = b;
	d->blocks_end = &b->next;
	return b;
}

static bool begin_section(struct draft *d, const char *text, unsigned line, struct fault *f)
{
	struct slice name;
	const struct draft_section *s = read_title(d, text, line, &name, f);
	struct draft_block *b;

	d->block = NULL;
	if (!s)
		return false;
	if (s - draft_sections < DRAFT_SINGLES) {
		d->block = &d->singles[s - draft_sections];
		d->block->line = line;
		return true;
	}
	if (count_of(d, (enum draft_kind)(s - draft_sections)) >= s->max)
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

static bool remember(struct draft *d, const char *section, struct slice key, struct slice value, struct fault *f)
{
	return said_add(&d->config->said, slice_of(section), key, value) || fault_set(f, STATUS_TEMPORARY, "out of memory");
}

static bool add_setting(struct draft *d, const char *section, struct slice key, struct slice value, unsigned line,
			struct fault *f)
{
	struct draft_block *b = d->block;
	const struct setting_row *rows;
	int row;

	if (!b)		/* of an unknown section: said once */
		return true;
	rows = draft_sections[b->kind].rows;
	if (!rows)
		return add_alias(d, key, value, line, f) && remember(d, section, key, value, f);
	row = draft_row(b, key);
	if (row < 0)
		return fault_at(f, d->path, line, "unknown key %.*s in [%s]", SLICE_ARGS(key), section);
	b->lines[row] = line;
	return setting_put(&rows[row], b->memory, value, d->path, line, f) &&
	       (rows[row].flags & SETTING_SECRET || remember(d, section, key, value, f));
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
	const struct draft_section *s = &draft_sections[b->kind];

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
		if (!setting_defaults(draft_sections[i].rows, d->config, d->fault))
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
	d->config->user_count = count_of(d, DRAFT_LOCAL);
	return d->faults == 0;
}

static void free_logins(struct relay_route *r)
{
	if (r->logins)
		secret_wipe(r->logins, r->login_count * sizeof(*r->logins));
	free(r->logins);
}

static void free_draft(struct draft *d)
{
	while (d->blocks) {
		struct draft_block *b = d->blocks;

		d->blocks = b->next;
		if (b->memory && b->kind == DRAFT_RELAY)
			free_logins(&b->relay->route);
		if (b->memory)
			secret_wipe(b->memory, draft_sections[b->kind].size);
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

struct config *config_read_stamp(const char *path, struct fault *f)
{
	struct draft d = { .stamp = true, .fault = f };

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
	tls_context_release(c->forward.context);
	tls_context_release(c->agents.tls);
	free(c->agents.rules);
	for (unsigned i = 0; i < c->relay.route_count; i++) {
		tls_context_release(c->relay.routes[i].context);
		tls_context_release(c->relay.routes[i].pop.context);
		free_logins(&c->relay.routes[i]);
	}
	if (c->relay.routes)
		secret_wipe(c->relay.routes, c->relay.route_count * sizeof(c->relay.routes[0]));
	free(c->relay.routes);
	free(c->relay.owners);
	trust_free(c->trust);
	said_free(c->said);
	if (c->keyring)
		secret_wipe(c->keyring, sizeof(*c->keyring));
	free(c->keyring);
	secret_wipe(c, sizeof(*c));
	free(c);
}

const struct tls_context *config_tls(const struct config *c)
{
	return c->ingest.tls ? c->ingest.tls : c->agents.tls;
}

bool config_unused(const struct config *c)
{
	return c->ingest.users == 0 && c->relay.users == 0;
}
