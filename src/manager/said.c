#include "manager/said.h"

#include <stdlib.h>
#include <string.h>

static struct slice put(struct said *s, size_t *at, struct slice text)
{
	char *to = s->text + *at;

	if (text.len)
		memcpy(to, text.at, text.len);
	*at += text.len;
	return slice_bytes(to, text.len);
}

bool said_add(struct said **list, struct slice section, struct slice key, struct slice value)
{
	struct said *s = malloc(sizeof(*s) + section.len + key.len + value.len);
	size_t at = 0;

	if (!s)
		return false;
	s->section = put(s, &at, section);
	s->key = put(s, &at, key);
	s->value = put(s, &at, value);
	s->next = *list;
	*list = s;
	return true;
}

void said_free(struct said *list)
{
	while (list) {
		struct said *s = list;

		list = s->next;
		free(s);
	}
}

static int compare_text(struct slice a, struct slice b)
{
	size_t len = a.len < b.len ? a.len : b.len;
	int order = len ? memcmp(a.at, b.at, len) : 0;

	return order ? order : (a.len > b.len) - (a.len < b.len);
}

int said_compare(const struct said *a, const struct said *b)
{
	int order = compare_text(a->section, b->section);

	return order ? order : compare_text(a->key, b->key);
}

static int compare(const void *a, const void *b)
{
	return said_compare(*(const struct said *const *)a, *(const struct said *const *)b);
}

const struct said **said_sort(const struct said *list, size_t *count)
{
	const struct said **all;
	size_t n = 0;

	for (const struct said *s = list; s; s = s->next)
		n++;
	*count = 0;
	all = n ? calloc(n, sizeof(*all)) : NULL;
	if (!all)
		return NULL;
	for (const struct said *s = list; s; s = s->next)
		all[(*count)++] = s;
	qsort(all, n, sizeof(*all), compare);
	return all;
}
