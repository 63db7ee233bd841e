/*
 * Replaces a file at once: whoever reads it, also after a power cut, sees the old text or the new one.
 */
#ifndef MANAGER_REPLACE_H
#define MANAGER_REPLACE_H

#include <sys/types.h>

#include "base/fault.h"
#include "base/slice.h"

/*
 * Only one process at a time gets past this, per directory of the file, until replace_unlock. The lock, or -1 with a
 * fault.
 */
int replace_lock(const char *path, struct fault *f);
void replace_unlock(int lock);

/*
 * Mode and owner of the old file are kept, less what others may do. A new file is 0640 with `group`, or 0600 when group
 * is (gid_t)-1 or can't be given.
 */
bool replace_file(const char *path, struct slice text, gid_t group, struct fault *f);

#endif
