/* Strings of JSON (RFC 8259 section 7), for the commands that list. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/buffer.h"

/* The text in double quotes; control characters become \u00HH, octets that are no UTF-8 U+FFFD. All or nothing. */
bool json_text(struct buffer *out, struct slice text);

#endif
