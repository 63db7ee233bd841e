/*
 * What the running gate tells of itself, as text for a person or as JSON: status, and the queue.
 */
#ifndef MANAGER_LISTING_H
#define MANAGER_LISTING_H

#include "manager/control.h"

/* Octets that must be free in `out` before each of these calls. */
#define LISTING_PIECE_MAX	8192

void listing_status(const struct control_house *h, bool json, struct buffer *out);

/* One message of the queue. `first` says whether it is the first of a JSON list. */
void listing_queue_head(bool json, struct buffer *out);
void listing_queue_entry(const struct control_house *h, const struct spool_entry *e, bool json, bool first,
			 struct buffer *out);
void listing_queue_foot(const struct control_house *h, bool json, struct buffer *out);
/* All that is known of one message (queue show). 0 or -errno. */
int listing_message(const struct control_house *h, uint64_t id, struct buffer *out);

#endif
