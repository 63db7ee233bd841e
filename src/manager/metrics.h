/* status --prometheus: what the gate counts and measures, in Prometheus' text format. */
#ifndef MANAGER_METRICS_H
#define MANAGER_METRICS_H

#include "manager/control.h"

#if CONFIG_METRICS
/* As status_piece. */
bool metrics_piece(const struct control_house *h, uint64_t piece, struct buffer *out);
#else
static inline bool metrics_piece(const struct control_house *h, uint64_t piece, struct buffer *out)
{
	(void)h, (void)piece, (void)out;
	return false;
}
#endif

#endif
