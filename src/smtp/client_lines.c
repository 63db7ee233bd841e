#include "smtp/client_lines.h"

#include <inttypes.h>

#include "smtp/sasl.h"

#define COMMAND_MAX	512	/* octets with CRLF that any server takes: RFC 5321 4.5.3.1.4 */

/* What EHLO offers: RFC 5321 4.1.1.1 */

static void offer_size(struct smtp_client *c, struct slice parameters)
{
	uint64_t limit;

	if (slice_number(parameters, UINT64_MAX, &limit))
		c->size_limit = limit;
}

static void offer_auth(struct smtp_client *c, struct slice parameters)
{
	struct slice word;

	while (slice_word(&parameters, &word))
		c->mechanisms |= sasl_find(word);
}

/* `AUTH=PLAIN` is a draft's form of `AUTH PLAIN` that old servers still send along. */
static struct slice split_keyword(struct slice *parameters)
{
	static const struct slice old_auth = SLICE("AUTH=");
	struct slice keyword = { NULL, 0 };

	if (slice_starts_fold(*parameters, old_auth)) {
		*parameters = slice_skip(*parameters, old_auth.len);
		return SLICE_OF("AUTH");
	}
	slice_word(parameters, &keyword);
	return keyword;
}

void lines_learn(struct smtp_client *c, struct slice line)
{
	static const struct {
		struct slice keyword;
		enum smtp_extension bit;
		void (*offer)(struct smtp_client *c, struct slice parameters);
	} known[] = {
		{ SLICE("PIPELINING"), EXT_PIPELINING, NULL },
		{ SLICE("SIZE"), EXT_SIZE, offer_size },
		{ SLICE("8BITMIME"), EXT_8BITMIME, NULL },
		{ SLICE("STARTTLS"), EXT_STARTTLS, NULL },
		{ SLICE("ENHANCEDSTATUSCODES"), EXT_ENHANCED, NULL },
		{ SLICE("AUTH"), EXT_AUTH, offer_auth },
	};
	struct slice keyword, parameters = slice_trim(line);
	size_t i;

	keyword = split_keyword(&parameters);
	for (i = 0; i < sizeof(known) / sizeof(*known); i++) {
		if (!slice_equal_fold(keyword, known[i].keyword))
			continue;
		c->extensions |= known[i].bit;
		if (known[i].offer)
			known[i].offer(c, slice_trim(parameters));
	}
}

/* Commands */

void lines_put_helo(const struct smtp_client *c, struct buffer *line)
{
	buffer_put(line, c->settings->helo);
}

/* Saves a round trip where the line stays short: RFC 4954 section 4. */
static bool goes_along(const struct buffer *line, size_t raw)
{
	return buffer_length(line) + 1 + BASE64_LENGTH(raw) + 2 <= COMMAND_MAX;
}

void lines_put_plain(const struct smtp_client *c, struct buffer *line)
{
	proof_put_plain(line, c->settings->user, c->settings->password);
}

void lines_put_initial_plain(const struct smtp_client *c, struct buffer *line)
{
	if (!goes_along(line, proof_plain_length(c->settings->user, c->settings->password)))
		return;
	buffer_put_text(line, " ");
	lines_put_plain(c, line);
}

void lines_put_token(const struct smtp_client *c, struct buffer *line)
{
	proof_put_xoauth2(line, c->settings->user, c->settings->token);
}

bool lines_holds_token(const struct smtp_client *c, const struct buffer *line)
{
	return goes_along(line, proof_xoauth2_length(c->settings->user, c->settings->token));
}

void lines_put_initial_token(const struct smtp_client *c, struct buffer *line)
{
	if (!lines_holds_token(c, line))
		return;
	buffer_put_text(line, " ");
	lines_put_token(c, line);
}

/* The exchange was begun when SCRAM was chosen: what is sent here is what both sides sign. */
void lines_put_scram(const struct smtp_client *c, struct buffer *line)
{
	proof_scram_put_first(&c->scram, line);
}

void lines_put_initial_scram(const struct smtp_client *c, struct buffer *line)
{
	if (!goes_along(line, proof_scram_message(&c->scram).len + 3))
		return;
	buffer_put_text(line, " ");
	lines_put_scram(c, line);
}

void lines_put_user(const struct smtp_client *c, struct buffer *line)
{
	base64_encode(line, c->settings->user);
}

void lines_put_password(const struct smtp_client *c, struct buffer *line)
{
	base64_encode(line, c->settings->password);
}

void lines_put_sender(const struct smtp_client *c, struct buffer *line)
{
	const struct smtp_client_mail *mail = c->transaction.mail;

	buffer_put(line, mail->sender);
	buffer_put_text(line, ">");
	if ((c->extensions & EXT_SIZE) && mail->size > 0)
		buffer_putf(line, " SIZE=%" PRIu64, mail->size);
	if ((c->extensions & EXT_8BITMIME) && mail->body_8bit)
		buffer_put_text(line, " BODY=8BITMIME");
}

void lines_put_recipient(const struct smtp_client *c, struct buffer *line)
{
	buffer_put(line, c->transaction.mail->recipients[c->transaction.next_command - 1]);
	buffer_put_text(line, ">");
}
