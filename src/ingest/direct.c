#include "ingest/direct.h"

#include <stdio.h>

#include "base/clock.h"
#include "ingest/evidence.h"
#include "ingest/fate.h"
#include "ingest/window.h"

static struct passage *passage_of(const struct session *s)
{
	return s->transaction ? &s->transaction->passage : NULL;
}

/* The relay has said its last word. */
static bool is_decided(const struct passage *p)
{
	return p->state == PASSAGE_MISSED || p->state == PASSAGE_ANSWERED;
}

/*
 * An input block may come whole behind the last octet of the header; what is renamed in it (mail/strip.h) makes it longer, `From:` with
 * nothing behind it the most.
 */
static size_t most_held(const struct session *s)
{
	return s->settings->max_header + 3 * CHUNK_SIZE;
}

bool direct_is_possible(const struct session *s)
{
	const struct passage_way *way = &s->house->way;

	return way->possible && way->possible(way->context);
}

bool direct_begin(struct session *s)
{
	const struct passage_way *way = &s->house->way;
	struct transaction *t = s->transaction;
	struct passage *p = &t->passage;

	if (!direct_is_possible(s))
		return true;
	p->mode = (uint8_t)way->mode(way->context, address_text(&t->mail.sender), buffer_bytes(&t->recipients));
	if (p->mode == PASSAGE_QUEUE)
		return true;
	p->id = t->id;
	return passage_start(p, most_held(s), &t->chunk);
}

/* The rest of the message is dropped as it comes; fate_verdict answers the final dot, or else the code that stands in the passage. */
static void drain(struct transaction *t)
{
	t->passage.state = PASSAGE_DRAIN;
	buffer_clear(&t->chunk);
	passage_end(&t->passage);
}

static void refuse(struct transaction *t, uint16_t code, const char *words)
{
	struct passage *p = &t->passage;

	p->code = code;
	p->words_len = (uint16_t)snprintf(p->words, sizeof(p->words), "%s", words);
	drain(t);
}

static void cut(struct session *s)
{
	passage_cancel(&s->transaction->passage, &s->house->way);
	refuse(s->transaction, 451, "4.3.0 not passed on, try again later");
}

static bool offer(struct session *s)
{
	const struct passage_way *way = &s->house->way;
	struct transaction *t = s->transaction;
	struct passage *p = &t->passage;
	char memory[EVIDENCE_MAX];
	struct buffer front;

	buffer_init(&front, memory, sizeof(memory));
	if (!evidence_write(&front, s) || !passage_front(p, buffer_bytes(&front)))
		return false;
	transaction_envelope(t, &s->principal, clock_wall(), &p->envelope);
	p->size = t->mail.size ? t->mail.size + buffer_length(&front) : 0;
	p->state = PASSAGE_OFFERED;
	way->offer(way->context, p);
	return true;
}

/* More than may be held back before a verdict: at a level that lets it pass it is mail all the same. */
static void give_up_holding(struct transaction *t)
{
	if (t->passage.mode == PASSAGE_DIRECT)
		transaction_requeue(t);
	else
		refuse(t, 552, "5.3.4 header too large to be passed on");
}

/* The header is complete: now, and not before, the verdict falls. */
static void judge(struct session *s)
{
	struct transaction *t = s->transaction;

	if (fate_verdict(s, s->smtp.bad_line) != REPLY_ACCEPTED)
		cut(s);
	else if (t->header.defects & HEADER_TOO_LARGE)
		give_up_holding(t);
	else if (t->passage.failed || !offer(s))
		cut(s);
}

void direct_content(struct session *s)
{
	struct transaction *t = s->transaction;
	struct passage *p = &t->passage;

	if (p->state == PASSAGE_HEADER && header_ended(&t->header))
		judge(s);
	else if (p->failed && p->state != PASSAGE_DRAIN)
		cut(s);
	else if (p->state == PASSAGE_FLOWING && (t->too_large || s->smtp.bad_line))
		cut(s);
}

bool direct_end(struct session *s)
{
	struct passage *p = passage_of(s);

	if (p->state == PASSAGE_HEADER) {
		p->complete = true;
		judge(s);
	}
	p->complete = true;
	return p->state != PASSAGE_OFF && p->state != PASSAGE_DRAIN;
}

void direct_turn(struct session *s)
{
	struct passage *p = passage_of(s);

	if (!direct_due(s))
		return;
	p->held = false;
	window_open(s);	/* what went before was not the client's time */
	if (!is_decided(p))
		return;
	if (p->state == PASSAGE_MISSED && p->mode == PASSAGE_DIRECT)
		transaction_requeue(s->transaction);
	else
		drain(s->transaction);
	if (p->complete)
		fate_conclude(s, fate_verdict(s, s->smtp.bad_line));
}

bool direct_due(const struct session *s)
{
	const struct passage *p = passage_of(s);

	return p && !s->watch.dead && (is_decided(p) || (p->held && !direct_holds(s)));
}

void direct_rest(struct session *s)
{
	if (direct_holds(s))
		passage_of(s)->held = true;
}

bool direct_holds(const struct session *s)
{
	const struct passage *p = passage_of(s);

	if (!p)
		return false;
	return p->state == PASSAGE_OFFERED || is_decided(p) || (p->state == PASSAGE_FLOWING && !passage_drained(p));
}

bool direct_waits(const struct session *s)
{
	const struct passage *p = passage_of(s);

	return p && p->complete && (p->state == PASSAGE_OFFERED || p->state == PASSAGE_FLOWING || is_decided(p));
}
