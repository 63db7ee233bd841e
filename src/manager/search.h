/*
 * What `sekimori log` looks for: a message is found when each condition holds for some record of it, so that --account and --to may be
 * said of a mail whose delivery is a record of its own. Then all records of that message are of interest.
 */
#ifndef MANAGER_SEARCH_H
#define MANAGER_SEARCH_H

#include "mail/address.h"
#include "manager/chain.h"

enum search_for { SEARCH_ACCOUNT, SEARCH_FROM, SEARCH_TO, SEARCH_VERDICT, SEARCH_ID, SEARCH_MSGID, SEARCH_AGENT, SEARCH_KINDS };

struct search {
	struct slice wanted[SEARCH_KINDS];	/* at NULL: anything */
	struct address_key key[SEARCH_KINDS];	/* of those that are addresses */
	bool is_address[SEARCH_KINDS];
	char since[24], until[24];		/* as in a line; empty: open */
	/* A row a message of which some condition has held, by a hash of its id and agent; open addressing, never full. */
	struct search_row {
		uint64_t hash;			/* 0: free */
		uint32_t held;			/* bits */
		uint32_t group;			/* 0: not met again yet, else counted from 1 */
	} *rows;
	size_t room, used;
	uint32_t groups;			/* given out */
	bool failed;				/* out of memory */
};

/* After `wanted` and the times are set. */
void search_begin(struct search *s);
void search_end(struct search *s);
/* First pass, each record once. */
void search_look(struct search *s, const struct chain_line *line);
/*
 * Second pass: whether the record is of interest. *group says of which message, counted in order of appearance from 1; a record without an
 * id is one of its own.
 */
bool search_takes(struct search *s, const struct chain_line *line, uint32_t *group);

#endif
