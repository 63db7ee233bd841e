/*
 * A load of SMTP clients: each of so many processes holds one session after the other, each session on a
 * connection of its own. Usage: client PORT CLIENTS SESSIONS OCTETS plain|starttls. With OCTETS, a session
 * carries one message of that size. TLS is a full handshake each time, the certificate not verified.
 * Prints the seconds that all took; exits 1, with a reason, when a session failed.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "number.h"

#define LINE_OCTETS	72
#define PATIENCE	60	/* s for any reply */

struct session {
	int fd;
	SSL *tls;
	char reply[4096];
	size_t have;
};

static int port;
static SSL_CTX *context;	/* NULL: plain */
static char *message;
static size_t message_len;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool say(struct session *s, const char *data, size_t len)
{
	while (len > 0) {
		long n = s->tls ? SSL_write(s->tls, data, (int)len) : (long)write(s->fd, data, len);

		if (n <= 0)
			return false;
		data += n;
		len -= (size_t)n;
	}
	return true;
}

/* The end of a reply: its last line has no hyphen behind the code. */
static bool is_whole(const struct session *s)
{
	size_t start = s->have;

	if (s->have < 5 || s->reply[s->have - 1] != '\n')
		return false;
	for (start--; start > 0 && s->reply[start - 1] != '\n'; start--)
		;
	return s->have - start > 4 && s->reply[start + 3] != '-';
}

static bool hear(struct session *s, char first_digit)
{
	s->have = 0;
	do {
		size_t room = sizeof(s->reply) - s->have;
		long n = room == 0 ? 0 : s->tls ? SSL_read(s->tls, s->reply + s->have, (int)room) :
						  (long)read(s->fd, s->reply + s->have, room);

		if (n <= 0)
			return false;
		s->have += (size_t)n;
	} while (!is_whole(s));
	return s->reply[0] == first_digit;
}

static bool ask(struct session *s, const char *command, char first_digit)
{
	return say(s, command, strlen(command)) && hear(s, first_digit);
}

static bool secure(struct session *s)
{
	if (!ask(s, "STARTTLS\r\n", '2'))
		return false;
	s->tls = SSL_new(context);
	return s->tls && SSL_set_fd(s->tls, s->fd) == 1 && SSL_connect(s->tls) == 1;
}

static const char *send_message(struct session *s)
{
	if (!ask(s, "MAIL FROM:<sender@example.com>\r\n", '2'))
		return "MAIL";
	if (!ask(s, "RCPT TO:<recipient@example.net>\r\n", '2'))
		return "RCPT";
	if (!ask(s, "DATA\r\n", '3'))
		return "DATA";
	return say(s, message, message_len) && hear(s, '2') ? NULL : "the message";
}

static const char *talk(struct session *s)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((unsigned short)port) };
	const char *failed;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (connect(s->fd, (struct sockaddr *)&a, sizeof(a)) != 0)
		return "connect";
	if (!hear(s, '2') || !ask(s, "EHLO client.example.com\r\n", '2'))
		return "EHLO";
	if (context && !secure(s))
		return "STARTTLS";
	if (context && !ask(s, "EHLO client.example.com\r\n", '2'))
		return "EHLO after STARTTLS";
	failed = message ? send_message(s) : NULL;
	if (failed)
		return failed;
	return ask(s, "QUIT\r\n", '2') ? NULL : "QUIT";
}

static const char *one(void)
{
	struct session s = { .fd = socket(AF_INET, SOCK_STREAM, 0) };
	struct timeval patience = { .tv_sec = PATIENCE };
	const char *failed;
	int yes = 1;

	setsockopt(s.fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	setsockopt(s.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	failed = talk(&s);
	SSL_free(s.tls);
	close(s.fd);
	return failed;
}

static void client(int sessions)
{
	for (int i = 0; i < sessions; i++) {
		const char *failed = one();

		if (failed) {
			fprintf(stderr, "client: failed at %s\n", failed);
			_exit(1);
		}
	}
	_exit(0);
}

static bool make_message(size_t octets)
{
	static const char head[] = "From: <sender@example.com>\r\nTo: <recipient@example.net>\r\n"
				   "Subject: load\r\nDate: Sat, 1 Jan 2000 00:00:00 +0000\r\n"
				   "Message-ID: <load@client.example.com>\r\n\r\n";
	char *at = message = malloc(octets + sizeof(head) + LINE_OCTETS + 8);

	if (!message)
		return false;
	at = stpcpy(at, head);
	while ((size_t)(at - message) < octets) {
		memset(at, 'x', LINE_OCTETS);
		at = stpcpy(at + LINE_OCTETS, "\r\n");
	}
	at = stpcpy(at, ".\r\n");
	message_len = (size_t)(at - message);
	return true;
}

static bool make_context(void)
{
	context = SSL_CTX_new(TLS_client_method());
	if (!context)
		return false;
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	return true;
}

int main(int argc, char **argv)
{
	int clients, sessions, octets, status, result = 0;
	double from;

	if (argc != 6)
		return 64;
	port = number(argv[1]);
	clients = number(argv[2]);
	sessions = number(argv[3]);
	octets = number(argv[4]);
	if (port < 1 || port > 65535 || clients < 1 || clients > 200 || sessions < clients ||
	    sessions > 100000 || octets < 0 || octets > 100000000)
		return 64;
	if ((octets > 0 && !make_message((size_t)octets)) ||
	    (strcmp(argv[5], "starttls") == 0 && !make_context()))
		return 1;
	from = now();
	for (int i = 0; i < clients; i++)
		if (fork() == 0)
			client(sessions / clients + (i < sessions % clients));
	while (wait(&status) > 0)
		if (status != 0)
			result = 1;
	printf("%.4f\n", now() - from);
	return result;
}
