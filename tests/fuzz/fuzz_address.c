/*
 * Addresses: what is read can be read again and is the same, keys are equal exactly when the
 * slow comparison here says so. The input is two paths with a NUL between.
 */
#include <stdlib.h>
#include <string.h>

#include "mail/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void check_text(const struct address *a)
{
	bool quoted = false;

	require(strlen(a->text) == a->len && a->local_len <= a->len);
	for (size_t i = 0; i < a->len; i++) {
		char c = a->text[i];

		require(ascii_is_print(c));
		if (quoted && c == '\\')
			i++;
		else if (c == '"')
			quoted = !quoted;
		else
			require(quoted || (c != '<' && c != '>' && c != ' '));
	}
	require(!quoted);
	require(a->local_len == a->len || a->text[a->local_len] == '@');
}

/* The path of a, written again, with something behind it. */
static void check_again(const struct address *a)
{
	char path[ADDRESS_MAX + 8] = "<";
	struct address b;
	struct slice rest;

	memcpy(path + 1, a->text, a->len);
	memcpy(path + 1 + a->len, "> S=1", 6);
	require(address_parse_path(slice_of(path), &b, &rest) == ADDRESS_OK);
	require(memcmp(a, &b, sizeof(b)) == 0);
	require(slice_equal(rest, SLICE_OF(" S=1")));
	require(address_parse(address_text(a), &b) == (a->well_formed && a->len > 0));
}

/* The address as plain text: local part without quotes, NUL, domain. Returns its length. */
static size_t plain(const struct address *a, char *out)
{
	size_t n = 0, i;
	bool quoted = a->text[0] == '"';

	for (i = quoted ? 1 : 0; i < (size_t)a->local_len - quoted; i++) {
		if (quoted && a->text[i] == '\\')
			i++;
		out[n++] = a->text[i];
	}
	out[n++] = '\0';
	for (i = (size_t)a->local_len + 1; i < a->len; i++)
		out[n++] = a->text[i];
	for (i = 0; i < n; i++)
		if (out[i] >= 'A' && out[i] <= 'Z')
			out[i] = (char)(out[i] | 0x20);
	return n;
}

static void check_key(const struct address *a, const struct address_key *key)
{
	char text[ADDRESS_MAX + 2];
	size_t n = plain(a, text);

	require(key->len == n && key->text[key->local_len] == '@');
	text[key->local_len] = '@';
	require(memcmp(text, key->text, n) == 0);
	require(address_is_domain(address_key_domain(key)) || key->text[key->local_len + 1] == '[');
}

static void check_pair(const struct address *a, const struct address *b)
{
	char x[ADDRESS_MAX + 2], y[ADDRESS_MAX + 2];
	struct address_key p, q;

	require(address_key(a, &p) == (a->well_formed && a->len > 0));
	require(address_key(b, &q) == (b->well_formed && b->len > 0));
	if (p.len == 0 || q.len == 0)
		return;
	check_key(a, &p);
	check_key(b, &q);

	size_t n = plain(a, x), m = plain(b, y);

	require(address_key_equal(&p, &q) == (n == m && memcmp(x, y, n) == 0));
	require((address_key_compare(&p, &q) > 0) == (address_key_compare(&q, &p) < 0));
	require(address_key_equal(&p, &p));
}

static bool read_path(struct slice in, struct address *a)
{
	struct slice rest;

	if (address_parse_path(in, a, &rest) != ADDRESS_OK) {
		require(a->len == 0 && !a->well_formed && rest.len == 0);
		return false;
	}
	require(rest.at + rest.len == in.at + in.len && rest.at[-1] == '>');
	check_text(a);
	check_again(a);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_bytes((const char *)data, size), first;
	struct address a, b;
	bool both;

	if (!slice_cut(&in, '\0', &first))
		return 0;
	both = read_path(first, &a);
	both = in.at != NULL && read_path(in, &b) && both;
	if (both)
		check_pair(&a, &b);
	else
		check_pair(&a, &a);
	return 0;
}
