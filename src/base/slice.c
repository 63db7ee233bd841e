#include "base/slice.h"

#include <string.h>

struct slice slice_of(const char *text)
{
	return slice_bytes(text, text ? strlen(text) : 0);
}

struct slice slice_bytes(const char *at, size_t len)
{
	return (struct slice){ at, len };
}

struct slice slice_skip(struct slice s, size_t n)
{
	if (n > s.len)
		n = s.len;
	/* Adding to a null pointer is undefined, even nothing. */
	if (n == 0)
		return s;
	return slice_bytes(s.at + n, s.len - n);
}

struct slice slice_first(struct slice s, size_t n)
{
	return slice_bytes(s.at, n < s.len ? n : s.len);
}

struct slice slice_trim(struct slice s)
{
	while (s.len > 0 && ascii_is_blank(s.at[0]))
		s = slice_skip(s, 1);
	while (s.len > 0 && ascii_is_blank(s.at[s.len - 1]))
		s.len--;
	return s;
}

bool slice_equal(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

bool slice_equal_fold(struct slice a, struct slice b)
{
	return a.len == b.len && slice_compare_fold(a, b) == 0;
}

bool slice_starts(struct slice s, struct slice prefix)
{
	return slice_equal(slice_first(s, prefix.len), prefix);
}

bool slice_starts_fold(struct slice s, struct slice prefix)
{
	return slice_equal_fold(slice_first(s, prefix.len), prefix);
}

bool slice_ends_fold(struct slice s, struct slice suffix)
{
	return s.len >= suffix.len && slice_equal_fold(slice_skip(s, s.len - suffix.len), suffix);
}

int slice_compare_fold(struct slice a, struct slice b)
{
	size_t n = a.len < b.len ? a.len : b.len;

	for (size_t i = 0; i < n; i++) {
		unsigned char x = (unsigned char)ascii_fold(a.at[i]);
		unsigned char y = (unsigned char)ascii_fold(b.at[i]);

		if (x != y)
			return x < y ? -1 : 1;
	}
	return (a.len > b.len) - (a.len < b.len);
}

size_t slice_find(struct slice s, char c)
{
	const char *hit = s.len > 0 ? memchr(s.at, c, s.len) : NULL;

	return hit ? (size_t)(hit - s.at) : s.len;
}

bool slice_cut(struct slice *rest, char sep, struct slice *head)
{
	size_t n = slice_find(*rest, sep);

	if (!rest->at)
		return false;
	*head = slice_first(*rest, n);
	*rest = n < rest->len ? slice_skip(*rest, n + 1) : (struct slice){ NULL, 0 };
	return true;
}

bool slice_word(struct slice *rest, struct slice *word)
{
	struct slice s = slice_trim(*rest);
	size_t n = 0;

	while (n < s.len && !ascii_is_blank(s.at[n]))
		n++;
	*rest = slice_skip(s, n);
	if (n == 0)
		return false;
	*word = slice_first(s, n);
	return true;
}

bool slice_number(struct slice s, uint64_t max, uint64_t *value)
{
	uint64_t v = 0;

	if (s.len < 1 || s.len > 20)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		uint64_t digit = (uint64_t)(s.at[i] - '0');

		if (!ascii_is_digit(s.at[i]))
			return false;
		if (digit > max || v > (max - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	*value = v;
	return true;
}

bool slice_copy(struct slice s, char *out, size_t size)
{
	if (size == 0)
		return false;
	out[0] = '\0';
	if (s.len >= size || slice_find(s, '\0') < s.len)
		return false;
	if (s.len > 0)
		memcpy(out, s.at, s.len);
	out[s.len] = '\0';
	return true;
}

void ascii_hex(const uint8_t *octets, size_t count, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < count; i++) {
		*out++ = digits[octets[i] >> 4];
		*out++ = digits[octets[i] & 15];
	}
	*out = '\0';
}

void ascii_tame(char *text)
{
	for (; *text; text++)
		if (ascii_is_control(*text))
			*text = '?';
}
