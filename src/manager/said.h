/*
 * What a configuration file has said, word by word: so that a reload can tell what has changed, whatever it is about. Secrets aren't in it.
 */
#ifndef MANAGER_SAID_H
#define MANAGER_SAID_H

#include "base/slice.h"

struct said {
	struct said *next;
	struct slice section, key, value;	/* in text; "relay backup", "host", … */
	char text[];
};

#if CONFIG_CHANGES
/* In front of the list. False without memory. */
bool said_add(struct said **list, struct slice section, struct slice key, struct slice value);
void said_free(struct said *list);
#else
static inline bool said_add(struct said **list, struct slice section, struct slice key, struct slice value)
{
	(void)list, (void)section, (void)key, (void)value;
	return true;
}

static inline void said_free(struct said *list)
{
	(void)list;
}
#endif
/* All of a list by section and key; the caller frees it. NULL without memory, or when there are none. */
const struct said **said_sort(const struct said *list, size_t *count);
int said_compare(const struct said *a, const struct said *b);

#endif
