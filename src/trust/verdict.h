/*
 * May they say that: the two judgements, at MAIL and after the header (R3-R5, R8-R11, R14-R16,
 * R21). Pure.
 */
#ifndef TRUST_VERDICT_H
#define TRUST_VERDICT_H

#include "mail/from.h"
#include "mail/header.h"
#include "trust/trust.h"

enum trust_reason {
	REASON_NONE,
	REASON_NO_AUTH,			/* nobody at all: 530, never let pass by action = log */
	REASON_NOT_OWN_ENVELOPE,	/* MAIL FROM is not an address of the account */
	REASON_ENVELOPE_MALFORMED,
	REASON_NULL_DENIED,		/* <>: null_sender = deny, or a device */
	REASON_HEADER_DEFECT,		/* see verdict.defects */
	REASON_FROM_MISSING,
	REASON_FROM_SEVERAL_FIELDS,
	REASON_FROM_UNREADABLE,		/* see verdict.from */
	REASON_FROM_NOT_OWN,
	REASON_FROM_NOT_EXACT,		/* match = exact: differs from the envelope */
	REASON_DISPLAY_ADDRESS,		/* display_addr = refuse */
	REASON_SENDER_NOT_OWN,		/* Sender: is not one mailbox of the account (R10) */
	REASON_RESENT,			/* Resent-From: or Resent-Sender: likewise (R10) */
};

/* What envelope and From: have to do with who speaks; looked at at level 1 as well (R3). */
enum trust_match_result {
	MATCH_NO,
	MATCH_YES,
	MATCH_UNKNOWN,			/* not looked at: nobody, a peer, <>, no header yet */
};

struct verdict {
	bool pass;			/* what the level says; `action` is what to do about it */
	uint8_t level;			/* enum trust_level applied; DEFAULT for nobody and peers */
	uint8_t action;			/* enum trust_action: LOG, TAG let a failed verdict pass */
	uint8_t reason;			/* enum trust_reason; NONE when passed */
	uint8_t from;			/* enum from_verdict of the first From: */
	uint8_t envelope_match, from_match;	/* enum trust_match_result */
	bool display_address;		/* R9: to be logged as display_addr=1 */
	unsigned defects;		/* enum header_defect */
	struct address from_address;	/* what the first From: says; null when unreadable */
};
/*
 * For `reason=`: the trust reason, or the more precise name of the defect or of what is wrong
 * with From:. "none" when passed.
 */
const char *verdict_reason(const struct verdict *v);

/* Both judgements write the whole of *v. At MAIL (R4, R11, R14): */
void trust_judge_mail(const struct trust *t, const struct principal *p,
		      const struct address *sender, struct verdict *v);
/*
 * After the final dot (R5-R11); header_finish has been called. What was judged at MAIL is not
 * judged again, but envelope_match is filled, so that this verdict alone is enough for the audit
 * record.
 */
void trust_judge_header(const struct trust *t, const struct principal *p,
			const struct address *sender, const struct header *header,
			struct verdict *v);

#endif
