/*
 * The socket of sendmail(1): open to every user of this machine, whom the kernel tells apart ([local]).
 */
#ifndef MANAGER_LOCAL_H
#define MANAGER_LOCAL_H

#include "manager/config.h"

#if CONFIG_SENDMAIL
/* Opens it where the file has a [local] (as root: /run is root's); *fd is -1 where it has none. False with a fault. */
bool local_open(const struct config *c, int *fd, struct fault *f);
/* Takes its name away, where the user we run as may. */
void local_remove(const struct config *c);
#else
static inline bool local_open(const struct config *c, int *fd, struct fault *f)
{
	(void)c, (void)f;
	*fd = -1;
	return true;
}

static inline void local_remove(const struct config *c)
{
	(void)c;
}
#endif

#endif
