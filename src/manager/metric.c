#include "manager/metric.h"

#include <inttypes.h>

void metric_family(struct buffer *out, const char *name, const char *end, const char *type, const char *help)
{
	buffer_putf(out, "# HELP sekimori_%s%s %s.\n# TYPE sekimori_%s%s %s\n", name, end, help, name, end, type);
}

void metric_gauge(struct buffer *out, const char *name, uint64_t value, const char *help)
{
	metric_family(out, name, "", "gauge", help);
	buffer_putf(out, "sekimori_%s %" PRIu64 "\n", name, value);
}

void metric_counter(struct buffer *out, const char *name, uint64_t value, const char *help)
{
	metric_family(out, name, "_total", "counter", help);
	buffer_putf(out, "sekimori_%s_total %" PRIu64 "\n", name, value);
}
