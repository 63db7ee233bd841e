#include "relay/returns.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/* Of the original's header, enough for any reader to know the mail again. */
#define HEADER_SHOWN	8192

/* What a report is written through: collected, then appended chunk by chunk. */
struct writing {
	struct spool *spool;
	struct spool_writer *writer;
	struct buffer chunk;
	int error;
};

static void spill(struct writing *w)
{
	if (!w->error && buffer_length(&w->chunk))
		w->error = spool_append(w->spool, w->writer, buffer_bytes(&w->chunk));
	buffer_clear(&w->chunk);
}

static bool take_piece(void *context, struct slice piece)
{
	struct writing *w = context;

	while (piece.len && !w->error) {
		struct slice part = slice_first(piece, buffer_room(&w->chunk));

		buffer_put(&w->chunk, part);
		piece = slice_skip(piece, part.len);
		if (!buffer_room(&w->chunk))
			spill(w);
	}
	return !w->error;
}

/* The first octets of the message, as many as fit: our own fields and the original's header are apart in the spool. */
static struct slice read_front(struct attempt *a, struct spool *s, char *memory, size_t size)
{
	size_t len = 0;
	ssize_t got;

	if (a->direct) {
		struct slice held = a->passage ? slice_first(passage_begin(a->passage), size) : slice_bytes("", 0);

		if (held.len)
			memcpy(memory, held.at, held.len);
		return slice_bytes(memory, held.len);
	}
	do {
		got = spool_read(s, &a->message, len, memory + len, size - len);
		len += got > 0 ? (size_t)got : 0;
	} while (got > 0 && len < size);
	return slice_bytes(memory, len);
}

/* The octets up to and with the empty line, as far as they are shown. */
static struct slice header_of(struct attempt *a, struct spool *s, char *memory, size_t size)
{
	struct slice text = read_front(a, s, memory, size);

	for (size_t i = 0; i + 4 <= text.len; i++)
		if (slice_starts(slice_skip(text, i), SLICE_OF("\r\n\r\n")))
			return slice_first(text, i + 2);
	while (text.len && text.at[text.len - 1] != '\n')
		text.len--;		/* cut at a line end */
	return text;
}

static enum report_cause cause_of(const struct attempt *a, const struct attempt_recipient *r)
{
	if (a->notice)
		return REPORT_DELAYED;
	if (!r->expired)
		return REPORT_REFUSED;
	return a->withdrawn ? REPORT_WITHDRAWN : REPORT_EXPIRED;
}

/* RFC 3463. What is late by a refused login (5xx) or without an answer has no code of a server's that would fit. */
static struct slice status_of(const struct attempt *a, const struct attempt_recipient *r)
{
	switch (cause_of(a, r)) {
	case REPORT_EXPIRED:
		return SLICE_OF("4.4.7");
	case REPORT_WITHDRAWN:
		return SLICE_OF("5.0.0");
	case REPORT_DELAYED:
		return r->code / 100 == 4 ? report_status(r->code, attempt_words(a, r)) : SLICE_OF("4.4.1");
	case REPORT_REFUSED:
		break;
	}
	return report_status(r->code, attempt_words(a, r));
}

static bool is_told(const struct attempt *a, const struct attempt_recipient *r)
{
	return a->notice ? r->state == RECIPIENT_PENDING && !r->told : r->tried && r->state == RECIPIENT_FAILED;
}

static unsigned list_recipients(const struct attempt *a, struct report_recipient *out)
{
	unsigned n = 0;

	for (unsigned i = 0; i < a->count; i++) {
		const struct attempt_recipient *r = &a->recipients[i];

		if (!is_told(a, r))
			continue;
		out[n++] = (struct report_recipient){
			.address = r->address,
			.status = status_of(a, r),
			.code = r->code,
			.diagnostic = r->words_len ? attempt_words(a, r) : a->message.last_reply,
			.remote = attempt_remote(a, r),
			.cause = cause_of(a, r),
		};
	}
	return n;
}

/* A device reads no mail: its owner does. */
static struct slice reader_of(const struct attempt *a, const struct relay_settings *s)
{
	const struct envelope *e = &a->message.envelope;

	for (unsigned i = 0; i < s->owner_count && slice_equal(e->trust, SLICE_OF("device")); i++)
		if (slice_equal(e->account, slice_of(s->owners[i].device)))
			return slice_of(s->owners[i].address);
	return e->sender;
}

static int write_report(struct attempt *a, const struct relay_settings *s, struct writing *w,
			struct report_recipient *recipients)
{
	char id[SPOOL_ID_TEXT], header[HEADER_SHOWN];
	struct report r = {
		.from = slice_of(s->return_from),
		.to = reader_of(a, s),
		.hostname = slice_of(s->hostname),
		.original_id = slice_of(a->id_text),
		.languages = s->return_languages,
		.wall = clock_wall(),
		.arrived = a->message.envelope.arrived,
		.recipients = recipients,
		.recipient_count = list_recipients(a, recipients),
	};

	if (a->notice)
		r.until = r.arrived + clock_seconds(s->expire);
	spool_id_text(w->writer->id, id);
	r.id = slice_of(id);
	r.zone = clock_zone(r.wall);
	r.header = header_of(a, w->spool, header, sizeof(header));
	report_write(&r, take_piece, w);
	spill(w);
	return w->error;
}

static int commit(struct attempt *a, const struct relay_settings *s, struct keeper *k)
{
	char memory[4 * ADDRESS_MAX + 256], to[ADDRESS_MAX + 2];
	struct buffer text, line;
	struct envelope e = {
		.arrived = clock_wall(),
		.sender = slice_of(s->return_envelope == RETURN_ADDRESS ? s->return_from : ""),
		.trust = SLICE("return"),
		.is_return = true,
		.ends_in_crlf = true,
		.recipient_count = 1,
	};

	buffer_init(&line, to, sizeof(to));
	buffer_put(&line, reader_of(a, s));
	buffer_put_text(&line, "\n");
	e.recipients = buffer_bytes(&line);
	buffer_init(&text, memory, sizeof(memory));
	if (line.overflow || !envelope_write(&text, &e))
		return -EMSGSIZE;
	return keeper_commit(k, &a->keeping, slice_of(""), buffer_bytes(&text));
}

int returns_make(struct attempt *a, const struct relay_settings *s, struct keeper *k,
		 void (*done)(struct keeping *k, int result))
{
	struct report_recipient *recipients = calloc(a->count, sizeof(*recipients));
	void *chunk = malloc(CHUNK_SIZE);
	struct writing w = { .spool = keeper_spool(k), .writer = &a->keeping.writer };
	int result = -ENOMEM;

	if (!recipients || !chunk)
		goto out;
	buffer_init(&w.chunk, chunk, CHUNK_SIZE);
	w.writer->is_return = true;	/* may use the spool's reserve */
	result = spool_begin(w.spool, w.writer, 0);
	if (result)
		goto out;
	result = write_report(a, s, &w, recipients);
	a->keeping.done = done;
	if (!result)
		result = commit(a, s, k);
	if (result)
		spool_abort(w.spool, w.writer);
out:
	free(chunk);
	free(recipients);
	return result;
}
