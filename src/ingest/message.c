#include "ingest/message.h"

#include <errno.h>
#include <stdio.h>

#include "ingest/audit.h"
#include "ingest/direct.h"
#include "ingest/fate.h"
#include "ingest/window.h"

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
	fate_drop(s);
	return fate_of_spool(result);
}

void message_mail(struct session *s, const struct smtp_server_event *e)
{
	struct verdict v;
	enum reply reply;

	fate_drop(s);
	trust_judge_mail(s->settings->trust, &s->principal, &e->mail.sender, &v);
	reply = sender_reply(&v);
	s->house->counters.refused_senders += reply != REPLY_SENDER_OK;
	if (reply == REPLY_SENDER_OK)
		reply = begin_transaction(s, &e->mail, &v);
	if (reply != REPLY_SENDER_OK) {
		s->refused++;
		audit_refusal(s, "mail", &e->mail.sender, &v, reply);
	}
	fate_answer(s, reply, address_text(&e->mail.sender));
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

void message_rcpt(struct session *s, const struct smtp_server_event *e)
{
	struct address to = e->rcpt;
	enum reply reply;

	complete_postmaster(s, &to);
	reply = recipient_reply(s, &to);
	if (reply != REPLY_RECIPIENT_OK)
		audit_refusal(s, "rcpt", &e->rcpt, NULL, reply);
	fate_answer(s, reply, address_text(&e->rcpt));
}

/* A peer's mail may have been marked by another gate; the mark has no host's name, and only ever warns. */
static unsigned strip_rules(const struct session *s)
{
	const struct principal *p = &s->principal;
	bool renames = p->kind == PRINCIPAL_DEVICE && p->device->rewrite_from;

	return (p->kind == PRINCIPAL_PEER ? STRIP_RESULTS | STRIP_STAMP : STRIP_ALL) | (renames ? STRIP_RENAME : 0);
}

static enum reply begin_data(struct session *s)
{
	struct transaction *t = s->transaction;

	if (transaction_data(t, slice_of(s->settings->hostname), strip_rules(s), s->settings->keyring) || !direct_begin(s))
		return REPLY_SPOOL_FAILED;
	/* The spool was full at MAIL, and only now it is known that the message needs it. */
	return t->error && t->passage.state == PASSAGE_OFF ? fate_of_spool(t->error) : REPLY_START_INPUT;
}

void message_data(struct session *s, const struct smtp_server_event *e)
{
	(void)e;
	enum reply reply = begin_data(s);

	if (reply != REPLY_START_INPUT) {
		fate_drop(s);	/* a refused DATA ends it */
		fate_answer(s, reply, slice_of(""));
		return;
	}
	window_open(s);
	fate_answer(s, REPLY_START_INPUT, slice_of(s->transaction->id));
}

void message_content(struct session *s, const struct smtp_server_event *e)
{
	transaction_content(s->transaction, e->content, s->settings->max_message_size);
	if (s->transaction->passage.state != PASSAGE_OFF)
		direct_content(s);
}

void message_end(struct session *s, const struct smtp_server_event *e)
{
	transaction_content_end(s->transaction);
	if (!direct_end(s))
		fate_conclude(s, fate_verdict(s, e->end.bare_cr_lf));
}
