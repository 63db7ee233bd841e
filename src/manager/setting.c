#include "setting.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "net/listener.h"
#include "trust/network.h"

struct put {				/* one value on its way */
	const struct setting_row *row;
	char *memory;
	struct slice value;
	const char *path;
	unsigned line;
	struct fault *fault;
};

struct unit {
	char letter;
	uint64_t factor;
};

static const struct unit size_units[] = {
	{ 'G', 1U << 30 }, { 'M', 1U << 20 }, { 'K', 1U << 10 }, { 0, 1 }
};
static const struct unit time_units[] = {
	{ 'd', 86400000 }, { 'h', 3600000 }, { 'm', 60000 }, { 's', 1000 }, { 0, 0 }
};

static bool refuse(const struct put *p, const char *what)
{
	if (p->row->flags & SETTING_SECRET)
		return fault_at(p->fault, p->path, p->line, "%s: %s", p->row->key, what);
	return fault_at(p->fault, p->path, p->line, "%s = %.*s: %s", p->row->key, SLICE_ARGS(p->value), what);
}

/* The field's width says which integer it is; a bool is one octet of 0 or 1. */
static void store(const struct put *p, uint64_t value)
{
	void *at = p->memory + p->row->at;
	const uint8_t narrow = (uint8_t)value;
	const uint16_t shorter = (uint16_t)value;
	const uint32_t middle = (uint32_t)value;

	switch (p->row->size) {
	case sizeof(narrow):
		memcpy(at, &narrow, sizeof(narrow));
		break;
	case sizeof(shorter):
		memcpy(at, &shorter, sizeof(shorter));
		break;
	case sizeof(middle):
		memcpy(at, &middle, sizeof(middle));
		break;
	default:
		memcpy(at, &value, sizeof(value));
	}
}

static void store_count(const struct put *p, unsigned count)
{
	memcpy(p->memory + p->row->count_at, &count, sizeof(count));
}

static bool put_text_at(const struct put *p, struct slice text, char *out)
{
	const char *wrong = p->row->check ? p->row->check(text) : NULL;

	if (wrong)
		return refuse(p, wrong);
	if (!slice_copy(text, out, p->row->size))
		return refuse(p, "too long");
	return true;
}

static bool put_text(const struct put *p)
{
	return put_text_at(p, p->value, p->memory + p->row->at);
}

/* The next element of a comma-separated list; false at the end, and with a fault when it is empty or one too many. */
static bool next_element(const struct put *p, struct slice *rest, unsigned count, struct slice *element)
{
	if (!slice_cut(rest, ',', element))
		return false;
	*element = slice_trim(*element);
	if (element->len == 0)
		return refuse(p, "an element between the commas is empty");
	if (count >= p->row->count_max)
		return refuse(p, "too many elements");
	return true;
}

static bool put_list(const struct put *p)
{
	struct slice rest = p->value, element;
	unsigned count = 0;

	while (next_element(p, &rest, count, &element)) {
		if (!put_text_at(p, element, p->memory + p->row->at + count * p->row->size))
			return false;
		count++;
	}
	store_count(p, count);
	return !fault_is(p->fault);
}

static bool refuse_word(const struct put *p)
{
	char memory[FAULT_MAX];
	struct buffer text;

	buffer_init(&text, memory, sizeof(memory));
	buffer_put_text(&text, "must be ");
	for (const struct setting_word *w = p->row->words; w->text; w++)
		if (!w->missing)
			buffer_putf(&text, "%s%s", w == p->row->words ? "" : " | ", w->text);
	buffer_put(&text, slice_bytes("", 1));
	return refuse(p, memory);
}

static bool put_word(const struct put *p)
{
	for (const struct setting_word *w = p->row->words; w->text; w++) {
		if (!slice_equal(p->value, slice_of(w->text)))
			continue;
		if (w->missing)
			return fault_at(p->fault, p->path, p->line, "%s = %s is not available in this version", p->row->key,
					w->text);
		store(p, w->value);
		return true;
	}
	return refuse_word(p);
}

static bool put_name(const struct put *p)
{
	int value = p->row->lookup(p->value);

	if (value < 0)
		return refuse(p, p->row->hint);
	store(p, (uint64_t)value);
	return true;
}

/* Takes the unit's letter off the end of *text; NULL when there must be one and is none. */
static const struct unit *take_unit(const struct unit *units, struct slice *text)
{
	char last = text->len > 0 ? text->at[text->len - 1] : '\0';

	for (; units->letter; units++) {
		if (units->letter != last)
			continue;
		text->len--;
		return units;
	}
	return units->factor ? units : NULL;
}

static void write_measure(char *out, size_t size, const struct unit *units, uint64_t value)
{
	for (; units->letter; units++) {
		uint64_t count = value / units->factor;

		if (count == 0 || count * units->factor != value)
			continue;
		snprintf(out, size, "%" PRIu64 "%c", count, units->letter);
		return;
	}
	snprintf(out, size, "%" PRIu64, value);
}

void setting_time(int64_t ms, char *out, size_t size)
{
	write_measure(out, size, time_units, (uint64_t)ms);
}

static bool refuse_range(const struct put *p, const struct unit *units)
{
	char what[96], low[24], high[24];

	write_measure(low, sizeof(low), units, p->row->min);
	write_measure(high, sizeof(high), units, p->row->max);
	snprintf(what, sizeof(what), "must be %s to %s", low, high);
	return refuse(p, what);
}

static bool measure(const struct put *p, struct slice text, const struct unit *units, uint64_t *value)
{
	const struct unit *unit = take_unit(units, &text);
	uint64_t number;

	if (!unit)
		return refuse(p, "a time is a number with s, m, h or d behind it");
	if (text.len == 0 || !slice_number(text, UINT64_MAX, &number))
		return refuse(p, units == time_units ? "a time is a number with s, m, h or d behind it" :
					"a size is a number, or a number with K, M or G behind it");
	if (number > p->row->max / unit->factor || number * unit->factor < p->row->min)
		return refuse_range(p, units);
	*value = number * unit->factor;
	return true;
}

static bool put_number(const struct put *p)
{
	static const struct unit plain[] = { { 0, 1 } };
	uint64_t value;

	if (!slice_number(p->value, UINT64_MAX, &value) || value < p->row->min || value > p->row->max)
		return refuse_range(p, plain);
	store(p, value);
	return true;
}

static bool put_size(const struct put *p)
{
	uint64_t value;

	if (!measure(p, p->value, size_units, &value))
		return false;
	store(p, value);
	return true;
}

static bool put_time(const struct put *p)
{
	uint64_t value;

	if (slice_equal(p->value, SLICE_OF("0")) && p->row->min == 0)
		value = 0;
	else if (!measure(p, p->value, time_units, &value))
		return false;
	store(p, value);
	return true;
}

static bool put_times(const struct put *p)
{
	struct slice rest = p->value, element;
	unsigned count = 0;

	while (next_element(p, &rest, count, &element)) {
		uint64_t value;
		int64_t ms;

		if (!measure(p, element, time_units, &value))
			return false;
		ms = (int64_t)value;
		memcpy(p->memory + p->row->at + count * sizeof(ms), &ms, sizeof(ms));
		count++;
	}
	store_count(p, count);
	return !fault_is(p->fault);
}

static bool put_networks(const struct put *p)
{
	struct network_list list = { .count = 0 };

	if (!network_list_parse(p->value, &list))
		return refuse(p, "must be addresses or networks like 192.168.0.0/24 (host bits zero), separated by commas");
	if (list.count < p->row->min)
		return refuse(p, "at least one address is needed");
	memcpy(p->memory + p->row->at, &list, sizeof(list));
	return true;
}

static bool put_endpoints(const struct put *p)
{
	struct slice rest = p->value, element;
	unsigned count = 0;

	while (next_element(p, &rest, count, &element)) {
		struct setting_endpoint e;

		memset(&e, 0, sizeof(e));
		if (!listener_parse(element, &e.address, &e.len))
			return refuse(p, "must be like 192.0.2.1:587 or [::1]:587, separated by commas");
		memcpy(p->memory + p->row->at + count * sizeof(e), &e, sizeof(e));
		count++;
	}
	store_count(p, count);
	return !fault_is(p->fault);
}

bool setting_put(const struct setting_row *row, void *memory, struct slice value, const char *path, unsigned line,
		 struct fault *f)
{
	static bool (*const putters[])(const struct put *) = {
		[KIND_TEXT] = put_text, [KIND_LIST] = put_list, [KIND_WORD] = put_word, [KIND_NAME] = put_name,
		[KIND_NUMBER] = put_number, [KIND_SIZE] = put_size, [KIND_TIME] = put_time,
		[KIND_TIMES] = put_times, [KIND_NETWORKS] = put_networks, [KIND_ENDPOINTS] = put_endpoints,
	};
	const struct put p = { row, memory, value, path, line, f };

	if ((row->flags & SETTING_LEFT_OUT) && line > 0)
		return fault_at(f, path, line, "%s is not available in this version: it was built without it", row->key);
	if (value.len == 0 && row->fallback && row->fallback[0] == '\0')
		return true;
	if (value.len == 0)
		return fault_at(f, path, line, "%s is empty", row->key);
	return putters[row->kind](&p);
}

bool setting_defaults(const struct setting_row *rows, void *memory, struct fault *f)
{
	for (const struct setting_row *row = rows; row->key; row++)
		if (row->fallback && !setting_put(row, memory, slice_of(row->fallback), "default", 0, f))
			return false;
	return true;
}
