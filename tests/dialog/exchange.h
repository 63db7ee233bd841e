/*
 * Dialogues with a server, of a session played as in play.h. S lines are what the server says: each group of them is fed whole, octet by
 * octet, and cut at every pair of places (a long one at every place), and all again with little room for output. C lines are what the
 * session must have sent when the next group comes, E lines what it must have told.
 *
 * Words of every case:	room N			octets of `out` in the second round, 64 if not said
 */
#ifndef DIALOG_EXCHANGE_H
#define DIALOG_EXCHANGE_H

#include "play.h"
#include "script.h"

struct exchange {
	struct play *play;
	void (*reset)(void);				/* the settings, to those of a case without words */
	bool (*set)(struct slice word, struct slice rest);	/* one line of words; false: not known */
};

/* The runner's main. */
int exchange_main(const struct exchange *x, int argc, char **argv);

#endif
