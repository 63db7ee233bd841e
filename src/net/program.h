/*
 * A program of the operator's, run once without a shell, for what it writes on standard output. It has no descriptor of ours,
 * an environment of three variables, and its own process group, which ends with us and with its time. Standard error is thrown away: it
 * may tell what standard output tells.
 */
#ifndef NET_PROGRAM_H
#define NET_PROGRAM_H

#include "base/slice.h"
#include "net/loop.h"

#define PROGRAM_LINE_MAX	255	/* octets of a command with its arguments */
#define PROGRAM_OUTPUT_MAX	16384	/* octets: a token endpoint's whole answer has some 6000 */

/*
 * The end of it: output, wiped after the call, or `error` for a person ("exit status 1", "time-out"); neither, and output.at NULL,
 * when the loop ends first. The command is gone after the call.
 */
typedef void program_done(void *context, struct slice output, const char *error);

struct program;

#if CONFIG_XOAUTH2
/*
 * NULL: `line` is a program's path from `/` and its arguments: separated by blanks, blanks within "" or ''. Else what is wrong with it.
 */
const char *program_check(struct slice line);
/* `timeout` in ms. NULL: see errno. `done` is never called from within. */
struct program *program_start(struct loop *l, struct slice line, int64_t timeout, program_done *done, void *context);
/* Kills it, without a call. */
void program_cancel(struct program *c);
#else
static inline const char *program_check(struct slice line)
{
	(void)line;
	return NULL;
}

static inline struct program *program_start(struct loop *l, struct slice line, int64_t timeout,
			program_done *done, void *context)
{
	(void)l, (void)line, (void)timeout, (void)done, (void)context;
	return NULL;
}

static inline void program_cancel(struct program *c)
{
	(void)c;
}
#endif

#endif
