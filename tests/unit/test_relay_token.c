/* relay/token and net/program: what a command may say, how it is run, and how long its token is kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "net/program.h"
#include "relay/token.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static void what_is_read(void **unused)
{
	static const struct {
		const char *said, *token;	/* NULL: none */
		uint64_t life;
	} rows[] = {
		{ "ya29.a0-b_c~d+e/f=\n", "ya29.a0-b_c~d+e/f=", 0 },
		{ "token", "token", 0 },
		{ "token\r\nmore\n", "token", 0 },
		{ "  token  \n", "token", 0 },
		{ "\n", NULL, 0 },
		{ "", NULL, 0 },
		{ "\ntoken\n", NULL, 0 },
		{ "two words\n", NULL, 0 },
		{ "tok\001en\n", NULL, 0 },
		{ "t\xc3\xb6ken\n", NULL, 0 },
		{ "{\"access_token\":\"abc\",\"expires_in\":3599,\"token_type\":\"Bearer\"}", "abc", 3599 },
		{ "{\"token_type\":\"Bearer\",\"expires_in\":\"3599\",\"access_token\":\"abc\"}\n", "abc", 3599 },
		{ " {\n\t\"access_token\" : \"a\\/b\" ,\n\t\"expires_in\" : 10\n}\n", "a/b", 10 },
		{ "{\"x\":{\"access_token\":\"no\",\"y\":[1,{\"z\":\"}\"}]},\"access_token\":\"abc\"}", "abc", 0 },
		{ "{\"a\":[\"]\",\"\\\"}\"],\"b\":null,\"c\":-1.5e3,\"d\":true,\"access_token\":\"abc\"}", "abc", 0 },
		{ "{\"a-key-that-is-longer-than-any-that-we-want\":1,\"access_token\":\"abc\"}", "abc", 0 },
		{ "{\"access_token\":\"abc\",\"expires_in\":-5}", "abc", 0 },
		{ "{\"access_token\":\"abc\",\"expires_in\":99999999999999999999}", "abc", 0 },
		{ "{\"error\":\"invalid_grant\"}", NULL, 0 },
		{ "{\"access_token\":\"\"}", NULL, 0 },
		{ "{\"access_token\":\"a b\"}", NULL, 0 },
		{ "{\"access_token\":\"a\\nb\"}", NULL, 0 },
		{ "{\"access_token\":42}", NULL, 0 },
		{ "{\"access_token\":\"abc\"", NULL, 0 },
		{ "{\"access_token\":\"abc", NULL, 0 },
		{ "{\"access_token\":\"abc\\", NULL, 0 },
		{ "{\"access_token\"", NULL, 0 },
		{ "{", NULL, 0 },
		{ "{}", NULL, 0 },
		{ "{\"a\":[[[[", NULL, 0 },
	};
	char out[TOKEN_MAX + 1];

	(void)unused;
	for (size_t i = 0; i < COUNT(rows); i++) {
		uint64_t life = 7;
		bool good = token_read(slice_of(rows[i].said), out, &life);

		if (good != (rows[i].token != NULL))
			print_message("row %zu\n", i);
		assert_int_equal(good, rows[i].token != NULL);
		if (good) {
			assert_string_equal(out, rows[i].token);
			assert_int_equal(life, rows[i].life);
		}
	}
}

static void the_longest(void **unused)
{
	static char said[TOKEN_MAX + 64];
	char out[TOKEN_MAX + 1];
	uint64_t life;

	(void)unused;
	memset(said, 'x', TOKEN_MAX);
	assert_true(token_read(slice_bytes(said, TOKEN_MAX), out, &life));
	said[TOKEN_MAX] = 'x';
	assert_false(token_read(slice_bytes(said, TOKEN_MAX + 1), out, &life));
	snprintf(said, 32, "{\"access_token\":\"");
	memset(said + 17, 'x', TOKEN_MAX);
	memcpy(said + 17 + TOKEN_MAX, "\"}", 2);
	assert_true(token_read(slice_bytes(said, TOKEN_MAX + 19), out, &life));
	assert_int_equal(strlen(out), TOKEN_MAX);
}

static void command_lines(void **unused)
{
	static const struct {
		const char *line;
		bool good;
	} rows[] = {
		{ "/bin/true", true }, { " /bin/true  a 'b c' \"d e\" f'g'h ", true }, { "true", false }, { "", false },
		{ "'/bin/true", false }, { "/bin/true \"a", false }, { "\"/bin/true\"", true },
		{ "/a 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31", true },
		{ "/a 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32", false },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_int_equal(program_check(slice_of(rows[i].line)) == NULL, rows[i].good);
}

static struct {
	unsigned calls;
	char output[256], error[256];
} heard;

static void hear(void *context, struct slice output, const char *error)
{
	(void)context;
	heard.calls++;
	slice_copy(slice_first(output, sizeof(heard.output) - 1), heard.output, sizeof(heard.output));
	slice_copy(slice_of(error), heard.error, sizeof(heard.error));
}

static void run(const char *line, int64_t timeout)
{
	struct loop *loop = loop_new(8);

	memset(&heard, 0, sizeof(heard));
	assert_non_null(program_start(loop, slice_of(line), timeout, hear, NULL));
	for (int i = 0; i < 2000 && !heard.calls; i++)
		assert_int_equal(loop_turn(loop), 0);
	loop_free(loop);
	assert_int_equal(heard.calls, 1);
}

static void programs(void **unused)
{
	static const struct {
		const char *line, *output, *error;
		int64_t timeout;
	} rows[] = {
		{ "/bin/echo 'a  b' \"c\"'d' e", "a  b cd e\n", "", 20000 },
		{ "/bin/sh -c 'echo $PATH $HOME $LANG $USER$SHELL'",
		  "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin / C\n", "", 20000 },
		{ "/bin/sh -c 'echo a; exit 3'", "", "exit status 3", 20000 },
		{ "/bin/sh -c 'kill -9 $$'", "", "ended by signal 9", 20000 },
		{ "/nowhere/at/all", "", "it can't be run (exit status 127)", 20000 },
		{ "/bin/sh -c 'while :; do echo no end of it; done'", "", "it writes without end", 20000 },
		{ "/bin/sh -c 'sleep 60; echo late'", "", "time-out", 200 },
		/* Those it left behind end with it. */
		{ "/bin/sh -c '(sleep 60; echo late) & echo early'", "", "time-out", 300 },
		{ "/bin/sh -c 'read x; echo \"<$x>\"'", "<>\n", "", 20000 },
		{ "/bin/sh -c 'ls /proc/self/fd | wc -l'", "4\n", "", 20000 },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(rows); i++) {
		run(rows[i].line, rows[i].timeout);
		assert_string_equal(heard.error, rows[i].error);
		assert_string_equal(heard.output, rows[i].output);
	}
}

static void one_that_is_cancelled(void **unused)
{
	struct loop *loop = loop_new(8);
	struct program *p;

	(void)unused;
	memset(&heard, 0, sizeof(heard));
	p = program_start(loop, slice_of("/bin/sleep 60"), 60000, hear, NULL);
	assert_non_null(p);
	program_cancel(p);
	loop_turn(loop);
	assert_int_equal(heard.calls, 0);
	assert_non_null(program_start(loop, slice_of("/bin/sleep 60"), 60000, hear, NULL));
	loop_free(loop);
	assert_int_equal(heard.calls, 1);
	assert_string_equal(heard.error, "");
}

static unsigned dones;
static char done_error[FAULT_MAX];

static void done(void *context, unsigned route, const char *error)
{
	(void)context;
	assert_int_equal(route, 3);
	dones++;
	slice_copy(slice_of(error), done_error, sizeof(done_error));
}

static void until(struct loop *l, unsigned count)
{
	for (int i = 0; i < 2000 && dones < count; i++)
		assert_int_equal(loop_turn(l), 0);
	assert_int_equal(dones, count);
}

static void a_token_is_kept(void **unused)
{
	struct loop *loop = loop_new(8);
	struct token *t = token_new(loop, slice_of("/bin/echo abc"), done, NULL, 3);
	struct token *bad = token_new(loop, slice_of("/bin/false"), done, NULL, 3);

	(void)unused;
	dones = 0;
	assert_int_equal(token_get(t).len, 0);
	assert_int_equal(token_get(t).len, 0);	/* one run at a time */
	until(loop, 1);
	assert_true(slice_equal(token_get(t), slice_of("abc")));
	assert_int_equal(token_number(t), 1);
	/* Refused: a fresh one, once. */
	assert_true(token_refused(t, 1));
	assert_int_equal(token_get(t).len, 0);
	until(loop, 2);
	assert_int_equal(token_number(t), 2);
	assert_true(token_refused(t, 1));	/* said by a connection that still had the first */
	assert_int_equal(token_get(t).len, 3);
	assert_false(token_refused(t, 2));
	assert_int_equal(token_get(t).len, 0);
	until(loop, 3);
	token_accepted(t);
	assert_true(token_refused(t, 3));
	assert_int_equal(token_get(bad).len, 0);
	until(loop, 4);
	assert_string_equal(done_error, "token_command: exit status 1");
	assert_int_equal(token_get(t).len, 0);	/* runs while all is torn down */
	loop_free(loop);
	token_free(t);
	token_free(bad);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_read),
		cmocka_unit_test(the_longest),
		cmocka_unit_test(command_lines),
		cmocka_unit_test(programs),
		cmocka_unit_test(one_that_is_cancelled),
		cmocka_unit_test(a_token_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
