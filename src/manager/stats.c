#include "manager/stats.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"

static const struct {
	const char *name, *metric, *help;
	bool of_relay;
	size_t at;			/* in struct ingest_counters or relay_counters */
} rows[] = {
#define INGEST(member) false, offsetof(struct ingest_counters, member)
#define RELAY(member) true, offsetof(struct relay_counters, member)
	{ "sessions", "sessions", "Sessions of clients", INGEST(sessions) },
	{ "refused_sessions", "refused_sessions", "Connections of clients that were turned away", INGEST(refused_sessions) },
	{ "logins", "logins", "Logins of clients that succeeded", INGEST(logins) },
	{ "refused_logins", "refused_logins", "Logins of clients that failed", INGEST(refused_logins) },
	{ "lockouts", "lockouts", "Times that a client was locked out", INGEST(lockouts) },
	{ "refused_senders", "refused_senders", "Senders that failed the check at MAIL", INGEST(refused_senders) },
	{ "messages", "messages", "Mails accepted", INGEST(messages) },
	{ "refused_messages", "refused_messages", "Mails refused after their data", INGEST(refused_messages) },
	{ "octets", "received_bytes", "Octets of the mails accepted", INGEST(octets) },
	{ "delivered", "delivered", "Recipients whose mail the next hop took", RELAY(delivered) },
	{ "deferred", "deferred", "Attempts at a recipient that the next hop put off", RELAY(deferred) },
	{ "failed", "failed", "Recipients that the next hop refused for good", RELAY(failed) },
	{ "returned", "returned", "Return mails made", RELAY(returned) },
#undef INGEST
#undef RELAY
};

_Static_assert(sizeof(rows) / sizeof(rows[0]) == TALLY_COUNTERS, "a row a counter");

static void read_totals(const struct stats *s, uint64_t out[TALLY_COUNTERS])
{
	const char *ingest = (const char *)ingest_counters(s->ingest), *relay = (const char *)relay_counters(s->relay);

	for (size_t i = 0; i < TALLY_COUNTERS; i++)
		memcpy(&out[i], (rows[i].of_relay ? relay : ingest) + rows[i].at, sizeof(out[i]));
}

/* What was counted in a turn is taken before the next wait, and so belongs to the minute it happened in. */
void stats_take(struct stats *s)
{
	uint64_t totals[TALLY_COUNTERS];

	read_totals(s, totals);
	if (s->began < 0 && memcmp(totals, s->told, sizeof(totals)))
		s->began = loop_now(s->loop);
	tally_take(&s->tally, totals, loop_now(s->loop));
}

static void before(struct watch *w)
{
	stats_take((struct stats *)w);
}

static int64_t interval(const struct stats *s)
{
	return (*s->config)->stats_interval;
}

/* While nothing happens there is nothing to tell, and nobody is woken. */
static void want(struct watch *w)
{
	const struct stats *s = (const struct stats *)w;

	w->events = 0;
	w->deadline = s->began < 0 || !interval(s) ? NEVER : s->began + interval(s);
}

static void tell(struct stats *s)
{
	uint64_t used, budget;
	struct record r;

	record_start(&r, "stats");
	record_number(&r, "for", clock_seconds(loop_now(s->loop) - s->began));
	for (size_t i = 0; i < TALLY_COUNTERS; i++)
		record_number(&r, rows[i].name, (int64_t)(s->tally.seen[i] - s->told[i]));
	spool_usage(s->spool, &used, &budget);
	record_number(&r, "open_sessions", ingest_counters(s->ingest)->open_sessions);
	record_number(&r, "queue", (int64_t)spool_count(s->spool));
	record_number(&r, "spool_used", (int64_t)used);
	log_record(SEVERITY_INFO, &r);
}

static void ready(struct watch *w, short revents)
{
	struct stats *s = (struct stats *)w;

	(void)revents;
	stats_take(s);
	tell(s);
	memcpy(s->told, s->tally.seen, sizeof(s->told));
	s->began = -1;
}

static void reap(struct watch *w)
{
	(void)w;
}

bool stats_start(struct stats *s, struct loop *l, const struct ingest *i, const struct relay *r, const struct spool *spool,
		 struct config *const *config)
{
	*s = (struct stats){ .loop = l, .ingest = i, .relay = r, .spool = spool, .config = config, .began = -1 };
	s->watch = (struct watch){ .before = before, .want = want, .ready = ready, .reap = reap, .fd = -1 };
	return loop_add(l, &s->watch);
}

const char *stats_name(size_t counter)
{
	return rows[counter].name;
}

const char *stats_metric(size_t counter)
{
	return rows[counter].metric;
}

const char *stats_help(size_t counter)
{
	return rows[counter].help;
}

uint64_t stats_total(const struct stats *s, size_t counter)
{
	return s->tally.seen[counter];
}

uint64_t stats_last(const struct stats *s, size_t counter, unsigned minutes)
{
	return tally_sum(&s->tally, counter, minutes);
}
