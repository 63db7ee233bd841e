/*
 * Text as pointer and length. A slice owns nothing and need not end in NUL;
 * it is valid as long as the bytes it points to. Characters are ASCII here and
 * nowhere depend on a locale.
 */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct slice {
	const char *at;
	size_t len;
};

/* The slice of a string literal, usable in initialisers. */
#define SLICE(literal) { "" literal, sizeof(literal) - 1 }
#define SLICE_OF(literal) ((struct slice)SLICE(literal))

/* For printf's "%.*s". */
#define SLICE_ARGS(s) (int)(s).len, (s).at

static inline bool ascii_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline char ascii_fold(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static inline bool ascii_is_alpha(char c)
{
	return ascii_fold(c) >= 'a' && ascii_fold(c) <= 'z';
}

static inline bool ascii_is_alnum(char c)
{
	return ascii_is_alpha(c) || ascii_is_digit(c);
}

/* SP and HTAB: RFC 5234 WSP. */
static inline bool ascii_is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* 0x00-0x1f and 0x7f. */
static inline bool ascii_is_control(char c)
{
	return (unsigned char)c < 0x20 || c == 0x7f;
}

/* 0x20-0x7e. */
static inline bool ascii_is_print(char c)
{
	return (unsigned char)c >= 0x20 && (unsigned char)c < 0x7f;
}

/* The slice of a NUL-terminated string; of NULL the empty slice. */
struct slice slice_of(const char *text);
/* The slice of `len` bytes at `at`. */
struct slice slice_bytes(const char *at, size_t len);
/* What follows the first n bytes; empty when there are fewer. */
struct slice slice_skip(struct slice s, size_t n);
/* The first n bytes; all when there are fewer. */
struct slice slice_first(struct slice s, size_t n);
/* Without blanks (SP, HTAB) at both ends. */
struct slice slice_trim(struct slice s);

bool slice_equal(struct slice a, struct slice b);
/* ASCII letters compare without regard to case, all other bytes exactly. */
bool slice_equal_fold(struct slice a, struct slice b);
bool slice_starts(struct slice s, struct slice prefix);
bool slice_starts_fold(struct slice s, struct slice prefix);
bool slice_ends_fold(struct slice s, struct slice suffix);
/* Order of bytes after folding, as for qsort. */
int slice_compare_fold(struct slice a, struct slice b);

/* Index of the first c, or s.len when there is none. */
size_t slice_find(struct slice s, char c);
/*
 * Takes the part before the first `sep` off *rest into *head (sep itself is dropped; without
 * sep the whole rest is taken). False when *rest was already used up (rest->at is NULL then).
 */
bool slice_cut(struct slice *rest, char sep, struct slice *head);
/* Likewise, words between runs of blanks; false when no word is left. */
bool slice_word(struct slice *rest, struct slice *word);

/* Decimal digits only, 1 to 20 of them, value at most max; false otherwise, *value untouched. */
bool slice_number(struct slice s, uint64_t max, uint64_t *value);

/*
 * Copies into out with a final NUL; false when it would not fit (size counts the NUL) or s holds a
 * NUL, and out is then the empty string.
 */
bool slice_copy(struct slice s, char *out, size_t size);

/* Octets as hex digits, lower case: 2 * count of them, and a NUL. */
void ascii_hex(const uint8_t *octets, size_t count, char *out);
/* Writes `?` over each control character of a string, so that it stays one line of text. */
void ascii_tame(char *text);

#endif
