#include "smtp/proof.h"

#include "base/base64.h"
#include "base/secret.h"

#define RAW_MAX		(TOKEN_MAX + LOGIN_MAX + 32)	/* octets of the longest answer before Base64: XOAUTH2's */

static bool holds_nul(struct slice s)
{
	return slice_find(s, '\0') < s.len;
}

void proof_put_encoded(struct buffer *out, const struct buffer *raw)
{
	if (raw->overflow)
		out->overflow = true;
	else
		base64_encode(out, buffer_bytes(raw));
}

void proof_put_plain(struct buffer *out, struct slice user, struct slice password)
{
	char text[LOGIN_MAX + PASSWORD_MAX + 2];
	struct buffer raw;

	buffer_init(&raw, text, sizeof(text));
	buffer_put(&raw, slice_bytes("", 1));
	buffer_put(&raw, user);
	buffer_put(&raw, slice_bytes("", 1));
	buffer_put(&raw, password);
	raw.overflow |= holds_nul(user) || holds_nul(password);
	proof_put_encoded(out, &raw);
	secret_wipe(text, sizeof(text));
}

void proof_put_cram(struct buffer *out, struct slice user, struct slice hex)
{
	char text[LOGIN_MAX + 1 + 32];
	struct buffer raw;

	buffer_init(&raw, text, sizeof(text));
	buffer_put(&raw, user);
	buffer_put_text(&raw, " ");
	buffer_put(&raw, hex);
	proof_put_encoded(out, &raw);
}

/* The separators are ^A: no such octet may be in user or token. */
static bool is_oauth_word(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (ascii_is_control(s.at[i]))
			return false;
	return s.len > 0;
}

void proof_put_xoauth2(struct buffer *out, struct slice user, struct slice token)
{
	char text[RAW_MAX];
	struct buffer raw;

	buffer_init(&raw, text, sizeof(text));
	buffer_put_text(&raw, "user=");
	buffer_put(&raw, user);
	buffer_put_text(&raw, "\1auth=Bearer ");
	buffer_put(&raw, token);
	buffer_put_text(&raw, "\1\1");
	raw.overflow |= !is_oauth_word(user) || !is_oauth_word(token);
	proof_put_encoded(out, &raw);
	secret_wipe(text, sizeof(text));
}
