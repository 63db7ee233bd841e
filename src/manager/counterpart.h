/*
 * What `sekimori status` tells of the other box (R56): of an agent the way to its manager, of a manager its agents. Of a gate alone nothing.
 */
#ifndef MANAGER_COUNTERPART_H
#define MANAGER_COUNTERPART_H

#include "manager/control.h"

#define COUNTERPART_METRICS	7	/* pieces of counterpart_metrics */

/* For a person: the way to the manager; an agent, row by row from 0, false behind the last. */
void counterpart_text(const struct control_house *h, struct buffer *out);
bool counterpart_text_agent(const struct control_house *h, unsigned row, struct buffer *out);
/* Members of an object: `,"forward":{…}` or nothing; an element of a list. */
void counterpart_json(const struct control_house *h, struct buffer *out);
bool counterpart_json_agent(const struct control_house *h, unsigned row, struct buffer *out);
/* Prometheus: 0 is the way to the manager, each of the rest one number of all agents. */
void counterpart_metrics(const struct control_house *h, unsigned piece, struct buffer *out);

#endif
