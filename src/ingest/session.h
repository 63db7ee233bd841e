/*
 * One client's connection: a stream, an SMTP server session, who it is, and at most one transaction. Lives in
 * a slot that is got at start; ends when its watch is dead. What is done about the protocol's events is in login.h, message.h, fate.h and
 * direct.h, which know the session; session.c knows them.
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
	void (*turn)(struct session *s);	/* goes as far as it can without waiting: for those who have brought it an answer */
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
/* Goes as far as it can without waiting. */
void session_turn(struct session *s);
/* 421 and close, unless a commit is under way, which is waited for. */
void session_shutdown(struct session *s);

#endif
