/* The command log: who sent what, and what became of it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "manager/commands.h"
#include "manager/config.h"
#include "manager/lines.h"
#include "manager/logcheck.h"
#include "manager/search.h"
#include "manager/show.h"
#include "manager/when.h"

#define USAGE "log [--since T] [--until T] [--account A] [--from A] [--to A] [--verdict V] [--id Q] [--message-id M] [--agent NAME] [--json] | log --check"

struct ref {				/* a record to be shown */
	uint64_t offset;
	uint32_t file, len, group;
	bool later;			/* not the message's own record, which is shown first: passed on directly, it is the last */
};

struct log_request {
	struct search search;
	struct lines *lines;
	bool json, check;
	struct ref *refs;
	size_t count, room;
	uint64_t found;			/* records */
	struct fault *fault;
};

static const struct {
	const char *option;
	enum search_for what;
} options[] = {
	{ "--account", SEARCH_ACCOUNT }, { "--from", SEARCH_FROM }, { "--to", SEARCH_TO }, { "--verdict", SEARCH_VERDICT },
	{ "--id", SEARCH_ID }, { "--message-id", SEARCH_MSGID }, { "--agent", SEARCH_AGENT },
};

static bool take_time(const char *option, const char *text, bool end, char out[24], struct fault *f)
{
	int64_t wall;
	struct tm tm;
	time_t t;

	if (!when_parse(slice_trim(slice_of(text)), clock_wall(), end, &wall))
		return fault_set(f, STATUS_USAGE, "%s %s: not a time; write " WHEN_FORMS, option, text);
	t = (time_t)wall;
	if (!gmtime_r(&t, &tm) || !strftime(out, 24, "%Y-%m-%dT%H:%M:%SZ", &tm))
		return fault_set(f, STATUS_USAGE, "%s %s: out of range", option, text);
	return true;
}

/* A word that no record has would never be found: said at once. */
static bool check_verdict(const char *text, struct fault *f)
{
	static const char *const words[] = {
		"accepted", "refused", "delivered", "failed", "expired", "withdrawn", "removed", "unreadable"
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (!strcmp(text, words[i]))
			return true;
	return fault_set(f, STATUS_USAGE, "--verdict %s: must be accepted, refused, delivered, failed, expired, withdrawn, removed or unreadable",
			 text);
}

static bool take_value(struct log_request *r, const char *option, const char *value, struct fault *f)
{
	if (!strcmp(option, "--since") || !strcmp(option, "--until"))
		return take_time(option, value, option[2] == 'u', option[2] == 'u' ? r->search.until : r->search.since, f);
	if (!strcmp(option, "--verdict") && !check_verdict(value, f))
		return false;
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (!strcmp(option, options[i].option)) {
			r->search.wanted[options[i].what] = slice_of(value);
			return true;
		}
	return fault_set(f, STATUS_USAGE, "%s: there is no such option; usage: sekimori [-c FILE] " USAGE, option);
}

static bool take_options(struct log_request *r, int argc, char **argv, struct fault *f)
{
	for (int i = 0; i < argc; i++) {
		if (!strcmp(argv[i], "--json"))
			r->json = true;
		else if (!strcmp(argv[i], "--check"))
			r->check = true;
		else if (i + 1 == argc)
			return fault_set(f, STATUS_USAGE, "%s: usage: sekimori [-c FILE] " USAGE, argv[i]);
		else if (!take_value(r, argv[i], argv[i + 1], f))
			return false;
		else
			i++;
	}
	if (r->check && argc > 1)
		return fault_set(f, STATUS_USAGE, "--check stands alone: it reads all records");
	return true;
}

static void look(void *context, const struct lines_place *at, struct slice text)
{
	struct log_request *r = context;
	struct chain_line line;

	if (at->whole && chain_read(text, &line))
		search_look(&r->search, &line);
}

static bool keep(struct log_request *r, const struct lines_place *at, size_t len, uint32_t group, bool later)
{
	if (r->count == r->room) {
		size_t room = r->room ? 2 * r->room : 1024;
		struct ref *refs = realloc(r->refs, room * sizeof(*refs));

		if (!refs)
			return false;
		r->refs = refs;
		r->room = room;
	}
	r->refs[r->count++] = (struct ref){ at->offset, at->file, (uint32_t)len, group, later };
	return true;
}

static void take(void *context, const struct lines_place *at, struct slice text)
{
	struct log_request *r = context;
	struct chain_line line;
	uint32_t group;

	if (!at->whole || !chain_read(text, &line) || !search_takes(&r->search, &line, &group))
		return;
	/* The file's own records are for --check. */
	if (!chain_is_record(line.record))
		return;
	r->found++;
	if (r->json)
		show_json(&line, stdout);
	else if (!keep(r, at, text.len, group, !slice_starts(line.record, SLICE_OF("message "))))
		r->search.failed = true;
}

/* Records of one message stand together, messages in the order in which they began. */
static int by_group(const void *a, const void *b)
{
	const struct ref *x = a, *y = b;

	if (x->group != y->group)
		return x->group < y->group ? -1 : 1;
	if (x->later != y->later)
		return x->later ? 1 : -1;
	if (x->file != y->file)
		return x->file < y->file ? -1 : 1;
	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static void show_refs(struct log_request *r)
{
	char text[CHAIN_LINE_MAX];
	struct chain_line line;

	if (r->count)
		qsort(r->refs, r->count, sizeof(r->refs[0]), by_group);
	for (size_t i = 0; i < r->count; i++) {
		const struct ref *ref = &r->refs[i];

		if (ref->len <= sizeof(text) && lines_again(r->lines, ref->file, ref->offset, ref->len, text) &&
		    chain_read(slice_bytes(text, ref->len), &line))
			show_text(&line, i == 0 || ref[-1].group != ref->group, stdout);
	}
}

static int search(struct log_request *r, struct fault *f)
{
	search_begin(&r->search);
	if (!lines_read(r->lines, look, r, f) || !lines_read(r->lines, take, r, f))
		return f->status;
	if (r->search.failed) {
		fault_set(f, STATUS_TEMPORARY, "out of memory: ask for less, by --since");
		return f->status;
	}
	show_refs(r);
	if (fflush(stdout) || ferror(stdout)) {
		fault_set(f, STATUS_TEMPORARY, "standard output: %s", strerror(errno));
		return f->status;
	}
	return r->found ? STATUS_OK : STATUS_NO;
}

static int run(struct log_request *r, const struct config *c, struct fault *f)
{
	int status;

	if (!strcmp(c->audit, "none")) {
		fault_set(f, STATUS_UNAVAILABLE, "there is no audit file: [manager] audit = none");
		return f->status;
	}
	if (r->check)
		return logcheck_run(c, f);
	r->lines = lines_open(c->audit, f);
	if (!r->lines)
		return f->status;
	status = search(r, f);
	lines_close(r->lines);
	search_end(&r->search);
	free(r->refs);
	return status;
}

int command_log(const char *path, int argc, char **argv)
{
	struct fault f = { .text = "" };
	struct log_request r = { .json = false };
	struct config *c;
	int status;

	if (!take_options(&r, argc, argv, &f))
		return command_failed(&f);
	c = config_read_domains(path, &f);
	if (!c)
		return command_failed(&f);
	status = run(&r, c, &f);
	config_free(c);
	return fault_is(&f) ? command_failed(&f) : status;
}
