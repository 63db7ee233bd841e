/*
 * One client's connection: a stream, an SMTP server session, who it is, and at most one transaction. Lives in
 * a slot that is got at start; ends when its watch is dead.
 */
#ifndef INGEST_SESSION_H
#define INGEST_SESSION_H

#include "ingest/ingest.h"
#include "ingest/transaction.h"
#include "ingest/vouch.h"
#include "net/stream.h"
#include "smtp/server.h"

/* What all sessions share; the ingest's own. */
struct session;

struct session_house {
	struct loop *loop;
	struct pool *blocks;		/* of CHUNK_SIZE octets */
	struct pool *transactions;	/* of struct transaction */
	struct keeper *keeper;
	struct helper *hasher;
	struct password_memo *memo;
	struct lockout *lockout;	/* counts and locks outlive a reload */
	struct ingest_counters counters;
	struct vouch_way vouch;		/* `ask` NULL: no account's password is the next hop's */
	struct passage_way way;		/* `mode` NULL: every message goes into the queue */
	unsigned shaking;		/* TLS handshakes under way: at most TLS_HANDSHAKES_MAX */
	int64_t full_told;		/* ms: when the log last heard that there are so many; 0: never */
	void (*closed)(void *context, struct session *s);	/* the slot is free again */
	void *context;
};

#define CLIENT_TEXT_MAX	64

/* Who has connected: an address, or a user of this machine. */
struct caller {
	struct ip_address client;
	bool is_user;
	uint32_t uid;
};

enum session_stage {
	STAGE_TALK,
	STAGE_TLS_DUE,			/* 220 is on its way out, or nothing has to be; the handshake begins with an octet and a place */
	STAGE_SHAKING,
	STAGE_LEAVING,			/* the last reply is on its way out */
	STAGE_LINGER,			/* nothing more to say; read on a moment, so that the last reply isn't lost to a RST */
};

struct session {
	struct watch watch;		/* first: the loop's callbacks get it */
	struct session_house *house;
	struct ingest_settings *settings;
	const struct ingest_listen *listen;
	struct stream stream;
	struct smtp_server smtp;
	struct smtp_server_settings rules;
	struct principal principal;
	struct transaction *transaction;
	struct ip_address client;
	char client_text[CLIENT_TEXT_MAX];		/* "[192.0.2.1]", "[IPv6:2001:db8::1]" or "[uid:1000]" */
	char login[64];			/* the AUTH ID as typed, cut; for the log */
	int64_t started;		/* ms */
	int64_t deadline;		/* ms: of the next command, of the data window, of lingering */
	uint64_t window_start;		/* size of the content when the data window began */
	uint32_t messages, refused;
	int64_t shaking_since;		/* ms */
	bool shaking;			/* counted in the house's */
	uint8_t stage;			/* enum session_stage */
	const char *end;		/* why it ends: "quit", "timeout", … */
	const struct trust_account *candidate;	/* whose password is being checked */
	struct slice password;		/* the one being checked; in smtp's credentials. Empty: CRAM-MD5 */
	struct slice identity;		/* who it is counted for: the account's name, or the ID in smtp's credentials */
	struct vouch vouch;		/* the upstream is being asked for a password */
	bool starved;			/* no block for output was to be had */
};

/* As RFC 5321 4.1.3 writes an address: "[192.0.2.1]" or "[IPv6:2001:db8::1]"; a user of this machine is "[uid:1000]". */
void session_client_text(const struct caller *caller, char out[CLIENT_TEXT_MAX]);
/* Takes over fd. The watch is added to the loop; false when there is no room (fd is closed then). */
bool session_open(struct session *s, struct session_house *house, struct ingest_settings *settings,
		  const struct ingest_listen *listen, int fd, const struct caller *caller);
/* Goes as far as it can without waiting: for those who have brought an answer. */
void session_turn(struct session *s);
/* The transaction, if any, is void. One that is being committed goes on without us. */
void session_drop(struct session *s);
/* DATA's rate is looked at from now on. */
void session_open_window(struct session *s);

/* Events of the SMTP session and what is done about them: login.c, message.c. */
void session_login(struct session *s, const struct smtp_server_event *e);
/* The upstream has answered for the password. */
bool login_due(const struct session *s);
void login_turn(struct session *s);
/* Nobody waits for it any more. */
void login_drop(struct session *s);
void session_mail(struct session *s, const struct smtp_server_event *e);
void session_rcpt(struct session *s, const struct smtp_server_event *e);
void session_data(struct session *s, const struct smtp_server_event *e);
void session_content(struct session *s, const struct smtp_server_event *e);
void session_end(struct session *s, const struct smtp_server_event *e);
/* The fate of a message that has come in whole, worst defect first; REPLY_ACCEPTED when it may go on. message.c */
enum reply session_verdict(struct session *s, bool bare_cr_lf);
/* Into the spool, or refused. */
void session_conclude(struct session *s, enum reply reply);
/* Answers the final dot and ends the transaction. */
void session_finish(struct session *s, enum reply reply);

/* The direct way: direct.c. */

#if CONFIG_DIRECT
/* Some messages are passed on while they come in. */
bool direct_is_possible(const struct session *s);
/* Whether this is one, at DATA. False: it is, but there is no memory. */
bool direct_begin(struct session *s);
/* Content has come. */
void direct_content(struct session *s);
/* The final dot. False: it is an ordinary message (by now), or its fate is known already. */
bool direct_end(struct session *s);
/* Does what the relay's side of it has made due meanwhile. */
void direct_turn(struct session *s);
bool direct_due(const struct session *s);
/* At the end of a turn. */
void direct_rest(struct session *s);
/* Nothing is to be read from the client: what it has sent has to go on first. */
bool direct_holds(const struct session *s);
/* The client has said all, the upstream not yet. */
bool direct_waits(const struct session *s);
/* The relay forgets the message. */
void direct_drop(struct transaction *t);
#else
static inline bool direct_is_possible(const struct session *s)
{
	(void)s;
	return false;
}

static inline bool direct_begin(struct session *s)
{
	(void)s;
	return true;
}

static inline void direct_content(struct session *s)
{
	(void)s;
}

static inline bool direct_end(struct session *s)
{
	(void)s;
	return false;
}

static inline void direct_turn(struct session *s)
{
	(void)s;
}

static inline bool direct_due(const struct session *s)
{
	(void)s;
	return false;
}

static inline void direct_rest(struct session *s)
{
	(void)s;
}

static inline bool direct_holds(const struct session *s)
{
	(void)s;
	return false;
}

static inline bool direct_waits(const struct session *s)
{
	(void)s;
	return false;
}

static inline void direct_drop(struct transaction *t)
{
	(void)t;
}
#endif

/* 421 and close, unless a commit is under way, which is waited for. */
void session_shutdown(struct session *s);

#endif
