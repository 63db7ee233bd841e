/* sekimori verify: what the stamp of a mail says (R17), from the file alone. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/json.h"
#include "mail/body.h"
#include "mail/fields.h"
#include "mail/from.h"
#include "mail/header.h"
#include "mail/stamp.h"
#include "manager/commands.h"
#include "manager/config.h"
#include "manager/newkey.h"
#include "manager/text.h"

#define MBOX_LINE	"From "		/* RFC 4155: what a mail in a mailbox file begins with */
#define HEADER_MAX	(1u << 24)	/* octets: servers on the way add theirs */

enum outcome { STAMP_INTACT, STAMP_HEADER_ONLY, STAMP_CHANGED, STAMP_NONE, STAMP_DAMAGED, STAMP_UNKNOWN_KEY, STAMP_FORGED };

static const struct {
	const char *word, *text;
} outcomes[] = {
	[STAMP_INTACT] = { "intact", "this mail passed here and has not been changed since" },
	[STAMP_HEADER_ONLY] = { "header-only", "this mail passed here with this sender, but its body was not sealed" },
	[STAMP_CHANGED] = { "changed", "this mail passed here, but something in it is no longer what it was" },
	[STAMP_NONE] = { "none", "there is no stamp: nothing shows that this mail passed here" },
	[STAMP_DAMAGED] = { "damaged", "there is a stamp, but it can not be read" },
	[STAMP_UNKNOWN_KEY] = { "unknown-key", "there is a stamp, but the key that it names is not among ours" },
	[STAMP_FORGED] = { "forged", "there is a stamp, but it was not made with our key" },
};

static const char *const changes[] = { "from", "from-name", "message-id", "body" };
enum change { CHANGED_FROM, CHANGED_FROM_NAME, CHANGED_MESSAGE_ID, CHANGED_BODY, CHANGES };

struct mail {
	const struct config *config;
	const char *name;		/* of the file */
	bool mbox;
	struct slice head, body;
	struct header header;
	struct address from;		/* of From:; null when it can't be told for sure */
	enum outcome outcome;
	bool changed[CHANGES];
	bool hides_from;
	struct stamp stamp;		/* slices into stamp_memory */
	char stamp_memory[2 * STAMP_MAX];
};

/* ---- The parts of the file ---- */

/* Without its CRLF or LF; false at the end. */
static bool next_line(struct slice *rest, struct slice *line)
{
	size_t lf = slice_find(*rest, '\n');

	if (rest->len == 0)
		return false;
	*line = slice_first(*rest, lf);
	if (line->len > 0 && line->at[line->len - 1] == '\r')
		line->len--;
	*rest = slice_skip(*rest, lf + 1);
	return true;
}

/* The next field with its folds, from `head`; false at the end. */
static bool next_field(struct slice *head, struct slice *field)
{
	const char *start = head->at;
	struct slice line;

	if (!next_line(head, &line))
		return false;
	while (head->len > 0 && ascii_is_blank(head->at[0]))
		next_line(head, &line);
	*field = slice_bytes(start, (size_t)(head->at - start));
	return true;
}

/* As it came from the wire: header.h wants it so. */
static void feed_line(struct header *h, struct slice line)
{
	if (line.len > 0 && line.at[0] == '.')
		header_feed(h, SLICE_OF("."));
	header_feed(h, line);
	header_feed(h, SLICE_OF("\r\n"));
}

static bool split(struct mail *m, struct slice text, struct fault *f)
{
	struct slice line;
	bool fields = false;

	if (slice_starts(text, SLICE_OF("\xef\xbb\xbf")))	/* a byte order mark: some programs save so */
		text = slice_skip(text, 3);
	m->mbox = slice_starts(text, SLICE_OF(MBOX_LINE));
	if (m->mbox)
		next_line(&text, &line);
	m->head = m->body = text;
	header_init(&m->header, HEADER_MAX);
	while (next_line(&m->body, &line) && line.len > 0) {
		fields |= slice_find(line, ':') < line.len;
		feed_line(&m->header, line);
	}
	m->head.len = (size_t)(m->body.at - m->head.at);
	header_finish(&m->header);
	return fields || fault_set(f, STATUS_DATA, "%s: not a mail: it has no header", m->name);
}

/* An empty line and `From `: the next mail of a mailbox file. */
static bool is_single(const struct mail *m)
{
	struct slice rest = m->body, line;
	bool after_empty = true;

	while (m->mbox && next_line(&rest, &line)) {
		if (after_empty && slice_starts(line, SLICE_OF(MBOX_LINE)))
			return false;
		after_empty = line.len == 0;
	}
	return true;
}

/* ---- What is compared ---- */

static struct slice base64_of(const uint8_t hash[DIGEST_SHA256_SIZE], char out[STAMP_HASH_MAX])
{
	struct buffer text;

	buffer_init(&text, out, STAMP_HASH_MAX);
	base64_encode(&text, slice_bytes((const char *)hash, DIGEST_SHA256_SIZE));
	return buffer_bytes(&text);
}

static bool is_hash(const uint8_t hash[DIGEST_SHA256_SIZE], struct slice said)
{
	char text[STAMP_HASH_MAX];

	return slice_equal(base64_of(hash, text), said);
}

static bool is_quoted_from(struct slice line)
{
	size_t marks = 0;

	while (marks < line.len && line.at[marks] == '>')
		marks++;
	return marks > 0 && slice_starts(slice_skip(line, marks), SLICE_OF(MBOX_LINE));
}

static void add_body(struct digest_run *run, struct body *b, struct slice raw)
{
	char text[1024];

	while (raw.len > 0) {
		size_t n = body_next(b, &raw, text, sizeof(text));

		digest_add(run, slice_bytes(text, n));
	}
}

/* `unquoted`: without the `>` that programs put before a `From ` in a mailbox file. */
static bool same_body(const struct mail *m, bool unquoted)
{
	struct digest_run *run = digest_start(DIGEST_SHA256);
	uint8_t hash[DIGEST_SHA256_SIZE];
	char end[BODY_ROOM_MIN];
	struct slice rest = m->body;
	struct body b;

	body_init(&b, false);
	while (rest.len > 0) {
		struct slice raw = slice_first(rest, slice_find(rest, '\n') + 1);

		rest = slice_skip(rest, raw.len);
		add_body(run, &b, unquoted && is_quoted_from(raw) ? slice_skip(raw, 1) : raw);
	}
	digest_add(run, slice_bytes(end, body_end(&b, end)));
	return digest_finish(run, hash) && is_hash(hash, m->stamp.body_hash);
}

static bool same_from(const struct mail *m)
{
	char text[STAMP_FROM_MAX];
	uint8_t hash[DIGEST_SHA256_SIZE];
	size_t n = stamp_from_text(header_body(&m->header, FIELD_FROM), m->header.count[FIELD_FROM], text);

	return digest_hash(DIGEST_SHA256, slice_bytes(text, n), hash) && is_hash(hash, m->stamp.from_hash);
}

/* Up to its colon, without what some readers pass over; a name alone may have its colon in the next line. */
static bool looks_like_from(struct slice line)
{
	char name[4];
	size_t n = 0;

	for (size_t i = 0; i < line.len && line.at[i] != ':'; i++) {
		if (!ascii_is_print(line.at[i]) || line.at[i] == ' ')
			continue;
		if (n == sizeof(name))
			return false;
		name[n++] = line.at[i];
	}
	return slice_equal_fold(slice_bytes(name, n), SLICE_OF("from"));
}

/* Up to the next CR or LF. */
static struct slice piece_of(struct slice text)
{
	size_t n = 0;

	while (n < text.len && text.at[n] != '\r' && text.at[n] != '\n')
		n++;
	return slice_first(text, n);
}

/* Added where mail/header.h sees no From:, behind a bare CR for one, and other programs show it. */
static bool hides_from(struct slice head)
{
	bool first = true, by_lf = true;

	while (head.len) {
		struct slice line = piece_of(head), name = slice_first(line, slice_find(line, ':'));
		struct slice rest = slice_skip(head, line.len);
		bool crlf = slice_starts(rest, SLICE_OF("\r\n"));
		bool continues = !first && line.len && ascii_is_blank(line.at[0]);
		bool counted = by_lf && name.len < line.len && name.len && !ascii_is_blank(name.at[0]) &&
			       slice_equal_fold(slice_trim(name), SLICE_OF("from"));

		if (!continues && !counted && looks_like_from(line))
			return true;
		by_lf = crlf || slice_starts(rest, SLICE_OF("\n"));
		head = slice_skip(rest, crlf ? 2 : 1);
		first = false;
	}
	return false;
}

static void compare(struct mail *m)
{
	bool address = slice_equal(address_text(&m->from), m->stamp.from) && m->header.count[FIELD_FROM] <= 1;
	bool sealed = m->stamp.body_hash.len > 0;

	m->hides_from = hides_from(m->head);
	m->changed[CHANGED_FROM] = m->hides_from || (!same_from(m) && !address);
	m->changed[CHANGED_FROM_NAME] = !same_from(m) && address;
	m->changed[CHANGED_MESSAGE_ID] = !slice_equal(header_body(&m->header, FIELD_MESSAGE_ID), m->stamp.message_id);
	m->changed[CHANGED_BODY] = sealed && !same_body(m, false) && !same_body(m, true);
	m->outcome = sealed ? STAMP_INTACT : STAMP_HEADER_ONLY;
	for (unsigned i = 0; i < CHANGES; i++)
		if (m->changed[i])
			m->outcome = STAMP_CHANGED;
}

/* ---- The stamp ---- */

static enum outcome read_stamp(struct mail *m, struct slice body)
{
	static const enum outcome results[] = {
		[KEYRING_GOOD] = STAMP_INTACT, [KEYRING_FORGED] = STAMP_FORGED, [KEYRING_UNKNOWN] = STAMP_UNKNOWN_KEY,
	};
	struct buffer room;

	buffer_init(&room, m->stamp_memory, sizeof(m->stamp_memory));
	if (!stamp_read(body, &m->stamp, &room))
		return STAMP_DAMAGED;
	return results[keyring_check(m->config->keyring, m->stamp.key, m->stamp.sealed, m->stamp.seal)];
}

/* The topmost that is genuine; without one the worst that can be said of the others. */
static void find_stamp(struct mail *m)
{
	struct slice rest = m->head, field;

	m->outcome = STAMP_NONE;
	while (next_field(&rest, &field)) {
		size_t colon = slice_find(field, ':');
		enum outcome found;

		if (!slice_equal_fold(slice_trim(slice_first(field, colon)), SLICE_OF("X-Sekimori-Stamp")))
			continue;
		found = read_stamp(m, slice_skip(field, colon + 1));
		if (found == STAMP_INTACT) {
			compare(m);
			return;
		}
		if (found > m->outcome)
			m->outcome = found;
	}
	memset(&m->stamp, 0, sizeof(m->stamp));
}

/* ---- What is said ---- */

/* Values are from outside: each stays on its line. */
static void print_value(const char *before, struct slice value, const char *after)
{
	fputs(before, stdout);
	for (size_t i = 0; i < value.len; i++)
		putchar(ascii_is_control(value.at[i]) ? '?' : value.at[i]);
	puts(after);
}

static void print_date(int64_t wall)
{
	char memory[64];
	struct buffer date;

	buffer_init(&date, memory, sizeof(memory));
	fields_date(&date, wall, clock_zone(wall));
	print_value("time: ", buffer_bytes(&date), "");
}

static void print_changes(const struct mail *m)
{
	if (m->hides_from)
		puts("changed: there is a line that some programs read as another From:");
	else if (m->changed[CHANGED_FROM])
		print_value("changed: From: is now ", slice_trim(header_body(&m->header, FIELD_FROM)), "");
	if (m->changed[CHANGED_FROM_NAME])
		puts("changed: the name in From:, but not its address");
	if (m->changed[CHANGED_MESSAGE_ID])
		print_value("changed: Message-ID: is now ", header_body(&m->header, FIELD_MESSAGE_ID), "");
	if (m->changed[CHANGED_BODY])
		puts("changed: the body");
}

static void print_mail(const struct mail *m)
{
	printf("%s: %s\n", outcomes[m->outcome].word, outcomes[m->outcome].text);
	if (m->outcome > STAMP_CHANGED)
		return;
	print_value("gate: ", m->stamp.host, "");
	print_date(m->stamp.wall);
	printf("%.*s", SLICE_ARGS(m->stamp.kind));	/* a word of ours: the key has vouched for it */
	print_value(": ", m->stamp.account, "");
	print_value("envelope: <", m->stamp.envelope, ">");
	print_value("From: ", m->stamp.from.len > 0 ? m->stamp.from : SLICE_OF("(could not be read for sure)"), "");
	print_value("Message-ID: ", m->stamp.message_id, "");
	print_value("queue id: ", m->stamp.id, "");
	print_value("key: ", m->stamp.key, "");
	print_changes(m);
}

static void json_value(const char *key, struct slice value)
{
	char memory[6 * STAMP_MAX];
	struct buffer text;

	buffer_init(&text, memory, sizeof(memory));
	json_text(&text, value);
	printf(",\"%s\":%.*s", key, SLICE_ARGS(buffer_bytes(&text)));
}

static void print_json(const struct mail *m)
{
	const char *before = "";

	printf("{\"result\":\"%s\"", outcomes[m->outcome].word);
	if (m->outcome <= STAMP_CHANGED) {
		json_value("host", m->stamp.host);
		printf(",\"time\":%" PRId64, m->stamp.wall);
		json_value("kind", m->stamp.kind);
		json_value("account", m->stamp.account);
		json_value("envelope", m->stamp.envelope);
		json_value("from", m->stamp.from);
		json_value("message_id", m->stamp.message_id);
		json_value("id", m->stamp.id);
		json_value("key", m->stamp.key);
		fputs(",\"changed\":[", stdout);
		for (unsigned i = 0; i < CHANGES; i++) {
			if (!m->changed[i])
				continue;
			printf("%s\"%s\"", before, changes[i]);
			before = ",";
		}
		putchar(']');
	}
	puts("}");
}

/* ---- The command ---- */

static bool judge(struct mail *m, struct slice text, struct fault *f)
{
	bool unused;

	if (!split(m, text, f))
		return false;
	if (!is_single(m))
		return fault_set(f, STATUS_DATA, "%s: holds several mails: save the one in question", m->name);
	from_read(header_body(&m->header, FIELD_FROM), &m->from, &unused);
	find_stamp(m);
	return true;
}

static bool read_mail(struct mail *m, struct fault *f)
{
	uint64_t max = 2 * m->config->ingest.max_message_size + HEADER_MAX;
	int fd = strcmp(m->name, "-") == 0 ? STDIN_FILENO : open(m->name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	char *text;
	size_t len;
	bool good;

	text = fd < 0 ? NULL : text_stream(fd, max, &len);
	if (!text)
		good = fault_set(f, STATUS_DATA, "%s: %s", m->name, strerror(errno));
	else if (len > max)
		good = fault_set(f, STATUS_DATA, "%s: larger than any mail that passes here", m->name);
	else
		good = judge(m, slice_bytes(text, len), f);
	if (good)
		m->head = m->body = slice_bytes(NULL, 0);
	free(text);
	if (fd > STDIN_FILENO)
		close(fd);
	return good;
}

static int verify(const char *path, const char *name, bool json)
{
	struct fault f = { .text = "" };
	struct mail m = { .name = name };
	struct config *c = config_read_stamp(path, &f);
	bool good;

	if (!c)
		return command_failed(&f);
	m.config = c;
	good = read_mail(&m, &f);
	if (good)
		(json ? print_json : print_mail)(&m);
	config_free(c);
	if (!good)
		return command_failed(&f);
	return m.outcome == STAMP_INTACT ? STATUS_OK : STATUS_NO;
}

int command_verify(const char *path, int argc, char **argv)
{
	bool json = argc > 0 && strcmp(argv[0], "--json") == 0;

	if (argc == 1 && strcmp(argv[0], "--new-key") == 0)
		return newkey_run(path);
	if (argc != 1 + json || (argv[json][0] == '-' && argv[json][1]))
		return command_usage("verify [--json] FILE|- | --new-key");
	return verify(path, argv[json], json);
}
