#include "trust_fixture.h"
#include "feature.h"

#include "trust/edit.h"
#include "trust/password.h"

static struct slice make_line(char *memory, size_t size, const char *address, const char *password, bool cram,
			      const char *opts, struct fault *f)
{
	struct buffer b;

	f->text[0] = '\0';
	buffer_init(&b, memory, size);
	if (!accounts_line(&b, slice_of(address), slice_of(password), cram, slice_of(opts), f))
		return SLICE_OF("");
	return buffer_bytes(&b);
}

static void writes_lines(void **unused)
{
	char first[1024], second[1024], text[2048];
	struct password_job job;
	struct fault f;
	struct slice a, b;
	struct trust *t;

	(void)unused;
	a = make_line(first, sizeof(first), "User1@test-sample.jp", "pass: word", true, "level=2 login=t", &f);
	b = make_line(second, sizeof(second), U2, "pass: word", false, "", &f);
	assert_true(a.len > 0 && b.len > 0);
	snprintf(text, sizeof(text), "%.*s%.*s", SLICE_ARGS(a), SLICE_ARGS(b));
	assert_non_null(strstr(text, U1 ":{SCRAM-SHA-256}4096,"));
	assert_non_null(strstr(text, " {CRAM-MD5}"));
	t = f0_start(text);
	assert_int_equal(accounts_at(t, 0)->level, LEVEL_ENVELOPE);
	assert_true(accounts_at(t, 0)->has_cram);
	assert_false(accounts_at(t, 1)->has_cram);
	assert_memory_not_equal(accounts_at(t, 0)->scram.salt, accounts_at(t, 1)->scram.salt, 16);
	for (size_t i = 0; i < 2; i++) {
		password_job(accounts_at(t, i), SLICE_OF("pass: word"), &job);
		assert_true(password_check(&job));
		password_job(accounts_at(t, i), SLICE_OF("pass:word"), &job);
		assert_false(password_check(&job));
	}
	trust_free(t);
}

static void refuses_to_write(void **unused)
{
	char lengthy[PASSWORD_MAX + 2], memory[1024], exact[1024];
	const struct {
		const char *address, *password, *options, *why;
	} table[] = {
		{ U1, "", "", "empty password" },
		{ U1, lengthy, "", "password too long" },
		{ U1, "a\tb", "", "control character in the password" },
		{ U1, "a\nb", "", "control character in the password" },
		{ "user1", "x", "", "not an address" },
		{ "a..b@test-sample.jp", "x", "", "not an address" },
		{ "#a@test-sample.jp", "x", "", "not an address" },
		{ U1, "x", "level=9", "unknown level" },
		{ U1, "x", "level=1\nroot@test-sample.jp:{PLAIN}x:", "control character" },
		{ U1, "x", "login=", "empty option" },
	};
	struct fault f;
	size_t need;

	(void)unused;
	memset(lengthy, 'x', sizeof(lengthy));
	lengthy[sizeof(lengthy) - 1] = '\0';
	for (size_t i = 0; i < COUNT(table); i++) {
		if (make_line(memory, sizeof(memory), table[i].address, table[i].password, false,
			      table[i].options, &f).len > 0)
			fail_msg("%s was written", table[i].why);
		if (!strstr(f.text, table[i].why))
			fail_msg("%s: %s", table[i].why, f.text);
	}
	need = make_line(memory, sizeof(memory), U1, "x", true, "", &f).len;
	assert_int_equal(make_line(exact, need, U1, "x", true, "", &f).len, need);
	assert_int_equal(make_line(exact, need - 1, U1, "x", true, "", &f).len, 0);
	assert_non_null(strstr(f.text, "no room"));
}

static void edits(void **unused)
{
	static const char text[] = "# head\n" U1 ":{PLAIN}a:\n\n#" U2 ":{PLAIN}z:\n" U2 ":{PLAIN}b:";
	static const struct {
		const char *account, *text, *line, *result;
		bool found;
	} table[] = {
		{ U1, text, "NEW\n", "# head\nNEW\n\n#" U2 ":{PLAIN}z:\n" U2 ":{PLAIN}b:\n", true },
		{ "USER2@test-sample.jp", text, "NEW\n", "# head\n" U1 ":{PLAIN}a:\n\n#" U2 ":{PLAIN}z:\nNEW\n",
		  true },
		{ U2, text, "", "# head\n" U1 ":{PLAIN}a:\n\n#" U2 ":{PLAIN}z:\n", true },
		{ "user@test-sample.jp", text, "NEW\n",
		  "# head\n" U1 ":{PLAIN}a:\n\n#" U2 ":{PLAIN}z:\n" U2 ":{PLAIN}b:\nNEW\n", false },
		{ U1, "", "NEW\n", "NEW\n", false },
		{ U1, "", "", "", false },
		{ U1, U1 ":a:\nbad line\nUser1@test-sample.jp:b:\n", "NEW\n", "NEW\nbad line\n", true },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(table); i++) {
		struct address_key key;
		char memory[256];
		struct buffer out;
		bool found;

		assert_true(address_key_of(slice_of(table[i].account), &key));
		buffer_init(&out, memory, sizeof(memory));
		assert_true(accounts_edit(slice_of(table[i].text), &key, slice_of(table[i].line), &out, &found));
		if (found != table[i].found || !slice_equal(buffer_bytes(&out), slice_of(table[i].result)))
			fail_msg("row %zu: %.*s", i, SLICE_ARGS(buffer_bytes(&out)));
		buffer_init(&out, memory, strlen(table[i].result));
		assert_true(accounts_edit(slice_of(table[i].text), &key, slice_of(table[i].line), &out, &found));
		if (table[i].result[0] == '\0')
			continue;
		buffer_init(&out, memory, strlen(table[i].result) - 1);
		assert_false(accounts_edit(slice_of(table[i].text), &key, slice_of(table[i].line), &out, &found));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		unit_test_of(CONFIG_CRAM_MD5, writes_lines), unit_test_of(CONFIG_CRAM_MD5, refuses_to_write), cmocka_unit_test(edits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
