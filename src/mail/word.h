/*
 * Encoded-words, RFC 2047, as the octets they stand for. Only to look at what a person would see;
 * an address is never found by it (R9). Pure.
 */
#ifndef MAIL_WORD_H
#define MAIL_WORD_H

#include "base/slice.h"

/*
 * Copies text into out, encoded-words replaced by their octets (the charset is not converted) and
 * blanks between two of them left out. What is malformed stays as it is, but damaged base64, which
 * others read as far as it goes. Returns the octets written, at most size: the rest is cut.
 */
size_t word_decode(struct slice text, char *out, size_t size);

#endif
