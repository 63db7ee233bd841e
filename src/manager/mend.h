/*
 * An audit file whose flush has failed is written anew. After such a failure the kernel takes its pages for clean, whether they have reached
 * the disk or not: another flush would succeed without them. So all of it is copied, octet by octet, to FILE.mend, which is flushed,
 * and then takes FILE's place. What is read back may be what the disk has and no more: the chain tells.
 */
#ifndef MANAGER_MEND_H
#define MANAGER_MEND_H

#include <limits.h>

#include "manager/chain.h"

struct mend {
	int from, to;			/* -1: no mending is under way */
	char path[PATH_MAX], next[PATH_MAX];
	struct chain_key key;
	bool keyed;			/* `key` is the file's: links can be checked */
	uint64_t kept;			/* lines up to this number are on disk as they are */
	uint64_t at;			/* octets copied */
	struct chain good;		/* the last line that fits; 0: none yet */
	uint64_t good_at;		/* octets up to its end */
	uint64_t rewritten;		/* lines behind `kept` */
	bool damaged;			/* it ends with `good` */
};

/* Of nothing under way. */
void mend_none(struct mend *m);
bool mend_is_on(const struct mend *m);
/* Opens the file with this number (manager/rotation.h). 0 or -errno. */
int mend_begin(struct mend *m, const char *path, unsigned n, uint64_t kept, const struct chain_key *key);
/* Copies on, a bounded piece. 1: up to the end; 0: there is more; -errno. To be called again when the file has grown. */
int mend_step(struct mend *m);
/*
 * The copy, which is on disk, takes the file's place. Its descriptor, to append by, which is the caller's; or -errno. `is_last`: it is to end
 * with the last good line.
 */
int mend_take(struct mend *m, bool is_last);
/* Gives up for now: an empty FILE.mend stays, for mend_was_on. */
void mend_drop(struct mend *m);
/* A gate before us has come to an end with a file that it had not mended. */
bool mend_was_on(const char *path);
/* The number of the first line of the file with this number; 0: it has none. */
uint64_t mend_first(const char *path, unsigned n);
/*
 * The number of the newest file that begins at `number` or before: the oldest one that lines behind it are in. 0 as well when there is
 * none such.
 */
unsigned mend_where(const char *path, unsigned keep, uint64_t number);

#endif
