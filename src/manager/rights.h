/*
 * Gives up what only root may do, once and early; what is kept is binding low ports, so that a reload can open port 25 (R20).
 */
#ifndef MANAGER_RIGHTS_H
#define MANAGER_RIGHTS_H

#include <sys/types.h>

#include "base/fault.h"

/* Becomes `user` when we are root and user isn't. The control socket is handed over first, unless it is NULL. False with a fault. */
bool rights_drop(const char *user, const char *control, struct fault *f);

/*
 * Makes the directory when it is missing (its parent must be there), mode 0700, `user`'s when we are root; one of root's that is empty becomes
 * `user`'s. False with a fault.
 */
bool rights_make_directory(const char *path, const char *user, struct fault *f);

/* The group of the user we become: it must be able to read a secret again at a reload. (gid_t)-1 when we aren't root. */
gid_t rights_group(const char *user);

#endif
