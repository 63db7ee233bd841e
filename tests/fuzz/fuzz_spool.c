/*
 * The octets of a segment file, as a damaged disk or a stranger could leave them: replay must neither crash nor
 * hang, what it finds must be readable or refused, and the spool must work afterwards.
 */
#include "../fault/work.h"

#define INPUT_MAX	(64u << 10)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_all(struct spool *s)
{
	for (const struct spool_entry *e = spool_next(s, 0); e; e = spool_next(s, e->id)) {
		unsigned n;

		work_check(s, e->id, &n);
	}
}

static void use(struct spool *s)
{
	struct spool_writer w = { 0 };
	const struct spool_entry *e;

	while ((e = spool_take(s, INT64_MAX - 1)) && e->recipients > 0) {
		static const char states[UINT16_MAX];

		spool_outcome(s, e->id, slice_bytes(states, e->recipients), 0, 0, SLICE_OF(""));
	}
	if (work_write(s, &w, 3) < 0)
		spool_abort(s, &w);
	work_flush(s);
	while (spool_committed(s))
		;
}

/* The first file holds the input's first half, the second the rest: two generations can meet. */
static void put_file(const char *name, const uint8_t *data, size_t size)
{
	int fd = disk_open(0, name, O_CREAT, 0);

	disk_pwrite(fd, data, size, 0);
	disk_fdatasync(fd);
	disk_close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct spool_settings st;
	struct fault f = { "", 0 };
	struct spool *s;

	if (size > INPUT_MAX)
		return 0;
	disk_clear();
	put_file("seg-0000", data, size / 2);
	put_file("seg-0001", data + size / 2, size - size / 2);
	work_settings(&st, NULL, NULL);
	if (spool_open(&st, 1700000000, 0, &s, &f) < 0)
		return 0;
	read_all(s);
	use(s);
	spool_close(s);
	return 0;
}
