#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/trail.h"
#include "relay/inner.h"
#include "relay/returns.h"

/* Ages are in whole seconds: so much later a parked mail has expired for sure, and isn't tried once more. */
#define PARKED_EXTRA_MS	2000

static const char *status_of(const struct attempt *a, const struct attempt_recipient *to)
{
	if (to->expired)
		return a->withdrawn ? "withdrawn" : "expired";
	return to->state == RECIPIENT_DELIVERED ? "delivered" : to->state == RECIPIENT_FAILED ? "failed" : "deferred";
}

/* The log's line for a recipient (R18: each recipient's final upstream reply). */
static void log_recipient(const struct attempt *a, const struct attempt_recipient *to, const char *address)
{
	bool delivered = to->state == RECIPIENT_DELIVERED, failed = to->state == RECIPIENT_FAILED;
	int64_t age = clock_wall() - a->message.envelope.arrived;
	struct record line;

	record_start(&line, "delivery");
	record_word(&line, "id", a->id_text);
	record_word(&line, "status", status_of(a, to));
	record_number(&line, "code", to->code);
	record_number(&line, "tries", a->tries + 1);
	record_number(&line, "age", age < 0 ? 0 : age);
	record_word(&line, "relay", a->route_name);
	record_word(&line, "mode", a->direct ? "direct" : NULL);
	if (address[0])
		record_word(&line, "host", address);
	record_text(&line, "from", a->message.envelope.sender);
	record_text(&line, "to", to->address);
	record_text(&line, "reply", attempt_words(a, to));
	log_record(failed ? SEVERITY_WARNING : delivered ? SEVERITY_INFO : SEVERITY_NOTICE, &line);
}

void outcome_log(struct relay *r, const struct attempt *a, const char *address)
{
	for (unsigned i = 0; i < a->count; i++) {
		const struct attempt_recipient *to = &a->recipients[i];

		if (!to->in_group || !to->tried)
			continue;
		log_recipient(a, to, address);
		r->counters.delivered += to->state == RECIPIENT_DELIVERED;
		r->counters.failed += to->state == RECIPIENT_FAILED;
		r->counters.deferred += to->state == RECIPIENT_PENDING;
	}
}

/* What is shown and, at the end, returned: the words of a pending recipient, else those of the attempt before. */
static void put_last_words(struct buffer *out, const struct attempt *a)
{
	const struct attempt_recipient *to = a->recipients, *end = to + a->count;

	while (to < end && (to->state != RECIPIENT_PENDING || !to->words_len))
		to++;
	if (a->parked)
		buffer_put_text(out, PARKED_WORDS);
	if (to < end && to->code)
		buffer_putf(out, "%u ", (unsigned)to->code);
	buffer_put(out, slice_first(to < end ? attempt_words(a, to) : a->message.last_reply, buffer_room(out)));
}

/* The record of a recipient that is settled (R18); `status` is a log line's, or says what else has become of it. */
static void put_outcome(const struct attempt *a, const struct attempt_recipient *to, const char *status)
{
	const struct envelope *e = &a->message.envelope;
	struct record r;

	record_start_audit(&r, "delivery");
	record_word(&r, "id", a->id_text);
	record_word(&r, "status", status);
	record_number(&r, "code", to->code);
	record_number(&r, "tries", a->tries + 1);
	record_number(&r, "age", age_of(a->relay, e->arrived));
	record_word(&r, "mode", a->direct ? "direct" : NULL);
	if (attempt_remote(a, to).len)
		record_text(&r, "host", attempt_remote(a, to));
	record_text(&r, "account", e->account);
	record_text(&r, "from", e->sender);
	record_text(&r, "to", to->address);
	record_text(&r, "msgid", e->message_id);
	record_text(&r, "reply", attempt_words(a, to));
	trail_put(TRAIL_OURS, &r);
}

/* Once the outcome is recorded: whoever fails and is taken back, since nobody can be told, isn't settled. */
static void put_outcomes(const struct attempt *a)
{
	for (unsigned i = 0; i < a->count && trail_is_open(); i++) {
		const struct attempt_recipient *to = &a->recipients[i];

		if (to->tried && !recipient_is_pending((char)to->state))
			put_outcome(a, to, status_of(a, to));
	}
}

static char state_on_disk(const struct attempt_recipient *to)
{
	return to->state == RECIPIENT_PENDING && to->told ? RECIPIENT_TOLD : (char)to->state;
}

void outcome_record(struct relay *r, struct attempt *a)
{
	char *states = malloc(a->count);
	int64_t at = a->not_before ? a->not_before : relay_now(r) + relay_delay(r->settings, a->tries);
	int result = -ENOMEM;
	char words[SMTP_REPLY_TEXT_MAX];
	struct buffer last;

	if (a->direct) {
		free(states);
		/* Else the client sends it again, or it goes into the queue for all. */
		if (attempt_count(a, RECIPIENT_DELIVERED) || !attempt_count(a, RECIPIENT_PENDING))
			put_outcomes(a);
		answer_client(r, a);
		return;
	}
	buffer_init(&last, words, sizeof(words));
	put_last_words(&last, a);
	for (unsigned i = 0; states && i < a->count; i++)
		states[i] = state_on_disk(&a->recipients[i]);
	if (states)
		result = spool_outcome(r->house.spool, a->id, slice_bytes(states, a->count),
				       clock_wall() + clock_seconds(at - relay_now(r)), at, buffer_bytes(&last));
	if (!result)
		put_outcomes(a);
	if (result) {
		log_line(SEVERITY_ERR, "message %s: its outcome could not be recorded (%s); it may be sent again",
			 a->id_text, strerror(-result));
		spool_untake(r->house.spool, a->id, at);
	}
	keeper_note(r->keeper);
	free(states);
	attempt_free(a);
	r->wake = true;
}

/* Of a message that leaves the queue unread: a record for each that was still waiting, or one for all where it can't be read. */
static void put_dropped(struct relay *r, const struct spool_entry *e, const char *why)
{
	int error;
	struct attempt *a = trail_is_open() ? attempt_new(r->house.spool, e->id, e->attempts, &error) : NULL;
	struct record line;
	char id[SPOOL_ID_TEXT];

	for (unsigned i = 0; a && i < a->count; i++) {
		a->relay = r;
		if (a->recipients[i].state == RECIPIENT_PENDING)
			put_outcome(a, &a->recipients[i], why);
	}
	if (!a) {
		spool_id_text(e->id, id);
		record_start_audit(&line, "delivery");
		record_word(&line, "id", id);
		record_word(&line, "status", why);
		record_number(&line, "rcpts", e->pending);
		trail_put(TRAIL_OURS, &line);
	}
	attempt_free(a);
}

int outcome_drop(struct relay *r, const struct spool_entry *e, const char *why)
{
	uint64_t id = e->id;
	unsigned count = e->recipients;
	char *states = malloc(count);
	int result = -ENOMEM;

	put_dropped(r, e, why);
	if (states) {
		memset(states, RECIPIENT_FAILED, count);
		result = spool_outcome(r->house.spool, id, slice_bytes(states, count), 0, 0, slice_of(""));
	}
	if (result)
		spool_untake(r->house.spool, id, relay_now(r) + relay_delay(r->settings, 0));
	keeper_note(r->keeper);
	free(states);
	return result;
}

/* A failure that could not be told to the sender is not yet one: tried again later. */
static void take_back_failures(struct attempt *a)
{
	for (unsigned i = 0; i < a->count; i++)
		if (a->recipients[i].tried && a->recipients[i].state == RECIPIENT_FAILED)
			a->recipients[i].state = RECIPIENT_PENDING;
}

static void note_told(struct attempt *a)
{
	for (unsigned i = 0; i < a->count; i++)
		a->recipients[i].told = true;
}

static void put_return(const struct attempt *a, const char *id)
{
	struct record r;

	record_start_audit(&r, a->notice ? "delay-notice" : "return");
	record_word(&r, "id", id);
	record_word(&r, "of", a->id_text);
	record_text(&r, "account", a->message.envelope.account);
	record_text(&r, "to", a->message.envelope.sender);
	trail_put(TRAIL_OURS, &r);
}

static void log_return(struct relay *r, const struct attempt *a)
{
	char id[SPOOL_ID_TEXT];

	spool_id_text(a->keeping.writer.id, id);
	put_return(a, id);
	if (a->notice)
		log_line(SEVERITY_INFO, "delay-notice id=%s of=%s", id, a->id_text);
	else
		log_line(SEVERITY_INFO, "return id=%s of=%s", id, a->id_text);
	r->counters.returned += !a->notice;
}

static void returned(struct keeping *k, int result)
{
	struct attempt *a = (struct attempt *)k;
	struct relay *r = a->relay;
	struct attempt **link = &r->returning;

	while (*link != a)
		link = &(*link)->next;
	*link = a->next;
	if (result)
		log_line(SEVERITY_ERR, "message %s: no return mail could be made: %s", a->id_text, strerror(-result));
	else
		log_return(r, a);
	if (a->notice && !result)
		note_told(a);
	else if (result)
		take_back_failures(a);
	outcome_record(r, a);
}

/*
 * Nobody to tell (R49): kept for a person to look at until it expires, then dropped with a last line. While other recipients of the
 * mail are pending it stays in their schedule.
 */
static void park(struct relay *r, struct attempt *a)
{
	struct record line;
	bool over = a->direct;		/* nothing of it is kept */

	for (unsigned i = 0; i < a->count; i++)
		over |= a->recipients[i].expired;
	if (!over && attempt_count(a, RECIPIENT_PENDING)) {
		take_back_failures(a);
		outcome_record(r, a);
		return;
	}
	record_start(&line, over ? "dropped" : "parked");
	record_word(&line, "id", a->id_text);
	record_word(&line, "reason", a->message.envelope.is_return ? "return-mail" :
		    !a->message.envelope.sender.len ? "null-sender" :
		    a->message.envelope.no_return ? "automatic" : "no-return-address");
	record_text(&line, "from", a->message.envelope.sender);
	log_record(over ? SEVERITY_ERR : SEVERITY_WARNING, &line);
	if (!over) {
		a->parked = true;
		take_back_failures(a);
		a->not_before = relay_now(r) + r->settings->expire + PARKED_EXTRA_MS;
	}
	outcome_record(r, a);
}

static unsigned new_failures(const struct attempt *a)
{
	unsigned n = 0;

	for (unsigned i = 0; i < a->count; i++)
		n += a->recipients[i].tried && a->recipients[i].state == RECIPIENT_FAILED;
	return n;
}

static bool can_return(const struct relay *r, const struct attempt *a)
{
	return attempt_returnable(a) && r->settings->return_from[0];
}

bool outcome_is_late(const struct relay *r, const struct attempt *a)
{
	int64_t late = r->settings->delay_notice;
	unsigned untold = 0;

	for (unsigned i = 0; i < a->count; i++)
		untold += a->recipients[i].state == RECIPIENT_PENDING && !a->recipients[i].told;
	return late && untold && !a->direct && can_return(r, a) && age_of(r, a->message.envelope.arrived) * 1000 >= late;
}

static void tell_sender(struct relay *r, struct attempt *a)
{
	int result = returns_make(a, r->settings, r->keeper, returned);

	a->next = r->returning;
	r->returning = a;
	if (result)
		returned(&a->keeping, result);
}

void outcome_finish(struct relay *r, struct attempt *a)
{
	bool failed = new_failures(a) > 0;

	a->notice = !failed && outcome_is_late(r, a);
	if (failed && !can_return(r, a))
		park(r, a);
	else if (failed || a->notice)
		tell_sender(r, a);
	else
		outcome_record(r, a);
}

void outcome_expire(struct relay *r, struct attempt *a, bool by_hand)
{
	attempt_give_up(a, by_hand);
	for (unsigned i = 0; i < a->count; i++)
		if (a->recipients[i].expired)
			log_recipient(a, &a->recipients[i], "");
	outcome_finish(r, a);
}
