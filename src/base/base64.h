/*
 * Base64, RFC 4648 section 4, strict: no blanks, no line ends, padding as it must be, unused
 * bits zero. (mbedTLS' own decoder accepts damaged input before 3.6.4.)
 */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include "buffer.h"

/* Octets that n octets become. */
#define BASE64_LENGTH(n) (((n) + 2) / 3 * 4)

/* False on bad input or when more than `size` octets would come out; *len is then 0. */
bool base64_decode(struct slice in, void *out, size_t size, size_t *len);
/* All or nothing, as buffer_put. */
bool base64_encode(struct buffer *out, struct slice in);

#endif
