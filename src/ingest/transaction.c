#include "ingest/transaction.h"

#include <errno.h>

/* Octets of an envelope besides its recipients: sender, account, Message-ID and the words around them. */
#define ENVELOPE_REST_MAX	2048

static bool borrow(struct transaction *t, struct buffer *b)
{
	void *block = pool_get(t->blocks);

	if (block)
		buffer_init(b, block, pool_block_size(t->blocks));
	return block;
}

int transaction_begin(struct transaction *t, struct keeper *k, struct pool *blocks, const struct smtp_mail *mail,
		      uint32_t max_header)
{
	int result;

	t->keeper = k;
	t->blocks = blocks;
	t->mail = *mail;
	header_init(&t->header, max_header);
	if (!borrow(t, &t->recipients))
		return -ENOMEM;
	result = spool_begin(keeper_spool(k), &t->keeping.writer, mail->size);
	if (!result)
		spool_id_text(t->keeping.writer.id, t->id);
	return result;
}

void transaction_go_without(struct transaction *t, int error)
{
	t->error = error;
	spool_id_text(spool_new_id(keeper_spool(t->keeper)), t->id);
}

void transaction_reset(struct transaction *t)
{
	if (t->keeping.writer.id && !t->committing)
		spool_abort(keeper_spool(t->keeper), &t->keeping.writer);
	passage_end(&t->passage);
	if (t->recipients.at)
		pool_put(t->blocks, t->recipients.at);
	if (t->chunk.at)
		pool_put(t->blocks, t->chunk.at);
	digest_drop(t->hash);
	*t = (struct transaction){ 0 };
}

bool transaction_add_recipient(struct transaction *t, const struct address *recipient)
{
	if (buffer_room(&t->recipients) < recipient->len + 1u + ENVELOPE_REST_MAX)
		return false;
	buffer_put(&t->recipients, address_text(recipient));
	buffer_put(&t->recipients, SLICE_OF("\n"));
	t->recipient_count++;
	return true;
}

struct slice transaction_single_recipient(const struct transaction *t)
{
	struct slice all = buffer_bytes(&t->recipients);

	return t->recipient_count == 1 ? slice_first(all, all.len - 1) : slice_bytes("", 0);
}

int transaction_data(struct transaction *t, struct slice host, unsigned rules, bool hashed)
{
	strip_init(&t->strip, host, rules);
	body_init(&t->body, true);
	if (hashed) {
		t->hash = digest_start(DIGEST_SHA256);
		if (!t->hash)
			return -ENOMEM;
	}
	return borrow(t, &t->chunk) ? 0 : -ENOMEM;
}

static void spill(struct transaction *t)
{
	if (!t->error && buffer_length(&t->chunk))
		t->error = spool_append(keeper_spool(t->keeper), &t->keeping.writer, buffer_bytes(&t->chunk));
	buffer_clear(&t->chunk);
}

static void hash_body(struct transaction *t, struct slice content)
{
	char text[1024];
	size_t n;

	while (content.len) {
		n = body_next(&t->body, &content, text, sizeof(text));
		digest_add(t->hash, slice_bytes(text, n));
	}
}

bool transaction_body_hash(struct transaction *t, uint8_t out[DIGEST_SHA256_SIZE])
{
	struct digest_run *hash = t->hash;
	char text[BODY_ROOM_MIN];

	t->hash = NULL;
	digest_add(hash, slice_bytes(text, body_end(&t->body, text)));
	return digest_finish(hash, out);
}

static void keep(struct transaction *t, struct slice content)
{
	if (t->too_large || t->error)
		return;			/* drained, so that the answer comes after the final dot */
	while (content.len) {
		struct slice part = slice_first(content, buffer_room(&t->chunk));

		buffer_put(&t->chunk, part);
		content = slice_skip(content, part.len);
		if (!buffer_room(&t->chunk))
			spill(t);
	}
}

static void pass(struct transaction *t, struct slice content)
{
	header_feed(&t->header, content);
	if (t->hash && strip_in_body(&t->strip))
		hash_body(t, content);
	t->size += content.len;
	if (t->passage.state == PASSAGE_OFF)
		keep(t, content);
	else
		passage_put(&t->passage, content);
}

void transaction_requeue(struct transaction *t)
{
	t->passage.state = PASSAGE_OFF;
	t->passage.code = 0;
	keep(t, passage_content(&t->passage));
	passage_end(&t->passage);
}

void transaction_content(struct transaction *t, struct slice content, uint64_t max)
{
	struct slice part;

	t->came += content.len;
	if (t->came > max)
		t->too_large = true;
	while (strip_next(&t->strip, &content, &part))
		pass(t, part);
}

void transaction_content_end(struct transaction *t)
{
	pass(t, strip_finish(&t->strip));
	header_finish(&t->header);
}

const struct verdict *transaction_verdict(const struct transaction *t)
{
	return t->envelope_verdict.pass ? &t->header_verdict : &t->envelope_verdict;
}

bool transaction_is_accepted(const struct transaction *t, enum reply reply)
{
	return reply == REPLY_ACCEPTED || (reply == REPLY_PASSED && t->passage.code < 300);
}

struct slice transaction_message_id(const struct transaction *t)
{
	return slice_trim(header_body(&t->header, FIELD_MESSAGE_ID));
}

/* RFC 3834 5: anything but "no" was sent by a machine, and machines get no return mail (R49). */
static bool is_automatic(const struct header *h)
{
	struct slice value = slice_trim(header_body(h, FIELD_AUTO_SUBMITTED));

	return value.len && !slice_starts_fold(value, SLICE_OF("no"));
}

void transaction_envelope(const struct transaction *t, const struct principal *p, int64_t wall, struct envelope *e)
{
	*e = (struct envelope){
		.arrived = wall,
		.sender = address_text(&t->mail.sender),
		.account = principal_name(p),
		.trust = slice_of(principal_kind_name(p->kind)),
		.body_8bit = t->mail.body_8bit,
		.ends_in_crlf = true,	/* RFC 5321 4.1.1.4: the CRLF before the final dot belongs to the content */
		.no_return = is_automatic(&t->header),
		.message_id = transaction_message_id(t),
		.recipient_count = t->recipient_count,
		.recipients = buffer_bytes(&t->recipients),
	};
}

int transaction_commit(struct transaction *t, struct slice front, const struct principal *p, int64_t wall)
{
	struct envelope e;
	struct buffer text;
	int result;

	spill(t);
	if (t->error)
		return t->error;
	if (!borrow(t, &text))
		return -ENOMEM;
	transaction_envelope(t, p, wall, &e);
	result = envelope_write(&text, &e) ? keeper_commit(t->keeper, &t->keeping, front, buffer_bytes(&text)) : -ENOSPC;
	pool_put(t->blocks, text.at);
	t->committing = !result;
	return result;
}
