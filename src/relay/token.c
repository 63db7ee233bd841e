#include "relay/token.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "net/program.h"

#define RUN_MS		30000	/* a request to a token endpoint takes a second or two */
#define MARGIN_S	60	/* a token is not used in its last minute: the login takes time, clocks differ */
#define LIFE_MAX	(UINT64_C(30) * 24 * 3600)	/* s */

struct token {
	struct loop *loop;
	struct slice line;
	token_done *done;
	void *context;
	unsigned route;
	struct program *running;
	unsigned number, refusals;	/* refusals in a row */
	int64_t good_until;		/* monotonic ms */
	char text[TOKEN_MAX + 1];	/* empty: none */
};

/* JSON (RFC 8259), as far as an endpoint's answer needs it: the members of one object. */

static void skip_blank(struct slice *s)
{
	while (s->len && (ascii_is_blank(s->at[0]) || s->at[0] == '\n' || s->at[0] == '\r'))
		*s = slice_skip(*s, 1);
}

static bool take_char(struct slice *s, char c)
{
	skip_blank(s);
	if (!s->len || s->at[0] != c)
		return false;
	*s = slice_skip(*s, 1);
	return true;
}

/* A string, from its quote on; with `out` NULL it is only passed over. Of the escapes those are read that stand in a token. */
static bool take_string(struct slice *s, char *out, size_t size)
{
	size_t len = 0;

	if (!take_char(s, '"'))
		return false;
	while (s->len && s->at[0] != '"') {
		bool escaped = s->at[0] == '\\' && s->len > 1;

		*s = slice_skip(*s, escaped);
		if (out && (len + 1 >= size || (escaped && s->at[0] != '/' && s->at[0] != '"' && s->at[0] != '\\')))
			return false;
		if (out)
			out[len++] = s->at[0];
		*s = slice_skip(*s, 1);
	}
	if (out)
		out[len] = '\0';
	return take_char(s, '"');
}

/* Anything up to the comma or brace behind it. */
static bool skip_value(struct slice *s)
{
	unsigned depth = 0;

	for (skip_blank(s); s->len; skip_blank(s)) {
		char c = s->at[0];

		if (depth == 0 && (c == ',' || c == '}'))
			return true;
		depth += c == '{' || c == '[';
		if ((c == '}' || c == ']') && depth > 0)
			depth--;
		if (c == '"' ? !take_string(s, NULL, 0) : (*s = slice_skip(*s, 1), false))
			return false;
	}
	return false;
}

/* 3599, or "3599" as some write it. */
static bool take_number(struct slice *s, uint64_t *out)
{
	char text[24];
	size_t len = 0;

	skip_blank(s);
	if (s->len && s->at[0] == '"')
		return take_string(s, text, sizeof(text)) && slice_number(slice_of(text), LIFE_MAX, out);
	while (len < s->len && ascii_is_digit(s->at[len]))
		len++;
	if (!slice_number(slice_first(*s, len), LIFE_MAX, out))
		return false;
	*s = slice_skip(*s, len);
	return true;
}

static bool read_json(struct slice s, char out[TOKEN_MAX + 1], uint64_t *life)
{
	char key[32];
	bool found = false, good = take_char(&s, '{');

	while (good) {
		struct slice before = s;

		if (!take_string(&s, key, sizeof(key))) {
			s = before;
			key[0] = '\0';
			good = take_string(&s, NULL, 0);
		}
		good = good && take_char(&s, ':');
		if (good && !found && strcmp(key, "access_token") == 0)
			found = good = take_string(&s, out, TOKEN_MAX + 1);
		else if (good && *life == 0 && strcmp(key, "expires_in") == 0)
			good = take_number(&s, life) || skip_value(&s);
		else if (good)
			good = skip_value(&s);
		if (good && !take_char(&s, ','))
			return take_char(&s, '}') && found;
	}
	return false;
}

/* RFC 6750 section 2.1: what may stand in a bearer token is all printable. */
static bool is_sendable(struct slice token)
{
	for (size_t i = 0; i < token.len; i++)
		if (!ascii_is_print(token.at[i]) || token.at[i] == ' ')
			return false;
	return token.len > 0;
}

bool token_read(struct slice output, char out[TOKEN_MAX + 1], uint64_t *life)
{
	struct slice line = slice_first(output, slice_find(output, '\n'));
	struct slice start = output;
	bool good;

	*life = 0;
	skip_blank(&start);
	if (line.len && line.at[line.len - 1] == '\r')
		line.len--;
	if (start.len && start.at[0] == '{')
		good = read_json(output, out, life);
	else
		good = slice_copy(slice_trim(line), out, TOKEN_MAX + 1);
	if (good && is_sendable(slice_of(out)))
		return true;
	secret_wipe(out, TOKEN_MAX + 1);
	return false;
}

static int64_t end_of(const struct token *t, uint64_t life)
{
	uint64_t margin = life > 2 * MARGIN_S ? MARGIN_S : life / 2;

	return life ? loop_now(t->loop) + (int64_t)(life - margin) * 1000 : NEVER;
}

static void fetched(void *context, struct slice output, const char *error)
{
	struct token *t = context;
	char words[FAULT_MAX];
	uint64_t life;

	t->running = NULL;
	if (!error && !output.at)
		return;			/* the loop ends */
	if (!error && !output.len)
		error = "it says nothing";
	if (!error && token_read(output, t->text, &life)) {
		t->good_until = end_of(t, life);
		t->number++;
		t->done(t->context, t->route, NULL);
		return;
	}
	snprintf(words, sizeof(words), "token_command: %s", error ? error : "there is no token in what it says");
	t->done(t->context, t->route, words);
}

struct token *token_new(struct loop *l, struct slice line, token_done *done, void *context, unsigned route)
{
	struct token *t = calloc(1, sizeof(*t));

	if (t)
		*t = (struct token){ .loop = l, .line = line, .done = done, .context = context, .route = route };
	return t;
}

void token_free(struct token *t)
{
	if (!t)
		return;
	if (t->running)
		program_cancel(t->running);
	secret_wipe(t, sizeof(*t));
	free(t);
}

struct slice token_get(struct token *t)
{
	char words[FAULT_MAX];

	if (t->text[0] && loop_now(t->loop) < t->good_until)
		return slice_of(t->text);
	secret_wipe(t->text, sizeof(t->text));
	if (!t->running)
		t->running = program_start(t->loop, t->line, RUN_MS, fetched, t);
	if (!t->running) {
		snprintf(words, sizeof(words), "token_command: %s", strerror(errno));
		t->done(t->context, t->route, words);
	}
	return slice_bytes("", 0);
}

unsigned token_number(const struct token *t)
{
	return t->number;
}

void token_accepted(struct token *t)
{
	t->refusals = 0;
}

bool token_refused(struct token *t, unsigned number)
{
	if (number != t->number)
		return true;		/* another one has taken its place already */
	secret_wipe(t->text, sizeof(t->text));
	return t->refusals++ == 0;
}
