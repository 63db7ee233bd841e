/*
 * Our own listeners, so that no mail is ever sent to ourselves, to go round until its Received: fields are too many (R51).
 */
#ifndef RELAY_SELF_H
#define RELAY_SELF_H

#include <sys/socket.h>

#include "base/limits.h"
#include "trust/network.h"

struct self {
	unsigned count;
	struct {
		struct ip_address address;
		uint16_t port;
	} listeners[LISTENERS_MAX];
};

/* One more, as it is bound. */
void self_add(struct self *s, const struct sockaddr_storage *address);
/* Whether a connection there ends at one of them; a listener on all addresses is reached by each of this machine's. */
bool self_listens(const struct self *s, const struct ip_address *there, uint16_t port);
/* The same of a socket that is connected: a name may have led anywhere. */
bool self_is_peer(const struct self *s, int fd);

bool self_is_loopback(const struct ip_address *a);
bool self_is_unspecified(const struct ip_address *a);

#endif
