/*
 * The client's half of an SMTP session: greeting, EHLO, STARTTLS, AUTH (smtp/proof.h),
 * then any number of messages, pipelined where offered. Pure: see smtp/server.h for the manner. A
 * state is entered by sending; the reply to it is handled by the row of its state in one table.
 *
 * A message: smtp_client_mail; a RECIPIENT for each recipient, in order; CONTENT, answered by
 * smtp_client_content_end; SENT. SENT comes earlier when MAIL, DATA or all recipients are refused:
 * as soon as the verdict is certain, so that a connection lost behind it takes nothing away. READY
 * follows when the session can take the next message (between them, replies to what was pipelined
 * are swallowed, and a 354 that came all the same is answered with a lone dot).
 *
 * `out` needs room for one command when it is empty: SMTP_REPLY_MAX octets are enough, with a token
 * SMTP_COMMAND_MAX.
 */
#ifndef SMTP_CLIENT_H
#define SMTP_CLIENT_H

#include "base/base64.h"
#include "base/buffer.h"
#include "smtp/proof.h"
#include "smtp/server.h"	/* enum smtp_mechanism */
#include "smtp/upstream.h"	/* struct smtp_upstream_reply */

#define SMTP_COMMAND_MAX	(BASE64_LENGTH(TOKEN_MAX + LOGIN_MAX + 32) + 32)	/* octets: AUTH with a token */

enum smtp_client_event_type {
	SMTP_CLIENT_MORE,	/* feed more */
	SMTP_CLIENT_ROOM,	/* `out` is full: send, feed again (the input may be empty) */
	SMTP_CLIENT_TLS,	/* drop input read so far, handshake, then smtp_client_secured */
	SMTP_CLIENT_CHALLENGE,	/* event.challenge of CRAM-MD5: answer smtp_client_respond */
	SMTP_CLIENT_PROVE,	/* event.scram: answer smtp_client_prove, at once or later */
	SMTP_CLIENT_READY,	/* smtp_client_mail or smtp_client_quit may be called */
	SMTP_CLIENT_RECIPIENT,	/* event.reply to recipient event.recipient, in order */
	SMTP_CLIENT_CONTENT,	/* put the content into the stream, then smtp_client_content_end */
	SMTP_CLIENT_SENT,	/* the message's own verdict, see smtp_client_event */
	SMTP_CLIENT_FAILED,	/* the session is of no use: event.stage, event.reply; close */
	SMTP_CLIENT_CLOSED,	/* QUIT was answered: close */
};

/* Where something failed; words for the log by smtp_client_stage_name. */
enum smtp_client_stage {
	STAGE_GREETING, STAGE_EHLO, STAGE_STARTTLS, STAGE_AUTH,
	STAGE_MAIL,		/* also between messages */
	STAGE_RCPT, STAGE_DATA, STAGE_CONTENT, STAGE_END,
	STAGE_RSET,		/* RSET, and the swallowing after a message that was refused */
	STAGE_QUIT,
	STAGE_PROTOCOL		/* nonsense, endless or over-long replies, or unasked for */
};
const char *smtp_client_stage_name(enum smtp_client_stage stage);

/*
 * SENT, by stage: STAGE_MAIL: event.reply (4xx, 5xx) is for all recipients. STAGE_RCPT: every
 * recipient was refused, or it was a rehearsal; only the RECIPIENT events count (event.reply is the last of them again).
 * STAGE_DATA (4xx, 5xx) and STAGE_END (2xx, 4xx, 5xx): event.reply is for those recipients whose
 * RECIPIENT was 2xx.
 *
 * FAILED: no SENT will come for the message under way. RECIPIENT events that were refusals stand;
 * those that were 2xx mean nothing. A reply of code 0 is no reply of the upstream, its text is our
 * reason. With STAGE_PROTOCOL the reply is no verdict, whatever its code. See smtp_client_in_doubt.
 */
struct smtp_client_event {
	enum smtp_client_event_type type;
	enum smtp_client_stage stage;		/* of FAILED and SENT */
	unsigned recipient;			/* of RECIPIENT: index from 0 */
	const struct smtp_upstream_reply *reply;	/* valid until the next call */
	struct slice challenge;			/* decoded; valid until the answer */
	const struct proof_scram *scram;	/* of PROVE; valid until the answer */
};

/* What does not change during a session; strings outlive it. */
struct smtp_client_settings {
	struct slice helo;		/* our host name */
	bool starttls;			/* TLS is demanded: without it STAGE_STARTTLS fails */
	bool secured;			/* TLS from the first byte */
	unsigned mechanisms;		/* allowed by configuration; 0: no login */
	bool login_optional;		/* no AUTH offered at all: goes on without (another login, by POP, counts) */
	struct slice user, password;	/* with mechanisms; none offered: fails at STAGE_AUTH */
	struct slice nonce;		/* with SASL_SCRAM_SHA_256: of this session only */
	struct slice token;		/* with SASL_XOAUTH2, in place of the password */
};

/* One message to send: the caller's, unchanged until SMTP_CLIENT_SENT. */
struct smtp_client_mail {
	struct slice sender;		/* without brackets; empty for <> */
	uint64_t size;			/* octets; sent as SIZE= where offered; 0: not known */
	bool body_8bit;			/* BODY=8BITMIME where offered */
	bool rehearsal;			/* no DATA: SENT of STAGE_RCPT comes behind the last recipient, who may be none, and RSET before READY */
	const struct slice *recipients;	/* without brackets */
	unsigned recipient_count;
};

enum smtp_extension {		/* bits of what EHLO offered */
	EXT_PIPELINING = 1 << 0, EXT_SIZE = 1 << 1, EXT_8BITMIME = 1 << 2, EXT_STARTTLS = 1 << 3,
	EXT_ENHANCED = 1 << 4, EXT_AUTH = 1 << 5
};

/* All that belongs to one message; zero at READY. */
struct smtp_client_transaction {
	const struct smtp_client_mail *mail;
	unsigned last_command;		/* n+1; n of a rehearsal */
	unsigned next_command;		/* 0 MAIL, 1..n RCPT, n+1 DATA: next to be sent */
	unsigned next_reply;		/* likewise: next to be answered */
	unsigned accepted;		/* recipients */
	bool in_doubt;			/* final dot sent, no verdict yet */
};

struct smtp_client {
	const struct smtp_client_settings *settings;
	uint8_t state;
	uint8_t failed;			/* enum smtp_client_stage of FAILED */
	bool secured;
	bool waiting;			/* the command of the state has been sent */
	bool rset_due;			/* the last message did not end well */
	uint8_t mechanism;		/* enum smtp_mechanism of the login; 0: none was begun */
	unsigned extensions;		/* enum smtp_extension */
	unsigned mechanisms;		/* offered */
	uint64_t size_limit;		/* of 250-SIZE; 0: none stated */
	struct smtp_client_transaction transaction;
	struct upstream upstream;	/* the reply being read, then the last one */
	char challenge[SMTP_REPLY_TEXT_MAX];	/* decoded */
	struct proof_scram scram;
};

void smtp_client_init(struct smtp_client *c, const struct smtp_client_settings *settings);
/*
 * Bytes consumed; one event. As smtp_server_feed. Input is to be fed whenever there is some, also
 * after READY and CONTENT, before smtp_client_mail or smtp_client_content_end is called: a 421 is
 * heard at once, and a reply that nobody asked for fails the session instead of passing for the
 * next one.
 */
size_t smtp_client_feed(struct smtp_client *c, struct slice in, struct buffer *out,
			struct smtp_client_event *event);

/* Allowed after READY only. The next feed (with whatever input, also none) sends. */
void smtp_client_mail(struct smtp_client *c, const struct smtp_client_mail *mail);
/*
 * The content has been put into the stream, in wire form without the final dot; `crlf`: it ended
 * in CRLF, or is empty. Puts the dot. False when `out` has no room for it: call again; also when no
 * content is due.
 */
bool smtp_client_content_end(struct smtp_client *c, struct buffer *out, bool crlf);
/*
 * CRAM-MD5: HMAC-MD5 of the challenge, 32 hex digits; sends user and digest. False when `out` has
 * no room: call again; also when no answer is due.
 */
bool smtp_client_respond(struct smtp_client *c, struct buffer *out, struct slice hex);
/*
 * SCRAM: ClientProof and ServerSignature for scram->message, of salt, iterations and the password (RFC 5802 section 3). False
 * when `out` has no room: call again; also when no answer is due. A server that doesn't show that signature
 * fails the login: it does not know the password, whoever it is.
 */
bool smtp_client_prove(struct smtp_client *c, struct buffer *out, const uint8_t proof[PROOF_KEY_SIZE],
		       const uint8_t signature[PROOF_KEY_SIZE]);
/* TLS is up: forgets all that was said before (RFC 3207 4.2). */
void smtp_client_secured(struct smtp_client *c);
/* Allowed after READY only; the next feed sends. */
void smtp_client_quit(struct smtp_client *c);
/* After READY: whether the upstream's SIZE allows so many octets. */
bool smtp_client_fits(const struct smtp_client *c, uint64_t size);

/* For a connection that is lost: what was under way; after FAILED its stage. */
enum smtp_client_stage smtp_client_stage(const struct smtp_client *c);
/*
 * The final dot has been put into `out` and no verdict has come: it is not known whether the
 * upstream has the message, which may only be tried again at the same host. Stays true when
 * nonsense came in place of a verdict.
 */
bool smtp_client_in_doubt(const struct smtp_client *c);

#endif
