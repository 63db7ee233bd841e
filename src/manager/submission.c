#include "manager/submission.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#define ANSWER_S	300	/* RFC 5321 4.5.3.2: a gate that is busy flushing answers later, not never */

static int give_up(const char *what, const char *why, int status)
{
	fprintf(stderr, "sendmail: %s: %s\n", what, why);
	return status;
}

/* False when the gate says nothing that is a reply. */
static bool read_line(struct submission *s)
{
	size_t len = fgets(s->reply, sizeof(s->reply), s->from) ? strlen(s->reply) : 0;
	uint64_t code;

	while (len && ascii_is_control(s->reply[len - 1]))
		s->reply[--len] = '\0';
	ascii_tame(s->reply);
	if (len < 3 || !slice_number(slice_bytes(s->reply, 3), 599, &code))
		return false;
	s->code = (unsigned)code;
	return true;
}

/* "XSENDER cron@example.jp admin@example.jp" of EHLO. */
static void take_identity(struct submission *s)
{
	struct slice rest = slice_of(s->reply), word;

	if (rest.len < 4 || !slice_starts(slice_skip(rest, 4), SLICE_OF("XSENDER ")))
		return;
	rest = slice_skip(rest, 12);
	if (slice_word(&rest, &word))
		slice_copy(word, s->sender, sizeof(s->sender));
	if (slice_word(&rest, &word))
		slice_copy(word, s->mailbox, sizeof(s->mailbox));
}

static bool read_reply(struct submission *s)
{
	do {
		if (!read_line(s))
			return false;
		take_identity(s);
	} while (s->reply[3] == '-');
	return true;
}

/* What a refusal means to the program that called us; `other` is for one that has to do with neither trust nor time. */
static int judge(struct submission *s, bool heard, const char *what, int other)
{
	struct slice text = slice_of(s->reply);

	if (!heard)
		return give_up(what, "the gate gave no answer", EX_TEMPFAIL);
	if (s->code < 400)
		return EX_OK;
	if (s->code < 500)
		return give_up(what, s->reply, EX_TEMPFAIL);
	if (s->code == 530 || (text.len > 8 && slice_starts(slice_skip(text, 4), SLICE_OF("5.7."))))
		other = EX_NOPERM;
	return give_up(what, s->reply, other);
}

static int ask(struct submission *s, const char *what, int other, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
static int ask(struct submission *s, const char *what, int other, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vfprintf(s->to, format, arguments);
	va_end(arguments);
	fputs("\r\n", s->to);
	return judge(s, !fflush(s->to) && read_reply(s), what, other);
}

static int connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const struct timeval wait = { .tv_sec = ANSWER_S };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && slice_copy(slice_of(path), address.sun_path, sizeof(address.sun_path)) &&
	    !setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) &&
	    !setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) &&
	    !connect(fd, (struct sockaddr *)&address, sizeof(address)))
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

/* One stream for each way: a stream that is read and written would have to be sought in between. */
static bool open_streams(struct submission *s, int fd)
{
	int other = dup(fd);

	s->from = fdopen(fd, "r");
	s->to = other >= 0 ? fdopen(other, "w") : NULL;
	if (other >= 0 && !s->to)
		close(other);
	if (!s->from)
		close(fd);
	return s->from && s->to;
}

int submission_open(struct submission *s, const char *path)
{
	int fd = connect_to(path), status;

	*s = (struct submission){ .code = 0 };
	if (fd < 0)
		return give_up(path, errno == ENOENT || errno == ECONNREFUSED ? "no gate is running that takes mail here ([local] in sekimori.ini)" :
			       strerror(errno), EX_TEMPFAIL);
	if (!open_streams(s, fd))
		return give_up(path, strerror(errno), EX_OSERR);
	status = judge(s, read_reply(s), path, EX_UNAVAILABLE);
	if (status == EX_OK)
		status = ask(s, path, EX_UNAVAILABLE, "EHLO localhost");
	if (status == EX_OK && !s->sender[0])
		return give_up(path, "this user may not send: [local] or [local USER] in sekimori.ini gives an address", EX_NOPERM);
	return status;
}

int submission_sender(struct submission *s, const char *sender)
{
	/* Without BODY=: an 8-bit body then goes on as it is also where the next hop doesn't offer 8BITMIME, and arrives. */
	return ask(s, sender[0] ? sender : "<>", EX_DATAERR, "MAIL FROM:<%s>", sender);
}

int submission_recipient(struct submission *s, const char *recipient)
{
	return ask(s, recipient, EX_NOUSER, "RCPT TO:<%s>", recipient);
}

int submission_data(struct submission *s)
{
	return ask(s, "DATA", EX_UNAVAILABLE, "DATA");
}

int submission_end(struct submission *s)
{
	return ask(s, "message", EX_DATAERR, ".");
}

void submission_close(struct submission *s)
{
	if (s->to)
		fclose(s->to);
	if (s->from)
		fclose(s->from);
}
