/* Beginning and end of a spool. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "spool/inner.h"

#define SIZE_MIN	((uint64_t)SEGMENTS_MIN * SEGMENT_SIZE_MIN)
#define SIZE_MAX_OCTETS	((uint64_t)SEGMENTS_MAX * SEGMENT_SIZE_MAX)

/* Some segments are left for good, or of a budget that was larger. */
#define SEGMENTS_EXTRA	8u

unsigned spool_descriptors(uint64_t size)
{
	return store_segments(size) + SEGMENTS_EXTRA + 2;
}

/* What a person has to do differs: rights, a wrong path, a full disk. */
static bool refuse(struct fault *f, const char *path, int error)
{
	int status = STATUS_TEMPORARY;

	if (error == -EACCES || error == -EPERM || error == -EROFS)
		status = STATUS_DENIED;
	if (error == -ENOENT || error == -ENOTDIR)
		status = STATUS_CONFIG;
	return fault_set(f, status, "spool %s: %s", path, strerror(-error));
}

static bool check_size(const struct spool_settings *settings, struct fault *f)
{
	if (settings->size >= SIZE_MIN && settings->size <= SIZE_MAX_OCTETS)
		return true;
	return fault_set(f, STATUS_CONFIG, "spool %s: the size must be %uM to %uG", settings->path,
			 (unsigned)(SIZE_MIN >> 20), (unsigned)(SIZE_MAX_OCTETS >> 30));
}

static bool lock(struct spool *s, const struct spool_settings *settings, struct fault *f)
{
	struct store *st = &s->journal.store;
	int error;

	st->dir = st->files->open(AT_FDCWD, settings->path, O_RDONLY | O_DIRECTORY, 0);
	if (st->dir < 0)
		return refuse(f, settings->path, st->dir);
	s->lock = st->files->open(st->dir, "lock", O_RDWR | O_CREAT, 0600);
	if (s->lock < 0)
		return refuse(f, settings->path, s->lock);
	error = st->files->lock(s->lock);
	if (error == -EAGAIN || error == -EACCES)
		return fault_set(f, STATUS_TEMPORARY, "spool %s: in use by another process", settings->path);
	return error < 0 ? refuse(f, settings->path, error) : true;
}

/*
 * The reserve is made now: it must be there when the disk is full. With the budget used up by mail
 * that is left from before, it has to do with what there is.
 */
static bool make_reserve(struct spool *s, const struct spool_settings *settings, struct fault *f)
{
	struct store *st = &s->journal.store;
	int error = store_provide(st, ROOM_MAIL + 1);

	if (error < 0 && st->total + st->segment_size <= st->budget && store_usable(st) <= ROOM_OUTCOME)
		return refuse(f, settings->path, error);
	error = st->dir_dirty ? st->files->fsync(st->dir) : 0;
	st->dir_dirty = false;
	return error < 0 ? refuse(f, settings->path, error) : true;
}

static bool start(struct spool *s, const struct spool_settings *settings, int64_t wall, int64_t mono, struct fault *f)
{
	const struct spool_files *files = settings->files ? settings->files : spool_files_system();

	queue_init(&s->queue);
	s->lock = -1;
	s->report = settings->report;
	s->context = settings->context;
	s->mono = mono;
	s->dones = calloc(DONES_MAX, sizeof(*s->dones));
	if (!journal_init(&s->journal, files, settings->size) || !s->dones)
		return fault_set(f, STATUS_TEMPORARY, "spool: no memory");
	return check_size(settings, f) && lock(s, settings, f) && recovery_run(s, wall, mono, f) &&
	       make_reserve(s, settings, f);
}

static void release(struct spool *s)
{
	const struct spool_files *files = s->journal.store.files;

	journal_free(&s->journal);
	if (s->lock >= 0)
		files->close(s->lock);
	queue_free(&s->queue);
	free(s->dones);
	free(s->scratch);
	free(s->extra);
	free(s);
}

int spool_open(const struct spool_settings *settings, int64_t wall, int64_t mono, struct spool **out, struct fault *f)
{
	struct spool *s = calloc(1, sizeof(*s));

	*out = NULL;
	if (!s) {
		fault_set(f, STATUS_TEMPORARY, "spool: no memory");
		return -ENOMEM;
	}
	if (!start(s, settings, wall, mono, f)) {
		release(s);
		return -EIO;
	}
	*out = s;
	return 0;
}

/* The writers are their owners' memory, their longer tables are ours. */
static void drop_all(struct spool_writer *w)
{
	for (; w; w = w->next)
		spool_drop_extents(w);
}

void spool_close(struct spool *s)
{
	if (!s)
		return;
	journal_write(&s->journal);
	drop_all(s->open);
	drop_all(s->waiting.first);
	drop_all(s->decided.first);
	release(s);
}
