/*
 * "Relay access denied": whether a refusal of MAIL or RCPT may be about a door that a POP login would open (POP before SMTP, R43), or is
 * about the address itself. Providers write it as they like; where it isn't certain the answer is yes, since a mail that
 * waits does less harm than one that comes back. Pure.
 */
#ifndef RELAY_DENIAL_H
#define RELAY_DENIAL_H

#include "base/slice.h"

/* `words`: the reply without its code, as an upstream's reply is kept. */
bool denial_is_of_relaying(unsigned code, struct slice words);

#endif
