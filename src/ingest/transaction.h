/*
 * One mail transaction (RFC 5321 3.3): all that is known of a message from MAIL to the answer of its final dot, in
 * one object that one function resets (R36). Exists only while there is one: idle sessions have none.
 */
#ifndef INGEST_TRANSACTION_H
#define INGEST_TRANSACTION_H

#include "base/pool.h"
#include "base/digest.h"
#include "ingest/keeper.h"
#include "ingest/passage.h"
#include "mail/body.h"
#include "mail/strip.h"
#include "smtp/server.h"
#include "trust/verdict.h"

struct transaction {
	struct keeping keeping;		/* first: the keeper's callback gets it */
	struct keeper *keeper;
	struct pool *blocks;
	struct pool *home;		/* where this memory came from */
	void *session;			/* struct session; NULL when it has gone during the commit */
	char id[SPOOL_ID_TEXT];
	struct smtp_mail mail;
	struct buffer recipients;	/* each ended by LF; memory from `blocks` */
	unsigned recipient_count;
	struct verdict envelope_verdict, header_verdict;
	struct strip strip;
	struct header header;		/* of what is passed on */
	struct body body;
	struct digest_run *hash;	/* of the body's canonical form; NULL: not wanted */
	struct buffer chunk;		/* content on its way to the spool; memory from `blocks` */
	uint64_t came;			/* octets of content that the client has sent */
	uint64_t size;			/* of these, what is passed on */
	int error;			/* -errno of the spool; the rest of the content is dropped */
	bool too_large;
	bool judged;			/* header_verdict has been given; nothing that comes later changes it */
	bool committing;
	struct passage passage;		/* [relay] mode = direct */
};

/* Begins: gets the memory and the queue id. 0; -ENOSPC; -ENOMEM when blocks are all lent. `t` is zeroed memory. */
int transaction_begin(struct transaction *t, struct keeper *k, struct pool *blocks, const struct smtp_mail *mail,
		      uint32_t max_header);
/* After -ENOSPC: goes on with a queue id alone; only a message that is passed on without the spool comes through. */
void transaction_go_without(struct transaction *t, int error);
/* Drops the message as if it had never been, gives memory back, and zeroes t. Not while committing. */
void transaction_reset(struct transaction *t);

/* False when there is no room for it (452). */
bool transaction_add_recipient(struct transaction *t, const struct address *recipient);
/* The verdict that decided: the header's, unless the envelope's has failed already and `action` alone let it pass. */
const struct verdict *transaction_verdict(const struct transaction *t);

/* Its From: becomes our own (rewrite_from of a device). */
static inline bool transaction_rewrites_from(const struct transaction *t)
{
	return t->strip.rules & STRIP_RENAME;
}

/* With this reply to its final dot it is mail. */
bool transaction_is_accepted(const struct transaction *t, enum reply reply);

/* For the log; may be empty. */
struct slice transaction_message_id(const struct transaction *t);

/* The only recipient, or empty when there are several. */
struct slice transaction_single_recipient(const struct transaction *t);

/*
 * `host` is our name and has to stay; `rules`: what is taken out, enum strip_field; `hashed`: transaction_body_hash will be asked for.
 * 0 or -ENOMEM.
 */
int transaction_data(struct transaction *t, struct slice host, unsigned rules, bool hashed);
/* Content as on the wire. Errors are remembered in t->error; nothing is kept beyond `max` octets. */
void transaction_content(struct transaction *t, struct slice content, uint64_t max);
/* A message that was to be passed on becomes an ordinary one: what has come of it goes to the spool. */
void transaction_requeue(struct transaction *t);
/* No more content comes. */
void transaction_content_end(struct transaction *t);
/* Then, once: SHA-256 of the body as mail/body says. False when it wasn't wanted or failed. */
bool transaction_body_hash(struct transaction *t, uint8_t out[DIGEST_SHA256_SIZE]);

/* What the spool and the relay know of it besides its content; into the transaction's memory. */
void transaction_envelope(const struct transaction *t, const struct principal *p, int64_t wall, struct envelope *e);
/* Commits with `front` before the content; keeping.done is called when it is decided. 0 or -errno. */
int transaction_commit(struct transaction *t, struct slice front, const struct principal *p, int64_t wall);

#endif
