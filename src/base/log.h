/*
 * The system's log. A line is a datagram to /dev/log that is sent without waiting (R64: never
 * blocks; syslog(3) does): when the logger is behind or away, lines are counted and the loss is
 * logged as `log lost=N` with the next line that passes.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "record.h"

enum severity {		/* RFC 5424 table 2 */
	SEVERITY_ERR = 3,	/* somebody must act */
	SEVERITY_WARNING = 4,	/* mail may be late */
	SEVERITY_NOTICE = 5,	/* start, stop, reload; worth knowing once */
	SEVERITY_INFO = 6,	/* a line per session end, message, attempt */
	SEVERITY_DEBUG = 7
};

/*
 * Opens the log; may be called again with other settings. `facility` is the RFC 5424 number
 * (mail is 2). With `echo`, lines go to standard error as well. To be called again after a fork, or when standard error
 * has become another.
 */
void log_open(const char *ident, int facility, enum severity least, bool echo);
void log_record(enum severity severity, const struct record *r);
/* For lines without values from outside. */
void log_line(enum severity severity, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Lines that no logger took, since the start. */
uint64_t log_lost(void);
/* Names of the facilities and severities as the configuration writes them; -1 when unknown. */
int log_facility(struct slice name);
int log_severity(struct slice name);

#endif
