#include "manager/logcheck.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/secret.h"
#include "manager/chain.h"
#include "manager/control.h"
#include "manager/lines.h"
#include "manager/text.h"

#define FAULTS_SHOWN	50	/* lines; more are counted */

struct check {
	struct lines *lines;
	const struct keyring *ring;	/* NULL: there are no keys */
	struct chain chain;		/* after the last line that counts */
	uint64_t first;			/* number of the first line */
	bool begun;
	struct chain_key key;		/* of the file being read */
	bool key_known, was_keyed;
	/* What is no line since the last one that is. */
	uint64_t odd;			/* octets, with LF */
	struct lines_place odd_at;
	struct chain gate;		/* what the running gate says of its last line */
	bool gate_said, gate_met;
	uint64_t gaps, lost, torn, faults;
};

__attribute__((format(printf, 3, 4)))
static void complain(struct check *c, const struct lines_place *at, const char *format, ...)
{
	va_list arguments;

	if (++c->faults > FAULTS_SHOWN)
		return;
	printf("%s:%" PRIu64 ": ", lines_name(c->lines, at->file), at->line);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
}

static bool is_event(const struct chain_line *line, const char *event)
{
	return slice_equal(slice_first(line->record, slice_find(line->record, ' ')), slice_of(event));
}

static uint64_t number_in(const struct chain_line *line, struct slice key)
{
	struct slice value;
	uint64_t number = 0;

	if (chain_field(line->record, key, &value))
		slice_number(value, UINT64_MAX, &number);
	return number;
}

/* Whoever can write the files could else begin a new one without a key, and go on as he likes. */
static void take_key(struct check *c, const struct lines_place *at, struct slice id)
{
	bool keyed = !slice_equal(id, SLICE_OF("none"));
	int row = chain_key_find(c->ring, id);

	c->key_known = !keyed || row >= 0;
	if (keyed && row < 0)
		complain(c, at, "this file is chained with key %.*s, which [stamp] key_file doesn't have: it can't be checked", SLICE_ARGS(id));
	else
		chain_key_of(keyed ? c->ring : NULL, keyed ? (unsigned)row : 0, &c->key);
	if (!keyed && c->was_keyed)
		complain(c, at, "from here on the chain has no key: anybody who can write the file can have made it");
	else if (!keyed && c->ring && at->file + 1 == lines_count(c->lines))
		complain(c, at, "this file has no key, though [stamp] key_file is set: anybody who can write the file can have made it");
	c->was_keyed |= keyed;
}

static void begin_file(struct check *c, const struct lines_place *at, const struct chain_line *line)
{
	struct slice key = SLICE_OF("none"), before;

	if (at->line != 1 && !c->odd)
		complain(c, at, "a file begins within a file");
	chain_field(line->record, SLICE_OF("key"), &key);
	take_key(c, at, key);
	if (!c->begun && chain_field(line->record, SLICE_OF("before"), &before)) {
		slice_copy(before, c->chain.link, sizeof(c->chain.link));
		c->chain.number = line->number - 1;
		c->first = line->number;
		c->begun = true;
	}
}

static void end_odd(struct check *c, const struct lines_place *at, const struct chain_line *line, bool fits)
{
	/* The mark of a torn line may stand behind the head of the next file. */
	if (!c->odd || (is_event(line, CHAIN_FILE) && fits && at->line == 1))
		return;
	if (fits && is_event(line, CHAIN_TORN) && number_in(line, SLICE_OF("octets")) == c->odd)
		c->torn++;
	else
		complain(c, &c->odd_at, "this is no line of ours, and no power cut has been recorded here");
	c->odd = 0;
}

/* In which way a line is wrong whose link isn't. */
static void judge(struct check *c, const struct lines_place *at, const struct chain_line *line)
{
	uint64_t expected = c->chain.number + 1;

	if (line->number == expected)
		complain(c, at, "record %" PRIu64 " has been changed, or the one before it", line->number);
	else if (line->number > expected)
		complain(c, at, "records %" PRIu64 " to %" PRIu64 " are missing before this one", expected, line->number - 1);
	else
		complain(c, at, "record %" PRIu64 " is out of its place, or was added", line->number);
}

/* A number may be left out by a gap alone, which says how many. */
static bool number_fits(const struct check *c, const struct chain_line *line)
{
	uint64_t left_out = line->number - c->chain.number - 1;

	return line->number > c->chain.number && left_out == (is_event(line, CHAIN_GAP) ? number_in(line, SLICE_OF("lost")) : 0);
}

static void go_on(struct check *c, const struct chain_line *line)
{
	c->chain.number = line->number;
	slice_copy(line->link, c->chain.link, sizeof(c->chain.link));
	if (is_event(line, CHAIN_GAP)) {
		c->gaps++;
		c->lost += number_in(line, SLICE_OF("lost"));
	}
}

static void meet_gate(struct check *c, const struct lines_place *at, const struct chain_line *line)
{
	if (!c->gate_said || line->number != c->gate.number)
		return;
	c->gate_met = true;
	if (!slice_equal(line->link, slice_of(c->gate.link)))
		complain(c, at, "record %" PRIu64 " is not the one that the running gate has written", line->number);
}

static void check_line(struct check *c, const struct lines_place *at, const struct chain_line *line)
{
	bool head = is_event(line, CHAIN_FILE), fits;

	if (head)
		begin_file(c, at, line);
	if (!c->begun) {
		complain(c, at, "the file doesn't begin with a record of its own: what was before is missing");
		c->begun = true;
		c->first = line->number;
		go_on(c, line);
		return;
	}
	if (at->line == 1 && !head)
		complain(c, at, "the first record of this file is missing");
	fits = !c->key_known || chain_fits(line, &c->key, slice_of(c->chain.link));
	end_odd(c, at, line, fits);
	if (!fits || !number_fits(c, line)) {
		judge(c, at, line);
		/* One that was added is passed over; behind a hole it goes on with what is there. */
		if (line->number <= c->chain.number)
			return;
	}
	meet_gate(c, at, line);
	go_on(c, line);
}

static void look(void *context, const struct lines_place *at, struct slice text)
{
	struct check *c = context;
	struct chain_line line;

	if (at->whole && chain_read(text, &line)) {
		check_line(c, at, &line);
		return;
	}
	if (!c->odd)
		c->odd_at = *at;
	c->odd += text.len + at->whole;
}

static void finish(struct check *c)
{
	const struct lines_place end = c->odd_at;

	if (c->odd)
		complain(c, &end, "the last line isn't whole: a power cut may have torn it, which the gate says when it starts");
	if (c->gate_said && !c->gate_met && c->chain.number < c->gate.number) {
		printf("%s: records %" PRIu64 " to %" PRIu64 ", which the running gate has written, are missing at the end\n",
		       lines_name(c->lines, lines_count(c->lines) - 1), c->chain.number + 1, c->gate.number);
		c->faults++;
	} else if (c->gate_said && !c->gate_met && c->gate.number >= c->first) {
		printf("record %" PRIu64 ", the running gate's last one, isn't there\n", c->gate.number);
		c->faults++;
	}
	if (c->faults > FAULTS_SHOWN)
		printf("and %" PRIu64 " more\n", c->faults - FAULTS_SHOWN);
}

static void summary(const struct check *c)
{
	printf("records %" PRIu64 " to %" PRIu64 " in %u files%s", c->first, c->chain.number, lines_count(c->lines),
	       c->faults ? "" : " are whole");
	if (c->was_keyed)
		printf(", chained with key %s", c->key.id);
	else
		fputs(", chained without a key", stdout);
	puts(!c->gate_said ? "; no gate is running that knows its last one" :
	     c->faults ? "" : "; the running gate agrees on its last one");
	if (c->first > 1)
		printf("records before %" PRIu64 " have been rotated away\n", c->first);
	if (c->gaps)
		printf("%" PRIu64 " records could not be written, in %" PRIu64 " gaps that are marked\n", c->lost, c->gaps);
	if (c->torn)
		printf("%" PRIu64 " torn lines are marked\n", c->torn);
}

/* True as well where there are none. */
static bool read_keys(const struct config *c, struct keyring *ring, bool *there, struct fault *f)
{
	struct slice text;
	int result;
	bool good;

	*there = c->stamp_keys[0] != '\0';
	if (!*there)
		return true;
	result = text_read(c->stamp_keys, KEYRING_FILE_MAX, &text, NULL);
	if (result < 0)
		return fault_set(f, result == -EACCES ? STATUS_DENIED : STATUS_CONFIG, "%s: %s", c->stamp_keys, strerror(-result));
	good = keyring_parse(text, c->stamp_keys, ring, f);
	text_free(text);
	return good;
}

static bool check_files(struct check *c, const struct config *config, struct fault *f)
{
	/* Asked first: what is written meanwhile is more than it says, never less. */
	c->gate_said = control_audit(config->control, &c->gate);
	c->lines = lines_open(config->audit, f);
	if (!c->lines || !lines_read(c->lines, look, c, f)) {
		lines_close(c->lines);
		return false;
	}
	finish(c);
	summary(c);
	lines_close(c->lines);
	return true;
}

int logcheck_run(const struct config *config, struct fault *f)
{
	struct keyring ring = { .count = 0 };
	struct check c = { .key_known = false };
	bool there, good = read_keys(config, &ring, &there, f);

	c.ring = there ? &ring : NULL;
	chain_begin(&c.chain);
	good = good && check_files(&c, config, f);
	secret_wipe(&ring, sizeof(ring));
	secret_wipe(&c.key, sizeof(c.key));
	if (!good)
		return f->status;
	return c.faults ? STATUS_NO : STATUS_OK;
}
