/*
 * The control socket: one line of words in, the exit status on a line of its own and the answer's text out; a mail
 * is followed by a NUL and once more a status and text, which say whether it was whole. Access is by the socket's mode. A long answer is made piece by piece as the reader takes it.
 */
#ifndef MANAGER_CONTROL_H
#define MANAGER_CONTROL_H

#include "ingest/ingest.h"
#include "manager/agents.h"
#include "manager/forward.h"
#include "relay/relay.h"

#define CONTROL_LINE_MAX	256	/* octets of a request */
#define CONTROL_CLIENTS_MAX	8

struct control;

/* What requests are about; the daemon's own, filled before the first turn of the loop. */
struct control_house {
	struct loop *loop;
	struct pool *blocks;
	struct spool *spool;
	struct keeper *keeper;
	const struct ingest *ingest;
	struct relay *relay;
	const struct audit *audit;
	const struct forward *forward;	/* NULL: not in this program */
	const struct agents *agents;	/* likewise */
	uint64_t licences, licences_used;	/* of the configuration in force */
	struct stats *stats;
	const char *spool_path;
	unsigned max_sessions;
	int64_t started, started_at;	/* wall, seconds; monotonic, ms */
	int64_t loaded;			/* wall, seconds: the configuration in force */
	int64_t reload_failed;		/* wall, seconds: the last reload, which failed; 0: it didn't */
	int64_t certificate_until;	/* wall, seconds: the end of our own; INT64_MAX: there is none */
	/* Reads the files again: true when all was taken, and `told` has what has changed; else `f` says why not. */
	bool (*reload)(void *context, struct buffer *told, struct fault *f);
	void *context;
};

/* Opens the socket (as root, before rights are given up: /run is root's). `house` is kept, not copied. NULL with a fault. */
struct control *control_new(const struct control_house *house, const char *path, struct fault *f);
/* Closes it and removes its file, where the user we run as may. NULL is ignored. */
void control_free(struct control *c);

/*
 * The other end, for the commands: sends the line, copies the answer to standard output, or to standard error when its status isn't 0;
 * returns that status, or STATUS_UNAVAILABLE with a word on standard error when nobody listens there.
 */
int control_ask(const char *path, const char *line);
/* Where the running gate's audit file has got to. False, without a word, when there is none that says so. */
bool control_audit(const char *path, struct chain *last);

#endif
