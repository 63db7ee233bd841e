#include "manager/forward.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/timex.h>
#include <unistd.h>

#include <linux/sockios.h>

#include "base/alarm.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/syslog.h"
#include "manager/place.h"
#include "manager/reader.h"
#include "net/dial.h"
#include "net/stream.h"

#define ANSWER_MS	30000	/* for a batch to be taken; then the connection is given up, and the batch sent again on another */
#define LOOK_MS		20	/* between looks at how much the other machine has taken */
#define HURRY_MS	1000	/* between flushes that we ask for: each holds up those of mail */
#define RETRY_FIRST_MS	2000	/* after a failure; doubled up to */
#define RETRY_MAX_MS	60000
#define TOLD_MS		3600000	/* between lines about one and the same absence */
#define ANSWER_LINE_MAX	256	/* octets */
#define PRIORITY	(2 * 8 + 6)	/* mail, info: RFC 5424 section 6.2.1 */

enum stage { FORWARD_OFF, FORWARD_RESTING, FORWARD_DIALLING, FORWARD_SHAKING, FORWARD_UP };

struct forward {
	struct watch watch;		/* first */
	struct loop *loop;
	struct pool *blocks;
	struct helper *resolver;
	struct audit *audit;
	struct forward_settings settings;
	struct place *place;		/* how far the manager has it */
	struct reader reader;
	uint8_t stage;			/* enum stage */
	uint8_t shakes;			/* handshakes that were tried again at once: tls_prepare_retry */
	struct dial *dial;
	struct stream stream;
	int64_t deadline;		/* ms: of what is under way */
	int64_t hurry_at;		/* ms: no flush is asked for before */
	int64_t pause;			/* ms */
	uint64_t put;			/* the last number dealt with; those behind `sent` are in the batch */
	char link[CHAIN_LINK_SIZE + 1];	/* of `put` */
	bool known;			/* the file is still the one that `place` is about */
	uint64_t asked;			/* the last number of the batch that is a message; 0: no batch is under way */
	uint64_t missing, missing_now;	/* records: told, and in the batch under way */
	int64_t reached;		/* wall s */
	int64_t told_at;		/* ms when the log heard of the absence; 0: it hasn't */
	char address[80], error[FAULT_MAX];
};

static int64_t now(const struct forward *f)
{
	return loop_now(f->loop);
}

static bool is_connected(const struct forward *f)
{
	return f->stage == FORWARD_SHAKING || f->stage == FORWARD_UP;
}

static uint64_t newest(const struct forward *f)
{
	struct audit_status s;

	audit_state(f->audit, &s);
	return s.number;
}

/* Ends and failures */

static void rest(struct forward *f)
{
	if (f->dial)
		dial_cancel(f->dial);
	f->dial = NULL;
	stream_close(&f->stream);
	reader_close(&f->reader);
	f->put = place_number(f->place);
	f->asked = f->missing_now = 0;
	f->stage = FORWARD_RESTING;
}

static void log_absence(struct forward *f)
{
	enum severity severity = SEVERITY_WARNING;
	struct record r;

	if (f->told_at && now(f) < f->told_at + TOLD_MS)
		return;
	if (f->told_at)
		severity = alarm_raise(ALARM_FORWARD, SLICE_OF(""), slice_of(f->error), now(f));
	record_start(&r, "forward");
	record_word(&r, "result", "away");
	record_word(&r, "alarm", f->told_at ? "forward" : NULL);
	record_number(&r, "waiting", (int64_t)(newest(f) - place_number(f->place)));
	record_text(&r, "host", slice_of(f->settings.host));
	record_reason(&r, "error", slice_of(f->error));
	log_record(severity, &r);
	f->told_at = now(f);
}

static void fail(struct forward *f, const char *words)
{
	snprintf(f->error, sizeof(f->error), "%s", words);
	ascii_tame(f->error);
	rest(f);
	f->shakes = 0;
	log_absence(f);
	f->deadline = now(f) + f->pause;
	f->pause = f->pause * 2 < RETRY_MAX_MS ? f->pause * 2 : RETRY_MAX_MS;
}

/* What fits is sent, batch after batch */

static bool is_synchronised(void)
{
	struct timex t = { .modes = 0 };
	int result = adjtimex(&t);

	return result >= 0 && result != TIME_ERROR && clock_is_sane(clock_wall());
}

static int64_t wall_of(struct slice text)
{
	struct syslog_message m;
	char memory[160];
	struct buffer b;

	buffer_init(&b, memory, sizeof(memory));
	buffer_putf(&b, "<22>1 %.*s - sekimori - x [timeQuality tzKnown=\"1\" isSynced=\"0\"][" SYSLOG_ID " stream=\"x\" seq=\"1\"]",
		    SLICE_ARGS(text));
	return syslog_parse(buffer_bytes(&b), &m) ? m.wall : 0;
}

static bool put_record(struct forward *f, struct buffer *out, uint64_t number, int64_t wall, struct slice record)
{
	struct syslog_head h = {
		.priority = PRIORITY, .wall = wall, .host = slice_of(f->settings.hostname), .synchronised = is_synchronised(),
		.stream = slice_of(place_stream(f->place)), .sequence = number,
	};

	if (!syslog_put(out, &h, record, !f->settings.acknowledged))
		return false;
	f->asked = number;
	return true;
}

/* Numbers that we have no record of: rotated away, or never written. One record stands for them, with the last of them. */
static void put_missing(struct forward *f, struct buffer *out, uint64_t number, uint64_t count, int64_t wall)
{
	struct record line, r;

	f->missing_now += count;
	record_start_audit(&r, "missing");
	record_number(&r, "lost", (int64_t)count);
	put_record(f, out, number, wall, slice_of(r.text));
	record_start(&line, "forward");
	record_word(&line, "result", "missing");
	record_number(&line, "lost", (int64_t)count);
	log_record(SEVERITY_ERR, &line);
}

static bool begins_with(struct slice record, const char *event)
{
	return slice_equal(slice_first(record, slice_find(record, ' ')), slice_of(event));
}

/*
 * The file's own records are of no use elsewhere, where there is another file; but what it lacks is.
 */
static void put_line(struct forward *f, struct buffer *out, const struct chain_line *line)
{
	uint64_t skipped = line->number - f->put - 1;
	int64_t wall = wall_of(line->time);

	if (skipped && f->put)
		put_missing(f, out, line->number - 1, skipped, wall);
	f->put = line->number;
	slice_copy(line->link, f->link, sizeof(f->link));
	if (begins_with(line->record, CHAIN_FILE) || begins_with(line->record, CHAIN_GAP) || begins_with(line->record, CHAIN_TORN))
		return;
	if (!put_record(f, out, line->number, wall, line->record))
		put_missing(f, out, line->number, 1, wall);
}

/* A record and what may stand before it. */
static bool has_room(const struct buffer *out)
{
	return buffer_room(out) >= 2 * (size_t)(SYSLOG_FRAME_MAX + 8);
}

static void settle(struct forward *f)
{
	if (f->asked)
		f->reached = clock_wall();
	f->missing += f->missing_now;
	f->asked = f->missing_now = 0;
	f->deadline = NEVER;
	f->pause = RETRY_FIRST_MS;
	place_reach(f->place, f->put, slice_of(f->link));
}

static void fill(struct forward *f, uint64_t kept)
{
	struct buffer *out = stream_output(&f->stream);
	struct chain_line line;
	int result = 1;

	while (out && has_room(out) && f->put < kept && result > 0) {
		result = reader_next(&f->reader, f->put + 1, &line);
		if (result > 0 && line.number > kept)
			break;
		if (result > 0)
			put_line(f, out, &line);
	}
	if (result < 0)
		fail(f, strerror(-result));
	else if (f->asked)
		f->deadline = now(f) + ANSWER_MS;
	else if (f->put > place_number(f->place))
		settle(f);
}

static void log_renumbered(const struct forward *f)
{
	struct record r;

	record_start(&r, "forward");
	record_word(&r, "result", "renumbered");
	record_text(&r, "file", slice_of(f->settings.path));
	log_record(SEVERITY_WARNING, &r);
}

/*
 * The files may have been lost, or given another's place: then the numbers begin anew, and so does the numbering. The first line, which is
 * the file's own, is reached at once: so there is always one to know the file by.
 */
static void know_file(struct forward *f)
{
	uint64_t place = place_number(f->place);
	struct chain_line line;
	int result = reader_next(&f->reader, place ? place : 1, &line);

	if (result < 0) {
		fail(f, strerror(-result));
		return;
	}
	if (place && (!result || (line.number == place && !place_is(f->place, &line)))) {
		place_begin(f->place);
		log_renumbered(f);
		reader_close(&f->reader);
		place = 0;
		result = reader_next(&f->reader, 1, &line);
	}
	f->known = result > 0;
	if (!place && result > 0 && begins_with(line.record, CHAIN_FILE))
		place_reach(f->place, line.number, line.link);
	f->put = place_number(f->place);
	reader_close(&f->reader);
}

/* What is on our disk goes out; what isn't will be soon. */
static void send_more(struct forward *f)
{
	uint64_t kept = audit_kept(f->audit), last = newest(f);

	if (f->asked || f->stage != FORWARD_UP)
		return;
	if (last && (!f->known || place_number(f->place) > last))
		know_file(f);
	if (!f->known)
		return;
	if (f->put < kept)
		fill(f, kept);
	if (f->put < last && kept < last && now(f) >= f->hurry_at) {
		audit_hurry(f->audit);
		f->hurry_at = now(f) + HURRY_MS;
	}
}

/* What comes back */

/* Whether the other machine's kernel has taken all that was written. */
static bool is_taken(const struct forward *f)
{
	int unsent = 0;

	return !stream_has_output(&f->stream) && ioctl(f->stream.fd, SIOCOUTQ, &unsent) == 0 && unsent == 0;
}

static void take_answer(struct forward *f, struct slice line)
{
	char words[FAULT_MAX];
	uint64_t number;

	if (slice_starts(line, SLICE_OF("ok ")) && slice_number(slice_skip(line, 3), UINT64_MAX, &number)) {
		if (f->asked && number >= f->asked)
			settle(f);
		return;
	}
	snprintf(words, sizeof(words), "the manager says: %.*s", SLICE_ARGS(slice_first(line, ANSWER_LINE_MAX)));
	fail(f, words);
}

static void take_answers(struct forward *f)
{
	struct slice in = stream_input(&f->stream), line;

	if (!f->settings.acknowledged) {
		stream_consume(&f->stream, in.len);	/* a syslog server has nothing to say */
		return;
	}
	while (f->stage == FORWARD_UP && slice_find(in, '\n') < in.len) {
		line = slice_first(in, slice_find(in, '\n'));
		take_answer(f, line);
		if (f->stage != FORWARD_UP)
			return;
		stream_consume(&f->stream, line.len + 1);
		in = stream_input(&f->stream);
	}
	if (f->stage == FORWARD_UP && in.len > ANSWER_LINE_MAX)
		fail(f, "the manager answers with what is no answer");
}

/* Set out */

static void dialled(void *context, int fd, const char *address, const char *error);

static void set_out(struct forward *f)
{
	f->stage = FORWARD_DIALLING;
	f->deadline = NEVER;
	f->dial = dial_start(f->loop, f->resolver, f->settings.host, f->settings.port, "", DIAL_MS, dialled, f);
	if (!f->dial)
		fail(f, "no memory for a connection");
}

static void come_up(struct forward *f)
{
	struct record r;

	f->stage = FORWARD_UP;
	f->deadline = NEVER;
	f->shakes = 0;
	f->error[0] = '\0';
	alarm_end(ALARM_FORWARD, SLICE_OF(""), now(f));
	record_start(&r, "forward");
	record_word(&r, "result", "connected");
	record_word(&r, "host", f->address);
	record_word(&r, "tls", f->stream.tls ? tls_version(f->stream.tls) : NULL);
	record_number(&r, "waiting", (int64_t)(newest(f) - place_number(f->place)));
	log_record(SEVERITY_NOTICE, &r);
	f->told_at = 0;
}

static void dialled(void *context, int fd, const char *address, const char *error)
{
	struct forward *f = context;

	f->dial = NULL;
	slice_copy(slice_first(slice_of(address), sizeof(f->address) - 1), f->address, sizeof(f->address));
	if (fd < 0) {
		fail(f, error);
		return;
	}
	stream_open(&f->stream, fd, f->blocks);
	if (!f->settings.context) {
		come_up(f);
		return;
	}
	f->stage = FORWARD_SHAKING;
	f->deadline = now(f) + STREAM_HANDSHAKE_MS;
	if (!stream_start_tls(&f->stream, f->settings.context, f->settings.tls_name[0] ? f->settings.tls_name : f->settings.host))
		fail(f, "no memory for TLS");
}

static bool retry(struct forward *f)
{
	if (f->stage != FORWARD_SHAKING || f->shakes == TLS_RETRIES_MAX || !f->stream.tls || !tls_prepare_retry(f->stream.tls))
		return false;
	f->shakes++;
	rest(f);
	set_out(f);
	return true;
}

static void look_for_end(struct forward *f)
{
	char words[FAULT_MAX];
	const char *error;

	if (!is_connected(f) || (f->stream.state != STREAM_FAILED && f->stream.state != STREAM_ENDED) || retry(f))
		return;
	error = stream_error(&f->stream);
	snprintf(words, sizeof(words), "%s", error[0] ? error : "connection closed by the manager");
	fail(f, words);
}

static void turn(struct forward *f)
{
	if (f->stage == FORWARD_SHAKING && f->stream.state == STREAM_OPEN)
		come_up(f);
	if (f->stage == FORWARD_UP)
		take_answers(f);
	if (f->stage == FORWARD_UP && f->asked && !f->settings.acknowledged && is_taken(f))
		settle(f);
	send_more(f);
	if (f->stage == FORWARD_UP)
		stream_write(&f->stream);
	look_for_end(f);
	if (is_connected(f))
		stream_rest(&f->stream);
}

/* The watch */

static void before(struct watch *w)
{
	struct forward *f = (struct forward *)w;

	place_keep(f->place);
	if (f->stage == FORWARD_UP && !f->asked && f->put != newest(f))
		turn(f);
}

static int64_t next_look(const struct forward *f)
{
	int64_t at = f->deadline, soon = NEVER;

	if (f->stage == FORWARD_UP && f->asked && !f->settings.acknowledged)
		soon = now(f) + LOOK_MS;
	else if (f->stage == FORWARD_UP && !f->asked && f->put < newest(f))
		soon = f->put < audit_kept(f->audit) ? now(f) + STREAM_STARVED_MS : f->hurry_at;
	if (is_connected(f) && stream_ready(&f->stream))
		soon = now(f);
	return soon < at ? soon : at;
}

static void want(struct watch *w)
{
	struct forward *f = (struct forward *)w;
	int64_t keep = place_deadline(f->place);

	w->fd = is_connected(f) ? f->stream.fd : -1;
	w->events = is_connected(f) ? stream_events(&f->stream, true) : 0;
	w->deadline = next_look(f);
	if (keep < w->deadline)
		w->deadline = keep;
}

static void on_deadline(struct forward *f)
{
	if (f->stage == FORWARD_RESTING)
		set_out(f);
	else if (f->stage == FORWARD_SHAKING)
		fail(f, "time-out in the TLS handshake");
	else
		fail(f, f->settings.acknowledged ?
		     "no answer from the manager: a syslog server that isn't a Sekimori needs forward_ack = no" :
		     "the manager takes nothing any more");
}

static void ready(struct watch *w, short revents)
{
	struct forward *f = (struct forward *)w;

	if (!revents && now(f) >= f->deadline) {
		on_deadline(f);
		return;
	}
	if (!is_connected(f))
		return;
	if ((revents & ~POLLOUT) || stream_ready(&f->stream))
		stream_read(&f->stream);
	if (f->stage == FORWARD_SHAKING && (revents & POLLOUT))
		stream_write(&f->stream);
	turn(f);
}

static void reap(struct watch *w)
{
	struct forward *f = (struct forward *)w;

	rest(f);
	place_free(f->place);
	tls_context_release(f->settings.context);
	free(f);
}

/* The face */

struct forward *forward_new(struct loop *l, struct pool *blocks, struct helper *resolver, struct helper *flusher,
			    struct audit *audit)
{
	struct forward *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->watch = (struct watch){ .before = before, .want = want, .ready = ready, .reap = reap, .fd = -1 };
	f->loop = l;
	f->blocks = blocks;
	f->resolver = resolver;
	f->audit = audit;
	f->stream.fd = -1;
	f->deadline = NEVER;
	f->place = place_new(l, flusher);
	reader_open(&f->reader, "", 0);
	if (f->place && loop_add(l, &f->watch))
		return f;
	place_free(f->place);
	free(f);
	return NULL;
}

void forward_apply(struct forward *f, const struct forward_settings *s)
{
	bool moved = strcmp(f->settings.path, s->path) != 0;

	if (f->stage != FORWARD_OFF)
		rest(f);
	if (s->context)
		tls_context_hold(s->context);
	tls_context_release(f->settings.context);
	f->settings = *s;
	f->stage = FORWARD_OFF;
	f->deadline = NEVER;
	f->address[0] = f->error[0] = '\0';
	if (!s->host[0])
		return;
	reader_open(&f->reader, s->path, s->keep);
	if (moved)
		place_open(f->place, s->path);
	f->put = place_number(f->place);
	f->known = false;
	f->pause = RETRY_FIRST_MS;
	f->stage = FORWARD_RESTING;
	f->deadline = now(f);
}

void forward_state(const struct forward *f, struct forward_status *out)
{
	*out = (struct forward_status){ .on = f && f->stage != FORWARD_OFF };
	if (!out->on)
		return;
	out->connected = f->stage == FORWARD_UP;
	out->number = place_number(f->place);
	out->waiting = newest(f) > out->number ? newest(f) - out->number : 0;
	out->missing = f->missing;
	out->reached = f->reached;
	memcpy(out->address, f->address, sizeof(out->address));
	memcpy(out->error, f->error, sizeof(out->error));
}

void forward_end(struct forward *f)
{
	if (!f)
		return;
	place_save(f->place);
	f->watch.dead = true;
}
