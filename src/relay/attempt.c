#include "relay/attempt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "relay/login.h"

/* Envelope, states and last words of a message with RECIPIENTS_CEILING recipients of ordinary length. */
#define MEMORY_FIRST	(16 * 1024)
#define MEMORY_MAX	(512 * 1024)

static int load(struct attempt *a, struct spool *s, size_t size)
{
	void *memory = malloc(size);
	int result;

	if (!memory)
		return -ENOMEM;
	buffer_init(&a->memory, memory, size);
	result = spool_load(s, a->id, &a->memory, &a->message);
	if (result) {
		free(memory);
		a->memory.at = NULL;
	}
	return result;
}

static bool list_recipients(struct attempt *a)
{
	struct slice rest = a->message.envelope.recipients;

	a->count = a->message.envelope.recipient_count;
	a->recipients = calloc(a->count, sizeof(*a->recipients));
	a->group = calloc(a->count, sizeof(*a->group));
	a->group_index = calloc(a->count, sizeof(*a->group_index));
	if (!a->recipients || !a->group || !a->group_index || a->message.states.len != a->count)
		return false;
	for (unsigned i = 0; i < a->count; i++) {
		if (!envelope_next(&rest, &a->recipients[i].address))
			return false;
		a->recipients[i].state = (uint8_t)a->message.states.at[i];
		a->recipients[i].told = a->recipients[i].state == RECIPIENT_TOLD;
		if (a->recipients[i].told)
			a->recipients[i].state = RECIPIENT_PENDING;
	}
	return true;
}

struct attempt *attempt_new(struct spool *s, uint64_t id, uint32_t tries, int *error)
{
	struct attempt *a = calloc(1, sizeof(*a));

	*error = -ENOMEM;
	if (!a)
		return NULL;
	a->id = id;
	a->tries = tries;
	a->route = -1;
	slice_copy(SLICE_OF("none"), a->route_name, sizeof(a->route_name));
	spool_id_text(id, a->id_text);
	for (size_t size = MEMORY_FIRST; size <= MEMORY_MAX; size *= 4) {
		*error = load(a, s, size);
		if (*error != -EMSGSIZE)
			break;
	}
	if (!*error && list_recipients(a))
		return a;
	if (!*error)
		*error = -ENOMEM;
	attempt_free(a);
	return NULL;
}

static bool load_passage(struct attempt *a, const struct passage *p)
{
	const struct envelope *e = &p->envelope;
	size_t size = e->sender.len + e->account.len + e->message_id.len + e->recipients.len + e->recipient_count + 1024;
	void *memory = malloc(size);
	struct slice text;

	if (!memory)
		return false;
	buffer_init(&a->memory, memory, size);
	if (!envelope_write(&a->memory, e))
		return false;
	text = buffer_bytes(&a->memory);
	for (unsigned i = 0; i < e->recipient_count; i++)
		buffer_put(&a->memory, SLICE_OF("P"));
	a->message.states = slice_skip(buffer_bytes(&a->memory), text.len);
	a->message.extents = a->message.extents_few;
	a->message.size = p->size;
	return envelope_read(text, &a->message.envelope) && list_recipients(a);
}

struct attempt *attempt_of_passage(struct passage *p)
{
	struct attempt *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->route = -1;
	a->direct = true;
	slice_copy(SLICE_OF("none"), a->route_name, sizeof(a->route_name));
	slice_copy(slice_of(p->id), a->id_text, sizeof(a->id_text));
	if (!load_passage(a, p)) {
		attempt_free(a);
		return NULL;
	}
	a->passage = p;
	p->carrier = a;
	return a;
}

void attempt_free(struct attempt *a)
{
	if (!a)
		return;
	if (a->passage)
		a->passage->carrier = NULL;
	if (a->memory.at)
		spool_message_end(&a->message);
	free(a->memory.at);
	free(a->recipients);
	free(a->group);
	free(a->group_index);
	free(a);
}

int attempt_group(struct attempt *a, const struct relay_settings *s)
{
	struct slice sender = attempt_sender(a, s);

	a->group_count = 0;
	a->route = -1;
	for (unsigned i = 0; i < a->count; i++) {
		struct attempt_recipient *r = &a->recipients[i];
		int route;

		r->in_group = r->again = false;
		if (r->state != RECIPIENT_PENDING || r->tried)
			continue;
		route = route_find(s, sender, r->address);
		if (a->group_count && route != a->route)
			continue;
		a->route = route;
		r->in_group = true;
		a->group_index[a->group_count] = i;
		a->group[a->group_count++] = r->address;
	}
	a->login = a->route < 0 ? LOGIN_STORED : route_login(&s->routes[a->route], attempt_account(a, s));
	slice_copy(slice_of(a->route < 0 ? "none" : route_name(&s->routes[a->route])), a->route_name,
		   sizeof(a->route_name));
	return a->route;
}

struct slice attempt_account(const struct attempt *a, const struct relay_settings *s)
{
	return a->message.envelope.is_return ? slice_of(s->return_from) : a->message.envelope.account;
}

struct slice attempt_sender(const struct attempt *a, const struct relay_settings *s)
{
	return a->null_refused ? slice_of(s->return_from) : a->message.envelope.sender;
}

/* Most recipients are told the same: the same words are kept once. */
static void keep(struct attempt *a, struct slice words, uint32_t *at, uint16_t *len)
{
	struct slice part = slice_first(words, sizeof(a->words) - a->words_len);

	if (a->words_len >= words.len && words.len &&
	    !memcmp(a->words + a->words_len - words.len, words.at, words.len)) {
		*at = (uint32_t)(a->words_len - words.len);
		*len = (uint16_t)words.len;
		return;
	}
	if (part.len)
		memcpy(a->words + a->words_len, part.at, part.len);
	*at = (uint32_t)a->words_len;
	*len = (uint16_t)part.len;
	a->words_len += part.len;
}

static void keep_words(struct attempt *a, struct attempt_recipient *r, struct slice words)
{
	keep(a, words, &r->words_at, &r->words_len);
}

void attempt_group_host(struct attempt *a, const char *host)
{
	struct attempt_recipient *first = NULL;

	slice_copy(slice_of(host), a->remote, sizeof(a->remote));
	for (unsigned g = 0; g < a->group_count; g++) {
		struct attempt_recipient *r = &a->recipients[a->group_index[g]];

		if (!r->tried || !r->code)
			continue;
		if (!first) {
			first = r;
			keep(a, slice_of(a->remote), &r->remote_at, &r->remote_len);
		}
		r->remote_at = first->remote_at;
		r->remote_len = first->remote_len;
	}
}

/* What a reply means for a recipient. */
static enum recipient_state state_of(unsigned code)
{
	if (code / 100 == 2)
		return RECIPIENT_DELIVERED;
	if (code / 100 == 5 && !login_is_code(code))
		return RECIPIENT_FAILED;
	return RECIPIENT_PENDING;
}

void attempt_recipient_reply(struct attempt *a, unsigned i, unsigned code, struct slice words)
{
	struct attempt_recipient *r = &a->recipients[a->group_index[i]];

	r->code = (uint16_t)code;
	keep_words(a, r, words);
	if (code / 100 == 2)
		return;
	r->state = (uint8_t)state_of(code);
	r->tried = true;
}

void attempt_recipient_again(struct attempt *a, unsigned i)
{
	a->recipients[a->group_index[i]].again = true;
}

void attempt_group_verdict(struct attempt *a, unsigned code, struct slice words, bool all)
{
	for (unsigned g = 0; g < a->group_count; g++) {
		struct attempt_recipient *r = &a->recipients[a->group_index[g]];

		if ((r->tried || r->again) && !all)
			continue;
		r->code = (uint16_t)code;
		keep_words(a, r, words);
		r->state = (uint8_t)state_of(code);
		r->tried = true;
	}
}

void attempt_skip_group(struct attempt *a, struct slice why)
{
	attempt_group_verdict(a, 0, why, true);
	for (unsigned g = 0; g < a->group_count; g++)
		a->recipients[a->group_index[g]].skipped = true;
}

bool attempt_was_deferred(const struct attempt *a)
{
	for (unsigned i = 0; i < a->count; i++) {
		const struct attempt_recipient *r = &a->recipients[i];

		if (r->tried && !r->skipped && r->state == RECIPIENT_PENDING)
			return true;
	}
	return false;
}

bool attempt_login_refused(const struct attempt *a, struct slice *words)
{
	bool refused = false;

	for (unsigned g = 0; g < a->group_count; g++) {
		const struct attempt_recipient *r = &a->recipients[a->group_index[g]];

		if (!login_is_code(r->code))
			return false;
		refused = true;
		*words = attempt_words(a, r);
	}
	return refused;
}

void attempt_give_up(struct attempt *a, bool by_hand)
{
	a->withdrawn = by_hand;
	for (unsigned i = 0; i < a->count; i++) {
		struct attempt_recipient *r = &a->recipients[i];

		if (r->state != RECIPIENT_PENDING)
			continue;
		r->state = RECIPIENT_FAILED;
		r->expired = true;
		r->tried = true;
		keep_words(a, r, a->message.last_reply);
	}
}

struct slice attempt_words(const struct attempt *a, const struct attempt_recipient *r)
{
	return slice_bytes(a->words + r->words_at, r->words_len);
}

struct slice attempt_remote(const struct attempt *a, const struct attempt_recipient *r)
{
	return slice_bytes(a->words + r->remote_at, r->remote_len);
}

unsigned attempt_count(const struct attempt *a, enum recipient_state state)
{
	unsigned n = 0;

	for (unsigned i = 0; i < a->count; i++)
		n += a->recipients[i].state == state;
	return n;
}

bool attempt_returnable(const struct attempt *a)
{
	const struct envelope *e = &a->message.envelope;

	return e->sender.len && !e->is_return && !e->no_return;
}
