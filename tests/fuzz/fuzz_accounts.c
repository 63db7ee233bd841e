/*
 * The accounts file: what is accepted is found again under each of its names, holds no account of another
 * domain, and can be edited: without an account's line the file is the same file less one account. What is
 * refused names file and line, in one line.
 */
#include <stdlib.h>
#include <string.h>

#include "trust/accounts.h"
#include "trust/edit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TEXT_MAX 65536

static void require(bool holds)
{
	if (!holds)
		abort();
}

static struct trust *parse(struct slice text, struct fault *f, bool *ok)
{
	struct trust *t = trust_new();

	f->text[0] = '\0';
	require(t && trust_add_domain(t, SLICE_OF("test-sample.jp"), "ini", 1, f) &&
		trust_add_domain(t, SLICE_OF("b.example"), "ini", 2, f));
	*ok = accounts_parse(t, text, "accounts", f);
	return t;
}

static void check_fault(const struct fault *f)
{
	require(f->status == STATUS_CONFIG);
	require(slice_starts(slice_of(f->text), SLICE_OF("accounts:")) && ascii_is_digit(f->text[9]));
	for (const char *c = f->text; *c; c++)
		require(!ascii_is_control(*c));
}

static void check_account(const struct trust *t, const struct trust_account *a)
{
	require(trust_is_our_domain(t, address_key_domain(&a->key)));
	require(slice_find(account_name(a), '*') == account_name(a).len);
	require(accounts_find(t, account_name(a)) == a);
	if (a->login[0])
		require(accounts_find(t, slice_of(a->login)) == a);
	require(a->level <= LEVEL_FROM && a->action <= ACTION_TAG);
	require(!a->has_scram || (a->scram.iterations >= SCRAM_ITERATIONS_MIN &&
				  a->scram.iterations <= SCRAM_ITERATIONS_MAX && a->scram.salt_len > 0));
	require(!a->has_plain || a->plain[0]);
}

#if CONFIG_PASSWD
/* Without the account's line, all others are there. */
static void check_removal(const struct trust *t, const struct trust_account *a, struct slice text)
{
	static char memory[TEXT_MAX + 1];
	struct buffer out;
	struct trust *less;
	struct fault f;
	bool found, ok;

	buffer_init(&out, memory, sizeof(memory));
	require(accounts_edit(text, &a->key, SLICE_OF(""), &out, &found) && found);
	less = parse(buffer_bytes(&out), &f, &ok);
	require(ok && accounts_count(less) + 1 == accounts_count(t));
	require(!accounts_find(less, account_name(a)));
	trust_free(less);
}
#else
static void check_removal(const struct trust *t, const struct trust_account *a, struct slice text)
{
	(void)t, (void)a, (void)text;
}
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = slice_bytes((const char *)data, size);
	struct fault f;
	struct trust *t;
	bool ok;

	if (size > TEXT_MAX)
		return 0;
	t = parse(text, &f, &ok);
	if (!ok)
		check_fault(&f);
	for (size_t i = 0; ok && i < accounts_count(t); i++)
		check_account(t, accounts_at(t, i));
	if (ok && accounts_count(t) > 0)
		check_removal(t, accounts_at(t, accounts_count(t) - 1), text);
	require(!ok || trust_seal(t, &f));
	trust_free(t);
	return 0;
}
