/*
 * The gate's counters: by name, since the start and of the last minutes, and the line about them in the log ([log] stats_interval).
 */
#ifndef MANAGER_STATS_H
#define MANAGER_STATS_H

#include "manager/config.h"
#include "manager/tally.h"
#include "net/loop.h"
#include "relay/relay.h"

struct stats {
	struct watch watch;		/* first */
	struct loop *loop;
	const struct ingest *ingest;
	const struct relay *relay;
	const struct spool *spool;
	struct config *const *config;	/* the one in force */
	struct tally tally;
	uint64_t told[TALLY_COUNTERS];	/* totals at the last line */
	int64_t began;			/* ms: since when the next line counts; -1: nothing has happened since the last one */
};

/* Counts from the next turn of the loop on. False when the loop is full. */
bool stats_start(struct stats *s, struct loop *l, const struct ingest *i, const struct relay *r, const struct spool *spool,
		 struct config *const *config);
/* Up to this moment; before those below are asked. */
void stats_take(struct stats *s);
/* Of counter 0 to TALLY_COUNTERS - 1: the key in JSON and log, the name for Prometheus, what it counts. */
const char *stats_name(size_t counter);
const char *stats_metric(size_t counter);
const char *stats_help(size_t counter);
uint64_t stats_total(const struct stats *s, size_t counter);
/* Of the last whole minutes, TALLY_MINUTES at most, and the one that has begun. */
uint64_t stats_last(const struct stats *s, size_t counter, unsigned minutes);

#endif
