/*
 * The access token of a route with `token_command` (XOAUTH2, R74): fetched by running the command when it is needed, kept in memory until
 * its stated life ends or the next hop refuses it. One run at a time; who needs it waits in the schedule.
 */
#ifndef RELAY_TOKEN_H
#define RELAY_TOKEN_H

#include "base/limits.h"
#include "base/slice.h"
#include "net/loop.h"

struct token;

/* The end of a run: there is a token now, or `error` says why not, for a person. */
typedef void token_done(void *context, unsigned route, const char *error);

#if CONFIG_XOAUTH2
/* `line`, which outlives it: the command. NULL without memory. */
struct token *token_new(struct loop *l, struct slice line, token_done *done, void *context, unsigned route);
/* Kills what runs, wipes. NULL is ignored. Also after loop_free. */
void token_free(struct token *t);

/* The token, if there is one that is good now; else empty, and the command is begun unless it runs already. */
struct slice token_get(struct token *t);
/* Counts tokens: which one token_get gave. */
unsigned token_number(const struct token *t);
/* The next hop took one. */
void token_accepted(struct token *t);
/* It refused that one, which is forgotten. True: a fresh one may be tried at once. */
bool token_refused(struct token *t, unsigned number);

/*
 * What a command said: the first line is the token; or JSON as a token endpoint answers (RFC 6749 section 5.1), of which access_token and
 * expires_in count. *life in seconds, 0 when not stated. False when there is none, or none that can be sent.
 */
bool token_read(struct slice output, char out[TOKEN_MAX + 1], uint64_t *life);
#else
static inline struct token *token_new(struct loop *l, struct slice line, token_done *done, void *context,
			unsigned route)
{
	(void)l, (void)line, (void)done, (void)context, (void)route;
	return NULL;
}

static inline void token_free(struct token *t)
{
	(void)t;
}

static inline struct slice token_get(struct token *t)
{
	(void)t;
	return slice_bytes("", 0);
}

static inline unsigned token_number(const struct token *t)
{
	(void)t;
	return 0;
}

static inline void token_accepted(struct token *t)
{
	(void)t;
}

static inline bool token_refused(struct token *t, unsigned number)
{
	(void)t, (void)number;
	return false;
}

static inline bool token_read(struct slice output, char out[TOKEN_MAX + 1], uint64_t *life)
{
	(void)output, (void)out, (void)life;
	return false;
}
#endif

#endif
