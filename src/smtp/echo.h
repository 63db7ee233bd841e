/*
 * Servers repeat what they don't understand ("500 unknown command AHVzZXIAcGFzcw=="), and their replies go to logs and into
 * return mail. Pure.
 */
#ifndef SMTP_ECHO_H
#define SMTP_ECHO_H

#include "base/slice.h"

/* Whether text holds some 8 octets of the secret in a row, or all of a shorter one. */
bool echo_repeats(struct slice text, struct slice secret);

#endif
