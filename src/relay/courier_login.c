/* Who we are, for the upstream: what the login needs besides user and password. */
#include "base/base64.h"
#include "base/secret.h"
#include "relay/courier_inner.h"
#include "relay/prove.h"
#include "relay/respond.h"

struct slice courier_nonce(struct courier *c)
{
	uint8_t octets[PROOF_NONCE_LENGTH / 4 * 3];
	struct buffer text;

	buffer_init(&text, c->nonce, sizeof(c->nonce));
	if (secret_random(octets, sizeof(octets)))
		base64_encode(&text, slice_bytes((const char *)octets, sizeof(octets)));
	return buffer_bytes(&text);
}

bool courier_respond(struct courier *c, struct slice challenge)
{
	char hex[RESPOND_SIZE];
	struct buffer *out = stream_output(&c->stream);

	if (!out || !respond_cram(c->rules.password, challenge, hex))
		return false;
	smtp_client_respond(&c->smtp, out, slice_of(hex));
	return true;
}

bool courier_prove(struct courier *c, const void *answer, size_t len)
{
	uint8_t proof[PROOF_KEY_SIZE], signature[PROOF_KEY_SIZE];
	struct buffer *out = stream_output(&c->stream);

	if (!out || !prove_finish(&c->smtp.scram, answer, len, proof, signature))
		return false;
	smtp_client_prove(&c->smtp, out, proof, signature);
	return true;
}

void courier_forget_login(struct courier *c)
{
	if (c->stream.out.at && !stream_has_output(&c->stream))
		secret_wipe(c->stream.out.at, SMTP_COMMAND_MAX);
}
