/*
 * A POP3 session whose only purpose is to have logged in, for POP before SMTP (R43): greeting, STLS where TLS is demanded, APOP
 * or USER and PASS, QUIT. Never RETR, never DELE. RFC 1939, 2449 (CAPA, response codes), 2595 (STLS), 3206. Pure: see
 * smtp/server.h for the manner. A state is entered by sending; the reply to it is handled by the row of its state in one table.
 *
 * OPEN is told when the server has accepted the login, then QUIT is sent and CLOSED told; a session that is lost between
 * OPEN and CLOSED has logged in all the same.
 *
 * The timestamp of a greeting in clear counts for nothing once TLS is up (RFC 2595 section 4), so after STLS the login
 * is by USER and PASS.
 *
 * `out` needs room for one command when it is empty: POP3_COMMAND_MAX octets are enough.
 */
#ifndef SMTP_POP3_H
#define SMTP_POP3_H

#include "base/buffer.h"
#include "base/limits.h"

enum pop3_event_type {
	POP3_MORE,		/* feed more */
	POP3_ROOM,		/* `out` is full: send, feed again (the input may be empty) */
	POP3_TLS,		/* drop input read so far, handshake, then pop3_secured */
	POP3_TIMESTAMP,		/* event.timestamp of APOP: answer pop3_respond */
	POP3_OPEN,		/* logged in; see event.reply->code */
	POP3_CLOSED,		/* QUIT was answered: close */
	POP3_FAILED,		/* not logged in: event.stage, event.reply; close */
};

/* Where something failed; words for the log by pop3_stage_name. */
enum pop3_stage {
	POP3_STAGE_GREETING, POP3_STAGE_STLS, POP3_STAGE_LOGIN, POP3_STAGE_QUIT,
	POP3_STAGE_PROTOCOL	/* nonsense, endless or over-long replies */
};
const char *pop3_stage_name(enum pop3_stage stage);

/* What a server says in brackets behind -ERR: RFC 2449 section 8, RFC 3206. */
enum pop3_code {
	POP3_CODE_NONE,		/* none, or one that is not known */
	POP3_CODE_AUTH,		/* user and password are wrong */
	POP3_CODE_TEMPORARY,	/* SYS/TEMP */
	POP3_CODE_PERMANENT,	/* SYS/PERM: a person has to act */
	POP3_CODE_IN_USE,	/* the login was fine, the mailbox is taken */
	POP3_CODE_DELAY		/* LOGIN-DELAY: too soon after the last login */
};

struct pop3_reply {
	bool ok;		/* +OK */
	uint8_t code;		/* enum pop3_code, of -ERR */
	uint16_t len;
	/* The status line without its indicator, or our own reason; printable ASCII, others as `?`. */
	char text[SMTP_REPLY_TEXT_MAX];
};

/*
 * OPEN: code is POP3_CODE_IN_USE where the mailbox is taken: RFC 2449 section 8.1.1 has the server say so only after it has checked
 * the password, so that it counts as a login here; whether the server opens its SMTP door then, the next mail shows.
 */
struct pop3_event {
	enum pop3_event_type type;
	enum pop3_stage stage;			/* of FAILED */
	const struct pop3_reply *reply;		/* valid until the next call */
	struct slice timestamp;			/* with its brackets; valid until the answer */
};

enum pop3_login {
	POP3_AUTO,		/* APOP where the greeting has a timestamp, else USER and PASS */
	POP3_APOP, POP3_USER
};

/* What does not change during a session; strings outlive it. */
struct pop3_settings {
	bool starttls;			/* TLS is demanded: without it POP3_STAGE_STLS fails */
	bool secured;			/* TLS from the first octet */
	uint8_t login;			/* enum pop3_login */
	struct slice user, password;
};

struct pop3 {
	const struct pop3_settings *settings;
	uint8_t state;
	uint8_t failed;			/* enum pop3_stage of FAILED */
	bool secured;
	bool waiting;			/* the command of the state has been sent */
	bool has_stls;			/* CAPA says so */
	bool by_apop;			/* it was APOP that logged in */
	uint16_t scanned;		/* of the line being read */
	uint16_t lines;			/* of the listing so far */
	uint16_t timestamp_len;		/* 0: the greeting has none */
	char timestamp[POP3_TIMESTAMP_MAX];
	char digest[32];		/* as sent, so that no reply repeats it */
	struct pop3_reply reply;
};

void pop3_init(struct pop3 *p, const struct pop3_settings *settings);
/* Octets consumed; one event. As smtp_client_feed. */
size_t pop3_feed(struct pop3 *p, struct slice in, struct buffer *out, struct pop3_event *event);
/*
 * APOP: MD5 of the timestamp with the password behind it, 32 hex digits in small letters. False when `out` has no room: call again; also
 * when no answer is due.
 */
bool pop3_respond(struct pop3 *p, struct buffer *out, struct slice hex);
/* TLS is up: forgets all that was said before. */
void pop3_secured(struct pop3 *p);
/* For a connection that is lost: what was under way; after FAILED its stage. */
enum pop3_stage pop3_stage(const struct pop3 *p);
/*
 * FAILED, or lost: whether trying again by itself may help. False: the server has refused user and password, or wants a person
 * to act; each further try brings the account nearer to being locked.
 */
bool pop3_temporary(const struct pop3 *p);

#endif
