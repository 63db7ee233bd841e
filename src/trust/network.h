/*
 * Addresses of hosts and networks, as bytes; IPv4-mapped IPv6 is IPv4 (R14). Pure.
 */
#ifndef TRUST_NETWORK_H
#define TRUST_NETWORK_H

#include <sys/socket.h>

#include "base/limits.h"
#include "base/slice.h"

struct ip_address {
	bool v6;
	uint8_t bytes[16];		/* network order; the first 4 when not v6 */
};

struct network {
	struct ip_address address;
	uint8_t prefix;			/* bits */
};

struct network_list {
	unsigned count;
	struct network at[NETWORKS_MAX / 4];
};

/* Numeric only, no brackets, no zone. ::ffff:a.b.c.d becomes IPv4. */
bool ip_parse(struct slice text, struct ip_address *out);
/* 16 bytes of an IPv6 socket address, mapped ones folded. */
struct ip_address ip_from_v6(const uint8_t bytes[16]);
struct ip_address ip_from_v4(const uint8_t bytes[4]);
/* Of an IPv4 or IPv6 socket; false for any other. */
bool ip_of_socket(const struct sockaddr *socket, struct ip_address *out);
/* One host, or as much as one host can have: it makes itself addresses within its /64 as it likes (RFC 4862). */
bool ip_is_same_host(const struct ip_address *a, const struct ip_address *b);
/* "192.0.2.1" or "2001:db8::1" (RFC 5952). size at least 46. */
void ip_text(const struct ip_address *a, char *out, size_t size);
/* "ADDRESS" or "ADDRESS/PREFIX"; host bits must be zero. */
bool network_parse(struct slice text, struct network *out);
/* Comma-separated; false on any bad part or too many; "none" is the empty list. */
bool network_list_parse(struct slice text, struct network_list *out);
/* The network of that prefix around an address: its host bits are zero. */
struct network network_of(const struct ip_address *a, unsigned prefix);
/* As for qsort. */
int network_compare(const struct network *a, const struct network *b);
bool network_contains(const struct network *n, const struct ip_address *a);
/* The longest matching prefix, or -1. */
int network_list_match(const struct network_list *l, const struct ip_address *a);

#endif
