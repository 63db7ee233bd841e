/*
 * Mail for a spool on the disk of disk.h: made of a number, so that it can be checked when read back, with
 * the flush done at once by the caller.
 */
#ifndef TESTS_WORK_H
#define TESTS_WORK_H

#include "disk.h"
#include "spool/spool.h"

#define WORK_SIZE	(4u << 20)

static inline void work_settings(struct spool_settings *st, void (*report)(void *, const char *), void *context)
{
	*st = (struct spool_settings){ .path = "spool", .size = WORK_SIZE, .files = &disk_files, .report = report,
		.context = context };
}

/* CHUNK_SIZE octets of message n from `at` on. */
static inline const char *work_octets(unsigned n, uint64_t at)
{
	static char pattern[4099 + CHUNK_SIZE];

	for (unsigned i = 0; pattern[0] == '\0' && i < sizeof(pattern); i++)
		pattern[sizeof(pattern) - 1 - i] = (char)('!' + (i % 4099 * 7919 + i % 4099 / 90) % 90);
	return pattern + (n * 131 + at) % 4099;
}

static inline size_t work_length(unsigned n)
{
	return n % 5 == 4 ? 70000 + n * 11 : (n * 1237) % 9000;
}

static inline size_t work_envelope(unsigned n, char *out, size_t size)
{
	struct buffer b;
	char recipients[64];
	struct envelope e = { .arrived = 1700000000 + n, .sender = SLICE("a@example.com"),
		.trust = SLICE("account"), .ends_in_crlf = true, .recipient_count = 2 };

	snprintf(recipients, sizeof(recipients), "b%u@example.com\nc@example.com\n", n);
	e.recipients = slice_of(recipients);
	buffer_init(&b, out, size);
	return envelope_write(&b, &e) ? buffer_length(&b) : 0;
}

static inline int work_append(struct spool *s, struct spool_writer *w, unsigned n, size_t from, size_t len)
{
	return spool_append(s, w, slice_bytes(work_octets(n, from), len));
}

static inline int work_commit(struct spool *s, struct spool_writer *w, unsigned n)
{
	char envelope[512], front[32];
	size_t len = work_envelope(n, envelope, sizeof(envelope));

	snprintf(front, sizeof(front), "Received: %u\r\n", n);
	return spool_commit(s, w, slice_of(front), slice_bytes(envelope, len));
}

/* Begin to commit in one go; the caller flushes. */
static inline int work_write(struct spool *s, struct spool_writer *w, unsigned n)
{
	size_t length = work_length(n);
	int error = spool_begin(s, w, length);

	for (size_t at = 0; at < length && error == 0; at += CHUNK_SIZE)
		error = work_append(s, w, n, at, length - at < CHUNK_SIZE ? length - at : CHUNK_SIZE);
	return error < 0 ? error : work_commit(s, w, n);
}

static inline void work_flush(struct spool *s)
{
	for (int i = 0; i < 100 && spool_flush_due(s); i++) {
		int fd = spool_flush_begin(s);

		if (fd >= 0)
			spool_flush_end(s, disk_files.fdatasync(fd));
	}
}

/* The message is there, whole, and is message n by its envelope. 0, or what is wrong. */
static inline int work_check(struct spool *s, uint64_t id, unsigned *n)
{
	static char memory[SPOOL_RECORD_MAX], chunk[CHUNK_SIZE];
	char front[32];
	struct buffer b;
	struct spool_message m;
	uint64_t at = 0;
	int error;

	buffer_init(&b, memory, sizeof(memory));
	error = spool_load(s, id, &b, &m);
	if (error < 0)
		return error;
	*n = (unsigned)(m.envelope.arrived - 1700000000);
	snprintf(front, sizeof(front), "Received: %u\r\n", *n);
	while (error == 0) {
		size_t room = at < strlen(front) ? (size_t)(strlen(front) - at) : sizeof(chunk);
		ssize_t got = spool_read(s, &m, at, chunk, room);
		const char *want = at < strlen(front) ? front + at : work_octets(*n, at - strlen(front));

		if (got <= 0) {
			error = got < 0 ? (int)got : at == m.size && at == strlen(front) + work_length(*n) ? 0 : -ERANGE;
			break;
		}
		if (memcmp(chunk, want, (size_t)got) != 0)
			error = -EBADMSG;
		at += (uint64_t)got;
	}
	spool_message_end(&m);
	return error;
}

#endif
