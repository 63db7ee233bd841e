#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define IDENT_MAX	32	/* octets: RFC 3164 4.1.3 */
#define AWAY_MS		200	/* a logger that isn't there is looked for so often, not for each line */
#define STAMP_SIZE	32	/* octets of "Mon dd hh:mm:ss"; the compiler thinks of years like -2147481748 */
#define HEAD_MAX	80	/* octets of "<PRI>Mon dd hh:mm:ss ident[pid]: " */

struct name {
	struct slice name;
	int number;
};

static const struct name facilities[] = {	/* RFC 5424 table 1 */
	{ SLICE("kern"), 0 }, { SLICE("user"), 1 }, { SLICE("mail"), 2 }, { SLICE("daemon"), 3 },
	{ SLICE("auth"), 4 }, { SLICE("syslog"), 5 }, { SLICE("lpr"), 6 }, { SLICE("news"), 7 },
	{ SLICE("uucp"), 8 }, { SLICE("cron"), 9 }, { SLICE("authpriv"), 10 }, { SLICE("ftp"), 11 },
	{ SLICE("local0"), 16 }, { SLICE("local1"), 17 }, { SLICE("local2"), 18 },
	{ SLICE("local3"), 19 }, { SLICE("local4"), 20 }, { SLICE("local5"), 21 },
	{ SLICE("local6"), 22 }, { SLICE("local7"), 23 },
};

static const struct name severities[] = {
	{ SLICE("err"), SEVERITY_ERR }, { SLICE("warning"), SEVERITY_WARNING },
	{ SLICE("notice"), SEVERITY_NOTICE }, { SLICE("info"), SEVERITY_INFO },
	{ SLICE("debug"), SEVERITY_DEBUG },
};

static const char months[12][4] = {
	"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"
};

static struct {
	char ident[IDENT_MAX + 1];	/* empty: not opened yet, nothing is logged */
	int facility;
	enum severity least;
	bool echo;
	bool echo_waits;		/* standard error is no plain file */
	pid_t pid;
	time_t second;			/* that `stamp` shows */
	char stamp[STAMP_SIZE];
	int fd;				/* to /dev/log; -1 when the logger is away */
	uint64_t lost;			/* lines since the last one that passed */
	uint64_t lost_ever;
	int64_t away_until;		/* ms: the logger was not there; nobody asks for it before */
} state = { .fd = -1 };

static void hang_up(void)
{
	if (state.fd >= 0)
		close(state.fd);
	state.fd = -1;
}

static bool call(void)
{
	const struct sockaddr_un logger = { .sun_family = AF_UNIX, .sun_path = "/dev/log" };

	hang_up();
	if (clock_monotonic() < state.away_until)
		return false;
	state.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (state.fd < 0)
		return false;
	if (connect(state.fd, (const struct sockaddr *)&logger, sizeof(logger)) == 0)
		return true;
	hang_up();
	state.away_until = clock_monotonic() + AWAY_MS;
	return false;
}

static bool send_once(struct slice datagram)
{
	return send(state.fd, datagram.at, datagram.len, MSG_NOSIGNAL) >= 0;
}

/* A logger that is only behind keeps its connection; one that was restarted needs a new one. */
static bool is_behind(int error)
{
	return error == EAGAIN || error == EWOULDBLOCK || error == ENOBUFS || error == ENOMEM ||
	       error == EMSGSIZE;
}

static bool deliver(struct slice datagram)
{
	if (send_once(datagram))
		return true;
	if (is_behind(errno))
		return false;
	return call() && send_once(datagram);
}

/* RFC 3164 section 4.1.2, in local time and with English months, whatever the locale; made once a second. */
static const char *stamp(void)
{
	time_t now = (time_t)clock_wall();
	struct tm t;

	if (now == state.second && state.stamp[0] != '\0')
		return state.stamp;
	if (!localtime_r(&now, &t))
		return NULL;
	snprintf(state.stamp, sizeof(state.stamp), "%s %2d %02d:%02d:%02d", months[t.tm_mon % 12], t.tm_mday,
		 t.tm_hour, t.tm_min, t.tm_sec);
	state.second = now;
	return state.stamp;
}

/* While nobody takes lines none is written. */
static bool to_logger(enum severity severity, const char *text)
{
	char line[HEAD_MAX + LOG_LINE_MAX + 1];
	const char *when;
	int n;

	if (state.fd < 0 && !call())
		return false;
	when = stamp();
	if (!when)
		return false;
	n = snprintf(line, sizeof(line), "<%d>%s %s[%ld]: %.*s", state.facility * 8 + (int)severity, when,
		     state.ident, (long)state.pid, LOG_LINE_MAX, text);
	if (n < 0)
		return false;
	return deliver(slice_first(slice_of(line), (size_t)n));
}

static void tell_loss(void)
{
	char text[40];

	snprintf(text, sizeof(text), "log lost=%" PRIu64, state.lost);
	if (to_logger(SEVERITY_WARNING, text))
		state.lost = 0;
}

/* A full pipe would make write(2) wait; one that is ready takes a line of this size whole. */
static bool takes_line(void)
{
	struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };

	return !state.echo_waits || (poll(&p, 1, 0) == 1 && p.revents & POLLOUT);
}

static void to_stderr(const char *text)
{
	char line[IDENT_MAX + 2 + LOG_LINE_MAX + 2];
	int n;

	if (!takes_line())
		return;
	n = snprintf(line, sizeof(line), "%s: %.*s\n", state.ident, LOG_LINE_MAX, text);
	if (n < 0 || write(STDERR_FILENO, line, strlen(line)) < 0)
		return;
}

/* errno is left as it was: a caller logs first and looks at it afterwards. */
static void write_line(enum severity severity, const char *text)
{
	int error = errno;

	if (state.ident[0] == '\0' || severity > state.least)
		return;
	if (state.lost > 0)
		tell_loss();
	if (state.lost > 0 || !to_logger(severity, text)) {
		state.lost++;
		state.lost_ever++;
	}
	if (state.echo)
		to_stderr(text);
	errno = error;
}

static bool is_plain_file(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

void log_open(const char *ident, int facility, enum severity least, bool echo)
{
	slice_copy(slice_first(slice_of(ident), IDENT_MAX), state.ident, sizeof(state.ident));
	state.facility = facility;
	state.least = least;
	state.away_until = 0;
	state.echo = echo;
	state.echo_waits = !is_plain_file(STDERR_FILENO);
	state.pid = getpid();
	state.stamp[0] = '\0';
	call();
}

void log_record(enum severity severity, const struct record *r)
{
	write_line(severity, r->text);
}

void log_line(enum severity severity, const char *format, ...)
{
	char text[LOG_LINE_MAX + 1];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	ascii_tame(text);
	write_line(severity, text);
}

uint64_t log_lost(void)
{
	return state.lost_ever;
}

static int number_of(const struct name *names, size_t count, struct slice name)
{
	for (size_t i = 0; i < count; i++)
		if (slice_equal(names[i].name, name))
			return names[i].number;
	return -1;
}

int log_facility(struct slice name)
{
	return number_of(facilities, sizeof(facilities) / sizeof(facilities[0]), name);
}

int log_severity(struct slice name)
{
	return number_of(severities, sizeof(severities) / sizeof(severities[0]), name);
}
