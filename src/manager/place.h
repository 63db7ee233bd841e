/*
 * How far the audit file has been passed on, the link of the last line that has, by which a lost file is noticed, and the name of the
 * numbering: kept in FILE.sent, so that a restart goes on there. What is
 * written is flushed by the helper before it takes the old one's place.
 */
#ifndef MANAGER_PLACE_H
#define MANAGER_PLACE_H

#include "manager/chain.h"
#include "net/helper.h"

struct place;

/* `flusher` serves keeper_serve. NULL without memory. */
struct place *place_new(struct loop *l, struct helper *flusher);
void place_free(struct place *p);
/* Reads FILE.sent; without one, a numbering begins. */
void place_open(struct place *p, const char *file);
/* A new numbering, from the first number on. */
void place_begin(struct place *p);
const char *place_stream(const struct place *p);
uint64_t place_number(const struct place *p);
/* `link` of CHAIN_LINK_SIZE. */
void place_reach(struct place *p, uint64_t number, struct slice link);
/* Whether this is the line that was reached. */
bool place_is(const struct place *p, const struct chain_line *line);
/* To be called each turn: writes it, now and then. */
void place_keep(struct place *p);
/* When it wants to be called; NEVER: nothing has changed. */
int64_t place_deadline(const struct place *p);
/* At the end: at once, and without a flush. */
void place_save(struct place *p);

#endif
