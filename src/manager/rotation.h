/* The files of a log that is rotated by size: FILE, then FILE.1, the one before, and so on. */
#ifndef MANAGER_ROTATION_H
#define MANAGER_ROTATION_H

#include <limits.h>
#include <stdbool.h>

#define ROTATION_MAX	1000	/* upper bound of [manager] audit_keep */

/* FILE for 0, else FILE.n. False when it is too long. */
bool rotation_name(const char *path, unsigned n, char out[PATH_MAX]);
/*
 * Each file becomes one older; of the older ones `keep` stay. Then there is no FILE. At whatever point it is cut off, no two files
 * have been mixed up and none but the oldest is lost: what is left is a gap in the numbers, which the next call closes. 0 or -errno.
 */
int rotation_shift(const char *path, unsigned keep);

#endif
