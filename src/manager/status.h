/*
 * How it goes: what `sekimori status` tells, for a person, as JSON, or for Prometheus.
 */
#ifndef MANAGER_STATUS_H
#define MANAGER_STATUS_H

#include "manager/control.h"

enum status_form { FORM_TEXT, FORM_JSON, FORM_PROMETHEUS };

/* One piece of it, at most LISTING_PIECE_MAX octets: 0, 1, … up to the first that returns false, the last one. */
bool status_piece(const struct control_house *h, enum status_form form, uint64_t piece, struct buffer *out);

#endif
