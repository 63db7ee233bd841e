/*
 * X-Sekimori-Stamp in front of a message (R17): what mail/stamp writes and trust/keyring seals.
 */
#ifndef INGEST_STAMPING_H
#define INGEST_STAMPING_H

#include "ingest/session.h"

#if CONFIG_STAMP
/* Nothing where there are no keys. `wall` is now, `id` the message's. False without room, or when its body's hash isn't to be had. */
bool stamping_write(struct buffer *out, const struct session *s, int64_t wall, struct slice id);
#else
static inline bool stamping_write(struct buffer *out, const struct session *s, int64_t wall, struct slice id)
{
	(void)out, (void)s, (void)wall, (void)id;
	return true;
}
#endif

#endif
