#include "trust/verdict.h"

#include "trust/accounts.h"
#include "trust/lookup.h"

static const char *const reason_names[] = {
	[REASON_NONE] = "none",
	[REASON_NO_AUTH] = "no-auth",
	[REASON_NOT_OWN_ENVELOPE] = "envelope-not-own",
	[REASON_ENVELOPE_MALFORMED] = "envelope-malformed",
	[REASON_NULL_DENIED] = "null-sender",
	[REASON_HEADER_DEFECT] = "header",
	[REASON_FROM_MISSING] = "from-missing",
	[REASON_FROM_SEVERAL_FIELDS] = "from-fields",
	[REASON_FROM_UNREADABLE] = "from",
	[REASON_FROM_NOT_OWN] = "from-not-own",
	[REASON_FROM_NOT_EXACT] = "from-not-exact",
	[REASON_DISPLAY_ADDRESS] = "display-address",
	[REASON_SENDER_NOT_OWN] = "sender-not-own",
	[REASON_RESENT] = "resent",
};

const char *verdict_reason(const struct verdict *v)
{
	if (v->reason == REASON_HEADER_DEFECT)
		return header_defect_name(v->defects);
	if (v->reason == REASON_FROM_UNREADABLE)
		return from_verdict_name(v->from);
	return reason_names[v->reason];
}

struct claim {				/* who sends, and under which address */
	const struct trust *trust;
	const struct principal *principal;
	const struct address *sender;
};

/* Whether the address is one the principal may use; with_alias as for identity_is. */
static bool is_own(const struct claim *c, const struct address *address, bool with_alias)
{
	struct address_key key;
	struct identity id;

	if (!address_key(address, &key))
		return false;
	if (c->principal->kind == PRINCIPAL_DEVICE)
		return address_key_equal(&key, &c->principal->device->sender);
	if (c->principal->kind != PRINCIPAL_ACCOUNT)
		return false;
	identity_find(c->trust, &key, &id);
	return identity_is(&id, c->principal->account, with_alias);
}

static enum trust_match_result match_of(bool own)
{
	return own ? MATCH_YES : MATCH_NO;
}

/* Accounts and devices are judged; for nobody and peers there is no level. */
static bool is_judged(const struct claim *c)
{
	return c->principal->kind == PRINCIPAL_ACCOUNT || c->principal->kind == PRINCIPAL_DEVICE;
}

static uint8_t level_of(const struct claim *c)
{
	if (!is_judged(c))
		return LEVEL_DEFAULT;
	if (c->principal->kind == PRINCIPAL_ACCOUNT && c->principal->account->level != LEVEL_DEFAULT)
		return c->principal->account->level;
	return c->trust->policy.level;
}

/* Logging instead of refusing is never weaker than AUTH itself (R21). */
static uint8_t action_of(const struct claim *c)
{
	if (c->principal->kind == PRINCIPAL_NOBODY)
		return ACTION_REFUSE;
	if (c->principal->kind == PRINCIPAL_ACCOUNT && c->principal->account->action != ACTION_DEFAULT)
		return c->principal->account->action;
	return c->trust->policy.action != ACTION_DEFAULT ? c->trust->policy.action : ACTION_REFUSE;
}

static void start(const struct claim *c, struct verdict *v)
{
	*v = (struct verdict){
		.level = level_of(c),
		.action = action_of(c),
		.envelope_match = MATCH_UNKNOWN,
		.from_match = MATCH_UNKNOWN,
	};
	if (is_judged(c) && !address_is_null(c->sender))
		v->envelope_match = (uint8_t)match_of(is_own(c, c->sender, true));
}

static void finish(struct verdict *v, enum trust_reason reason)
{
	v->reason = (uint8_t)reason;
	v->pass = reason == REASON_NONE;
}

static enum trust_reason judge_null_sender(const struct claim *c)
{
	/* A machine that sends as one address has no receipts and vacation notes to send. */
	if (c->principal->kind == PRINCIPAL_DEVICE || c->trust->policy.null_sender == NULL_DENY)
		return REASON_NULL_DENIED;
	return REASON_NONE;
}

static enum trust_reason judge_envelope(const struct claim *c, const struct verdict *v)
{
	if (c->principal->kind == PRINCIPAL_PEER)
		return REASON_NONE;
	if (!is_judged(c))
		return REASON_NO_AUTH;
	if (v->level == LEVEL_AUTH)
		return REASON_NONE;
	if (address_is_null(c->sender))
		return judge_null_sender(c);
	if (!c->sender->well_formed)
		return REASON_ENVELOPE_MALFORMED;
	return v->envelope_match == MATCH_YES ? REASON_NONE : REASON_NOT_OWN_ENVELOPE;
}

void trust_judge_mail(const struct trust *t, const struct principal *p,
		      const struct address *sender, struct verdict *v)
{
	const struct claim c = { t, p, sender };

	start(&c, v);
	finish(v, judge_envelope(&c, v));
}

/* What the header says, at every level, for the log (R3). */
static void look_at_header(const struct claim *c, const struct header *h, struct verdict *v)
{
	bool own;

	v->defects = h->defects;
	v->from = FROM_EMPTY;
	/* A field that was cut would be read as something it doesn't say. */
	if (h->count[FIELD_FROM] > 0)
		v->from = h->defects & HEADER_FIELD_TOO_LONG
				  ? FROM_SYNTAX
				  : (uint8_t)from_read(header_body(h, FIELD_FROM), &v->from_address,
						       &v->display_address);
	if (v->from != FROM_OK)
		v->from_address = (struct address){ 0 };
	if (!is_judged(c))
		return;
	own = h->count[FIELD_FROM] == 1 && is_own(c, &v->from_address, c->trust->policy.from_alias);
	v->from_match = (uint8_t)match_of(own);
}

/* One mailbox of the principal; aliases count, since it is From: that from_alias speaks of. */
static bool is_own_field(const struct claim *c, const struct header *h, enum header_field field)
{
	struct address mailbox;
	bool display;

	return h->count[field] == 1 &&
	       from_read(header_body(h, field), &mailbox, &display) == FROM_OK &&
	       is_own(c, &mailbox, true);
}

static bool is_exact(const struct claim *c, const struct address *from)
{
	struct address_key envelope, key;

	/* With <> there is nothing to compare: From: must be the account's, no more (R11). */
	if (c->trust->policy.match != MATCH_EXACT || address_is_null(c->sender))
		return true;
	return address_key(c->sender, &envelope) && address_key(from, &key) &&
	       address_key_equal(&envelope, &key);
}

/* R8. */
static enum trust_reason judge_from(const struct claim *c, const struct header *h, const struct verdict *v)
{
	if (v->defects)
		return REASON_HEADER_DEFECT;
	if (h->count[FIELD_FROM] == 0)
		return REASON_FROM_MISSING;
	if (h->count[FIELD_FROM] > 1)
		return REASON_FROM_SEVERAL_FIELDS;
	if (v->from != FROM_OK)
		return REASON_FROM_UNREADABLE;
	if (v->from_match != MATCH_YES)
		return REASON_FROM_NOT_OWN;
	if (!is_exact(c, &v->from_address))
		return REASON_FROM_NOT_EXACT;
	if (v->display_address && c->trust->policy.display_addr == DISPLAY_REFUSE)
		return REASON_DISPLAY_ADDRESS;
	return REASON_NONE;
}

/* R10. */
static enum trust_reason judge_others(const struct claim *c, const struct header *h)
{
	static const struct {
		enum header_field field;
		enum trust_reason reason;
	} fields[] = {
		{ FIELD_SENDER, REASON_SENDER_NOT_OWN },
		{ FIELD_RESENT_FROM, REASON_RESENT },
		{ FIELD_RESENT_SENDER, REASON_RESENT },
	};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (h->count[fields[i].field] > 0 && !is_own_field(c, h, fields[i].field))
			return fields[i].reason;
	return REASON_NONE;
}

static enum trust_reason judge_header(const struct claim *c, const struct header *h, const struct verdict *v)
{
	bool by_null = v->level == LEVEL_ENVELOPE && address_is_null(c->sender) &&
		       c->trust->policy.null_sender == NULL_FROM;
	enum trust_reason reason;

	if (c->principal->kind == PRINCIPAL_NOBODY)
		return REASON_NO_AUTH;
	if (v->level != LEVEL_FROM && !by_null)
		return REASON_NONE;
	reason = judge_from(c, h, v);
	if (reason == REASON_NONE && v->level == LEVEL_FROM)
		reason = judge_others(c, h);
	return reason;
}

void trust_judge_header(const struct trust *t, const struct principal *p,
			const struct address *sender, const struct header *header,
			struct verdict *v)
{
	const struct claim c = { t, p, sender };

	start(&c, v);
	look_at_header(&c, header, v);
	finish(v, judge_header(&c, header, v));
}
