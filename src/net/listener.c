#include "net/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG		128	/* connections the kernel keeps for us; Linux' usual SOMAXCONN of old */
#define SPOILT_MAX	8	/* connections that ended before accept, skipped at one go */

static bool parse_v4(struct slice host, in_port_t port, struct sockaddr_storage *out,
		     socklen_t *len)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = port };
	char text[INET_ADDRSTRLEN];

	if (!slice_copy(host, text, sizeof(text)) || inet_pton(AF_INET, text, &a.sin_addr) != 1)
		return false;
	memcpy(out, &a, sizeof(a));
	*len = sizeof(a);
	return true;
}

static bool parse_v6(struct slice host, in_port_t port, struct sockaddr_storage *out,
		     socklen_t *len)
{
	struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_port = port };
	char text[INET6_ADDRSTRLEN];

	if (host.len < 2 || host.at[host.len - 1] != ']')
		return false;
	host = slice_first(slice_skip(host, 1), host.len - 2);
	if (!slice_copy(host, text, sizeof(text)) || inet_pton(AF_INET6, text, &a.sin6_addr) != 1)
		return false;
	memcpy(out, &a, sizeof(a));
	*len = sizeof(a);
	return true;
}

/* Index of the last colon; text.len when there is none. */
static size_t last_colon(struct slice text)
{
	for (size_t i = text.len; i-- > 0;)
		if (text.at[i] == ':')
			return i;
	return text.len;
}

bool listener_parse(struct slice text, struct sockaddr_storage *out, socklen_t *len)
{
	size_t colon = last_colon(text);
	struct slice host = slice_first(text, colon), digits = slice_skip(text, colon + 1);
	uint64_t port;

	memset(out, 0, sizeof(*out));
	*len = 0;
	if (digits.len > 5 || !slice_number(digits, UINT16_MAX, &port) || port == 0)
		return false;
	if (host.len > 0 && host.at[0] == '[')
		return parse_v6(host, htons((uint16_t)port), out, len);
	return parse_v4(host, htons((uint16_t)port), out, len);
}

static const char *advice(int error)
{
	switch (error) {
	case EADDRINUSE:
		return "; another program listens there: stop it or choose another port";
	case EACCES:
		return "; ports below 1024 are for root: start as root, `user` is taken afterwards";
	case EADDRNOTAVAIL:
		return "; this machine does not have that address; mail is taken there once it comes";
	default:
		return "";
	}
}

static bool tell(struct fault *f, int status, const struct sockaddr_storage *address, int error)
{
	bool v6 = address->ss_family == AF_INET6;
	char host[INET6_ADDRSTRLEN];
	uint16_t port;

	listener_peer_text(address, host, sizeof(host), &port);
	return fault_set(f, status, "%s%s%s:%u: %s%s", v6 ? "[" : "", host, v6 ? "]" : "", port, strerror(error),
			 advice(error));
}

static bool refuse(struct fault *f, const struct sockaddr_storage *address, int error)
{
	return tell(f, error == EACCES ? STATUS_DENIED : STATUS_UNAVAILABLE, address, error);
}

static bool set_on(int fd, int level, int option)
{
	const int on = 1;

	return setsockopt(fd, level, option, &on, sizeof(on)) == 0;
}

/*
 * An interface may come up later than we, and an IPv6 address is tentative for a second (RFC 4862 section 5.4): such an address is
 * bound all the same, and works from the moment it is there.
 */
static bool bind_to(int fd, const struct sockaddr_storage *address, socklen_t len, struct fault *f)
{
	if (bind(fd, (const struct sockaddr *)address, len) == 0)
		return true;
	if (errno != EADDRNOTAVAIL || !set_on(fd, IPPROTO_IP, IP_FREEBIND) ||
	    bind(fd, (const struct sockaddr *)address, len) < 0)
		return false;
	tell(f, STATUS_OK, address, EADDRNOTAVAIL);
	return true;
}

int listener_open(const struct sockaddr_storage *address, socklen_t len, struct fault *f)
{
	int fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0) {
		refuse(f, address, errno);
		return -1;
	}
	if (set_on(fd, SOL_SOCKET, SO_REUSEADDR) &&
	    (address->ss_family != AF_INET6 || set_on(fd, IPPROTO_IPV6, IPV6_V6ONLY)) &&
	    bind_to(fd, address, len, f) && listen(fd, BACKLOG) == 0)
		return fd;
	refuse(f, address, errno);
	close(fd);
	return -1;
}

/*
 * Who listens is who called listen(2). A helper that was born of a killed one holds its socket a moment longer: whoever starts
 * the gate again at once must not find it in use.
 */
static bool is_orphan(int fd)
{
	struct ucred who;
	socklen_t len = sizeof(who);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 && who.pid > 0 &&
	       kill(who.pid, 0) < 0 && errno == ESRCH;
}

/* Whether somebody answers at the socket; EAGAIN is a full backlog, so somebody is there. */
static bool is_live(const struct sockaddr_un *a)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool live;

	if (fd < 0)
		return true;
	if (connect(fd, (const struct sockaddr *)a, sizeof(*a)) == 0)
		live = !is_orphan(fd);
	else
		live = errno == EAGAIN;
	close(fd);
	return live;
}

/* Removes a socket left behind; anything else in the way is a fault. */
static bool make_way(const struct sockaddr_un *a, struct fault *f)
{
	struct stat st;

	if (lstat(a->sun_path, &st) < 0)
		return true;
	if (!S_ISSOCK(st.st_mode))
		return fault_set(f, STATUS_CONFIG, "%s: is in the way: not a socket", a->sun_path);
	if (is_live(a))
		return fault_set(f, STATUS_UNAVAILABLE, "%s: in use: is sekimori running already?",
				 a->sun_path);
	if (unlink(a->sun_path) < 0)
		return fault_set(f, STATUS_DENIED, "%s: left behind, and can't be removed: %s",
				 a->sun_path, strerror(errno));
	return true;
}

/* The mode is set before the name exists, and again in case the umask took bits away. */
static bool bind_unix(int fd, const struct sockaddr_un *a)
{
	return fchmod(fd, 0660) == 0 && bind(fd, (const struct sockaddr *)a, sizeof(*a)) == 0 &&
	       chmod(a->sun_path, 0660) == 0 && listen(fd, BACKLOG) == 0;
}

int listener_open_unix(const char *path, struct fault *f)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd;

	if (!slice_copy(slice_of(path), a.sun_path, sizeof(a.sun_path))) {
		fault_set(f, STATUS_CONFIG, "%s: too long for a socket (%zu octets at most)", path,
			  sizeof(a.sun_path) - 1);
		return -1;
	}
	if (!make_way(&a, f))
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd >= 0 && bind_unix(fd, &a))
		return fd;
	fault_set(f, STATUS_UNAVAILABLE, "%s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

bool listener_peer_user(int fd, uint32_t *uid)
{
	struct ucred who;
	socklen_t len = sizeof(who);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) || who.uid == (uid_t)-1)
		return false;
	*uid = who.uid;
	return true;
}

/* Linux hands errors of the new connection to accept (accept(2)); they are not the listener's. */
static bool is_spoilt(int error)
{
	switch (error) {
	case EINTR: case ECONNABORTED: case EPROTO: case ENETDOWN: case ENETUNREACH:
	case ENOPROTOOPT: case EHOSTDOWN: case EHOSTUNREACH: case ENONET: case EPERM:
		return true;
	default:
		return false;
	}
}

int listener_accept(int fd, struct sockaddr_storage *peer)
{
	for (int i = 0; i < SPOILT_MAX; i++) {
		socklen_t len = sizeof(*peer);
		int c;

		memset(peer, 0, sizeof(*peer));
		c = accept4(fd, (struct sockaddr *)peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (c < 0 && is_spoilt(errno))
			continue;
		if (c < 0)
			return -errno;
		if (peer->ss_family == AF_INET || peer->ss_family == AF_INET6)
			set_on(c, IPPROTO_TCP, TCP_NODELAY);
		return c;
	}
	return -EAGAIN;
}

static void v6_text(const struct sockaddr_in6 *a, char *out, size_t size)
{
	if (IN6_IS_ADDR_V4MAPPED(&a->sin6_addr))
		inet_ntop(AF_INET, &a->sin6_addr.s6_addr[12], out, (socklen_t)size);
	else
		inet_ntop(AF_INET6, &a->sin6_addr, out, (socklen_t)size);
}

void listener_peer_text(const struct sockaddr_storage *peer, char *out, size_t size, uint16_t *port)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	*port = 0;
	switch (peer->ss_family) {
	case AF_INET:
		memcpy(&v4, peer, sizeof(v4));
		inet_ntop(AF_INET, &v4.sin_addr, out, (socklen_t)size);
		*port = ntohs(v4.sin_port);
		return;
	case AF_INET6:
		memcpy(&v6, peer, sizeof(v6));
		v6_text(&v6, out, size);
		*port = ntohs(v6.sin6_port);
		return;
	default:
		slice_copy(SLICE_OF("local"), out, size);
	}
}
