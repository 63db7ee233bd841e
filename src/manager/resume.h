/* Where the audit file ends: what a gate that starts goes on from. */
#ifndef MANAGER_RESUME_H
#define MANAGER_RESUME_H

#include "manager/chain.h"

#define RESUME_NONE	UINT32_MAX

struct resume {
	unsigned newest;		/* the number (manager/rotation.h) of the file with the last line; RESUME_NONE: there is no line yet */
	struct chain chain;		/* after that line */
	char key[STAMP_KEY_ID_MAX + 1];	/* of that file */
	uint64_t size;			/* octets of that file up to the end of the line */
	uint64_t torn;			/* octets behind it, which are no line */
	bool ends_in_lf;		/* these end in LF, or there are none */
};

/* 0 or -errno; -EINVAL: `path` is a file that isn't ours. */
int resume_find(const char *path, struct resume *out);

#endif
