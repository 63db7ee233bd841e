/*
 * Return mail, and notices of delay: multipart/report; report-type=delivery-status (RFC 3462, 3464) in Japanese,
 * English, or both, with the words of the server that refused and the header of the mail that
 * comes back. Pure; written in pieces to a sink, since it may be larger than any buffer here.
 */
#ifndef MAIL_REPORT_H
#define MAIL_REPORT_H

#include "base/slice.h"

enum report_language { REPORT_JA = 1, REPORT_EN = 2 };	/* bits */

enum report_cause {
	REPORT_REFUSED,		/* the next server refused: 5xx */
	REPORT_EXPIRED,		/* tried until [queue] expire */
	REPORT_WITHDRAWN,	/* given up by the administrator */
	REPORT_DELAYED,		/* not yet: it will be tried until `until` */
};

struct report_recipient {
	struct slice address;		/* Final-Recipient: rfc822; … */
	struct slice status;		/* "5.1.1": of report_status; empty: by the cause */
	unsigned code;			/* of the server's reply; 0: the words are our own, or begin with it */
	struct slice diagnostic;	/* the server's words, without CR LF; may be empty */
	struct slice remote;		/* host that said so; may be empty */
	enum report_cause cause;
};

struct report {
	struct slice from;		/* [return] from: the header From: */
	struct slice to;		/* envelope sender of the mail that comes back */
	struct slice hostname;		/* Reporting-MTA, Message-ID */
	struct slice id;		/* queue id of this report, for Message-ID and boundary */
	struct slice original_id;	/* queue id of the mail that comes back */
	unsigned languages;		/* enum report_language */
	int64_t wall, arrived;		/* now, and when the original came; seconds */
	int64_t until;			/* delayed mail is tried until then; 0: this is no notice of delay but the end */
	int zone;			/* minutes east */
	const struct report_recipient *recipients;
	size_t recipient_count;
	struct slice header;		/* of the original, wire form (dot-stuffed); may be cut */
};

/* Takes a piece; false ends the writing. */
typedef bool report_sink(void *context, struct slice piece);

/*
 * Writes the whole mail in wire form (CRLF, dot-stuffed, without the final dot), 7-bit clean:
 * Japanese is Base64 of UTF-8, the Subject an encoded-word, foreign words are made printable.
 * Auto-Submitted: auto-replied (RFC 3834) is set. False when the sink said so.
 */
bool report_write(const struct report *r, report_sink *sink, void *context);

/*
 * The enhanced status code (RFC 3463) at the start of a reply's text, when it fits the code's
 * class; else "4.0.0" or "5.0.0". The result points into text or at a constant.
 */
struct slice report_status(unsigned code, struct slice text);

#endif
