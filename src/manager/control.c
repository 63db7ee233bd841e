#include "manager/control.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "manager/listing.h"
#include "manager/status.h"
#include "net/listener.h"
#include "net/stream.h"

#define CLIENT_MS	30000	/* a command that doesn't ask, or doesn't read, is closed */

#define ENTRIES_PER_TURN 20	/* of a listing, each a read from disk: the sessions want their turn as well */
#define REST_MS		200	/* before accept is tried again that failed */

struct client;

/* Puts the next piece of the answer; true when that was the last. */
typedef bool produce(struct client *c, struct buffer *out);

struct client {
	struct watch watch;		/* first */
	struct control *control;
	struct stream stream;
	int64_t deadline;
	produce *next;			/* NULL: the request hasn't come, or the answer is out */
	enum status_form form;
	bool started, ending;
	uint64_t id, cursor;
};

struct control {
	struct watch watch;		/* the listening socket; first */
	const struct control_house *house;
	char path[108];
	unsigned clients;
	int64_t rests_until;		/* ms: accept failed, for want of descriptors most likely */
};

/* Answers */

static bool finish(struct buffer *out, int status, const char *text)
{
	buffer_putf(out, "%d\n%s", status, text);
	return true;
}

static bool produce_status(struct client *c, struct buffer *out)
{
	if (!c->cursor)
		buffer_put_text(out, "0\n");
	while (buffer_room(out) >= LISTING_PIECE_MAX)
		if (!status_piece(c->control->house, c->form, c->cursor++, out))
			return true;
	return false;
}

static bool produce_queue(struct client *c, struct buffer *out)
{
	const struct control_house *h = c->control->house;
	const struct spool_entry *e;

	if (!c->started) {
		buffer_put_text(out, "0\n");
		listing_queue_head(c->form == FORM_JSON, out);
	}
	for (unsigned n = 0; n < ENTRIES_PER_TURN && buffer_room(out) >= LISTING_PIECE_MAX; n++) {
		e = spool_next(h->spool, c->cursor);
		if (!e)
			break;
		c->cursor = e->id;
		listing_queue_entry(h, e, c->form == FORM_JSON, !c->started, out);
		c->started = true;
	}
	if (spool_next(h->spool, c->cursor))
		return false;
	listing_queue_foot(h, c->form == FORM_JSON, out);
	return true;
}

static bool answer_errno(struct buffer *out, int result)
{
	if (result == -ENOENT)
		return finish(out, STATUS_NO, "no such message in the queue\n");
	if (result == -EPERM)
		return finish(out, STATUS_NO, "there is nobody to return it to: `queue remove` drops it\n");
	if (result == -EBUSY)
		return finish(out, STATUS_TEMPORARY, "the message is being sent just now; try again\n");
	buffer_putf(out, "%d\n%s\n", STATUS_TEMPORARY, strerror(-result));
	return true;
}

static bool produce_show(struct client *c, struct buffer *out)
{
	int result;

	buffer_put_text(out, "0\n");
	result = listing_message(c->control->house, c->id, out);
	if (!result)
		return true;
	buffer_clear(out);
	return answer_errno(out, result);
}

/* No mail holds a NUL (RFC 5321 4.5.2): what follows one says whether it was the whole mail. */
static bool finish_cat(struct buffer *out, int error)
{
	buffer_put(out, slice_bytes("", 1));
	if (!error)
		return finish(out, STATUS_OK, "");
	buffer_putf(out, "%d\nthe rest can't be read: %s\n", STATUS_DATA,
		    error == -EILSEQ ? "it is damaged" : strerror(-error));
	return true;
}

/* The mail itself, in wire form without dot-stuffing undone: what the next hop will get. */
static bool produce_cat(struct client *c, struct buffer *out)
{
	struct spool *s = c->control->house->spool;
	char *memory = malloc(SPOOL_RECORD_MAX);
	struct spool_message m;
	struct buffer b;
	ssize_t got = 0;
	size_t room;
	char *at;
	int result = -ENOMEM;

	if (memory) {
		buffer_init(&b, memory, SPOOL_RECORD_MAX);
		result = spool_load(s, c->id, &b, &m);
	}
	if (!result) {
		if (!c->cursor && !c->started)
			buffer_put_text(out, "0\n");
		at = buffer_reserve(out, &room);
		got = spool_read(s, &m, c->cursor, at, room);
		spool_message_end(&m);
	}
	free(memory);
	if (result && !c->started)
		return answer_errno(out, result);
	c->started = true;
	if (result || got <= 0)
		return finish_cat(out, result ? result : (int)got);
	buffer_added(out, (size_t)got);
	c->cursor += (uint64_t)got;
	return false;
}

static bool produce_retry(struct client *c, struct buffer *out)
{
	const struct control_house *h = c->control->house;
	const struct spool_entry *e;
	unsigned n = 0;

	if (c->id) {
		n += spool_hasten(h->spool, c->id, loop_now(h->loop));
	} else {
		for (uint64_t after = 0; (e = spool_next(h->spool, after)); after = e->id)
			n += spool_hasten(h->spool, e->id, loop_now(h->loop));
	}
	relay_retry(h->relay);
	if (!n)
		return finish(out, STATUS_NO, "no such message, or it is being sent just now\n");
	buffer_putf(out, "0\n%u messages will be tried now\n", n);
	return true;
}

static bool give_up(struct client *c, struct buffer *out, bool return_it)
{
	int result = relay_give_up(c->control->house->relay, c->id, return_it);

	return result ? answer_errno(out, result) : finish(out, STATUS_OK, return_it ? "returned\n" : "removed\n");
}

static bool produce_remove(struct client *c, struct buffer *out)
{
	return give_up(c, out, false);
}

static bool produce_return(struct client *c, struct buffer *out)
{
	return give_up(c, out, true);
}

static bool produce_reload(struct client *c, struct buffer *out)
{
	struct fault f = { .text = "" };

	buffer_put_text(out, "0\n");
	if (c->control->house->reload(c->control->house->context, out, &f)) {
		buffer_put_text(out, "reloaded\n");
		return true;
	}
	buffer_clear(out);
	buffer_putf(out, "%d\n%s\nthe old configuration stays in force\n", f.status, f.text);
	return true;
}

/* For `log --check`: the number and link of the last record. */
static bool produce_audit(struct client *c, struct buffer *out)
{
	struct audit_status s;

	audit_state(c->control->house->audit, &s);
	if (!s.on)
		return finish(out, STATUS_NO, "there is no audit file\n");
	buffer_putf(out, "0\n%" PRIu64 " %s\n", s.number, s.link);
	return true;
}

static bool produce_usage(struct client *c, struct buffer *out)
{
	(void)c;
	return finish(out, STATUS_USAGE, "unknown request\n");
}

struct request {
	struct slice words;
	bool needs_id, may_have_id;
	produce *answer;
};

static const struct request requests[] = {
	{ SLICE("status"), false, false, produce_status },
	{ SLICE("queue"), false, false, produce_queue },
	{ SLICE("queue show"), true, true, produce_show },
	{ SLICE("queue cat"), true, true, produce_cat },
	{ SLICE("queue retry"), false, true, produce_retry },
	{ SLICE("queue remove"), true, true, produce_remove },
	{ SLICE("queue return"), true, true, produce_return },
	{ SLICE("reload"), false, false, produce_reload },
	{ SLICE("audit"), false, false, produce_audit },
};

/* The form that the line ends with, which is taken off. */
static enum status_form take_form(struct slice *line)
{
	static const struct { struct slice end; enum status_form form; } ends[] = {
		{ SLICE(" --json"), FORM_JSON }, { SLICE(" --prometheus"), FORM_PROMETHEUS },
	};

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		size_t before = line->len - ends[i].end.len;

		if (line->len <= ends[i].end.len || !slice_equal(slice_skip(*line, before), ends[i].end))
			continue;
		line->len = before;
		return ends[i].form;
	}
	return FORM_TEXT;
}

/* The request of the line; its id, when it ends in one, is taken off. */
static produce *understand(struct client *c, struct slice line)
{
	bool has_id = false;
	size_t last;

	c->form = take_form(&line);
	last = line.len;
	while (last > 0 && line.at[last - 1] != ' ')
		last--;
	if (last > 0 && spool_id_parse(slice_skip(line, last), &c->id)) {
		has_id = true;
		line.len = last - 1;
	}
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		const struct request *r = &requests[i];

		if (slice_equal(line, r->words) && (has_id ? r->may_have_id : !r->needs_id) &&
		    (c->form != FORM_PROMETHEUS || r->answer == produce_status))
			return r->answer;
	}
	return produce_usage;
}

static void read_request(struct client *c)
{
	struct slice in = stream_input(&c->stream);
	size_t end = slice_find(in, '\n');

	if (c->next || c->ending)
		return;
	if (end < in.len)
		c->next = understand(c, slice_first(in, end));
	else if (in.len > CONTROL_LINE_MAX)
		c->next = produce_usage;
	if (c->next)
		stream_consume(&c->stream, in.len);
}

/* One piece a turn, and the next only when that is out: a long listing doesn't hold up the sessions (R65). */
static void client_turn(struct client *c)
{
	struct buffer *out;

	read_request(c);
	out = c->next && !stream_has_output(&c->stream) ? stream_output(&c->stream) : NULL;
	if (out && c->next(c, out)) {
		c->next = NULL;
		c->ending = true;
	}
	stream_write(&c->stream);
	if ((c->ending && !stream_has_output(&c->stream)) || c->stream.state == STREAM_FAILED ||
	    (c->stream.state == STREAM_ENDED && !c->next && !stream_has_output(&c->stream)))
		c->watch.dead = true;
	stream_rest(&c->stream);
}

static void client_want(struct watch *w)
{
	struct client *c = (struct client *)w;

	w->fd = c->stream.fd;
	w->events = stream_events(&c->stream, !c->next && !c->ending);
	w->deadline = c->next && !stream_has_output(&c->stream) ? loop_now(c->control->house->loop) : c->deadline;
}

static void client_ready(struct watch *w, short revents)
{
	struct client *c = (struct client *)w;

	if (!revents && loop_now(c->control->house->loop) >= c->deadline) {
		w->dead = true;
		return;
	}
	c->deadline = loop_now(c->control->house->loop) + CLIENT_MS;
	if (revents & ~POLLOUT)
		stream_read(&c->stream);
	client_turn(c);
}

static void client_reap(struct watch *w)
{
	struct client *c = (struct client *)w;

	stream_close(&c->stream);
	c->control->clients--;
	free(c);
}

static void open_client(struct control *control, int fd)
{
	struct client *c = control->clients < CONTROL_CLIENTS_MAX ? calloc(1, sizeof(*c)) : NULL;

	if (!c) {
		close(fd);
		return;
	}
	c->watch = (struct watch){ .want = client_want, .ready = client_ready, .reap = client_reap };
	c->control = control;
	c->deadline = loop_now(control->house->loop) + CLIENT_MS;
	stream_open(&c->stream, fd, control->house->blocks);
	if (!loop_add(control->house->loop, &c->watch)) {
		stream_close(&c->stream);
		free(c);
		return;
	}
	control->clients++;
}

static void control_want(struct watch *w)
{
	const struct control *c = (const struct control *)w;
	bool rests = loop_now(c->house->loop) < c->rests_until;

	w->events = rests ? 0 : POLLIN;
	w->deadline = rests ? c->rests_until : NEVER;
}

static void control_ready(struct watch *w, short revents)
{
	struct control *c = (struct control *)w;
	struct sockaddr_storage peer;
	int fd;

	if (!revents)
		return;
	while ((fd = listener_accept(w->fd, &peer)) >= 0)
		open_client(c, fd);
	if (fd != -EAGAIN)
		c->rests_until = loop_now(c->house->loop) + REST_MS;
}

static void control_reap(struct watch *w)
{
	struct control *c = (struct control *)w;

	close(w->fd);
	unlink(c->path);
	free(c);
}

struct control *control_new(const struct control_house *house, const char *path, struct fault *f)
{
	struct control *c = calloc(1, sizeof(*c));

	if (!c || !slice_copy(slice_of(path), c->path, sizeof(c->path))) {
		fault_set(f, STATUS_CONFIG, "%s: can't be the control socket's path", path);
		free(c);
		return NULL;
	}
	c->watch = (struct watch){ .want = control_want, .ready = control_ready, .reap = control_reap };
	c->house = house;
	c->watch.fd = listener_open_unix(path, f);
	if (c->watch.fd >= 0 && loop_add(house->loop, &c->watch))
		return c;
	if (c->watch.fd >= 0)
		close(c->watch.fd);
	free(c);
	return NULL;
}

void control_free(struct control *c)
{
	if (c)
		c->watch.dead = true;
}

/* The other end */

static int connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || !slice_copy(slice_of(path), address.sun_path, sizeof(address.sun_path)) ||
	    connect(fd, (struct sockaddr *)&address, sizeof(address))) {
		if (errno == EACCES)
			fprintf(stderr, "sekimori: %s: permission denied; ask as root\n", path);
		else
			fprintf(stderr, "sekimori: no gate is running that listens at %s (%s)\n", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

/* -1: there is none. */
static int read_status(FILE *answer)
{
	int status = 0, c;

	while ((c = getc(answer)) != EOF && ascii_is_digit((char)c) && status < 1000)
		status = status * 10 + (c - '0');
	return c == '\n' ? status : -1;
}

/* Up to a NUL; false when it ends without. */
static bool copy(FILE *answer, FILE *to)
{
	int c;

	while ((c = getc(answer)) != EOF && c != '\0')
		putc(c, to);
	return c == '\0';
}

/* A mail says at its end that it is whole: the gate may end before. */
static int show(FILE *answer, int status, bool has_end)
{
	if (status) {
		fputs("sekimori: ", stderr);
		copy(answer, stderr);
		return status;
	}
	if (!copy(answer, stdout) && !has_end)
		return STATUS_OK;
	status = read_status(answer);
	if (status < 0) {
		fprintf(stderr, "sekimori: the gate ended before its answer\n");
		return STATUS_TEMPORARY;
	}
	return status ? show(answer, status, false) : STATUS_OK;
}

int control_ask(const char *path, const char *line)
{
	FILE *answer;
	int status;
	int fd = connect_to(path);

	if (fd < 0)
		return STATUS_UNAVAILABLE;
	answer = fdopen(fd, "r+");
	if (!answer) {
		close(fd);
		return STATUS_TEMPORARY;
	}
	fprintf(answer, "%s\n", line);
	fflush(answer);
	status = read_status(answer);
	if (status < 0) {
		fprintf(stderr, "sekimori: the gate gave no answer\n");
		fclose(answer);
		return STATUS_UNAVAILABLE;
	}
	status = show(answer, status, slice_starts(slice_of(line), SLICE_OF("queue cat ")));
	fclose(answer);
	return status;
}

bool control_audit(const char *path, struct chain *last)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char answer[128];
	struct slice text, number;
	size_t len = 0;
	ssize_t n;

	if (fd < 0)
		return false;
	if (slice_copy(slice_of(path), address.sun_path, sizeof(address.sun_path)) &&
	    connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 && write(fd, "audit\n", 6) == 6)
		while (len < sizeof(answer) && (n = read(fd, answer + len, sizeof(answer) - len)) > 0)
			len += (size_t)n;
	close(fd);
	text = slice_bytes(answer, len);
	return slice_cut(&text, '\n', &number) && slice_equal(number, SLICE_OF("0")) && slice_cut(&text, ' ', &number) &&
	       slice_number(number, UINT64_MAX, &last->number) && slice_cut(&text, '\n', &number) &&
	       slice_copy(number, last->link, sizeof(last->link));
}
