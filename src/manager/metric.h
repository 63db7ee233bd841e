/* Prometheus' text format 0.0.4: all samples of a name together, behind its HELP and TYPE. */
#ifndef MANAGER_METRIC_H
#define MANAGER_METRIC_H

#include "base/buffer.h"

/* The head of sekimori_NAMEEND; its samples follow. */
void metric_family(struct buffer *out, const char *name, const char *end, const char *type, const char *help);
/* The whole of one that has a single sample; a counter's name ends in _total. */
void metric_gauge(struct buffer *out, const char *name, uint64_t value, const char *help);
void metric_counter(struct buffer *out, const char *name, uint64_t value, const char *help);

#endif
