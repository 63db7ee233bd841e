/* log --check: whether the chain of the audit files is whole. */
#ifndef MANAGER_LOGCHECK_H
#define MANAGER_LOGCHECK_H

#include "manager/config.h"

/* Says on standard output what it finds, with file and line; the exit status. */
int logcheck_run(const struct config *c, struct fault *f);

#endif
