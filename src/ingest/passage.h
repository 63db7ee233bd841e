/*
 * A message that is passed on to the next hop while it comes in ([relay] mode = direct): what ingest, which has the client,
 * and the relay, which has the upstream, tell each other about it. Lives in the client's transaction; each side
 * changes what is its own, and sees in the loop's next turn what the other has changed. Nothing of it touches the disk.
 *
 * The header is held back whole until its verdict has fallen; only then does the relay hear of the message (R5).
 */
#ifndef INGEST_PASSAGE_H
#define INGEST_PASSAGE_H

#include "spool/spool.h"

enum passage_mode {			/* [relay] mode */
	PASSAGE_QUEUE,
	PASSAGE_DIRECT,			/* into the queue when no upstream takes it */
	PASSAGE_DIRECT_ONLY		/* 451 then */
};

enum passage_state {
	PASSAGE_OFF,			/* the message goes into the queue */
	PASSAGE_HEADER,			/* ingest: the header is being gathered */
	PASSAGE_OFFERED,		/* ingest: the verdict was good; the relay looks for an upstream */
	PASSAGE_FLOWING,		/* relay: the upstream has said 354 */
	PASSAGE_MISSED,			/* relay: no upstream took it, and no octet of the content has left */
	PASSAGE_ANSWERED,		/* relay: it is over; code and words are the client's answer */
	PASSAGE_DRAIN			/* ingest: it is over; what still comes from the client is dropped */
};

struct passage {
	/* ingest's */
	uint8_t mode;			/* enum passage_mode; of the message's route */
	const char *id;			/* queue id, in text */
	struct envelope envelope;	/* into the transaction's memory */
	uint64_t size;			/* octets as the client announced them, with ours in front; 0: not known */
	bool held;			/* the client was kept waiting at the end of its last turn */
	bool complete;			/* the client's final dot has come: nothing more will be put */
	/* either's, by turns */
	uint8_t state;			/* enum passage_state */
	/* The content: our fields and the header in memory of its own, kept to the end, then what flows. */
	char *memory;
	size_t most;			/* octets of content that may be held back */
	size_t room, tail;		/* octets of memory, and where its content ends; PASSAGE_FRONT_MAX where it begins */
	size_t start;			/* where our fields in front of it begin */
	size_t taken;			/* octets taken by the relay from `start` on */
	struct buffer *flow;
	bool failed;			/* content was lost for want of memory */
	/* the relay's */
	uint16_t code;			/* 250, 4xx, 5xx; 0: none yet */
	bool heard;			/* it is the upstream's own */
	bool in_doubt;			/* the dot was sent and no answer came */
	uint16_t words_len;
	char words[SMTP_REPLY_TEXT_MAX];
	void *carrier;			/* NULL: the relay knows nothing of it (any more) */
};

/* Octets of fields put in front of a message: host names, HELO, address and account at their largest, and a stamp. */
#define PASSAGE_FRONT_MAX	10240

/* The relay's face to ingest. */
struct passage_way {
	void *context;
	/* Whether any message is carried otherwise than by the queue. */
	bool (*possible)(void *context);
	/* How a message with this sender and these recipients, each ended by LF, is to be carried. */
	enum passage_mode (*mode)(void *context, struct slice sender, struct slice recipients);
	/* There may be an answer in p already when it returns. */
	void (*offer)(void *context, struct passage *p);
	/* The message is no more: the connection that has part of it is dropped without the final dot. `p` is forgotten. */
	void (*cancel)(void *context, struct passage *p);
};

#if CONFIG_DIRECT
/* Gets ready to hold back up to `most` octets; false without memory. */
bool passage_start(struct passage *p, size_t most, struct buffer *flow);
/* Holds content back, or lets it flow, or drops it, as the state says. */
void passage_put(struct passage *p, struct slice content);
/* Puts our fields in front of what is held; once. False when they are over PASSAGE_FRONT_MAX. */
bool passage_front(struct passage *p, struct slice fields);
/* What was held back, without our fields; and with them. */
struct slice passage_content(const struct passage *p);
struct slice passage_begin(const struct passage *p);
/* Moves content into `out` as far as it has room. Octets moved. */
size_t passage_take(struct passage *p, struct buffer *out);
/* All that was put has been taken. */
bool passage_drained(const struct passage *p);
/* The relay forgets it, if it knows of it. */
void passage_cancel(struct passage *p, const struct passage_way *way);
/* Frees its memory. Safe on a zeroed one. */
void passage_end(struct passage *p);
#else
static inline bool passage_start(struct passage *p, size_t most, struct buffer *flow)
{
	(void)p, (void)most, (void)flow;
	return true;
}

static inline void passage_put(struct passage *p, struct slice content)
{
	(void)p, (void)content;
}

static inline bool passage_front(struct passage *p, struct slice fields)
{
	(void)p, (void)fields;
	return false;
}

static inline struct slice passage_content(const struct passage *p)
{
	(void)p;
	return slice_bytes("", 0);
}

static inline struct slice passage_begin(const struct passage *p)
{
	(void)p;
	return slice_bytes("", 0);
}

static inline size_t passage_take(struct passage *p, struct buffer *out)
{
	(void)p, (void)out;
	return 0;
}

static inline bool passage_drained(const struct passage *p)
{
	(void)p;
	return true;
}

static inline void passage_cancel(struct passage *p, const struct passage_way *way)
{
	(void)p, (void)way;
}

static inline void passage_end(struct passage *p)
{
	(void)p;
}
#endif

#endif
