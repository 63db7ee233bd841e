/*
 * The server's half of an SMTP session: RFC 5321, 1870 (SIZE), 2034 (ENHANCEDSTATUSCODES), 2920 (PIPELINING),
 * 3207 (STARTTLS), 4954 (AUTH), 6152 (8BITMIME). Pure: bytes in, replies and events out; whoever holds the session acts on an
 * event and answers it.
 *
 * A turn: smtp_server_feed(s, input, out, &event) consumes bytes (its result) and stops at the first event. Events
 * marked `answer` must be answered, at once or later, with the function named before anything is fed again; nothing that
 * follows in the input has been looked at by then. Bytes not consumed are fed again, together with what has come since.
 */
#ifndef SMTP_SERVER_H
#define SMTP_SERVER_H

#include "base/buffer.h"
#include "mail/address.h"
#include "smtp/reply.h"

enum smtp_mechanism {		/* bits */
	SASL_PLAIN = 1 << 0, SASL_LOGIN = 1 << 1, SASL_CRAM_MD5 = 1 << 2,
	SASL_SCRAM_SHA_256 = 1 << 3, SASL_XOAUTH2 = 1 << 4	/* as a client only */
};
/* "PLAIN", …; of one bit. */
const char *smtp_mechanism_name(enum smtp_mechanism m);

enum smtp_server_event_type {
	SMTP_SERVER_MORE,	/* all that can be done is done: feed more */
	SMTP_SERVER_ROOM,	/* `out` has less than SMTP_REPLY_MAX free: send some of it, feed again */
	SMTP_SERVER_LOGIN,	/* answer smtp_server_login_done: who is event.login? */
	SMTP_SERVER_MAIL,	/* answer smtp_server_answer: may event.mail send? */
	SMTP_SERVER_RCPT,	/* answer: event.rcpt; */
	SMTP_SERVER_DATA,	/* answer: REPLY_START_INPUT, or a refusal */
	SMTP_SERVER_CONTENT,	/* event.content: octets of the message as on the wire; no answer */
	SMTP_SERVER_END,	/* answer: the message is complete; REPLY_ACCEPTED or a refusal */
	SMTP_SERVER_RESET,	/* the transaction, if any, is void (RSET, EHLO, STARTTLS); the reply is in out; no answer */
	SMTP_SERVER_TLS,	/* send `out`, drop all input read so far (R34), handshake, then smtp_server_secured */
	SMTP_SERVER_CLOSE,	/* send `out`, then close */
};

struct smtp_login {
	enum smtp_mechanism mechanism;
	struct slice authzid;		/* PLAIN only; may be empty */
	struct slice authcid;		/* as typed; never empty (the empty ID has been answered 535) */
	struct slice password;		/* PLAIN, LOGIN */
	struct slice challenge;		/* CRAM-MD5: the challenge as sent, decoded */
	struct slice response;		/* CRAM-MD5: the 32 lower-case hex digits of the client */
};

struct smtp_mail {
	struct address sender;
	uint64_t size;			/* SIZE=, 0 when not given */
	bool body_8bit;			/* BODY=8BITMIME */
};

struct smtp_server_event {
	enum smtp_server_event_type type;
	union {
		struct smtp_login login;	/* slices valid until the answer */
		struct smtp_mail mail;
		struct address rcpt;
		struct slice content;		/* into the input */
		struct {
			bool bare_cr_lf;	/* CR, LF or NUL out of place in the content: to be refused (R31) */
			uint64_t size;		/* octets of the content on the wire */
		} end;
		bool had_tls_input;
	};
};

/* What does not change during a session; the strings outlive it. */
struct smtp_server_settings {
	struct slice hostname;
	struct slice client;		/* "[192.0.2.1]", for the EHLO reply */
	bool enhanced_codes;
	bool starttls;			/* offer STARTTLS while not secured */
	unsigned mechanisms;		/* enum smtp_mechanism: what our accounts can do */
	bool plaintext_auth;		/* this client may use PLAIN and LOGIN (and CRAM-MD5) without TLS (R62) */
	bool auth_required;		/* MAIL is 530 before AUTH; false for devices and peers */
	struct slice sender, mailbox;	/* of a client on this machine: its address, and where mail to local names goes; empty */
	unsigned auth_failures;		/* refused logins until 421 */
	uint64_t max_message_size;	/* octets; MAIL SIZE= above is 552 */
};

enum smtp_phase {
	PHASE_START,			/* no EHLO or HELO yet */
	PHASE_READY,			/* no transaction */
	PHASE_MAIL,			/* sender accepted */
	PHASE_RCPT,			/* at least one recipient accepted */
	PHASE_DATA,			/* content is coming */
	PHASE_CLOSED
};

struct smtp_server {
	const struct smtp_server_settings *settings;
	uint8_t phase;			/* enum smtp_phase */
	uint8_t waiting;		/* enum smtp_server_event_type whose answer is due; 0 for none */
	uint8_t auth_step;		/* where an AUTH exchange is */
	uint8_t auth_mechanism;
	uint8_t auth_failed;
	bool secured, authenticated, extended;	/* TLS is on; AUTH succeeded; EHLO rather than HELO */
	bool early;			/* input stood behind a command that ends a group (RFC 2920 3.1) */
	bool line_start, bad_line;	/* of the content: behind a CRLF; CR, LF or NUL out of place was seen */
	uint8_t last_reply;		/* enum reply: the latest; at SMTP_SERVER_CLOSE it says why */
	uint16_t verbs, errors;
	uint16_t scanned;		/* octets of an incomplete line looked at already */
	uint64_t content_size;
	char nonce[17];			/* makes CRAM-MD5 challenges fresh */
	uint32_t challenges;
	uint8_t helo_len;
	char helo[128];			/* as the client gave it, cut; printable */
	uint16_t authcid_len;
	char credentials[LOGIN_MAX * 2 + PASSWORD_MAX + 8];	/* decoded; wiped after the answer */
};

/* `nonce`: 16 characters that nobody can guess, for CRAM-MD5. Puts no greeting: see smtp_server_greet. */
void smtp_server_init(struct smtp_server *s, const struct smtp_server_settings *settings, const char nonce[16]);
bool smtp_server_greet(struct smtp_server *s, struct buffer *out);

size_t smtp_server_feed(struct smtp_server *s, struct slice in, struct buffer *out, struct smtp_server_event *event);

/*
 * Answers MAIL, RCPT, DATA, END with a reply of that command's; the session's phase follows from the
 * reply's first digit: a refused DATA, and END in any case, end the transaction without SMTP_SERVER_RESET. A 421 ends
 * the session (SMTP_SERVER_CLOSE at the next feed), and so does a refusal beyond SMTP_ERRORS_MAX, which a 421
 * takes the place of. `argument` as in reply_put: an address or a queue id without brackets.
 */
void smtp_server_answer(struct smtp_server *s, struct buffer *out, enum reply reply, struct slice argument);
/* Answers END with the answer of the server that the message was passed on to; never with a 421 (reply_put_passed). */
void smtp_server_pass_on(struct smtp_server *s, struct buffer *out, unsigned code, struct slice id, struct slice words);
/* Answers LOGIN with REPLY_AUTH_OK, REPLY_AUTH_FAILED, REPLY_AUTH_TEMPORARY. Wipes the credentials. */
void smtp_server_login_done(struct smtp_server *s, struct buffer *out, enum reply reply);
/* TLS is up: forgets all that was said before (RFC 3207 4.2). */
void smtp_server_secured(struct smtp_server *s);
/* Ends the session from outside with a 421; the next feed gives SMTP_SERVER_CLOSE. */
void smtp_server_end(struct smtp_server *s, struct buffer *out, enum reply reply);

static inline struct slice smtp_server_helo(const struct smtp_server *s)
{
	return slice_bytes(s->helo, s->helo_len);
}

#endif
