#include "relay/self.h"

#include <ifaddrs.h>
#include <netinet/in.h>
#include <string.h>

static uint16_t port_of(const struct sockaddr_storage *address)
{
	const struct sockaddr_in *v4 = (const void *)address;
	const struct sockaddr_in6 *v6 = (const void *)address;

	return ntohs(address->ss_family == AF_INET ? v4->sin_port : v6->sin6_port);
}

static bool same_ip(const struct ip_address *a, const struct ip_address *b)
{
	return a->v6 == b->v6 && memcmp(a->bytes, b->bytes, a->v6 ? 16 : 4) == 0;
}

bool self_is_unspecified(const struct ip_address *a)
{
	static const uint8_t zero[16];

	return memcmp(a->bytes, zero, a->v6 ? 16 : 4) == 0;
}

bool self_is_loopback(const struct ip_address *a)
{
	static const uint8_t one[16] = { [15] = 1 };

	return a->v6 ? memcmp(a->bytes, one, 16) == 0 : a->bytes[0] == 127;
}

static bool is_of_this_machine(const struct ip_address *a)
{
	struct ifaddrs *all, *i;
	struct ip_address own;
	bool found = false;

	if (self_is_loopback(a) || self_is_unspecified(a))
		return true;
	if (getifaddrs(&all) < 0)
		return false;
	for (i = all; i && !found; i = i->ifa_next)
		found = i->ifa_addr && ip_of_socket(i->ifa_addr, &own) && same_ip(&own, a);
	freeifaddrs(all);
	return found;
}

/* Connecting to 0.0.0.0 or :: reaches the loopback address. */
static bool reaches(const struct ip_address *host, const struct ip_address *listener)
{
	if (host->v6 != listener->v6)
		return false;
	if (self_is_unspecified(listener))
		return is_of_this_machine(host);
	return same_ip(host, listener) || (self_is_unspecified(host) && self_is_loopback(listener));
}

void self_add(struct self *s, const struct sockaddr_storage *address)
{
	if (s->count == LISTENERS_MAX || !ip_of_socket((const void *)address, &s->listeners[s->count].address))
		return;
	s->listeners[s->count++].port = port_of(address);
}

bool self_listens(const struct self *s, const struct ip_address *there, uint16_t port)
{
	for (unsigned i = 0; i < s->count; i++)
		if (s->listeners[i].port == port && reaches(there, &s->listeners[i].address))
			return true;
	return false;
}

bool self_is_peer(const struct self *s, int fd)
{
	struct sockaddr_storage address = { .ss_family = AF_UNSPEC };
	socklen_t len = sizeof(address);
	struct ip_address there;

	return !getpeername(fd, (void *)&address, &len) && ip_of_socket((const void *)&address, &there) &&
	       self_listens(s, &there, port_of(&address));
}
