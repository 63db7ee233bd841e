/*
 * Reads the audit files line by line in the order of their numbers, while they are written and rotated: for who passes them on. What has
 * been rotated away shows as a jump of the numbers.
 */
#ifndef MANAGER_READER_H
#define MANAGER_READER_H

#include <limits.h>
#include <sys/types.h>

#include "manager/chain.h"

#define READER_ROOM	(4 * CHAIN_LINE_MAX)	/* octets read at once */

struct reader {
	char path[256];
	unsigned keep;			/* older files beside it */
	int fd;				/* -1: none */
	off_t at;			/* in the file, of the next octet in `memory` */
	size_t begin, end;		/* in `memory`: what is read and not yet taken */
	bool blind;			/* inside of a line that is longer than any */
	char memory[READER_ROOM];
};

void reader_open(struct reader *r, const char *path, unsigned keep);
void reader_close(struct reader *r);
/*
 * The next line with a number of at least `least`, in *line until the next call. 1; 0: there is none yet; -errno. Lines
 * that are none (torn by a power cut) are passed over.
 */
int reader_next(struct reader *r, uint64_t least, struct chain_line *line);

#endif
