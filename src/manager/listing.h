/*
 * What the running gate tells of its queue, as text for a person or as JSON.
 */
#ifndef MANAGER_LISTING_H
#define MANAGER_LISTING_H

#include "manager/control.h"

/* Octets that must be free in `out` before each of these calls. */
#define LISTING_PIECE_MAX	8192

/* "2026-11-22 06:30:00" in local time; 0 is "never". */
#define LISTING_TIME_MAX	32
const char *listing_time(int64_t wall, char out[LISTING_TIME_MAX]);
/* For a terminal: what a mail brings along must not be able to steer it. Cut. */
void listing_tame(struct buffer *out, struct slice s);

/* One message of the queue. `first` says whether it is the first of a JSON list. */
void listing_queue_head(bool json, struct buffer *out);
void listing_queue_entry(const struct control_house *h, const struct spool_entry *e, bool json, bool first,
			 struct buffer *out);
void listing_queue_foot(const struct control_house *h, bool json, struct buffer *out);
/* All that is known of one message (queue show). 0 or -errno. */
int listing_message(const struct control_house *h, uint64_t id, struct buffer *out);

#endif
