#include "manager/gauges.h"

#include <sys/statvfs.h>

#include "base/clock.h"
#include "base/log.h"

static uint64_t disk_free(const char *path)
{
	struct statvfs v;

	return statvfs(path, &v) ? 0 : (uint64_t)v.f_bavail * v.f_frsize;
}

/* Ids grow: the first is the oldest. */
static uint64_t oldest(const struct control_house *h)
{
	const struct spool_entry *e = spool_next(h->spool, 0);
	int64_t age = e ? clock_wall() - e->arrived : 0;

	return age > 0 ? (uint64_t)age : 0;
}

struct gauges gauges_look(const struct control_house *h)
{
	struct gauges g = {
		.uptime = (uint64_t)clock_seconds(loop_now(h->loop) - h->started_at),
		.sessions = ingest_counters(h->ingest)->open_sessions, .max_sessions = h->max_sessions,
		.queue = spool_count(h->spool), .oldest = oldest(h),
		.disk = disk_free(h->spool_path), .lost = log_lost(),
	};

	spool_usage(h->spool, &g.used, &g.size);
	return g;
}
