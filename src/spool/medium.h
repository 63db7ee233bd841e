/*
 * Where the spool lies: a queue in memory is lost at the next power cut, which its owner must be told (R50).
 */
#ifndef SPOOL_MEDIUM_H
#define SPOOL_MEDIUM_H

/*
 * The kind of memory that `path` is in, "tmpfs" or "ramfs", also below an overlay; NULL: a disk, or it can't be known. A
 * directory that isn't there yet is judged by the one it will be made in.
 */
const char *medium_memory(const char *path);

#endif
