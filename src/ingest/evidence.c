#include "ingest/evidence.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "ingest/stamping.h"
#include "mail/fields.h"

/* RFC 3848: by EHLO, TLS, AUTH. */
static const char *protocol(const struct session *s)
{
	static const char *const names[2][2] = { { "ESMTP", "ESMTPA" }, { "ESMTPS", "ESMTPSA" } };

	return s->smtp.extended ? names[s->smtp.secured][s->smtp.authenticated] : "SMTP";
}

static bool write_received(struct buffer *out, const struct session *s)
{
	const struct transaction *t = s->transaction;
	char tls[128] = "";
	struct received r = {
		.helo = smtp_server_helo(&s->smtp),
		.client = slice_of(s->client_text),
		.by = slice_of(s->settings->hostname),
		.with = protocol(s),
		.id = slice_of(t->id),
		.recipient = transaction_single_recipient(t),
		.wall = clock_wall(),
	};

	if (s->smtp.secured)
		snprintf(tls, sizeof(tls), "%s cipher %s", tls_version(s->stream.tls), tls_cipher(s->stream.tls));
	r.tls = slice_of(tls);
	r.zone = clock_zone(r.wall);
	return fields_received(out, &r);
}

static bool write_results(struct buffer *out, const struct session *s)
{
	struct auth_results a = {
		.by = slice_of(s->settings->hostname),
		.account = slice_of(""),
		.mail_from = address_text(&s->transaction->mail.sender),
	};

	if (s->principal.kind == PRINCIPAL_ACCOUNT)
		a.account = principal_name(&s->principal);
	return fields_auth_results(out, &a);
}

static bool write_tag(struct buffer *out, const struct transaction *t)
{
	const struct verdict *v = transaction_verdict(t);

	if (v->pass || v->action != ACTION_TAG)
		return true;
	return buffer_putf(out, "X-Sekimori-Verdict: would=%s reason=%s\r\n",
			   t->envelope_verdict.pass ? "552" : "550", verdict_reason(v));
}

/* Mail that is relayed for another server is not ours to complete (RFC 6409 8). */
static bool is_submission(const struct session *s)
{
	return s->principal.kind == PRINCIPAL_ACCOUNT || s->principal.kind == PRINCIPAL_DEVICE;
}

static bool lacks(const struct session *s, const struct transaction *t, enum header_field field)
{
	return is_submission(s) && !t->header.count[field];
}

const char *evidence_repairs(const struct session *s, const struct transaction *t)
{
	static const char *const names[2][2][2] = {
		{ { NULL, "date" }, { "message-id", "date,message-id" } },
		{ { "from", "from,date" }, { "from,message-id", "from,date,message-id" } },
	};

	return names[transaction_rewrites_from(t)][lacks(s, t, FIELD_MESSAGE_ID)][lacks(s, t, FIELD_DATE)];
}

/* Of the message as it leaves; `made` is memory for one that we give it. */
static struct slice message_id(const struct session *s, int64_t wall, char *made, size_t size)
{
	int n;

	if (!lacks(s, s->transaction, FIELD_MESSAGE_ID))
		return transaction_message_id(s->transaction);
	n = snprintf(made, size, "<%s.%" PRId64 "@%s>", s->transaction->id, wall, s->settings->hostname);
	return slice_bytes(made, n > 0 && (size_t)n < size ? (size_t)n : 0);
}

static bool write_repairs(struct buffer *out, const struct session *s, int64_t wall, struct slice id)
{
	if (transaction_rewrites_from(s->transaction))
		buffer_putf(out, "From:%.*s\r\n", SLICE_ARGS(header_body(&s->transaction->header, FIELD_FROM)));
	if (lacks(s, s->transaction, FIELD_DATE)) {
		buffer_put_text(out, "Date: ");
		fields_date(out, wall, clock_zone(wall));
		buffer_put_text(out, "\r\n");
	}
	if (lacks(s, s->transaction, FIELD_MESSAGE_ID))
		buffer_putf(out, "Message-ID: %.*s\r\n", SLICE_ARGS(id));
	return !out->overflow;
}

bool evidence_write(struct buffer *out, const struct session *s)
{
	char made[HOST_MAX + 64];
	int64_t wall = clock_wall();
	struct slice id = message_id(s, wall, made, sizeof(made));

	return write_received(out, s) && write_results(out, s) && stamping_write(out, s, wall, id) &&
	       write_tag(out, s->transaction) && write_repairs(out, s, wall, id);
}
