/* What a moment of the gate is described by, beside the counters: for status, in each of its forms. */
#ifndef MANAGER_GAUGES_H
#define MANAGER_GAUGES_H

#include "manager/control.h"

/* Octets of one alarm, at most; those that have no room are left out. */
#define ALARM_PIECE	1024

struct gauges {
	uint64_t uptime, oldest;	/* seconds: since the start; of the oldest mail */
	uint64_t sessions, max_sessions, queue;
	uint64_t used, size, disk;	/* octets: of the spool, that it may have, free on its disk */
	uint64_t lost;			/* lines that no logger took */
};

struct gauges gauges_look(const struct control_house *h);

#endif
