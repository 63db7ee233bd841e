#include "relay/doubt.h"

#include "base/slice.h"

static int row_of(const struct doubts *d, uint64_t id)
{
	for (int i = 0; i < DOUBTS_MAX; i++)
		if (d->rows[i].id == id)
			return i;
	return -1;
}

void doubt_note(struct doubts *d, uint64_t id, const char *host)
{
	int i = row_of(d, id);

	if (i < 0) {
		i = (int)d->next;
		d->next = (d->next + 1) % DOUBTS_MAX;
	}
	d->rows[i].id = id;
	slice_copy(slice_of(host), d->rows[i].host, sizeof(d->rows[i].host));
}

const char *doubt_host(const struct doubts *d, uint64_t id)
{
	int i = row_of(d, id);

	return i < 0 ? NULL : d->rows[i].host;
}
