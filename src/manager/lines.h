/*
 * The lines of the audit files, from the oldest to the newest, in one pass over any number of them: the files may be rotated
 * meanwhile by the gate that writes them.
 */
#ifndef MANAGER_LINES_H
#define MANAGER_LINES_H

#include "base/fault.h"
#include "base/slice.h"
#include "manager/rotation.h"

struct lines;

struct lines_place {
	unsigned file;			/* counted from the oldest, which is 0 */
	uint64_t line;			/* counted from 1 */
	uint64_t offset;		/* octets, of its first */
	bool whole;			/* it ends in LF */
};

/* Opens what there is. NULL with a fault: STATUS_NO when there is no file at all. */
struct lines *lines_open(const char *path, struct fault *f);
/* NULL is ignored. */
void lines_close(struct lines *l);
unsigned lines_count(const struct lines *l);
const char *lines_name(const struct lines *l, unsigned file);

/* Each line without its LF; one that is longer than any of ours comes in pieces, none of them whole but the last. False with a fault. */
typedef void lines_each(void *context, const struct lines_place *at, struct slice line);
bool lines_read(struct lines *l, lines_each *each, void *context, struct fault *f);
/* One of them once more: `len` octets at the offset. False when they can't be read. */
bool lines_again(const struct lines *l, unsigned file, uint64_t offset, size_t len, char *out);

#endif
