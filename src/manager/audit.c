#include "manager/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alarm.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "manager/mend.h"
#include "manager/resume.h"
#include "manager/rotation.h"

#define RETRY_MS	5000		/* a file that can't be written is tried again with the first record after this */

struct audit {
	struct watch watch;		/* the flush; first */
	struct loop *loop;
	struct helper *flusher;
	char path[256];			/* empty: off */
	uint64_t limit;			/* see audit_settings */
	unsigned keep;
	struct chain_key key;
	struct chain chain;
	bool resumed;			/* `chain` has been read from the files */
	int fd;				/* -1: not open */
	uint64_t size;			/* octets of good lines in it */
	uint64_t rotate_at;		/* octets; later than `limit` after a rotation that failed */
	bool dirty;
	unsigned flushing;		/* flushes under way, of this file and the one before */
	bool unkept;			/* one of them failed */
	uint64_t flushing_to, kept;	/* numbers */
	bool doubt;			/* a flush has failed: no other one tells anything of lines behind `kept` */
	struct mend mend;
	unsigned mend_file;		/* which is being mended (manager/rotation.h) */
	bool settling;			/* its copy is being flushed, up to `flushing_to` */
	int64_t mend_at;		/* monotonic ms */
	uint64_t losses;		/* times that lines which had been written were not there any more */
	int64_t flush_at, retry_at;	/* monotonic ms */
	uint64_t missing, lost;		/* records: since the last one written, since the start */
	char error[FAULT_MAX];		/* empty: it goes well */
};

static void tell_place(const struct audit *a, enum severity severity)
{
	struct record r;

	record_start(&r, "audit");
	record_number(&r, "number", (int64_t)a->chain.number);
	record_word(&r, "chain", a->chain.link);
	record_word(&r, "key", a->key.id);
	record_text(&r, "file", slice_of(a->path));
	log_record(severity, &r);
}

static void shut(struct audit *a)
{
	if (a->fd >= 0)
		close(a->fd);
	a->fd = -1;
}

/* Said once, until it goes well again. */
static void alarm_once(struct audit *a, const char *what, int error)
{
	bool first = !a->error[0];
	struct record r;

	snprintf(a->error, sizeof(a->error), "%s: %s", what, error == EINVAL ? "it is not an audit file" : strerror(error));
	if (!first)
		return;
	record_start(&r, "audit");
	record_word(&r, "alarm", "audit");
	record_text(&r, "file", slice_of(a->path));
	record_reason(&r, "error", slice_of(a->error));
	log_record(alarm_raise(ALARM_AUDIT, SLICE_OF(""), slice_of(a->error), loop_now(a->loop)), &r);
}

static void end_alarm(struct audit *a)
{
	a->error[0] = '\0';
	alarm_end(ALARM_AUDIT, SLICE_OF(""), loop_now(a->loop));
}

/* Records are lost until RETRY_MS have passed. False, for callers to return. */
static bool fail(struct audit *a, const char *what, int error)
{
	alarm_once(a, what, error);
	a->retry_at = loop_now(a->loop) + RETRY_MS;
	return false;
}

/* One write a line: it is whole, or what there is of it is taken back. */
static int append(struct audit *a, struct slice line)
{
	ssize_t n = write(a->fd, line.at, line.len);

	if (n == (ssize_t)line.len) {
		a->size += line.len;
		if (!a->dirty)
			a->flush_at = loop_now(a->loop) + AUDIT_FLUSH_MS;
		a->dirty = true;
		return 0;
	}
	if (n < 0)
		return -errno;
	if (ftruncate(a->fd, (off_t)a->size) < 0)
		shut(a);	/* opened again, it is found and marked as torn */
	return -ENOSPC;
}

static int put_line(struct audit *a, int64_t wall, uint64_t skipped, struct slice record)
{
	char memory[CHAIN_LINE_MAX + 1];
	struct chain next = a->chain;
	struct buffer line;
	int result;

	buffer_init(&line, memory, sizeof(memory));
	if (!chain_put(&next, &a->key, wall, skipped, record, &line))
		return -ENOMEM;
	result = append(a, buffer_bytes(&line));
	if (!result)
		a->chain = next;
	return result;
}

static int put_head(struct audit *a)
{
	struct record r;

	record_start_audit(&r, CHAIN_FILE);
	record_number(&r, "version", 1);
	record_word(&r, "key", a->key.id);
	record_word(&r, "before", a->chain.link);
	record_word(&r, "by", "sekimori-" SEKIMORI_VERSION);
	return put_line(a, clock_wall(), 0, slice_bytes(r.text, r.len));
}

static int32_t result_of(const void *answer, size_t len)
{
	int32_t result = -EIO;		/* a helper that died has flushed nothing */

	if (answer && len == sizeof(result))
		memcpy(&result, answer, sizeof(result));
	return result;
}

static void flushed(void *context, const void *answer, size_t len)
{
	struct audit *a = context;
	int32_t result = result_of(answer, len);

	a->flushing--;
	if (answer && result)
		alarm_once(a, "flush", -result);
	a->unkept |= result != 0;
	if (a->flushing)
		return;
	if (!a->unkept)
		a->kept = a->flushing_to;
	else
		a->mend_at = loop_now(a->loop);
	a->doubt |= a->unkept;
	a->unkept = false;
}

/* Removed or replaced under us: what we write is seen by nobody. */
static bool is_gone(const struct audit *a)
{
	struct stat own, named;

	return fstat(a->fd, &own) == 0 && (stat(a->path, &named) < 0 || own.st_ino != named.st_ino || own.st_dev != named.st_dev);
}

static void flush(struct audit *a)
{
	if (a->doubt)
		return;
	if (a->fd >= 0 && helper_ask(a->flusher, "", 1, a->fd, flushed, a)) {
		a->flushing++;
		a->flushing_to = a->chain.number;
		a->dirty = false;
		if (is_gone(a)) {
			alarm_once(a, "it was removed", ENOENT);
			shut(a);
		}
		return;
	}
	a->flush_at = loop_now(a->loop) + AUDIT_FLUSH_MS;
}

/* A new file. Its name may be taken already by one that is empty: we were killed between its birth and its first line. */
static int create(struct audit *a)
{
	struct stat st;
	int result;

	a->fd = open(a->path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0640);
	if (a->fd < 0)
		return -errno;
	fchmod(a->fd, 0640);		/* whatever the umask; nothing depends on it */
	if (fstat(a->fd, &st) == 0 && st.st_size > 0)
		result = ftruncate(a->fd, 0);	/* no line of ours is in it: resume_find has looked */
	a->size = 0;
	a->rotate_at = a->limit;
	result = put_head(a);
	if (result)
		shut(a);
	return result;
}

/* In doubt no flush of another kind is under way. */
static void drop_mend(struct audit *a)
{
	if (!mend_is_on(&a->mend))
		return;
	helper_forget(a->flusher, a);
	a->settling = false;
	mend_drop(&a->mend);
}

static int rotate(struct audit *a)
{
	int result;

	drop_mend(a);
	if (a->fd >= 0 && a->dirty)
		flush(a);
	shut(a);
	result = rotation_shift(a->path, a->keep);
	return result ? result : create(a);
}

static int put_torn(struct audit *a, uint64_t octets)
{
	struct record r;

	record_start(&r, "audit");
	record_number(&r, "torn", (int64_t)octets);
	record_text(&r, "file", slice_of(a->path));
	log_record(SEVERITY_WARNING, &r);
	record_start_audit(&r, CHAIN_TORN);
	record_number(&r, "octets", (int64_t)octets);
	return put_line(a, clock_wall(), 0, slice_bytes(r.text, r.len));
}

/* Goes on in the file that is there; what a power cut has left behind its last line is ended, and marked. */
static int go_on(struct audit *a, const struct resume *from)
{
	a->fd = open(a->path, O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (a->fd < 0)
		return -errno;
	a->size = from->size;
	a->rotate_at = a->limit;
	if (!from->torn)
		return 0;
	if (!from->ends_in_lf && append(a, SLICE_OF("\n")))
		return -ENOSPC;
	return put_torn(a, from->torn + !from->ends_in_lf);
}

/* At start, or at another path: the chain goes on from what the files say. */
static int resume(struct audit *a)
{
	struct resume from;
	int result = resume_find(a->path, &from);

	if (result)
		return result;
	a->chain = from.chain;
	if (from.newest != 0) {
		result = create(a);
		if (!result && from.torn)
			result = put_torn(a, from.torn);
	} else if (strcmp(from.key, a->key.id) != 0) {
		result = rotate(a);
	} else {
		result = go_on(a, &from);
	}
	if (result) {
		shut(a);
		return result;
	}
	a->resumed = true;
	a->dirty = true;		/* what is in the files needn't be on disk */
	a->flush_at = loop_now(a->loop) + AUDIT_FLUSH_MS;
	a->kept = 0;
	a->doubt = mend_was_on(a->path);
	a->mend_at = loop_now(a->loop);
	return 0;
}

static int open_file(struct audit *a)
{
	struct resume from;
	int result;

	if (!a->resumed)
		return resume(a);
	/* It was open before: the chain in memory counts, the file may have a torn line. */
	result = resume_find(a->path, &from);
	if (result)
		return result;
	return from.newest == 0 ? go_on(a, &from) : create(a);
}

static bool put_gap(struct audit *a)
{
	struct record r;
	int result;

	record_start_audit(&r, CHAIN_GAP);
	record_number(&r, "lost", (int64_t)a->missing);
	if (a->error[0])
		record_reason(&r, "error", slice_of(a->error));
	result = put_line(a, clock_wall(), a->missing, slice_bytes(r.text, r.len));
	if (result)
		return fail(a, "write", -result);
	record_start(&r, "audit");
	record_number(&r, "lost", (int64_t)a->missing);
	record_text(&r, "file", slice_of(a->path));
	log_record(SEVERITY_NOTICE, &r);
	a->missing = 0;
	return true;
}

static bool is_writable(struct audit *a)
{
	int result;

	if (loop_now(a->loop) < a->retry_at)
		return false;
	result = a->fd < 0 ? open_file(a) : 0;
	if (result)
		return fail(a, "open", -result);
	if (a->missing && !put_gap(a))
		return false;
	return true;
}

/* A rotation that fails is tried again when the file has grown by half; until then it just grows. */
static bool make_room(struct audit *a)
{
	int result;

	if (a->size < a->rotate_at || mend_is_on(&a->mend))
		return true;
	result = rotate(a);
	if (!result)
		return true;
	alarm_once(a, "rotate", -result);
	if (access(a->path, F_OK) < 0 || open_file(a))
		return fail(a, "rotate", -result);
	a->rotate_at = a->size + a->limit / 2;
	return true;
}

bool audit_put(struct audit *a, int64_t wall, struct slice record)
{
	int result;

	if (!a || !a->path[0])
		return false;
	if (chain_is_record(record) && is_writable(a) && make_room(a)) {
		result = put_line(a, wall, 0, record);
		if (!result && a->size < a->rotate_at && !a->doubt)
			end_alarm(a);
		if (!result)
			return true;
		fail(a, "write", -result);
	}
	a->missing++;
	a->lost++;
	return false;
}

uint64_t audit_losses(const struct audit *a)
{
	return a ? a->losses : 0;
}

uint64_t audit_kept(const struct audit *a)
{
	return a ? a->kept : 0;
}

void audit_hurry(struct audit *a)
{
	if (a && a->dirty)
		a->flush_at = loop_now(a->loop);
}

/* A file has one key. */
static void change_key(struct audit *a)
{
	int result = rotate(a);

	if (result)
		fail(a, "rotate", -result);
	else
		tell_place(a, SEVERITY_NOTICE);
}

void audit_apply(struct audit *a, const struct audit_settings *s)
{
	struct chain_key key;
	bool moved, other_key;

	if (!a)
		return;
	chain_key_of(s->ring, 0, &key);
	moved = strcmp(s->path, a->path[0] ? a->path : "none") != 0;
	other_key = memcmp(&key, &a->key, sizeof(key)) != 0;
	a->keep = s->keep;
	a->limit = a->rotate_at = s->size;
	a->key = key;
	secret_wipe(&key, sizeof(key));
	if (!moved && (!other_key || !a->resumed || !a->path[0]))
		return;
	if (!moved) {
		change_key(a);
		return;
	}
	shut(a);
	drop_mend(a);
	a->losses += a->doubt;
	a->doubt = a->resumed = false;
	end_alarm(a);
	a->path[0] = '\0';
	if (strcmp(s->path, "none") != 0)
		slice_copy(slice_of(s->path), a->path, sizeof(a->path));
	if (a->path[0] && is_writable(a))
		tell_place(a, SEVERITY_NOTICE);
}

void audit_state(const struct audit *a, struct audit_status *out)
{
	*out = (struct audit_status){ .on = a && a->path[0] };
	if (!out->on)
		return;
	memcpy(out->path, a->path, sizeof(out->path));
	memcpy(out->key, a->key.id, sizeof(out->key));
	memcpy(out->link, a->chain.link, sizeof(out->link));
	memcpy(out->error, a->error, sizeof(out->error));
	out->number = a->chain.number;
	out->keep = a->keep;
	out->lost = a->lost;
}

/* A file whose flush has failed is written anew */

static void put_off(struct audit *a, int error)
{
	drop_mend(a);
	alarm_once(a, "it can't be written anew", error);
	a->mend_at = loop_now(a->loop) + RETRY_MS;
}

static void begin_mend(struct audit *a, unsigned n)
{
	int result = mend_begin(&a->mend, a->path, n, a->kept, &a->key);

	a->mend_file = n;
	if (result == -ENOENT && n == 0) {	/* removed, with all that was in it */
		a->doubt = false;
		a->losses++;
		shut(a);
	} else if (result) {
		put_off(a, -result);
	}
}

static void tell_mended(const struct audit *a, uint64_t rewritten, uint64_t lost)
{
	struct record r;

	record_start(&r, "audit");
	record_number(&r, "rewritten", (int64_t)rewritten);
	record_number(&r, "lost", (int64_t)lost);
	record_text(&r, "file", slice_of(a->path));
	log_record(lost ? SEVERITY_ERR : SEVERITY_NOTICE, &r);
}

static void end_older(struct audit *a)
{
	uint64_t good = a->mend.good.number, rewritten = a->mend.rewritten, next = mend_first(a->path, a->mend_file - 1);
	uint64_t lost = next > good ? next - good - 1 : 0;
	int fd = mend_take(&a->mend, false);

	if (fd < 0) {
		put_off(a, -fd);
		return;
	}
	close(fd);
	a->kept = good;
	a->lost += lost;
	a->losses += lost > 0;
	tell_mended(a, rewritten, lost);
	begin_mend(a, a->mend_file - 1);
}

/* What has been written since the copy was made is copied now, and is flushed as ever. Behind a damage the numbers go on with a gap. */
static void end_newest(struct audit *a)
{
	uint64_t lost, size, rewritten;
	struct chain good;
	int result;

	while ((result = mend_step(&a->mend)) == 0)
		;
	good = a->mend.good;
	lost = a->chain.number - good.number;
	size = lost ? a->mend.good_at : a->mend.at;
	rewritten = a->mend.rewritten;
	if (result > 0)
		result = mend_take(&a->mend, lost > 0);
	if (result < 0) {
		put_off(a, -result);
		return;
	}
	shut(a);
	a->fd = result;
	a->size = size;
	a->chain = good;
	a->missing += lost;
	a->lost += lost;
	a->losses += lost > 0;
	a->kept = a->flushing_to < good.number ? a->flushing_to : good.number;
	a->doubt = false;
	a->dirty = true;
	a->flush_at = loop_now(a->loop) + AUDIT_FLUSH_MS;
	tell_mended(a, rewritten, lost);
	end_alarm(a);
}

static void settled(void *context, const void *answer, size_t len)
{
	struct audit *a = context;
	int32_t result = result_of(answer, len);

	a->settling = false;
	if (result)
		put_off(a, -result);
	else if (a->mend_file)
		end_older(a);
	else
		end_newest(a);
}

static void mend(struct audit *a)
{
	int result;

	if (!mend_is_on(&a->mend))
		begin_mend(a, mend_where(a->path, a->keep, a->kept ? a->kept + 1 : 0));
	if (!mend_is_on(&a->mend))
		return;
	result = mend_step(&a->mend);
	if (result < 0)
		put_off(a, -result);
	if (result <= 0)
		return;
	a->flushing_to = a->mend.good.number;
	a->settling = helper_ask(a->flusher, "", 1, a->mend.to, settled, a);
	if (!a->settling)
		put_off(a, EAGAIN);
}

static void want(struct watch *w)
{
	const struct audit *a = (const struct audit *)w;

	w->events = 0;
	if (a->doubt)
		w->deadline = a->settling ? NEVER : mend_is_on(&a->mend) ? loop_now(a->loop) : a->mend_at;
	else
		w->deadline = a->dirty && !a->flushing ? a->flush_at : NEVER;
}

static void ready(struct watch *w, short revents)
{
	struct audit *a = (struct audit *)w;

	(void)revents;
	if (a->doubt)
		mend(a);
	else
		flush(a);
}

static void reap(struct watch *w)
{
	struct audit *a = (struct audit *)w;

	shut(a);
	mend_drop(&a->mend);
	secret_wipe(a, sizeof(*a));
	free(a);
}

struct audit *audit_new(struct loop *l, struct helper *flusher)
{
	struct audit *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	*a = (struct audit){ .loop = l, .flusher = flusher, .fd = -1 };
	a->watch = (struct watch){ .want = want, .ready = ready, .reap = reap, .fd = -1 };
	chain_begin(&a->chain);
	mend_none(&a->mend);
	if (loop_add(l, &a->watch))
		return a;
	free(a);
	return NULL;
}

void audit_end(struct audit *a)
{
	if (!a)
		return;
	if (a->fd >= 0)
		tell_place(a, SEVERITY_NOTICE);
	helper_forget(a->flusher, a);
	a->watch.dead = true;
}
