#include "trust/network.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

/* ::ffff:0:0/96, RFC 4291 2.5.5.2. */
static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

static unsigned address_bits(const struct ip_address *a)
{
	return a->v6 ? 128 : 32;
}

struct ip_address ip_from_v4(const uint8_t bytes[4])
{
	struct ip_address a = { .v6 = false };

	memcpy(a.bytes, bytes, 4);
	return a;
}

bool ip_of_socket(const struct sockaddr *socket, struct ip_address *out)
{
	const struct sockaddr_in *v4 = (const void *)socket;
	const struct sockaddr_in6 *v6 = (const void *)socket;
	uint8_t bytes[16];

	if (socket->sa_family == AF_INET) {
		memcpy(bytes, &v4->sin_addr, 4);
		*out = ip_from_v4(bytes);
		return true;
	}
	if (socket->sa_family != AF_INET6)
		return false;
	memcpy(bytes, &v6->sin6_addr, 16);
	*out = ip_from_v6(bytes);
	return true;
}

bool ip_is_same_host(const struct ip_address *a, const struct ip_address *b)
{
	return a->v6 == b->v6 && !memcmp(a->bytes, b->bytes, a->v6 ? 8 : 4);
}

struct ip_address ip_from_v6(const uint8_t bytes[16])
{
	struct ip_address a = { .v6 = true };

	if (memcmp(bytes, mapped, sizeof(mapped)) == 0)
		return ip_from_v4(bytes + sizeof(mapped));
	memcpy(a.bytes, bytes, 16);
	return a;
}

bool ip_parse(struct slice text, struct ip_address *out)
{
	char copy[INET6_ADDRSTRLEN];
	uint8_t bytes[16];

	if (!slice_copy(text, copy, sizeof(copy)))
		return false;
	if (inet_pton(AF_INET, copy, bytes) == 1)
		*out = ip_from_v4(bytes);
	else if (inet_pton(AF_INET6, copy, bytes) == 1)
		*out = ip_from_v6(bytes);
	else
		return false;
	return true;
}

void ip_text(const struct ip_address *a, char *out, size_t size)
{
	if (size > 0 && !inet_ntop(a->v6 ? AF_INET6 : AF_INET, a->bytes, out, (socklen_t)size))
		out[0] = '\0';
}

static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	if (memcmp(a, b, whole) != 0)
		return false;
	return rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0;
}

struct network network_of(const struct ip_address *a, unsigned prefix)
{
	struct network n = { .address = { .v6 = a->v6 }, .prefix = (uint8_t)prefix };
	unsigned whole = prefix / 8, rest = prefix % 8;

	memcpy(n.address.bytes, a->bytes, whole);
	if (rest > 0)
		n.address.bytes[whole] = (uint8_t)(a->bytes[whole] & 0xff << (8 - rest));
	return n;
}

bool network_contains(const struct network *n, const struct ip_address *a)
{
	return n->address.v6 == a->v6 && same_bits(n->address.bytes, a->bytes, n->prefix);
}

int network_compare(const struct network *a, const struct network *b)
{
	if (a->address.v6 != b->address.v6)
		return a->address.v6 ? 1 : -1;
	if (a->prefix != b->prefix)
		return a->prefix < b->prefix ? -1 : 1;
	return memcmp(a->address.bytes, b->address.bytes, sizeof(a->address.bytes));
}

/* The prefix of a mapped address was written for 128 bits; 96 of them are the mark. */
static bool read_prefix(struct slice text, bool was_v6, const struct ip_address *a, uint8_t *prefix)
{
	unsigned written = was_v6 ? 128 : 32, dropped = written - address_bits(a);
	uint64_t value = written;

	if (text.at && !slice_number(text, written, &value))
		return false;
	if (value < dropped)
		return false;
	*prefix = (uint8_t)(value - dropped);
	return true;
}

bool network_parse(struct slice text, struct network *out)
{
	struct slice rest = text, head;
	struct network n, clean;

	if (!slice_cut(&rest, '/', &head) || !ip_parse(head, &n.address))
		return false;
	if (!read_prefix(rest, slice_find(head, ':') < head.len, &n.address, &n.prefix))
		return false;
	clean = network_of(&n.address, n.prefix);
	if (network_compare(&clean, &n) != 0)
		return false;
	*out = n;
	return true;
}

bool network_list_parse(struct slice text, struct network_list *out)
{
	struct slice rest = slice_trim(text), part;

	out->count = 0;
	if (slice_equal(rest, SLICE_OF("none")))
		return true;
	if (rest.len == 0)
		return false;
	while (slice_cut(&rest, ',', &part)) {
		if (out->count == sizeof(out->at) / sizeof(out->at[0]))
			return false;
		if (!network_parse(slice_trim(part), &out->at[out->count]))
			return false;
		out->count++;
	}
	return true;
}

int network_list_match(const struct network_list *l, const struct ip_address *a)
{
	int longest = -1;

	for (unsigned i = 0; i < l->count; i++)
		if (network_contains(&l->at[i], a) && l->at[i].prefix > longest)
			longest = l->at[i].prefix;
	return longest;
}
