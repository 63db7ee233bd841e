#include "ingest/fate.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "ingest/audit.h"
#include "ingest/evidence.h"
#include "mail/fields.h"

void fate_drop(struct session *s)
{
	struct transaction *t = s->transaction;

	s->transaction = NULL;
	if (!t)
		return;
	if (t->committing) {
		audit_message(s, t, REPLY_ACCEPTED);
		t->session = NULL;	/* complete and on its way to the disk: it is mail, though nobody hears the 250 */
		return;
	}
	passage_cancel(&t->passage, &s->house->way);
	transaction_reset(t);
	pool_put(s->house->transactions, t);
}

void fate_answer(struct session *s, enum reply reply, struct slice argument)
{
	struct buffer *out = stream_output(&s->stream);

	if (out)
		smtp_server_answer(&s->smtp, out, reply, argument);
	else
		s->watch.dead = true;	/* can't be: a turn begins only with room for a reply */
}

static void pass_on_answer(struct session *s, const struct passage *p, struct slice id)
{
	struct buffer *out = stream_output(&s->stream);

	if (out)
		smtp_server_pass_on(&s->smtp, out, p->code, id, slice_bytes(p->words, p->words_len));
	else
		s->watch.dead = true;
}

enum reply fate_of_spool(int error)
{
	if (!error)
		return REPLY_ACCEPTED;
	return error == -ENOSPC || error == -EDQUOT ? REPLY_DISK_FULL : REPLY_SPOOL_FAILED;
}

/* What evidence_write puts in front is judged as if it had come (R69). */
static void rewrite_from(struct transaction *t, const struct trust_device *device)
{
	char memory[FIELD_SHORT_MAX + ADDRESS_MAX + 8];
	struct buffer body;

	buffer_init(&body, memory, sizeof(memory));
	buffer_put(&body, SLICE_OF(" "));
	fields_from(&body, header_body(&t->header, FIELD_ORIGINAL_FROM), slice_of(device->address));
	header_put(&t->header, FIELD_FROM, buffer_bytes(&body));
}

static void judge_header(struct session *s)
{
	struct transaction *t = s->transaction;

	if (t->judged)
		return;
	t->judged = true;
	header_finish(&t->header);
	if (transaction_rewrites_from(t))
		rewrite_from(t, s->principal.device);
	trust_judge_header(s->settings->trust, &s->principal, &t->mail.sender, &t->header, &t->header_verdict);
}

enum reply fate_verdict(struct session *s, bool bare_cr_lf)
{
	struct transaction *t = s->transaction;
	const struct verdict *v = &t->header_verdict;

	judge_header(s);
	if (!v->pass && v->action == ACTION_REFUSE)
		return REPLY_FILTERED;
	if (bare_cr_lf)
		return REPLY_BARE_CR_LF;
	/* At any level: behind our own fields it would be read as the end of our Authentication-Results (R17). */
	if (t->header.defects & HEADER_FIRST_CONTINUES)
		return REPLY_HEADER_CONTINUES;
	if (t->too_large)
		return REPLY_TOO_LARGE;
	if (t->header.count[FIELD_RECEIVED] > s->settings->received_max)
		return REPLY_LOOP;
	return t->passage.state == PASSAGE_OFF ? fate_of_spool(t->error) : REPLY_ACCEPTED;
}

static void finish(struct session *s, enum reply reply)
{
	struct transaction *t = s->transaction;
	struct passage p = t->passage;
	char id[SPOOL_ID_TEXT];

	memcpy(id, t->id, sizeof(id));
	audit_message(s, t, reply);
	if (transaction_is_accepted(t, reply)) {
		s->messages++;
		s->house->counters.messages++;
		s->house->counters.octets += t->size;
	} else {
		s->refused++;
		s->house->counters.refused_messages++;
	}
	fate_drop(s);
	if (reply == REPLY_PASSED)
		pass_on_answer(s, &p, slice_of(id));
	else
		fate_answer(s, reply, slice_of(id));
	s->deadline = loop_now(s->house->loop) + s->settings->command_timeout;
}

static void committed(struct keeping *k, int result)
{
	struct transaction *t = (struct transaction *)k;
	struct session *s = t->session;
	struct pool *transactions;

	t->committing = false;
	t->keeping.writer.id = 0;	/* decided: nothing to abort any more */
	if (s) {
		finish(s, fate_of_spool(result));
		s->house->turn(s);
		return;
	}
	if (result)
		audit_unsafe(t, fate_of_spool(result));
	transactions = t->home;
	transaction_reset(t);
	pool_put(transactions, t);
}

static enum reply commit(struct session *s)
{
	struct transaction *t = s->transaction;
	char memory[EVIDENCE_MAX];
	struct buffer front;
	int result;

	buffer_init(&front, memory, sizeof(memory));
	if (!evidence_write(&front, s))
		return REPLY_SPOOL_FAILED;
	t->keeping.done = committed;
	t->home = s->house->transactions;
	result = transaction_commit(t, buffer_bytes(&front), &s->principal, clock_wall());
	return fate_of_spool(result);
}

void fate_conclude(struct session *s, enum reply reply)
{
	if (reply == REPLY_ACCEPTED && s->transaction->passage.state != PASSAGE_OFF)
		reply = REPLY_PASSED;
	if (reply == REPLY_ACCEPTED)
		reply = commit(s);
	if (reply != REPLY_ACCEPTED)
		finish(s, reply);	/* else `committed` answers, once it is on the disk */
}
