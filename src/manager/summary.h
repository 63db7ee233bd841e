/* What a configuration comes to, in words for a person, line by line on standard output: what check tells of a good one. */
#ifndef MANAGER_SUMMARY_H
#define MANAGER_SUMMARY_H

#include "manager/config.h"

#if CONFIG_SUMMARY
void summary_print(const struct config *c);
#else
static inline void summary_print(const struct config *c)
{
	(void)c;
}
#endif

#endif
