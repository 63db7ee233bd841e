#include "script.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *grow(void *at, size_t count, size_t size)
{
	void *more = realloc(at, count * size);

	if (!more) {
		perror("dialogue");
		exit(2);
	}
	return more;
}

void text_add(struct text *t, struct slice bytes)
{
	if (t->len + bytes.len > t->size) {
		t->size = (t->len + bytes.len) * 2;
		t->at = grow(t->at, t->size, 1);
	}
	if (bytes.len)
		memcpy(t->at + t->len, bytes.at, bytes.len);
	t->len += bytes.len;
}

void text_free(struct text *t)
{
	free(t->at);
	*t = (struct text){ .at = NULL };
}

bool script_match(struct slice pattern, struct slice text)
{
	size_t p = 0, t = 0, star = SIZE_MAX, resume = 0;

	while (t < text.len) {
		if (p < pattern.len && pattern.at[p] == '*') {
			star = p++;
			resume = t;
		} else if (p < pattern.len && pattern.at[p] == text.at[t]) {
			p++;
			t++;
		} else if (star != SIZE_MAX) {
			p = star + 1;
			t = ++resume;
		} else {
			return false;
		}
	}
	while (p < pattern.len && pattern.at[p] == '*')
		p++;
	return p == pattern.len;
}

static unsigned hex_digit(char c)
{
	return ascii_is_digit(c) ? (unsigned)(c - '0') : (unsigned)(ascii_fold(c) - 'a' + 10);
}

/* The escape behind a backslash at the start of s; octets of s used. */
static size_t unescape_one(struct slice s, struct text *out)
{
	static const char letters[] = "rnt0\\", octets[] = "\r\n\t\0\\";
	const char *letter = memchr(letters, s.at[0], sizeof letters - 1);
	size_t end = slice_find(s, '}');
	uint64_t times;
	char c;

	if (letter) {
		text_add(out, slice_bytes(octets + (letter - letters), 1));
		return 1;
	}
	if (s.at[0] == 'x' && s.len >= 3) {
		c = (char)(hex_digit(s.at[1]) * 16 + hex_digit(s.at[2]));
		text_add(out, slice_bytes(&c, 1));
		return 3;
	}
	if (s.at[0] != '{' || end + 1 >= s.len || !slice_number(slice_bytes(s.at + 1, end - 1), 1000000, &times))
		return 0;
	for (uint64_t i = 0; i < times; i++)
		text_add(out, slice_bytes(s.at + end + 1, 1));
	return end + 2;
}

static bool unescape(struct slice s, struct text *out)
{
	while (s.len) {
		size_t plain = slice_find(s, '\\'), used;

		text_add(out, slice_first(s, plain));
		s = slice_skip(s, plain);
		if (!s.len)
			break;
		used = s.len > 1 ? unescape_one(slice_skip(s, 1), out) : 0;
		if (!used)
			return false;
		s = slice_skip(s, used + 1);
	}
	return true;
}

static struct script_step *add_step(struct script_case *c, enum script_kind kind, unsigned line)
{
	c->steps = grow(c->steps, c->count + 1, sizeof *c->steps);
	c->steps[c->count] = (struct script_step){ .kind = kind, .line = line };
	return &c->steps[c->count++];
}

static void add_case(struct script *s, struct slice name, unsigned line)
{
	struct script_case *c;

	s->cases = grow(s->cases, s->count + 1, sizeof *s->cases);
	c = &s->cases[s->count++];
	*c = (struct script_case){ .name = strndup(name.at, name.len), .line = line };
}

/* `C: `, `C- `, `C*N: `, `S: `, …: one or more steps; false when `in` is not of this form. */
static bool add_octets(struct script_case *c, struct slice in, unsigned line, bool *good)
{
	enum script_kind kind = in.at[0] == 'C' ? SCRIPT_CLIENT : SCRIPT_SERVER;
	uint64_t times = 1;
	struct slice mark = slice_first(in, slice_find(in, ' ')), text = slice_skip(in, mark.len + 1);

	if (mark.len < 2 || (in.at[0] != 'C' && in.at[0] != 'S'))
		return false;
	if (mark.at[1] == '*' && !slice_number(slice_bytes(mark.at + 2, mark.len - 3), 100000, &times))
		return false;
	if (mark.at[1] != '*' && mark.len != 2)
		return false;
	if (slice_equal(mark, SLICE_OF("S~")))
		kind = SCRIPT_PATTERN;
	for (uint64_t i = 0; i < times && *good; i++) {
		struct script_step *step = add_step(c, kind, line);

		*good = kind == SCRIPT_PATTERN || unescape(text, &step->text);
		if (kind == SCRIPT_PATTERN)
			text_add(&step->text, text);
		else if (mark.at[mark.len - 1] == ':')
			text_add(&step->text, SLICE_OF("\r\n"));
	}
	return true;
}

static bool add_line(struct script *s, struct slice in, unsigned line)
{
	struct script_case *c = s->count ? &s->cases[s->count - 1] : NULL;
	bool good = true;

	if (slice_trim(in).len == 0 || in.at[0] == '#')
		return true;
	if (slice_starts(in, SLICE_OF("= "))) {
		add_case(s, slice_skip(in, 2), line);
		return true;
	}
	if (!c)
		return false;
	if (add_octets(c, in, line, &good))
		return good;
	if (slice_starts(in, SLICE_OF("E: ")))
		text_add(&add_step(c, SCRIPT_EVENT, line)->text, slice_skip(in, 3));
	else if (slice_equal(in, SLICE_OF("closed")))
		add_step(c, SCRIPT_CLOSED, line);
	else if (slice_equal(in, SLICE_OF("sync")))
		add_step(c, SCRIPT_SYNC, line);
	else
		text_add(&add_step(c, SCRIPT_WORDS, line)->text, in);
	return true;
}

bool script_read(struct script *s, const char *file)
{
	FILE *f = fopen(file, "r");
	char *line = NULL;
	size_t size = 0;
	ssize_t len;
	unsigned number = 0;
	bool good = true;

	*s = (struct script){ .file = file };
	if (!f) {
		perror(file);
		return false;
	}
	while (good && (len = getline(&line, &size, f)) >= 0) {
		struct slice in = slice_bytes(line, (size_t)len);

		number++;
		if (in.len && in.at[in.len - 1] == '\n')
			in.len--;
		good = add_line(s, in, number);
		if (!good)
			fprintf(stderr, "%s:%u: not a line of a dialogue\n", file, number);
	}
	free(line);
	fclose(f);
	return good;
}

void script_free(struct script *s)
{
	for (size_t i = 0; i < s->count; i++) {
		for (size_t k = 0; k < s->cases[i].count; k++)
			text_free(&s->cases[i].steps[k].text);
		free(s->cases[i].steps);
		free(s->cases[i].name);
	}
	free(s->cases);
	*s = (struct script){ .file = NULL };
}

size_t script_stride(void)
{
	const char *text = getenv("DIALOG_STRIDE");
	uint64_t n;

	return text && slice_number(slice_of(text), 1000, &n) && n > 0 ? (size_t)n : 1;
}

int script_main(int argc, char **argv, bool (*run)(const struct script *s, const struct script_case *c))
{
	unsigned passed = 0, failed = 0;

	for (int i = 1; i < argc; i++) {
		struct script s;

		if (!script_read(&s, argv[i]))
			return 2;
		for (size_t k = 0; k < s.count; k++) {
			const struct script_case *c = &s.cases[k];
			bool good = run(&s, c);

			passed += good;
			failed += !good;
			if (!good)
				printf("FAILED %s:%u: %s\n", s.file, c->line, c->name);
		}
		script_free(&s);
	}
	printf("dialogues: %u passed, %u failed\n", passed, failed);
	return failed > 0 || passed == 0;
}
