/*
 * Small files read whole, and whether their modes keep secrets (R63).
 */
#ifndef MANAGER_TEXT_H
#define MANAGER_TEXT_H

#include "base/fault.h"
#include "base/slice.h"

/*
 * The whole of a regular file of at most `max` octets, in memory of its own: text_free wipes and frees it. 0 or -errno: -EFBIG when it
 * is larger, -EINVAL when it is no regular file. *others as text_others says of the file that was read; may be NULL.
 */
int text_read(const char *path, size_t max, struct slice *text, int *others);
/* All of fd, a pipe perhaps: at most `max` octets and one more, in memory that the caller frees. NULL with errno. */
char *text_stream(int fd, uint64_t max, size_t *len);
void text_free(struct slice text);

/* Mode bits by which others than the owner can change it, or others than owner and group see it; 0 when fine; -errno. */
int text_others(const char *path);

#endif
