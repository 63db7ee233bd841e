#include "relay/missing.h"

/* FNV-1a, folded as accounts compare. */
static uint32_t digest(struct slice account)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < account.len; i++)
		h = (h ^ (uint8_t)ascii_fold(account.at[i])) * 16777619u;
	return h;
}

bool missing_note(struct missing *m, struct slice account, uint64_t id)
{
	uint32_t whose = digest(account);
	bool first = true;

	for (unsigned i = 0; i < MISSING_MAX; i++) {
		if (!m->rows[i].id || m->rows[i].account != whose)
			continue;
		if (m->rows[i].id == id)
			return false;
		first = false;
	}
	m->rows[m->next].id = id;
	m->rows[m->next].account = whose;
	m->next = (m->next + 1) % MISSING_MAX;
	return first;
}

uint64_t missing_next(struct missing *m, struct slice account)
{
	uint32_t whose = digest(account);

	for (unsigned i = 0; i < MISSING_MAX; i++) {
		uint64_t id = m->rows[i].id;

		if (!id || m->rows[i].account != whose)
			continue;
		m->rows[i].id = 0;
		return id;
	}
	return 0;
}
