/*
 * Messages a second through the spool on a real disk: begin, append, commit, flush, each group of so many
 * with one fdatasync; then each is delivered at once. Usage: spool_bench DIRECTORY [SECONDS [OCTETS]]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "spool/spool.h"

#define GROUP_MAX	200u
#define SIZE		(256u << 20)

static char data[CHUNK_SIZE];
static char text[512];
static struct slice envelope;

static void make_envelope(void)
{
	struct envelope e = { .arrived = 1700000000, .sender = SLICE("user1@test-sample.jp"),
		.account = SLICE("user1@test-sample.jp"), .trust = SLICE("account"), .ends_in_crlf = true,
		.message_id = SLICE("<x@test-sample.jp>"), .recipient_count = 1,
		.recipients = SLICE("somebody@example.com\n") };
	struct buffer b;

	buffer_init(&b, text, sizeof(text));
	envelope_write(&b, &e);
	envelope = buffer_bytes(&b);
}

static bool write_one(struct spool *s, struct spool_writer *w, size_t octets)
{
	size_t left = octets;

	if (spool_begin(s, w, octets) < 0)
		return false;
	for (; left > 0; left -= left < CHUNK_SIZE ? left : CHUNK_SIZE)
		if (spool_append(s, w, slice_bytes(data, left < CHUNK_SIZE ? left : CHUNK_SIZE)) < 0)
			return false;
	return spool_commit(s, w, SLICE_OF("Received: from here by there; now\r\n"), envelope) == 0;
}

static bool flush(struct spool *s, unsigned *acknowledged)
{
	struct spool_writer *w;
	int fd;

	while ((fd = spool_flush_begin(s)) >= 0) {
		spool_flush_end(s, fdatasync(fd));
		while ((w = spool_committed(s))) {
			if (w->result < 0)
				return false;
			(*acknowledged)++;
		}
	}
	return true;
}

static void deliver(struct spool *s)
{
	const struct spool_entry *e;

	while ((e = spool_take(s, clock_monotonic())))
		spool_outcome(s, e->id, SLICE_OF("D"), 0, 0, SLICE_OF(""));
}

static bool run(struct spool *s, unsigned group, int64_t ms, size_t octets)
{
	static struct spool_writer w[GROUP_MAX];
	int64_t from = clock_monotonic(), now = from;
	unsigned done = 0;

	while (now - from < ms) {
		for (unsigned i = 0; i < group; i++)
			if (!write_one(s, &w[i], octets))
				return false;
		if (!flush(s, &done))
			return false;
		deliver(s);
		now = clock_monotonic();
	}
	printf("group %3u: %8.0f messages/s\n", group, (double)done * 1000.0 / (double)(now - from));
	return true;
}

static long memory(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return u.ru_maxrss;
}

/* Many small ones kept, and the time to start with them. */
static bool keep(struct spool **s, const struct spool_settings *st, unsigned count)
{
	static struct spool_writer w[50];
	unsigned done = 0;
	long before = memory();
	struct fault f = { "", 0 };
	int64_t from;

	while (done < count) {
		for (unsigned i = 0; i < 50; i++)
			if (!write_one(*s, &w[i], 1000))
				return false;
		if (!flush(*s, &done))
			return false;
	}
	printf("%u kept: %ld octets of memory each\n", count, (memory() - before) * 1024 / (long)count);
	spool_close(*s);
	from = clock_monotonic();
	if (spool_open(st, clock_wall(), clock_monotonic(), s, &f) < 0)
		return false;
	printf("start with %zu: %" PRId64 " ms\n", spool_count(*s), clock_monotonic() - from);
	return true;
}

int main(int argc, char **argv)
{
	static const unsigned groups[] = { 1, 10, 50, 200 };
	struct spool_settings st = { .path = argc > 1 ? argv[1] : ".", .size = SIZE };
	uint64_t seconds = 3, octets = 10240;
	struct fault f = { "", 0 };
	struct spool *s;
	bool good = true;

	if ((argc > 2 && !slice_number(slice_of(argv[2]), 3600, &seconds)) ||
	    (argc > 3 && !slice_number(slice_of(argv[3]), 30000000, &octets)))
		return 64;
	make_envelope();
	memset(data, 'x', sizeof(data));
	if (spool_open(&st, clock_wall(), clock_monotonic(), &s, &f) < 0) {
		fprintf(stderr, "spool_bench: %s\n", f.text);
		return f.status;
	}
	for (size_t i = 0; good && i < sizeof(groups) / sizeof(groups[0]); i++)
		good = run(s, groups[i], (int64_t)seconds * 1000, (size_t)octets);
	good = good && keep(&s, &st, 100000);
	if (!good)
		fprintf(stderr, "spool_bench: the spool refused\n");
	spool_close(s);
	return good ? 0 : 1;
}
