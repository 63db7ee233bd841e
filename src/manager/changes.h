/*
 * What a reload has changed, in short lines for a person: "listener submission 0.0.0.0:587 added", "relay default: host a -> b". Never a secret.
 */
#ifndef MANAGER_CHANGES_H
#define MANAGER_CHANGES_H

#include "manager/config.h"

#define CHANGES_MAX	60	/* lines; the others are counted in the last one */

typedef void changes_sink(void *context, const char *line);

/* How many there were. */
#if CONFIG_CHANGES
unsigned changes_tell(const struct config *old, const struct config *new, changes_sink *sink, void *context);
#else
static inline unsigned changes_tell(const struct config *old, const struct config *new, changes_sink *sink, void *context)
{
	(void)old, (void)new, (void)sink, (void)context;
	return 1;		/* some, for all we know */
}
#endif

#endif
