#include "ingest/audit.h"

#include <stdio.h>

#include "base/alarm.h"
#include "base/clock.h"
#include "base/trail.h"
#include "ingest/evidence.h"
#include "trust/accounts.h"

static const char *tls_words(const struct session *s)
{
	return s->stream.tls && s->smtp.secured ? tls_version(s->stream.tls) : NULL;
}

/* Fields that every line of a session carries. */
static void record_who(struct record *r, const struct session *s)
{
	record_text(r, "client", slice_of(s->client_text));
	record_word(r, "listener", s->listen->name);
	record_word(r, "tls", tls_words(s));
}

/* Who it is, canonical and as typed. */
static void record_principal(struct record *r, const struct session *s)
{
	record_who(r, s);
	record_word(r, "trust", principal_kind_name(s->principal.kind));
	record_text(r, "account", principal_name(&s->principal));
	if (s->login[0])
		record_text(r, "login", slice_of(s->login));
}

static const char *match_name(uint8_t match)
{
	return match == MATCH_YES ? "own" : match == MATCH_NO ? "other" : NULL;
}

static void record_verdict(struct record *r, const struct verdict *v)
{
	record_number(r, "level", v->level);
	if (!v->pass) {
		record_word(r, "reason", verdict_reason(v));
		if (v->action != ACTION_REFUSE)
			record_word(r, "would", "refuse");
	}
	record_word(r, "envelope", match_name(v->envelope_match));
}

/* Why a message was refused whose sender is who he says. */
static const char *const reasons[REPLY_COUNT] = {
	[REPLY_BARE_CR_LF] = "bare-cr-lf",
	[REPLY_HEADER_CONTINUES] = "first-continues",
	[REPLY_TOO_LARGE] = "too-large",
	[REPLY_LOOP] = "loop",
	[REPLY_DISK_FULL] = "disk-full",
	[REPLY_SPOOL_FAILED] = "spool",
};

void audit_session(const struct session *s)
{
	struct record r;

	record_start(&r, "session");
	record_word(&r, "end", s->end ? s->end : "closed");
	record_number(&r, "messages", s->messages);
	record_number(&r, "refused", s->refused);
	record_seconds(&r, "duration", loop_now(s->house->loop) - s->started);
	record_principal(&r, s);
	record_text(&r, "helo", smtp_server_helo(&s->smtp));
	if (s->stage != STAGE_LINGER && stream_error(&s->stream)[0])
		record_text(&r, "error", slice_of(stream_error(&s->stream)));
	log_record(SEVERITY_INFO, &r);
}

void audit_login(const struct session *s, enum reply reply, bool locked)
{
	struct record r;

	record_start(&r, "login");
	record_word(&r, "result", reply == REPLY_AUTH_OK ? "ok" : reply == REPLY_AUTH_FAILED ? "refused" : "error");
	record_word(&r, "reason", locked ? "lockout" : NULL);
	record_who(&r, s);
	record_text(&r, "login", slice_of(s->login));
	record_text(&r, "account", s->candidate ? account_name(s->candidate) : slice_of(""));
	log_record(reply == REPLY_AUTH_OK ? SEVERITY_INFO : SEVERITY_NOTICE, &r);
}

/* For those who shut clients out of the network by what they read: nothing in this line comes from outside but the address. */
static void audit_ban(const struct session *s, enum lockout_scope scope)
{
	char ip[CLIENT_TEXT_MAX];
	struct record r;

	record_start(&r, "ban");
	record_word(&r, "scope", lockout_scope_name(scope));
	record_number(&r, "for", clock_seconds(s->settings->lockout.time));
	ip_text(&s->client, ip, sizeof(ip));
	record_word(&r, "ip", ip);
	log_record(SEVERITY_NOTICE, &r);
}

void audit_lockout(const struct session *s, enum lockout_scope scope)
{
	char words[ALARM_WORDS_MAX + 1];
	struct record r;

	record_start(&r, "lockout");
	record_word(&r, "scope", lockout_scope_name(scope));
	record_number(&r, "for", clock_seconds(s->settings->lockout.time));
	record_word(&r, "alarm", "lockout");
	record_who(&r, s);
	record_text(&r, "login", slice_of(s->login));
	snprintf(words, sizeof(words), "%s is locked out for %s", s->client_text,
		 scope == LOCKOUT_PAIR ? "an account" : "all accounts");
	log_record(alarm_raise_for(ALARM_LOCKOUT, SLICE_OF(""), slice_of(words), loop_now(s->house->loop), s->settings->lockout.time), &r);
	audit_ban(s, scope);
}

/* Of a message that is accepted each recipient has a delivery line; of one that is refused, this one (R18). */
static void log_recipients(const struct transaction *t)
{
	struct slice rest = buffer_bytes(&t->recipients), to;
	struct record r;

	while (slice_cut(&rest, '\n', &to) && to.len) {
		record_start(&r, "recipient");
		record_word(&r, "id", t->id);
		record_text(&r, "to", to);
		log_record(SEVERITY_INFO, &r);
	}
}

/* In the trail each but the first, which the message's own record has: who it was for is known before it is delivered. */
static void put_recipients(const struct session *s, const struct transaction *t)
{
	struct slice rest = buffer_bytes(&t->recipients), to;
	struct record r;

	slice_cut(&rest, '\n', &to);
	while (slice_cut(&rest, '\n', &to) && to.len) {
		record_start_audit(&r, "recipient");
		record_word(&r, "id", t->id);
		record_text(&r, "account", principal_name(&s->principal));
		record_text(&r, "from", address_text(&t->mail.sender));
		record_text(&r, "to", to);
		trail_put(TRAIL_OURS, &r);
	}
}

static enum trail_of whose(const struct session *s)
{
	return s->principal.kind == PRINCIPAL_NOBODY ? TRAIL_STRANGER : TRAIL_OURS;
}

static void record_fate(struct record *r, const struct transaction *t, enum reply reply)
{
	const struct passage *p = &t->passage;
	bool passed = reply == REPLY_PASSED, accepted = transaction_is_accepted(t, reply);

	record_word(r, "verdict", accepted ? "accepted" : "refused");
	record_number(r, "code", passed ? p->code : reply_code(reply));
	record_word(r, "reason", reasons[reply]);
	if (passed && !accepted)
		record_word(r, "reason", p->in_doubt ? "in-doubt" : p->heard ? "upstream" : "not-passed-on");
	record_word(r, "mode", passed ? "direct" : NULL);
}

static void record_message(struct record *r, const struct session *s, const struct transaction *t, enum reply reply)
{
	const struct verdict *seen = &t->header_verdict;

	record_word(r, "id", t->id);
	record_fate(r, t, reply);
	record_verdict(r, transaction_verdict(t));
	record_word(r, "from_is", match_name(seen->from_match));
	if (seen->display_address)
		record_number(r, "display_addr", 1);
	record_number(r, "rcpts", t->recipient_count);
	record_number(r, "size", (int64_t)t->size);
	if (transaction_is_accepted(t, reply))
		record_word(r, "repaired", evidence_repairs(s, t));
	record_word(r, "removed", strip_names(t->strip.done));
	record_principal(r, s);
	record_text(r, "from", address_text(&t->mail.sender));
	record_text(r, "header_from", address_text(&seen->from_address));
	record_text(r, "to", slice_first(buffer_bytes(&t->recipients), slice_find(buffer_bytes(&t->recipients), '\n')));
	record_text(r, "msgid", transaction_message_id(t));
}

void audit_message(const struct session *s, const struct transaction *t, enum reply reply)
{
	struct record r;

	record_start(&r, "message");
	record_message(&r, s, t, reply);
	log_record(SEVERITY_INFO, &r);
	if (!transaction_is_accepted(t, reply) && t->recipient_count > 1)
		log_recipients(t);
	if (!trail_is_open())
		return;
	record_start_audit(&r, "message");
	record_message(&r, s, t, reply);
	trail_put(whose(s), &r);
	put_recipients(s, t);
}

static void record_unsafe(struct record *r, const struct transaction *t, enum reply reply)
{
	record_word(r, "id", t->id);
	record_fate(r, t, reply);
	record_text(r, "from", address_text(&t->mail.sender));
	record_text(r, "msgid", transaction_message_id(t));
}

void audit_unsafe(const struct transaction *t, enum reply reply)
{
	struct record r;

	record_start(&r, "message");
	record_unsafe(&r, t, reply);
	log_record(SEVERITY_ERR, &r);
	record_start_audit(&r, "message");
	record_unsafe(&r, t, reply);
	trail_put(TRAIL_OURS, &r);
}

struct refusal {
	const char *at;			/* "mail" or "rcpt" */
	enum reply reply;
	const struct verdict *verdict;	/* NULL: it was not about trust */
	struct slice value;		/* the address, or with `is_line` the line as it came */
	bool is_line;
};

static void record_refusal(struct record *r, const struct session *s, const struct refusal *f)
{
	record_word(r, "at", f->at);
	record_number(r, "code", reply_code(f->reply));
	if (s->transaction && !f->is_line)
		record_word(r, "id", s->transaction->id);
	if (f->verdict)
		record_verdict(r, f->verdict);
	record_principal(r, s);
	record_text(r, f->is_line ? "line" : f->at[0] == 'm' ? "from" : "to", f->value);
}

static void tell_refusal(const struct session *s, const struct refusal *f)
{
	struct record r;

	record_start(&r, "refused");
	record_refusal(&r, s, f);
	log_record(SEVERITY_INFO, &r);
	if (!trail_is_open())
		return;
	record_start_audit(&r, "refused");
	record_refusal(&r, s, f);
	trail_put(whose(s), &r);
}

void audit_refusal(const struct session *s, const char *at, const struct address *who, const struct verdict *v,
			enum reply reply)
{
	const struct refusal f = { at, reply, v, address_text(who), false };

	tell_refusal(s, &f);
}

void audit_refused_line(const struct session *s, struct slice line)
{
	const struct refusal f = {
		slice_starts_fold(line, SLICE_OF("mail")) ? "mail" : "rcpt", (enum reply)s->smtp.last_reply, NULL, line, true
	};

	tell_refusal(s, &f);
}
