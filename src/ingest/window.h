/*
 * A client that sends its message drop by drop holds a session for nothing: over windows of a fixed length DATA has to bring
 * data_min_rate.
 */
#ifndef INGEST_WINDOW_H
#define INGEST_WINDOW_H

#include "ingest/session.h"

/* From now on; s->deadline is its end. */
void window_open(struct session *s);
/* At its end: too little has come. */
bool window_was_slow(const struct session *s);

#endif
