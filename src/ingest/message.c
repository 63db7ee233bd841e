/* MAIL, RCPT, DATA and the final dot: the verdicts, and what is answered. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "ingest/audit.h"
#include "ingest/evidence.h"
#include "mail/fields.h"

void session_drop(struct session *s)
{
	struct transaction *t = s->transaction;

	s->transaction = NULL;
	login_drop(s);
	if (!t)
		return;
	if (t->committing) {
		audit_message(s, t, REPLY_ACCEPTED);
		t->session = NULL;	/* complete and on its way to the disk: it is mail, though nobody hears the 250 */
		return;
	}
	direct_drop(t);
	transaction_reset(t);
	pool_put(s->house->transactions, t);
}

static void answer(struct session *s, enum reply reply, struct slice argument)
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

static enum reply sender_reply(const struct verdict *v)
{
	if (v->reason == REASON_NO_AUTH)
		return REPLY_AUTH_REQUIRED;
	return v->pass || v->action != ACTION_REFUSE ? REPLY_SENDER_OK : REPLY_SENDER_REFUSED;
}

static enum reply begin_transaction(struct session *s, const struct smtp_mail *mail, const struct verdict *v)
{
	struct transaction *t = pool_get(s->house->transactions);
	int result;

	if (!t)
		return REPLY_TOO_BUSY;
	*t = (struct transaction){ 0 };
	result = transaction_begin(t, s->house->keeper, s->house->blocks, mail, s->settings->max_header);
	if (result == -ENOSPC && direct_is_possible(s)) {
		transaction_go_without(t, result);
		result = 0;
	}
	t->session = s;
	t->envelope_verdict = *v;
	s->transaction = t;
	if (!result)
		return REPLY_SENDER_OK;
	session_drop(s);
	return result == -ENOSPC || result == -EDQUOT ? REPLY_DISK_FULL : REPLY_SPOOL_FAILED;
}

void session_mail(struct session *s, const struct smtp_server_event *e)
{
	struct verdict v;
	enum reply reply;

	session_drop(s);
	trust_judge_mail(s->settings->trust, &s->principal, &e->mail.sender, &v);
	reply = sender_reply(&v);
	s->house->counters.refused_senders += reply != REPLY_SENDER_OK;
	if (reply == REPLY_SENDER_OK)
		reply = begin_transaction(s, &e->mail, &v);
	if (reply != REPLY_SENDER_OK) {
		s->refused++;
		audit_refusal(s, "mail", &e->mail.sender, &v, reply);
	}
	answer(s, reply, address_text(&e->mail.sender));
}

/* RFC 5321 4.5.1: <postmaster> without a domain is accepted, and is the one of our first domain. */
static void complete_postmaster(const struct session *s, struct address *to)
{
	struct slice domain = trust_default_domain(s->settings->trust);
	char text[ADDRESS_MAX + 1];
	int len;

	if (!domain.len || !slice_equal_fold(address_text(to), SLICE_OF("postmaster")))
		return;
	len = snprintf(text, sizeof(text), "%s@%.*s", to->text, SLICE_ARGS(domain));
	if (len > 0 && (size_t)len < sizeof(text))
		address_parse(slice_bytes(text, (size_t)len), to);
}

/*
 * Whether an address stays inside. A local part that names another host by percent hack, bang path or quoted route leads out again at
 * many a server (R14).
 */
static bool is_local(const struct trust *t, const struct address *to)
{
	struct address_key key;

	if (!address_key(to, &key) || !trust_is_our_domain(t, address_key_domain(&key)))
		return false;
	for (size_t i = 0; i < key.local_len; i++)
		if (key.text[i] == '%' || key.text[i] == '!' || key.text[i] == '@')
			return false;
	return true;
}

static enum reply recipient_reply(struct session *s, const struct address *to)
{
	const struct trust_device *device = s->principal.kind == PRINCIPAL_DEVICE ? s->principal.device : NULL;

	if (!to->well_formed || address_is_null(to))
		return REPLY_RECIPIENT_SYNTAX;
	if (device && device->local_only && !is_local(s->settings->trust, to))
		return REPLY_RELAY_DENIED;
	if (s->transaction->recipient_count >= s->settings->max_recipients)
		return REPLY_TOO_MANY_RECIPIENTS;
	return transaction_add_recipient(s->transaction, to) ? REPLY_RECIPIENT_OK : REPLY_TOO_MANY_RECIPIENTS;
}

void session_rcpt(struct session *s, const struct smtp_server_event *e)
{
	struct address to = e->rcpt;
	enum reply reply;

	complete_postmaster(s, &to);
	reply = recipient_reply(s, &to);
	if (reply != REPLY_RECIPIENT_OK)
		audit_refusal(s, "rcpt", &e->rcpt, NULL, reply);
	answer(s, reply, address_text(&e->rcpt));
}

/* DATA */

static const struct trust_device *rewriting_device(const struct session *s)
{
	const struct trust_device *device = s->principal.kind == PRINCIPAL_DEVICE ? s->principal.device : NULL;

	return device && device->rewrite_from ? device : NULL;
}

/* A peer's mail may have been marked by another gate; the mark has no host's name, and only ever warns. */
static unsigned strip_rules(const struct session *s)
{
	return (s->principal.kind == PRINCIPAL_PEER ? STRIP_RESULTS | STRIP_STAMP : STRIP_ALL) |
	       (rewriting_device(s) ? STRIP_RENAME : 0);
}

static enum reply spool_reply(int error)
{
	if (!error)
		return REPLY_ACCEPTED;
	return error == -ENOSPC || error == -EDQUOT ? REPLY_DISK_FULL : REPLY_SPOOL_FAILED;
}

static enum reply begin_data(struct session *s)
{
	struct transaction *t = s->transaction;

	if (transaction_data(t, slice_of(s->settings->hostname), strip_rules(s), s->settings->keyring) || !direct_begin(s))
		return REPLY_SPOOL_FAILED;
	/* The spool was full at MAIL, and only now it is known that the message needs it. */
	return t->error && t->passage.state == PASSAGE_OFF ? spool_reply(t->error) : REPLY_START_INPUT;
}

void session_data(struct session *s, const struct smtp_server_event *e)
{
	(void)e;
	enum reply reply = begin_data(s);

	if (reply != REPLY_START_INPUT) {
		session_drop(s);	/* a refused DATA ends it */
		answer(s, reply, slice_of(""));
		return;
	}
	session_open_window(s);
	answer(s, REPLY_START_INPUT, slice_of(s->transaction->id));
}

void session_content(struct session *s, const struct smtp_server_event *e)
{
	transaction_content(s->transaction, e->content, s->settings->max_message_size);
	if (s->transaction->passage.state != PASSAGE_OFF)
		direct_content(s);
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
	if (rewriting_device(s))
		rewrite_from(t, rewriting_device(s));
	trust_judge_header(s->settings->trust, &s->principal, &t->mail.sender, &t->header, &t->header_verdict);
}

enum reply session_verdict(struct session *s, bool bare_cr_lf)
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
	return t->passage.state == PASSAGE_OFF ? spool_reply(t->error) : REPLY_ACCEPTED;
}

static bool is_good(const struct transaction *t, enum reply reply)
{
	return reply == REPLY_ACCEPTED || (reply == REPLY_PASSED && t->passage.code < 300);
}

void session_finish(struct session *s, enum reply reply)
{
	struct transaction *t = s->transaction;
	struct passage p = t->passage;
	char id[SPOOL_ID_TEXT];

	memcpy(id, t->id, sizeof(id));
	audit_message(s, t, reply);
	if (is_good(t, reply)) {
		s->messages++;
		s->house->counters.messages++;
		s->house->counters.octets += t->size;
	} else {
		s->refused++;
		s->house->counters.refused_messages++;
	}
	session_drop(s);
	if (reply == REPLY_PASSED)
		pass_on_answer(s, &p, slice_of(id));
	else
		answer(s, reply, slice_of(id));
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
		session_finish(s, spool_reply(result));
		session_turn(s);
		return;
	}
	if (result)
		audit_unsafe(t, spool_reply(result));
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
	return spool_reply(result);
}

void session_conclude(struct session *s, enum reply reply)
{
	if (reply == REPLY_ACCEPTED && s->transaction->passage.state != PASSAGE_OFF)
		reply = REPLY_PASSED;
	if (reply == REPLY_ACCEPTED)
		reply = commit(s);
	if (reply != REPLY_ACCEPTED)
		session_finish(s, reply);	/* else `committed` answers, once it is on the disk */
}

void session_end(struct session *s, const struct smtp_server_event *e)
{
	transaction_content_end(s->transaction);
	if (!direct_end(s))
		session_conclude(s, session_verdict(s, e->end.bare_cr_lf));
}
