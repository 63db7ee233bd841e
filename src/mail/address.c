#include "mail/address.h"

#include <string.h>

#define LABEL_MAX	63	/* octets between the dots of a domain: RFC 1035 2.3.4 */
#define IPV6_GROUPS	8

bool address_is_atext(char c)
{
	static const char marks[] = "!#$%&'*+-/=?^_`{|}~";

	return ascii_is_alnum(c) || memchr(marks, c, sizeof(marks) - 1) != NULL;
}

/*
 * Octets of the quoted string at the start of s, both quotes included; 0 when there is none or it
 * does not end.
 */
static size_t quoted_octets(struct slice s)
{
	if (s.len == 0 || s.at[0] != '"')
		return 0;
	for (size_t i = 1; i < s.len; i++) {
		if (s.at[i] == '"')
			return i + 1;
		if (s.at[i] == '\\')
			i++;
	}
	return 0;
}

static bool is_label(struct slice s)
{
	if (s.len == 0 || s.len > LABEL_MAX || s.at[0] == '-' || s.at[s.len - 1] == '-')
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (!ascii_is_alnum(s.at[i]) && s.at[i] != '-')
			return false;
	}
	return true;
}

bool address_is_domain(struct slice s)
{
	struct slice label;

	if (s.len == 0 || s.len > DOMAIN_MAX)
		return false;
	while (slice_cut(&s, '.', &label)) {
		if (!is_label(label))
			return false;
	}
	return true;
}

static bool is_ipv4(struct slice s)
{
	struct slice octet;
	uint64_t value;
	unsigned n = 0;

	while (slice_cut(&s, '.', &octet)) {
		if (octet.len > 3 || !slice_number(octet, 255, &value))
			return false;
		n++;
	}
	return n == 4;
}

static bool is_hex_group(struct slice s)
{
	if (s.len == 0 || s.len > 4)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		char c = ascii_fold(s.at[i]);

		if (!ascii_is_digit(c) && (c < 'a' || c > 'f'))
			return false;
	}
	return true;
}

/* Adds the groups of s to *n; the last may be an IPv4 address, which stands for two. */
static bool count_groups(struct slice s, bool ipv4_may_end, unsigned *n)
{
	struct slice group;

	if (s.len == 0)
		return true;
	while (slice_cut(&s, ':', &group)) {
		bool last = s.at == NULL;

		if (is_hex_group(group))
			*n += 1;
		else if (last && ipv4_may_end && is_ipv4(group))
			*n += 2;
		else
			return false;
	}
	return true;
}

/* RFC 5321 4.1.3, IPv6-addr: `::` stands for at least two groups. */
static bool is_ipv6(struct slice s)
{
	const char *gap = s.len > 0 ? memmem(s.at, s.len, "::", 2) : NULL;
	unsigned n = 0;

	if (gap == NULL)
		return s.len > 0 && count_groups(s, true, &n) && n == IPV6_GROUPS;

	size_t head = (size_t)(gap - s.at);

	return count_groups(slice_first(s, head), false, &n) &&
	       count_groups(slice_skip(s, head + 2), true, &n) && n <= IPV6_GROUPS - 2;
}

static bool is_literal(struct slice s)
{
	static const struct slice ipv6 = SLICE("IPv6:");

	if (s.len < 2 || s.at[0] != '[' || s.at[s.len - 1] != ']')
		return false;
	s = slice_bytes(s.at + 1, s.len - 2);
	if (slice_starts_fold(s, ipv6))
		return is_ipv6(slice_skip(s, ipv6.len));
	return is_ipv4(s);
}

static bool is_local_part(struct slice s)
{
	if (s.len == 0)
		return false;
	if (s.at[0] == '"')
		return quoted_octets(s) == s.len;
	for (size_t i = 0; i < s.len; i++) {
		if (!address_is_atext(s.at[i]) && s.at[i] != '.')
			return false;
	}
	return true;
}

/*
 * Whether the bytes of s can be repeated to another server and mean the same to it. Quotes only
 * around a whole local part, no backslash elsewhere: RFC 821 escaped with it, others don't.
 */
static enum address_error check_bytes(struct slice s, size_t quoted)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.at[i];

		if ((unsigned char)c >= 0x80)
			return ADDRESS_NON_ASCII;
		if (ascii_is_control(c))
			return ADDRESS_SYNTAX;
		if (i >= quoted && memchr(" <>\"\\", c, 5) != NULL)
			return ADDRESS_SYNTAX;
	}
	if (quoted > 0 && quoted < s.len && s.at[quoted] != '@')
		return ADDRESS_SYNTAX;
	return ADDRESS_OK;
}

/* RFC 5321 appendix C: `@a,@b:` before the mailbox. */
static bool has_route(struct slice s)
{
	return s.len > 0 && s.at[0] == '@' &&
	       (memchr(s.at, ':', s.len) != NULL || memchr(s.at, ',', s.len) != NULL);
}

static size_t local_part_octets(struct slice s, size_t quoted)
{
	for (size_t i = s.len; i > quoted; i--) {
		if (s.at[i - 1] == '@')
			return i - 1;
	}
	return s.len;
}

static bool is_mailbox(struct slice s, size_t local_len)
{
	struct slice domain = slice_skip(s, local_len + 1);

	return is_local_part(slice_first(s, local_len)) &&
	       (address_is_domain(domain) || is_literal(domain));
}

/* s is all between the angle brackets. *out is zero before. */
static enum address_error read_mailbox(struct slice s, struct address *out)
{
	size_t quoted = quoted_octets(s), local_len = local_part_octets(s, quoted);
	enum address_error error = check_bytes(s, quoted);

	if (error != ADDRESS_OK)
		return error;
	if (has_route(s))
		return ADDRESS_ROUTE;
	if (s.len > ADDRESS_MAX || local_len > LOCAL_PART_MAX)
		return ADDRESS_TOO_LONG;
	if (s.len > 0)
		memcpy(out->text, s.at, s.len);
	out->len = (uint16_t)s.len;
	out->local_len = (uint16_t)local_len;
	out->well_formed = s.len == 0 || is_mailbox(s, local_len);
	return ADDRESS_OK;
}

enum address_error address_parse_path(struct slice in, struct address *out, struct slice *rest)
{
	memset(out, 0, sizeof(*out));
	*rest = slice_bytes(NULL, 0);
	while (in.len > 0 && ascii_is_blank(in.at[0]))
		in = slice_skip(in, 1);
	if (in.len == 0 || in.at[0] != '<')
		return ADDRESS_SYNTAX;
	in = slice_skip(in, 1);

	size_t quoted = quoted_octets(in);
	size_t end = quoted + slice_find(slice_skip(in, quoted), '>');

	if (end >= in.len)
		return ADDRESS_SYNTAX;

	enum address_error error = read_mailbox(slice_first(in, end), out);

	if (error == ADDRESS_OK)
		*rest = slice_skip(in, end + 1);
	return error;
}

bool address_parse(struct slice in, struct address *out)
{
	memset(out, 0, sizeof(*out));
	if (in.len > 0 && read_mailbox(in, out) == ADDRESS_OK && out->well_formed)
		return true;
	memset(out, 0, sizeof(*out));
	return false;
}

/*
 * Writes the local part folded, without its quotes and backslashes (RFC 5321 4.1.2: they are not
 * part of it).
 */
static size_t fold_local_part(struct slice local, char *out)
{
	bool quoted = local.at[0] == '"';
	size_t end = quoted ? local.len - 1 : local.len, n = 0;

	for (size_t i = quoted ? 1 : 0; i < end; i++) {
		if (quoted && local.at[i] == '\\')
			i++;
		out[n++] = ascii_fold(local.at[i]);
	}
	return n;
}

bool address_key(const struct address *a, struct address_key *key)
{
	memset(key, 0, sizeof(*key));
	if (address_is_null(a) || !a->well_formed)
		return false;

	size_t n = fold_local_part(slice_bytes(a->text, a->local_len), key->text);

	key->local_len = (uint16_t)n;
	for (size_t i = a->local_len; i < a->len; i++)
		key->text[n++] = ascii_fold(a->text[i]);
	key->len = (uint16_t)n;
	return true;
}

bool address_key_of(struct slice text, struct address_key *key)
{
	struct address a;

	memset(key, 0, sizeof(*key));
	return address_parse(text, &a) && address_key(&a, key);
}

bool address_key_equal(const struct address_key *a, const struct address_key *b)
{
	return address_key_compare(a, b) == 0;
}

int address_key_compare(const struct address_key *a, const struct address_key *b)
{
	size_t common = a->len < b->len ? a->len : b->len;
	int order = memcmp(a->text, b->text, common);

	if (order == 0)
		order = (a->len > b->len) - (a->len < b->len);
	/* `"a@b"@c` holds two signs: the same text divided elsewhere is another address. */
	if (order == 0)
		order = (a->local_len > b->local_len) - (a->local_len < b->local_len);
	return order;
}

struct slice address_key_domain(const struct address_key *key)
{
	return slice_skip(slice_bytes(key->text, key->len), (size_t)key->local_len + 1);
}

struct slice address_key_local(const struct address_key *key)
{
	return slice_bytes(key->text, key->local_len);
}
