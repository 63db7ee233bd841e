/* Puts so many small messages into a spool, as of now. Usage: torture_fill DIRECTORY OCTETS COUNT */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "spool/spool.h"

#define GROUP	500u

static bool write_one(struct spool *s, struct spool_writer *w, unsigned n)
{
	char data[256], text[512];
	struct buffer envelope;
	struct envelope e = { .arrived = clock_wall(), .sender = SLICE("user1@test-sample.jp"),
		.account = SLICE("user1@test-sample.jp"), .trust = SLICE("account"), .ends_in_crlf = true,
		.recipient_count = 1, .recipients = SLICE("friend@example.net\n") };
	int len = snprintf(data, sizeof(data), "From: user1@test-sample.jp\r\nX-Number: <%u>\r\nX-Octets: <0>\r\n\r\n"
			   "end <%u>\r\n", n, n);

	buffer_init(&envelope, text, sizeof(text));
	return envelope_write(&envelope, &e) && spool_begin(s, w, (uint64_t)len) == 0 &&
	       spool_append(s, w, slice_bytes(data, (size_t)len)) == 0 &&
	       spool_commit(s, w, SLICE_OF("Received: by torture_fill\r\n"), buffer_bytes(&envelope)) == 0;
}

static unsigned flush(struct spool *s)
{
	struct spool_writer *w;
	unsigned done = 0;
	int fd;

	while ((fd = spool_flush_begin(s)) >= 0)
		spool_flush_end(s, fdatasync(fd));
	while ((w = spool_committed(s)))
		done += w->result == 0;
	return done;
}

int main(int argc, char **argv)
{
	static struct spool_writer w[GROUP];
	struct spool_settings st = { .path = argc > 1 ? argv[1] : "" };
	struct fault f = { "", 0 };
	uint64_t count = 0, done = 0;
	struct spool *s;

	if (argc != 4 || !slice_number(slice_of(argv[2]), UINT64_MAX, &st.size) ||
	    !slice_number(slice_of(argv[3]), 10000000, &count))
		return 64;
	if (spool_open(&st, clock_wall(), clock_monotonic(), &s, &f) < 0) {
		fprintf(stderr, "torture_fill: %s\n", f.text);
		return f.status;
	}
	while (done < count) {
		unsigned now = count - done < GROUP ? (unsigned)(count - done) : GROUP;

		for (unsigned i = 0; i < now; i++)
			if (!write_one(s, &w[i], (unsigned)done + i))
				return 1;
		if (flush(s) != now)
			return 1;
		done += now;
	}
	spool_close(s);
	return 0;
}
