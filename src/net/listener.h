/*
 * Listening sockets: TCP addresses of [listen], and the control socket.
 */
#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/fault.h"
#include "base/slice.h"

/* "127.0.0.1:2525" or "[::1]:2525", port 1 to 65535; false otherwise. */
bool listener_parse(struct slice text, struct sockaddr_storage *out, socklen_t *len);
/*
 * Bound and listening, non-blocking, CLOEXEC, SO_REUSEADDR, IPV6_V6ONLY. -1 with a fault: "127.0.0.1:25: address in use" and what to do. An
 * address that this machine doesn't have yet is listened on all the same: then the fault has STATUS_OK, and says so.
 */
int listener_open(const struct sockaddr_storage *address, socklen_t len, struct fault *f);
/* A UNIX stream socket with mode 0660; a stale one that nobody listens on is replaced, a live one is a fault. */
int listener_open_unix(const char *path, struct fault *f);
/* The user at the other end of a UNIX socket, as the kernel knows it. */
bool listener_peer_user(int fd, uint32_t *uid);
/* The next connection: fd (non-blocking, CLOEXEC, TCP_NODELAY for TCP) or -errno (-EAGAIN: none left). */
int listener_accept(int fd, struct sockaddr_storage *peer);
/* "192.0.2.1", and the port apart; mapped IPv4 shown as IPv4. `out` at least 46 octets. */
void listener_peer_text(const struct sockaddr_storage *peer, char *out, size_t size, uint16_t *port);

#endif
