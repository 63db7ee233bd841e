/* SCRAM-SHA-256 of proof.h. */
#include "base/base64.h"
#include "base/secret.h"
#include "smtp/proof.h"

static const struct slice gs2_header = SLICE("n,,");

/* saslname of RFC 5802: `,` and `=` have meanings of their own there. */
static void put_saslname(struct buffer *b, struct slice user)
{
	for (size_t i = 0; i < user.len; i++) {
		if (user.at[i] == '=')
			buffer_put_text(b, "=3D");
		else if (user.at[i] == ',')
			buffer_put_text(b, "=2C");
		else
			buffer_put(b, slice_bytes(user.at + i, 1));
	}
}

void proof_scram_begin(struct proof_scram *s, struct slice user, struct slice nonce)
{
	struct buffer message;

	*s = (struct proof_scram){ .len = 0 };
	buffer_init(&message, s->message, sizeof(s->message));
	buffer_put_text(&message, "n=");
	put_saslname(&message, user);
	buffer_put_text(&message, ",r=");
	buffer_put(&message, nonce);
	if (message.overflow || slice_find(user, '\0') < user.len || nonce.len == 0)
		return;
	s->first = s->len = (uint16_t)buffer_length(&message);
}

void proof_scram_put_first(const struct proof_scram *s, struct buffer *out)
{
	char text[3 * LOGIN_MAX + PROOF_NONCE_LENGTH + 32];
	struct buffer raw;

	buffer_init(&raw, text, sizeof(text));
	buffer_put(&raw, gs2_header);
	buffer_put(&raw, slice_first(proof_scram_message(s), s->first));
	raw.overflow |= s->first == 0;
	proof_put_encoded(out, &raw);
}

/* `x=value` off the front of *rest. */
static bool take_attribute(struct slice *rest, char name, struct slice *value)
{
	struct slice part;

	if (!slice_cut(rest, ',', &part) || part.len < 2 || part.at[0] != name || part.at[1] != '=')
		return false;
	*value = slice_skip(part, 2);
	return true;
}

static bool is_printable(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!ascii_is_print(s.at[i]))
			return false;
	return true;
}

/* Continues the message with what the server said and what we answer, but for our proof. */
static bool complete(struct proof_scram *s, struct slice text, struct slice nonce)
{
	struct buffer message;

	buffer_init(&message, s->message, sizeof(s->message));
	buffer_added(&message, s->first);
	buffer_put_text(&message, ",");
	buffer_put(&message, text);
	buffer_put_text(&message, ",");
	s->last = (uint16_t)buffer_length(&message);
	buffer_put_text(&message, "c=");
	base64_encode(&message, gs2_header);
	buffer_put_text(&message, ",r=");
	buffer_put(&message, nonce);
	s->len = (uint16_t)buffer_length(&message);
	return !message.overflow;
}

static bool read_salt(struct proof_scram *s, struct slice text)
{
	size_t len;

	if (!base64_decode(text, s->salt, sizeof(s->salt), &len) || len == 0)
		return false;
	s->salt_len = (uint8_t)len;
	return true;
}

const char *proof_scram_challenged(struct proof_scram *s, struct slice text, struct slice nonce)
{
	struct slice rest = text, both, salt, iterations;
	uint64_t count;

	/* An `m=` in front would be an extension that we had to know. */
	if (text.len > PROOF_SERVER_MAX || !is_printable(text) || !take_attribute(&rest, 'r', &both) ||
	    !take_attribute(&rest, 's', &salt) || !take_attribute(&rest, 'i', &iterations) || !read_salt(s, salt))
		return "the server's SCRAM challenge can't be read";
	if (both.len <= nonce.len || !slice_starts(both, nonce))
		return "the server's SCRAM challenge is not for this login";
	if (!slice_number(iterations, UINT32_MAX, &count) || count < SCRAM_ITERATIONS_MIN ||
	    count > SCRAM_ITERATIONS_MAX)
		return "the server asks for a SCRAM iteration count out of bounds";
	s->iterations = (uint32_t)count;
	return complete(s, text, both) ? NULL : "the server's SCRAM challenge is too long";
}

void proof_scram_put_last(const struct proof_scram *s, struct buffer *out, const uint8_t proof[PROOF_KEY_SIZE])
{
	char text[PROOF_SERVER_MAX + 64];
	struct buffer raw;

	buffer_init(&raw, text, sizeof(text));
	buffer_put(&raw, slice_skip(proof_scram_message(s), s->last));
	buffer_put_text(&raw, ",p=");
	base64_encode(&raw, slice_bytes((const char *)proof, PROOF_KEY_SIZE));
	proof_put_encoded(out, &raw);
}

const char *proof_scram_signed(const struct proof_scram *s, struct slice text)
{
	uint8_t signature[PROOF_KEY_SIZE];
	struct slice value;
	size_t len;

	if (slice_starts(text, SLICE_OF("e=")))
		return "the server refuses our SCRAM proof";
	if (!take_attribute(&text, 'v', &value) ||
	    !base64_decode(value, signature, sizeof(signature), &len) || len != sizeof(signature) ||
	    !secret_equal(signature, s->signature, sizeof(signature)))
		return "the server could not prove that it knows our password";
	return NULL;
}
