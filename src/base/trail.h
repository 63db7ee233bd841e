/*
 * The audit trail (R18): what ingest and relay have to say of each message, refusal and final outcome goes to one sink, the
 * manager's, which never makes them wait. Without a sink it goes nowhere.
 */
#ifndef BASE_TRAIL_H
#define BASE_TRAIL_H

#include "base/record.h"

/* Takes one record, which was begun with record_start_audit; printable ASCII in one line. */
typedef void trail_sink(void *context, const struct record *r);

enum trail_of {
	TRAIL_OURS,		/* of an account, a device, a peer, or of our own doing */
	TRAIL_STRANGER,		/* of somebody unknown who is refused: STRANGERS_MINUTE, the others are counted (`omitted`) */
};

/* NULL: none any more. */
void trail_open(trail_sink *sink, void *context);
/* Somebody listens: it is worth building a record. */
bool trail_is_open(void);
void trail_put(enum trail_of whose, const struct record *r);

#endif
