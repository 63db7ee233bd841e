/*
 * Commands of SMTP: the one table of verbs, and the arguments of MAIL and RCPT (RFC 5321 4.1.2, 4.1.1.11). Pure.
 */
#ifndef SMTP_COMMAND_H
#define SMTP_COMMAND_H

#include "mail/address.h"
#include "smtp/reply.h"

enum verb {
	VERB_HELO, VERB_EHLO, VERB_MAIL, VERB_RCPT, VERB_DATA, VERB_RSET, VERB_NOOP, VERB_VRFY, VERB_EXPN, VERB_HELP,
	VERB_QUIT, VERB_STARTTLS, VERB_AUTH, VERB_BDAT, VERB_UNKNOWN
};

enum verb_flag {			/* bits */
	VERB_NEEDS_AUTH		= 1 << 0,
	VERB_ENDS_PIPELINE	= 1 << 1,	/* must be the last of a group: input behind it is dropped (STARTTLS) or content (DATA), never commands (R34) */
	VERB_IS_SECRET		= 1 << 2,	/* its line is never shown */
	VERB_NO_ARGUMENT	= 1 << 3,	/* 501 with one */
	VERB_TAKES_PATH		= 1 << 4,	/* 8-bit and control characters in its argument are the path's to judge; else 501 */
	VERB_ENDS_SESSION	= 1 << 5,	/* nothing behind it is read */
};

struct verb_row {
	struct slice name;
	enum verb verb;
	uint8_t phases;			/* 1 << enum smtp_phase where it is legal, else 503; 0: known but not implemented, 502 */
	uint8_t flags;
};

/* The row of the line's first word (any case), *argument what follows, trimmed. Never NULL: VERB_UNKNOWN's row at the end. */
const struct verb_row *command_find(struct slice line, struct slice *argument);

/* The row of a verb. */
const struct verb_row *command_row(enum verb verb);

/* Arguments of MAIL: `FROM:<path> [SP parameters]`. REPLY_NONE when good, else the refusal. */
struct mail_arguments {
	struct address sender;
	uint64_t size;
	bool body_8bit;
};
enum reply command_mail(struct slice argument, bool extended, struct mail_arguments *out);
/* Of RCPT: `TO:<path>`; no parameter is known: 555. */
enum reply command_rcpt(struct slice argument, struct address *out);

#endif
