/*
 * What somebody must act on, as long as it lasts: a bounded table of causes. Whoever finds one raises it and logs its own line with the
 * severity that it is given: err the first time, and again after a day, else warning. When it is over a line `alarm-over` says so. The manager
 * shows what is open, and sends mail about it.
 */
#ifndef BASE_ALARM_H
#define BASE_ALARM_H

#include "base/log.h"

#define ALARM_CAUSE_MAX	127	/* octets, more are cut: "relay NAME, account ADDRESS" */
#define ALARM_WORDS_MAX	255	/* octets of what is said about it, more are cut */

enum alarm_kind {
	ALARM_UPSTREAM_LOGIN, ALARM_LOOP, ALARM_LOCKOUT, ALARM_CERTIFICATE, ALARM_CLOCK, ALARM_QUEUE, ALARM_SPOOL, ALARM_DISK,
	ALARM_AUDIT, ALARM_FORWARD,
	ALARM_KINDS
};

struct alarm {
	uint8_t kind;			/* enum alarm_kind */
	bool open;
	bool unsent;			/* a mail is due about it */
	uint32_t count;			/* times it was raised since it is open */
	int64_t since, last;		/* monotonic ms: open since; raised last */
	int64_t told, until;		/* likewise: last of severity err; over by itself at, or INT64_MAX */
	char cause[ALARM_CAUSE_MAX + 1];	/* printable; empty: there is only one */
	char words[ALARM_WORDS_MAX + 1];	/* printable */
};

/* "relay NAME, account ADDRESS", cut. */
struct slice alarm_cause(char out[ALARM_CAUSE_MAX + 1], const char *format, ...) __attribute__((format(printf, 2, 3)));
/* As `alarm=` says it. */
const char *alarm_name(enum alarm_kind kind);
/*
 * `now` is monotonic ms, as everywhere here. What is over by itself (for_ms > 0) lasts so long from the last time on. Returns the severity of
 * the caller's line.
 */
enum severity alarm_raise(enum alarm_kind kind, struct slice cause, struct slice words, int64_t now);
enum severity alarm_raise_for(enum alarm_kind kind, struct slice cause, struct slice words, int64_t now, int64_t for_ms);
/* It is over; nothing is said where none was open. */
void alarm_end(enum alarm_kind kind, struct slice cause, int64_t now);
/* All of a kind: what they were about has changed. Or all that weren't raised at `now`, where each look raises what it finds. */
void alarm_end_all(enum alarm_kind kind, int64_t now);
void alarm_end_older(enum alarm_kind kind, int64_t now);
bool alarm_is_open(enum alarm_kind kind);
/* Ends what is over by itself; returns when the next one will be, or INT64_MAX. */
int64_t alarm_expire(int64_t now);
/* Those that are open: NULL to begin, NULL at the end. They stay where they are until the next alarm_raise. */
struct alarm *alarm_next(struct alarm *after);
unsigned alarm_count(void);
/* Forgets all, for tests. */
void alarm_reset(void);

#endif
