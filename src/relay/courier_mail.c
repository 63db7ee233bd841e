/* One message at the upstream: whose it is, for whom, and what the upstream says to that. */
#include <stdio.h>

#include "base/log.h"
#include "relay/courier_inner.h"
#include "relay/denial.h"
#include "relay/login.h"

static void begin_mail(struct courier *c)
{
	struct attempt *a = c->attempt;

	c->mail = (struct smtp_client_mail){
		.sender = attempt_sender(a, c->settings),
		.size = a->message.size,
		.body_8bit = a->message.envelope.body_8bit,
		.recipients = a->group,
		.recipient_count = a->group_count,
	};
	c->sent = 0;
	c->sending = c->denied = false;
	c->begun = true;
	c->mails++;
	smtp_client_mail(&c->smtp, &c->mail);
	c->deadline = courier_patience(c);
}

/* Now, or when the route's rate allows it. */
static void begin_in_turn(struct courier *c)
{
	int64_t at = c->house->calls.pace(c->relay, c);

	c->held = at > loop_now(c->house->loop);
	if (c->held)
		c->deadline = at;
	else
		begin_mail(c);
}

bool courier_is_used_up(const struct courier *c)
{
	unsigned most = courier_route(c)->messages_per_connection;

	return most && c->mails >= most;
}

/* RFC 1870 6.1: what the upstream has said it won't take isn't offered. */
static bool refuse_too_large(struct courier *c)
{
	if (smtp_client_fits(&c->smtp, c->attempt->message.size))
		return false;
	attempt_group_verdict(c->attempt, 552,
			      SLICE_OF("5.3.4 message is larger than the next server's SIZE allows"), true);
	courier_group_done(c);
	return true;
}

bool courier_begin(struct courier *c)
{
	if (refuse_too_large(c))
		return false;
	c->stage = COURIER_TALKING;
	begin_in_turn(c);
	return true;
}

/*
 * [return] envelope = auto: an upstream that refuses <> gets the return address instead (R48). Not only MAIL may say so: others look
 * at the sender when RCPT comes, or after the final dot. What is clearly about something else is no reason.
 */
static bool refuses_null(const struct courier *c, enum smtp_client_stage stage, const struct smtp_upstream_reply *reply)
{
	static const char *const senders[] = { "5.0.0", "5.7.", "5.1.7", "5.1.8" };	/* 5.0.0: no status was given */
	const struct attempt *a = c->attempt;
	struct slice status;

	if (reply->code / 100 != 5 || login_is_code(reply->code) || !a->message.envelope.is_return ||
	    attempt_sender(a, c->settings).len || c->settings->return_envelope != RETURN_AUTO || !c->settings->return_from[0])
		return false;
	status = report_status(reply->code, upstream_text(reply));
	for (unsigned i = 0; i < sizeof(senders) / sizeof(senders[0]); i++)
		if (slice_starts(status, slice_of(senders[i])))
			return true;
	return stage == STAGE_MAIL;
}

/* READY follows, and sends it again; over another connection where this one may bear no more. */
static void use_address(struct courier *c)
{
	log_line(SEVERITY_NOTICE, "relay %s: %s refuses <>, the return address is used", route_name(courier_route(c)), c->address);
	c->attempt->null_refused = true;
	if (courier_is_used_up(c))
		courier_group_done(c);
}

/*
 * "Relay access denied" where POP before SMTP is in use (R43): no verdict on the mail, but on the door. Once in an attempt a fresh login
 * may open it.
 */
static bool door_is_shut(const struct courier *c, const struct smtp_client_event *e)
{
	return courier_route(c)->pop.use != POP_OFF &&
	       denial_is_of_relaying(e->reply->code, slice_bytes(e->reply->text, e->reply->len));
}

static void log_denial(const struct courier *c, const struct smtp_client_event *e)
{
	struct record line;

	record_start(&line, "relay-denied");
	record_word(&line, "id", c->attempt->id_text);
	record_word(&line, "relay", c->attempt->route_name);
	record_word(&line, "host", c->address);
	record_number(&line, "code", e->reply->code);
	record_text(&line, "reply", slice_bytes(e->reply->text, e->reply->len));
	log_record(SEVERITY_NOTICE, &line);
}

/* True: the attempt goes once more. A direct one can't: its client waits; but what is queued of it finds the door open. */
static bool knock_again(struct courier *c, const struct smtp_client_event *e)
{
	if (c->denied)
		return true;
	if (!c->pop || c->attempt->knocked || !pop_denied(c->pop, c->pop_login))
		return false;
	c->attempt->knocked = true;
	c->denied = !c->attempt->direct;
	log_denial(c, e);
	return c->denied;
}

static struct slice denied_words(const struct courier *c, const struct smtp_client_event *e, char text[FAULT_MAX])
{
	snprintf(text, FAULT_MAX, "%s; the server says: %u %.*s",
		 c->pop ? "no relaying after our POP login" : "no relaying: a mail program must fetch mail by POP first",
		 e->reply->code, e->reply->len, e->reply->text);
	return slice_of(text);
}

void courier_on_recipient(struct courier *c, const struct smtp_client_event *e)
{
	char text[FAULT_MAX];

	if (door_is_shut(c, e) && knock_again(c, e))
		attempt_recipient_again(c->attempt, e->recipient);
	else if (door_is_shut(c, e))
		attempt_recipient_reply(c->attempt, e->recipient, 0, denied_words(c, e, text));
	else if (!refuses_null(c, STAGE_RCPT, e->reply))
		attempt_recipient_reply(c->attempt, e->recipient, e->reply->code, upstream_text(e->reply));
}

/* MAIL was refused, and no recipient asked. */
static bool on_sender_denied(struct courier *c, const struct smtp_client_event *e)
{
	char text[FAULT_MAX];

	if (e->stage != STAGE_MAIL || !door_is_shut(c, e))
		return false;
	if (!knock_again(c, e))
		attempt_group_verdict(c->attempt, 0, denied_words(c, e, text), true);
	courier_group_done(c);
	return true;
}

void courier_on_sent(struct courier *c, const struct smtp_client_event *e)
{
	if (!door_is_shut(c, e) && refuses_null(c, e->stage, e->reply)) {
		use_address(c);
		return;
	}
	if (on_sender_denied(c, e))
		return;
	if (e->stage != STAGE_RCPT)
		attempt_group_verdict(c->attempt, e->reply->code, upstream_text(e->reply), e->stage == STAGE_MAIL);
	courier_group_done(c);
}
