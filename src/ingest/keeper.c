#include "ingest/keeper.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

/* Outcomes that nobody waits for may stay in memory this long; a crash then sends a mail twice, never loses one. */
#define NOTE_DELAY_MS	200

/* A flush that can't begin, for want of the helper or of anything to flush, is tried again after this. */
#define REST_MS		50

struct keeper {
	struct watch watch;		/* starts flushes; has no descriptor */
	struct loop *loop;
	struct spool *spool;
	struct helper *flusher;
	bool flushing;
	unsigned waiting;		/* commits not yet decided */
	int64_t note_deadline;		/* NEVER: no outcome is waiting */
	int64_t rest_until;		/* see REST_MS */
	void (*on_commit)(void *context);
	void *on_commit_context;
};

size_t keeper_serve(const void *request, size_t len, int fd, void *answer)
{
	int32_t result = fdatasync(fd) ? -errno : 0;

	(void)request, (void)len;
	memcpy(answer, &result, sizeof(result));
	return sizeof(result);
}

static void tell_committed(struct keeper *k)
{
	struct spool_writer *w;
	bool any = false;

	while ((w = spool_committed(k->spool))) {
		struct keeping *keeping = w->owner;

		k->waiting--;
		if (w->result)
			log_line(SEVERITY_ERR, "spool flush failed: %s", strerror(-w->result));
		else
			any = true;
		if (keeping->done)
			keeping->done(keeping, w->result);
	}
	if (any && k->on_commit)
		k->on_commit(k->on_commit_context);
}

static void flushed(void *context, const void *answer, size_t len)
{
	struct keeper *k = context;
	int32_t result = -EIO;		/* a helper that died has flushed nothing */

	if (answer && len == sizeof(result))
		memcpy(&result, answer, sizeof(result));
	k->flushing = false;
	spool_flush_end(k->spool, result);
	tell_committed(k);
}

/* All commits of one turn share a flush: it starts when the turn's sessions have been served. */
static void start_flush(struct keeper *k)
{
	int fd = spool_flush_begin(k->spool);

	k->note_deadline = NEVER;
	if (fd < 0) {
		tell_committed(k);
		k->rest_until = loop_now(k->loop) + REST_MS;
		return;
	}
	if (helper_ask(k->flusher, "", 1, fd, flushed, k)) {
		k->flushing = true;
		return;
	}
	spool_flush_end(k->spool, -EAGAIN);
	tell_committed(k);
}

/* When the next flush is to begin: somebody waits, an outcome has waited long enough, or the spool has work of its own. */
static int64_t next_flush(const struct keeper *k)
{
	int64_t at = k->note_deadline;

	if (k->flushing)
		return NEVER;
	if (k->waiting || (at == NEVER && spool_flush_due(k->spool)))
		at = loop_now(k->loop);
	return at < k->rest_until ? k->rest_until : at;
}

static void before(struct watch *w)
{
	struct keeper *k = (struct keeper *)w;

	tell_committed(k);		/* a failed write decides a group outside of any flush */
	if (next_flush(k) > loop_now(k->loop))
		return;
	/* While the helper is being started again, commits wait: a flush that is begun and can't be done costs a segment. */
	if (helper_ready(k->flusher))
		start_flush(k);
	else
		k->rest_until = loop_now(k->loop) + REST_MS;
}

static void want(struct watch *w)
{
	w->fd = -1;
	w->deadline = next_flush((const struct keeper *)w);
}

static void ready(struct watch *w, short revents)
{
	(void)w, (void)revents;		/* the next turn's `before` does the work */
}

static void reap(struct watch *w)
{
	(void)w;			/* keeper_free does it */
}

struct keeper *keeper_new(struct loop *l, struct helper *flusher, struct spool *s)
{
	struct keeper *k = calloc(1, sizeof(*k));

	if (!k)
		return NULL;
	k->watch = (struct watch){ .before = before, .want = want, .ready = ready, .reap = reap, .fd = -1 };
	k->loop = l;
	k->spool = s;
	k->note_deadline = NEVER;
	k->flusher = flusher;
	if (loop_add(l, &k->watch))
		return k;
	keeper_free(k);
	return NULL;
}

void keeper_free(struct keeper *k)
{
	free(k);
}

struct spool *keeper_spool(const struct keeper *k)
{
	return k->spool;
}

int keeper_commit(struct keeper *k, struct keeping *w, struct slice front, struct slice envelope)
{
	int result;

	w->writer.owner = w;
	result = spool_commit(k->spool, &w->writer, front, envelope);
	if (!result)
		k->waiting++;
	return result;
}

void keeper_note(struct keeper *k)
{
	if (k->note_deadline == NEVER)
		k->note_deadline = loop_now(k->loop) + NOTE_DELAY_MS;
}

void keeper_on_commit(struct keeper *k, void (*call)(void *context), void *context)
{
	k->on_commit = call;
	k->on_commit_context = context;
}

bool keeper_idle(const struct keeper *k)
{
	return !k->flushing && !k->waiting && k->note_deadline == NEVER;
}
