#include "ingest/stamping.h"

#include "base/base64.h"
#include "mail/stamp.h"

static struct slice base64(const uint8_t hash[DIGEST_SHA256_SIZE], char out[STAMP_HASH_MAX])
{
	struct buffer text;

	buffer_init(&text, out, STAMP_HASH_MAX);
	base64_encode(&text, slice_bytes((const char *)hash, DIGEST_SHA256_SIZE));
	return buffer_bytes(&text);
}

static bool hash_from(const struct header *h, uint8_t hash[DIGEST_SHA256_SIZE])
{
	char text[STAMP_FROM_MAX];
	size_t n = stamp_from_text(header_body(h, FIELD_FROM), h->count[FIELD_FROM], text);

	return digest_hash(DIGEST_SHA256, slice_bytes(text, n), hash);
}

static bool seal(struct buffer *out, const struct session *s, const struct stamp *stamp)
{
	char memory[STAMP_MAX];
	struct buffer room;
	struct slice text;

	buffer_init(&room, memory, sizeof(memory));
	return stamp_write(out, stamp, &room, &text) && keyring_seal(s->settings->keyring, text, out) &&
	       buffer_put_text(out, "\r\n");
}

bool stamping_write(struct buffer *out, const struct session *s, int64_t wall, struct slice id)
{
	struct transaction *t = s->transaction;
	uint8_t from[DIGEST_SHA256_SIZE], body[DIGEST_SHA256_SIZE];
	char from_text[STAMP_HASH_MAX], body_text[STAMP_HASH_MAX];
	struct stamp stamp = {
		.host = slice_of(s->settings->hostname), .id = slice_of(t->id), .wall = wall,
		.kind = slice_of(principal_kind_name(s->principal.kind)), .account = principal_name(&s->principal),
		.envelope = address_text(&t->mail.sender), .from = address_text(&t->header_verdict.from_address),
		.message_id = id,
	};

	if (!s->settings->keyring)
		return true;
	if (!hash_from(&t->header, from))
		return false;
	stamp.key = keyring_id(s->settings->keyring);
	stamp.from_hash = base64(from, from_text);
	if (t->passage.state == PASSAGE_OFF) {	/* else our fields leave before the body has come */
		if (!transaction_body_hash(t, body))
			return false;
		stamp.body_hash = base64(body, body_text);
	}
	return seal(out, s, &stamp);
}
