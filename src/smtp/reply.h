/*
 * What the server says: one table of code, enhanced code (RFC 2034, 3463) and text. Texts of the seed's session
 * are the seed's, byte for byte (R22). Pure.
 */
#ifndef SMTP_REPLY_H
#define SMTP_REPLY_H

#include "base/buffer.h"

enum reply {
	REPLY_NONE,
	/* the session */
	REPLY_GREETING,			/* 220 HOST ESMTP Sekimori */
	REPLY_HELO,			/* 250 HOST Hello [CLIENT], pleased to meet you */
	REPLY_BYE,			/* 221 2.0.0 HOST closing connection. */
	REPLY_OK,			/* 250 2.0.0 OK */
	REPLY_VRFY,			/* 252 2.5.2 … */
	REPLY_HELP,			/* 214 2.0.0 … */
	REPLY_TLS_READY,		/* 220 2.0.0 Ready to start TLS */
	REPLY_TLS_UNAVAILABLE,		/* 454 4.7.0 */
	REPLY_SHUTDOWN,			/* 421 4.3.2 HOST shutting down */
	REPLY_TOO_BUSY,			/* 421 4.3.2 HOST too busy */
	REPLY_TOO_MANY_FROM_CLIENT,	/* 421 4.7.0 too many connections from your address */
	REPLY_TIMEOUT,			/* 421 4.4.2 */
	REPLY_TOO_SLOW,			/* 421 4.4.2 data rate */
	REPLY_TOO_MANY_ERRORS,		/* 421 4.7.0 */
	/* commands */
	REPLY_UNKNOWN_COMMAND,		/* 500 5.5.2 */
	REPLY_LINE_TOO_LONG,		/* 500 5.5.6; then the session ends */
	REPLY_BAD_LINE_END,		/* 500 5.5.2 bare CR, LF or NUL in a command; then the session ends */
	REPLY_SYNTAX,			/* 501 5.5.4 */
	REPLY_NOT_IMPLEMENTED,		/* 502 5.5.1; BDAT ends the session with it (R33) */
	REPLY_BAD_SEQUENCE,		/* 503 5.5.1 */
	REPLY_UNKNOWN_PARAMETER,	/* 555 5.5.4 */
	/* AUTH, RFC 4954 */
	REPLY_AUTH_OK,			/* 235 2.7.0 Authentication successful. */
	REPLY_AUTH_CHALLENGE,		/* 334 <argument> */
	REPLY_AUTH_FAILED,		/* 535 5.7.8 */
	REPLY_AUTH_TEMPORARY,		/* 454 4.7.0 */
	REPLY_AUTH_CANCELLED,		/* 501 5.7.0 */
	REPLY_AUTH_BASE64,		/* 501 5.5.2 */
	REPLY_AUTH_MECHANISM,		/* 504 5.5.4 */
	REPLY_AUTH_ALREADY,		/* 503 5.5.1 */
	REPLY_AUTH_NEEDS_TLS,		/* 538 5.7.11 */
	REPLY_AUTH_TOO_MANY,		/* 421 4.7.0 */
	REPLY_AUTH_REQUIRED,		/* 530 5.7.0 Authentication required */
	/* MAIL */
	REPLY_SENDER_OK,		/* 250 2.1.0 <argument>... Sender ok. */
	REPLY_SENDER_SYNTAX,		/* 501 5.1.7 */
	REPLY_SENDER_REFUSED,		/* 550 5.7.1 Please mail to a valid e-mail address. */
	REPLY_SENDER_NON_ASCII,		/* 553 5.6.7 */
	REPLY_SENDER_ROUTE,		/* 553 5.1.7 */
	REPLY_TOO_LARGE,		/* 552 5.3.4 */
	REPLY_DISK_FULL,		/* 452 4.3.1 */
	/* RCPT */
	REPLY_RECIPIENT_OK,		/* 250 2.1.5 <argument>... Recipient ok. */
	REPLY_RECIPIENT_SYNTAX,		/* 501 5.1.3 */
	REPLY_RECIPIENT_NON_ASCII,	/* 553 5.6.7 */
	REPLY_RECIPIENT_ROUTE,		/* 553 5.1.3 */
	REPLY_RELAY_DENIED,		/* 550 5.7.1 */
	REPLY_TOO_MANY_RECIPIENTS,	/* 452 4.5.3 */
	REPLY_NO_RECIPIENTS,		/* 503 5.5.1 (DATA without a recipient) */
	/* DATA */
	REPLY_START_INPUT,		/* 354 Start mail input;id <argument> end with <CRLF>.<CRLF> */
	REPLY_ACCEPTED,			/* 250 2.0.0 <argument>... Message accepted for delivery. */
	REPLY_FILTERED,			/* 552 5.7.1 Requested mail action aborted: caught by the filter setting. */
	REPLY_BARE_CR_LF,		/* 550 5.6.0 */
	REPLY_HEADER_CONTINUES,		/* 550 5.6.0 the first line continues no field of the client's: it would continue ours */
	REPLY_LOOP,			/* 554 5.4.6 */
	REPLY_SPOOL_FAILED,		/* 451 4.3.0 */
	REPLY_PASSED,			/* another server's answer: reply_put_passed; has no code of its own */
	REPLY_COUNT
};

/* The three-digit code. */
unsigned reply_code(enum reply id);

/*
 * Appends the whole reply with CRLF; `argument` (may be empty) takes the place of `%` in the text, made printable.
 * Addresses and queue ids are given bare: the angle brackets are the text's.
 * With enhanced false the enhanced code is left out. False when there is no room.
 */
bool reply_put(struct buffer *out, enum reply id, struct slice argument, bool enhanced);
/*
 * The answer of another server to the message `id`: "250 2.0.0 <id>... WORDS". An enhanced code of the class of `code` at the start of
 * `words` is taken for ours, else it is X.0.0.
 */
bool reply_put_passed(struct buffer *out, unsigned code, struct slice id, struct slice words, bool enhanced);

#endif
