/*
 * What the files of manager/agents share, and nobody else includes. agents_who.c knows the agents; agents_end.c says to them what there is
 * to say, and hangs up; agents_records.c takes their records; agents_session.c is a connection, agents_gate.c the listeners; agents.c, the
 * face. Each calls those before it, never back.
 */
#ifndef MANAGER_AGENTS_INNER_H
#define MANAGER_AGENTS_INNER_H

#include "manager/agents.h"
#include "net/stream.h"

#define STATES_MAX	(2 * AGENTS_MAX)	/* agents remembered, also such as are not in the file any more */

struct agent_state {			/* what is known of an agent; outlives its connections */
	char name[AGENT_NAME_MAX + 1];	/* empty: free */
	bool listed;			/* there is an [agent] section */
	char stream[AGENT_STREAM_MAX + 1];
	uint64_t taken;			/* the last record in the file */
	uint64_t taken_at;		/* and its number there */
	struct agent_session *session;
	int64_t heard;			/* wall s */
	uint64_t records, doubles;
	uint64_t renumbered;		/* so often its records began another numbering */
	uint64_t untold;		/* of these, not in the log yet */
	int64_t tell_at;		/* ms: no line about them before */
};

struct agent_session {
	struct watch watch;		/* first */
	struct agents *agents;
	bool used;
	bool is_tls;
	struct stream stream;
	struct ip_address client;
	char address[64];
	struct agent_state *state;	/* NULL: nobody yet */
	uint64_t heard, told;		/* the last sequence that came; that we answered for */
	int64_t deadline;		/* ms */
	uint64_t records, doubles;
	const char *end;
};

struct agent_gate {
	struct watch watch;		/* first */
	struct agents *agents;
	struct agents_listen listen;
	int64_t rests_until;
};

struct agents {
	struct watch watch;		/* first; answers when a flush is over */
	struct loop *loop;
	struct pool *blocks;
	struct audit *audit;
	struct agent_gate *gates[AGENT_LISTENERS_MAX];
	unsigned gate_count, rule_count;
	struct agent_rule *rules;
	struct tls_context *tls;
	struct agent_state states[STATES_MAX];
	struct agent_session sessions[AGENT_SESSIONS_MAX];
	int64_t full_told;		/* ms */
	uint64_t losses;		/* audit_losses when the states were right */
};

/* agents_who.c */

/* By name, new where it is not known yet; NULL: no place for one more, or no name. */
struct agent_state *agents_state(struct agents *a, struct slice name);
/* An address of somebody's; else there is nothing to talk about, and no handshake to pay for. */
bool agents_expect(const struct agents *a, const struct ip_address *client);
/* Whose certificate or address it is; NULL: nobody's. */
struct agent_state *agents_identify(const struct agent_session *s);

/* agents_end.c */

/* False: there is no room, or who doesn't read is owed too much already. `number` 0: `words` are why not. */
bool agents_answer(struct agent_session *s, const char *words, uint64_t number);
/* `end` is a word for the log. */
void agents_hang_up(struct agent_session *s, const char *end);
/* The last word, and then the end; it is not waited for that anybody reads it. */
void agents_refuse(struct agent_session *s, const char *end, const char *words);

/* agents_records.c */

/* All that has come in whole. */
void agents_take(struct agent_session *s);
/* Records have been taken that it wasn't told of. */
bool agents_is_due(const struct agent_session *s);
/* Once they are on the disk. */
void agents_tell_kept(struct agent_session *s);
/* In the log, when there were new numberings and it is time. */
void agents_tell_streams(struct agents *a, struct agent_state *s);

/* agents_session.c */

/* Takes fd over; `s` is zero but for client and address. False without memory. */
bool agents_begin(struct agent_session *s, struct agents *a, const struct agent_gate *g, int fd);
/* Goes as far as it can without waiting. */
void agents_turn(struct agent_session *s);
/* Who has hung up holds a place until its turn comes; nobody is to be turned away for that. */
void agents_look_who_is_gone(struct agents *a);

/* agents_gate.c */

/* Those listed into `gates`, opened where they weren't. False: one can't be; all is as it was. */
bool agents_open_gates(struct agents *a, const struct agents_settings *s, struct agent_gate *gates[], struct fault *f);
bool agents_is_listed(const struct agents_settings *s, const struct agent_gate *g);

#endif
