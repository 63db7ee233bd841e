#include "trust/cram.h"

#include "base/secret.h"

static bool read_digit(char c, unsigned *value)
{
	c = ascii_fold(c);
	if (ascii_is_digit(c))
		*value = (unsigned)(c - '0');
	else if (c >= 'a' && c <= 'f')
		*value = (unsigned)(c - 'a') + 10;
	else
		return false;
	return true;
}

static bool read_hex(struct slice hex, uint8_t *out, size_t size)
{
	unsigned high, low;

	if (hex.len != 2 * size)
		return false;
	for (size_t i = 0; i < size; i++) {
		if (!read_digit(hex.at[2 * i], &high) || !read_digit(hex.at[2 * i + 1], &low))
			return false;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

bool cram_parse(struct slice hex, uint8_t context[DIGEST_CRAM_SIZE])
{
	return read_hex(hex, context, DIGEST_CRAM_SIZE);
}

bool cram_write(struct buffer *out, const uint8_t context[DIGEST_CRAM_SIZE])
{
	char hex[2 * DIGEST_CRAM_SIZE + 1];
	bool ok;

	ascii_hex(context, DIGEST_CRAM_SIZE, hex);
	ok = buffer_put_text(out, hex);
	secret_wipe(hex, sizeof(hex));
	return ok;
}

bool cram_check(const uint8_t context[DIGEST_CRAM_SIZE], struct slice challenge,
		struct slice response)
{
	uint8_t typed[DIGEST_MD5_SIZE], expected[DIGEST_MD5_SIZE];
	bool right = read_hex(response, typed, sizeof(typed)) &&
		     digest_cram_finish(context, challenge, expected) &&
		     secret_equal(typed, expected, sizeof(typed));

	secret_wipe(expected, sizeof(expected));
	return right;
}
