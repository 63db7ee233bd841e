/*
 * Sound records of a segment that may be damaged (spool/record.h), read through a window. What can't be read counts as zeros, so that a
 * bad block costs the records in it and no others.
 */
#ifndef SPOOL_SCAN_H
#define SPOOL_SCAN_H

#include "spool/files.h"
#include "spool/record.h"

struct scan {
	const struct spool_files *files;
	uint8_t *window;		/* SCAN_WINDOW octets, the caller's */
	int fd;				/* of the segment that is shown */
	uint32_t end;			/* octets in its file */
	uint32_t base, held;		/* offset and octets of what the window holds of it */
};

#define SCAN_WINDOW	(1u << 20)	/* octets read at a time; holds the largest record */

/* From now on this file, of `end` octets. */
void scan_show(struct scan *c, int fd, uint32_t end);
/* `len` octets from `offset` on, valid until the next call; NULL behind the end. */
const uint8_t *scan_look(struct scan *c, uint32_t offset, uint32_t len);
/* The sound record at this offset, of the generation `sequence`; of any when that is 0. NULL: there is none. */
const uint8_t *scan_record(struct scan *c, uint32_t offset, uint32_t sequence, struct record_head *h);
/* Offset of the next sound record, from `offset` on; 0: none. */
uint32_t scan_search(struct scan *c, uint32_t offset, uint32_t sequence, struct record_head *h);
/* Offset of the next sound record behind a damaged one at `offset`; 0: none. */
uint32_t scan_resume(struct scan *c, uint32_t offset, uint32_t sequence);

#endif
