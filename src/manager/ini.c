#include "ini.h"

#include <errno.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

/* Names that must not come twice; they point into the text. */
struct names {
	struct slice *at;
	size_t count, room;
};

struct guard {
	struct slice rest;		/* lines not read yet; at NULL: none */
	const char *path;
	unsigned line;			/* of what inih was handed last */
	struct names sections, keys;	/* of the file; of the section */
	char section[INI_SECTION_MAX + 1];	/* empty: none yet */
	struct slice key, value;	/* as the guard reads the line; inih must say the same */
	bool due;			/* inih has been handed a setting and hasn't told of it yet */
	ini_setting *setting;
	void *context;
	struct fault *fault;
};

static bool refuse(struct guard *g, const char *what)
{
	return fault_at(g->fault, g->path, g->line, "%s", what);
}

static bool names_know(const struct names *n, struct slice name)
{
	for (size_t i = 0; i < n->count; i++)
		if (slice_equal_fold(n->at[i], name))
			return true;
	return false;
}

static bool names_add(struct guard *g, struct names *n, struct slice name)
{
	if (n->count >= INI_NAMES_MAX)
		return refuse(g, "too many lines");
	if (n->count == n->room) {
		size_t room = n->room ? n->room * 2 : 64;
		struct slice *at = realloc(n->at, room * sizeof(*at));

		if (!at)
			return fault_set(g->fault, STATUS_TEMPORARY, "out of memory");
		n->at = at;
		n->room = room;
	}
	n->at[n->count++] = name;
	return true;
}

static size_t find_text(struct slice in, struct slice what)
{
	for (size_t i = 0; i + what.len <= in.len; i++)
		if (slice_starts(slice_skip(in, i), what))
			return i;
	return in.len;
}

/* Up to the comment, as inih ends a value: `;` after a blank. */
static struct slice without_comment(struct slice line)
{
	for (size_t i = 1; i < line.len; i++)
		if (line.at[i] == ';' && ascii_is_blank(line.at[i - 1]))
			return slice_first(line, i);
	return line;
}

static bool guard_octets(struct guard *g, struct slice line)
{
	if (g->line == 1 && slice_starts(line, SLICE_OF("\xef\xbb\xbf")))
		return refuse(g, "the file begins with a byte order mark: save it as UTF-8 without BOM");
	for (size_t i = 0; i < line.len; i++) {
		if (line.at[i] == '\r')
			return refuse(g, "carriage return: save the file with Unix line ends (LF)");
		if (line.at[i] != '\t' && ascii_is_control(line.at[i]))
			return fault_at(g->fault, g->path, g->line, "control character 0x%02x",
					(unsigned)(unsigned char)line.at[i]);
	}
	return true;
}

/* Text after `]` would be ignored, a name over the maximum cut. */
static bool guard_section(struct guard *g, struct slice code)
{
	size_t end = slice_find(code, ']');
	struct slice name = slice_skip(slice_first(code, end), 1);

	if (end == code.len)
		return refuse(g, "the section's name does not end in ]");
	if (slice_trim(slice_skip(code, end + 1)).len > 0)
		return refuse(g, "something follows the ] of the section");
	if (name.len == 0)
		return refuse(g, "the section has no name");
	if (!slice_copy(name, g->section, sizeof(g->section)))
		return fault_at(g->fault, g->path, g->line, "the section's name is longer than %d octets",
				INI_SECTION_MAX);
	if (names_know(&g->sections, name))
		return fault_at(g->fault, g->path, g->line, "[%s] stands here a second time", g->section);
	g->keys.count = 0;
	return names_add(g, &g->sections, name) &&
	       g->setting(g->context, g->section, NULL, slice_bytes("", 0), g->line, g->fault);
}

static bool guard_key(struct guard *g, struct slice code, bool comment)
{
	size_t equals = slice_find(code, '=');
	struct slice value = slice_skip(code, equals + 1);

	/* inih takes `:` for `=`, whichever comes first. */
	if (equals == code.len || slice_find(code, ':') < equals)
		return refuse(g, "neither [section] nor key = value");
	g->key = slice_trim(slice_first(code, equals));
	g->value = slice_trim(value);
	if (g->key.len == 0)
		return refuse(g, "no key before the =");
	if (g->section[0] == '\0')
		return refuse(g, "the first setting stands before any [section]");
	if (value.len > 0 && value.at[0] == ';')
		return refuse(g, "`=;`: write a blank before a comment");
	if (comment && slice_ends_fold(g->key, SLICE_OF("password")))
		return refuse(g, "` ;` would cut the password and begin a comment: use password_file, or move the comment");
	if (names_know(&g->keys, g->key))
		return fault_at(g->fault, g->path, g->line, "%.*s stands a second time in [%s]", SLICE_ARGS(g->key),
				g->section);
	g->due = true;
	return names_add(g, &g->keys, g->key);
}

/* *hand: what inih is to see of the line. Comments of any length and script are kept from it. */
static bool guard_line(struct guard *g, struct slice line, size_t max, struct slice *hand)
{
	struct slice trimmed = slice_trim(line);
	struct slice code = without_comment(line);

	*hand = slice_bytes("", 0);
	if (!guard_octets(g, line))
		return false;
	if (trimmed.len == 0 || trimmed.at[0] == ';' || trimmed.at[0] == '#')
		return true;
	if (line.len > max)
		return fault_at(g->fault, g->path, g->line, "the line is longer than %zu octets", max);
	if (find_text(code, SLICE_OF("\xe3\x80\x80")) < code.len)
		return refuse(g, "full-width blank (U+3000): write an ordinary one");
	if (ascii_is_blank(line.at[0]))
		return refuse(g, "the line begins with a blank: continuation lines are not used");
	*hand = line;
	if (line.at[0] == '[')
		return guard_section(g, code);
	return guard_key(g, code, code.len < line.len);
}

/*
 * inih's fgets: one guarded line a call, so that a setting it tells of stands in the line handed last. The LF is
 * handed too: without it, newer versions take a full line for a cut one and drop what follows.
 */
static char *hand_line(char *out, int size, void *stream)
{
	struct guard *g = stream;
	size_t max = size > 2 ? (size_t)size - 2 : 0;
	struct slice line, hand;

	if (max > INI_LINE_MAX)
		max = INI_LINE_MAX;
	if (fault_is(g->fault))
		return NULL;
	if (g->due) {
		refuse(g, "inih does not see this setting");
		return NULL;
	}
	if (!slice_cut(&g->rest, '\n', &line))
		return NULL;
	g->line++;
	if (size < 2 || !guard_line(g, line, max, &hand) || !slice_copy(hand, out, (size_t)size - 1))
		return NULL;
	out[hand.len] = '\n';
	out[hand.len + 1] = '\0';
	return out;
}

static int take_setting(void *context, const char *section, const char *name, const char *value)
{
	struct guard *g = context;

	if (fault_is(g->fault))
		return 0;
	if (!g->due || strcmp(section, g->section) != 0 || !slice_equal(slice_of(name), g->key) ||
	    !slice_equal(slice_of(value), g->value))
		return refuse(g, "the line can be read in two ways");
	g->due = false;
	return g->setting(g->context, section, name, slice_of(value), g->line, g->fault);
}

bool ini_read_text(struct slice text, const char *path, ini_setting *setting, void *context, struct fault *f)
{
	struct guard g = {
		.rest = text.len > 0 ? text : slice_bytes(NULL, 0),
		.path = path, .setting = setting, .context = context, .fault = f
	};
	int result = ini_parse_stream(hand_line, &g, take_setting, &g);

	if (result != 0 && !fault_is(f))
		fault_at(f, path, result > 0 ? (unsigned)result : g.line, "inih can not read this line");
	free(g.sections.at);
	free(g.keys.at);
	return !fault_is(f);
}

bool ini_read(const char *path, ini_setting *setting, void *context, struct fault *f)
{
	struct slice text;
	int result = text_read(path, INI_FILE_MAX, &text, NULL);
	bool good;

	if (result == -EINVAL)
		return fault_set(f, STATUS_CONFIG, "%s: not a file", path);
	if (result < 0)
		return fault_set(f, STATUS_CONFIG, "%s: %s", path, strerror(-result));
	good = ini_read_text(text, path, setting, context, f);
	text_free(text);
	return good;
}
