/*
 * Messages whose final dot was sent and never answered: the host that may have one is the only one that is tried again (lesson
 * 27). In memory only; the oldest gives way.
 */
#ifndef RELAY_DOUBT_H
#define RELAY_DOUBT_H

#include <stdint.h>

#include "base/limits.h"

#define DOUBTS_MAX	32

struct doubts {
	struct {
		uint64_t id;		/* 0: none */
		char host[HOST_MAX + 1];
	} rows[DOUBTS_MAX];
	unsigned next;
};

/* A row is not taken back by an attempt that didn't get as far as the dot: it says nothing of the one that did. */
void doubt_note(struct doubts *d, uint64_t id, const char *host);
/* The host that may have it; NULL: none. */
const char *doubt_host(const struct doubts *d, uint64_t id);

#endif
