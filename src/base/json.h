/* Strings of JSON (RFC 8259 section 7), for the commands that list. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/buffer.h"

/* The text in double quotes; bytes that aren't printable ASCII become \u00HH. All or nothing. */
bool json_text(struct buffer *out, struct slice text);

#endif
