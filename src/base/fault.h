/*
 * An error told to a person: where and what, and what to do, in one line, as
 * "FILE:LINE: what" for things written in a file. The first fault set stays.
 */
#ifndef BASE_FAULT_H
#define BASE_FAULT_H

#include <stdbool.h>

#include "limits.h"

struct fault {
	char text[FAULT_MAX];	/* empty: no fault */
	int status;		/* exit status of cli.md that belongs to it (sysexits) */
};

enum {			/* sysexits(3), named once for every room */
	STATUS_OK = 0, STATUS_NO = 1, STATUS_USAGE = 64, STATUS_DATA = 65, STATUS_UNAVAILABLE = 69,
	STATUS_TEMPORARY = 75, STATUS_DENIED = 77, STATUS_CONFIG = 78
};

/* Both return false, so that a check ends with `return fault_set(…)`. */
bool fault_set(struct fault *f, int status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* "FILE:LINE: what", status 78. */
bool fault_at(struct fault *f, const char *file, unsigned line, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
static inline bool fault_is(const struct fault *f)
{
	return f->text[0] != '\0';
}

#endif
