/* The end of a message that was passed on while it came in: what its client is told. */
#include <stdio.h>

#include "relay/inner.h"

static void put_words(struct passage *p, const char *status, struct slice words)
{
	int len = snprintf(p->words, sizeof(p->words), "%s%.*s", status, SLICE_ARGS(words));

	p->words_len = (uint16_t)(len < (int)sizeof(p->words) ? len : (int)sizeof(p->words) - 1);
}

/* Codes that mean something else behind a final dot than before it, or end the session (RFC 5321 4.2.2, 4.2.3). */
static uint16_t client_code(unsigned code)
{
	if (code / 100 == 2)
		return 250;
	if (code / 100 == 5)
		return code >= 550 && code <= 554 ? (uint16_t)code : 554;
	return code >= 450 && code <= 452 ? (uint16_t)code : 451;
}

static unsigned rank(const struct attempt_recipient *to)
{
	if (to->state == RECIPIENT_DELIVERED)
		return 0;
	if (to->state == RECIPIENT_PENDING)
		return to->code ? 1 : 2;
	return 3;
}

/* The recipient whose reply is the client's answer: a success, else a reason to come again, else a refusal. */
static const struct attempt_recipient *decisive(const struct attempt *a)
{
	const struct attempt_recipient *best = &a->recipients[0];

	for (unsigned i = 1; i < a->count; i++)
		if (rank(&a->recipients[i]) < rank(best))
			best = &a->recipients[i];
	return best;
}

static void tell(struct passage *p, const struct attempt *a)
{
	const struct attempt_recipient *to = decisive(a);

	/* A refused login is our affair, whatever its code. */
	p->heard = to->code != 0 && !(to->state == RECIPIENT_PENDING && to->code >= 500);
	p->in_doubt = a->in_doubt;
	p->code = p->heard ? client_code(to->code) : 451;
	put_words(p, p->heard ? "" : a->flowing ? "4.4.2 not passed on: " : "4.4.1 not passed on: ", attempt_words(a, to));
	p->state = to->state == RECIPIENT_PENDING && !a->flowing ? PASSAGE_MISSED : PASSAGE_ANSWERED;
}

void answer_missed(struct passage *p, const char *why)
{
	p->code = 451;
	put_words(p, "4.3.0 not passed on: ", slice_of(why));
	p->state = PASSAGE_MISSED;
}

void answer_client(struct relay *r, struct attempt *a)
{
	if (a->passage)
		tell(a->passage, a);
	attempt_free(a);
	r->wake = true;
}
