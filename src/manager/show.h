/* Records of the audit file for a reader: JSON, or a few lines a message. */
#ifndef MANAGER_SHOW_H
#define MANAGER_SHOW_H

#include <stdio.h>

#include "manager/chain.h"

/* One object in one line: time, number, event, and the record's fields. */
void show_json(const struct chain_line *line, FILE *to);
/* A record below those of its message before it; `first` is the message's first that is shown. */
void show_text(const struct chain_line *line, bool first, FILE *to);

#endif
