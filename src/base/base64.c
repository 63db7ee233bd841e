#include "base/base64.h"

static const char alphabet[64] = {
	'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M', 'N', 'O', 'P',
	'Q', 'R', 'S', 'T', 'U', 'V', 'W', 'X', 'Y', 'Z', 'a', 'b', 'c', 'd', 'e', 'f',
	'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o', 'p', 'q', 'r', 's', 't', 'u', 'v',
	'w', 'x', 'y', 'z', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '+', '/',
};

#define NOT_A_DIGIT 64u

static unsigned digit_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (unsigned)(c - 'A');
	if (c >= 'a' && c <= 'z')
		return (unsigned)(c - 'a') + 26;
	if (ascii_is_digit(c))
		return (unsigned)(c - '0') + 52;
	return c == '+' ? 62 : c == '/' ? 63 : NOT_A_DIGIT;
}

/* The bits of `digits` characters at the top of 24; false on a character that is no digit. */
static bool group_value(const char *at, size_t digits, uint32_t *bits)
{
	*bits = 0;
	for (size_t i = 0; i < digits; i++) {
		unsigned value = digit_value(at[i]);

		if (value == NOT_A_DIGIT)
			return false;
		*bits |= value << (18 - 6 * i);
	}
	return true;
}

/* Octets in the last group: 3 less its padding. */
static size_t last_octets(struct slice in)
{
	if (in.at[in.len - 1] != '=')
		return 3;
	return in.at[in.len - 2] != '=' ? 2 : 1;
}

bool base64_decode(struct slice in, void *out, size_t size, size_t *len)
{
	unsigned char *to = out;
	size_t total, done = 0;

	*len = 0;
	if (in.len % 4 != 0)
		return false;
	if (in.len == 0)
		return true;
	total = in.len / 4 * 3 - 3 + last_octets(in);
	if (total > size)
		return false;
	for (size_t i = 0; i < in.len; i += 4) {
		size_t octets = total - done < 3 ? total - done : 3;
		uint32_t bits;

		if (!group_value(in.at + i, octets + 1, &bits))
			return false;
		/* Bits left over must be zero, or one secret would have several spellings. */
		if ((bits << (8 * octets) & 0xffffff) != 0)
			return false;
		for (size_t k = 0; k < octets; k++)
			to[done++] = (unsigned char)(bits >> (16 - 8 * k));
	}
	*len = done;
	return true;
}

bool base64_encode(struct buffer *out, struct slice in)
{
	if (in.len > SIZE_MAX / 4 * 3 - 3 || BASE64_LENGTH(in.len) > buffer_room(out)) {
		out->overflow = true;
		return false;
	}
	for (size_t i = 0; i < in.len; i += 3) {
		size_t octets = in.len - i < 3 ? in.len - i : 3;
		char group[4] = { '=', '=', '=', '=' };
		uint32_t bits = 0;

		for (size_t k = 0; k < octets; k++)
			bits |= (uint32_t)(unsigned char)in.at[i + k] << (16 - 8 * k);
		for (size_t k = 0; k <= octets; k++)
			group[k] = alphabet[bits >> (18 - 6 * k) & 63];
		buffer_put(out, slice_bytes(group, sizeof(group)));
	}
	return true;
}
