/*
 * Bytes that must not be guessed, compared by time, or left behind.
 */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>

/* Overwrites; the compiler can't leave it out. */
void secret_wipe(void *at, size_t len);
/* In time that depends on len only. */
bool secret_equal(const void *a, const void *b, size_t len);
/* From the kernel's generator; false when it has none to give (the caller refuses to go on). */
bool secret_random(void *out, size_t len);

#endif
