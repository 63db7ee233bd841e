/* The login: which mechanism, and what each of its replies means. */
#include <string.h>

#include "base/secret.h"
#include "smtp/client_inner.h"
#include "smtp/client_lines.h"
#include "smtp/echo.h"
#include "smtp/sending.h"

static bool is_ascii(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!ascii_is_print(s.at[i]))
			return false;
	return true;
}

/*
 * What is offered and allowed. SCRAM wants user and password prepared by the rules of Unicode (RFC 4013), which ASCII
 * passes unchanged: others log in by something else where they can.
 */
static unsigned usable_mechanisms(const struct smtp_client *c)
{
	unsigned usable = c->mechanisms & c->settings->mechanisms;
	unsigned others = usable & ~(unsigned)SASL_SCRAM_SHA_256;

	if (others && !(is_ascii(c->settings->user) && is_ascii(c->settings->password)))
		return others;
	return usable;
}

/* The best of them; AT_FAILED when there is nothing. R42 */
static enum state choose_mechanism(const struct smtp_client *c, enum smtp_mechanism *chosen)
{
	static const struct mechanism {
		enum smtp_mechanism bit;
		enum state state;
	} clear[] = {
		{ SASL_SCRAM_SHA_256, AT_SCRAM }, { SASL_CRAM_MD5, AT_CRAM },
		{ SASL_PLAIN, AT_PLAIN }, { SASL_LOGIN, AT_LOGIN },
	}, tls[] = {
		{ SASL_XOAUTH2, AT_TOKEN }, { SASL_SCRAM_SHA_256, AT_SCRAM },
		{ SASL_PLAIN, AT_PLAIN }, { SASL_LOGIN, AT_LOGIN }, { SASL_CRAM_MD5, AT_CRAM },
	};
	const struct mechanism *order = c->secured ? tls : clear;
	size_t count = c->secured ? sizeof(tls) / sizeof(*tls) : sizeof(clear) / sizeof(*clear);
	unsigned usable = usable_mechanisms(c);
	size_t i;

	for (i = 0; i < count; i++) {
		if (!(usable & order[i].bit))
			continue;
		*chosen = order[i].bit;
		return order[i].state;
	}
	return AT_FAILED;
}

bool client_login_due(const struct smtp_client *c)
{
	return c->settings->mechanisms && (!c->settings->login_optional || (c->extensions & EXT_AUTH));
}

void client_login(struct smtp_client *c)
{
	enum smtp_mechanism chosen = 0;
	enum state state = choose_mechanism(c, &chosen);

	c->mechanism = (uint8_t)chosen;
	if (state == AT_SCRAM)
		proof_scram_begin(&c->scram, c->settings->user, c->settings->nonce);
	if (state == AT_FAILED)
		client_fail_because(c, STAGE_AUTH, "no AUTH mechanism is offered that is allowed");
	else
		client_go(c, state);
}

void client_on_cram(struct smtp_client *c, struct slice text, struct smtp_client_event *event)
{
	size_t len;

	if (!base64_decode(slice_trim(text), c->challenge, sizeof(c->challenge), &len)) {
		client_fail(c, STAGE_PROTOCOL);
		return;
	}
	event->type = SMTP_CLIENT_CHALLENGE;
	event->challenge = slice_bytes(c->challenge, len);
	client_go(c, AT_CHALLENGED);
}

/* A server that takes no initial response asks with an empty challenge. */
void client_on_scram(struct smtp_client *c, struct slice text, struct smtp_client_event *event)
{
	const char *wrong;
	size_t len;

	text = slice_trim(text);
	if (text.len == 0 && c->state == AT_SCRAM) {
		client_go(c, AT_SCRAM_FIRST);
		return;
	}
	if (!base64_decode(text, c->challenge, sizeof(c->challenge), &len)) {
		client_fail(c, STAGE_PROTOCOL);
		return;
	}
	wrong = proof_scram_challenged(&c->scram, slice_bytes(c->challenge, len), c->settings->nonce);
	if (wrong) {
		client_fail_because(c, STAGE_AUTH, wrong);
		return;
	}
	event->type = SMTP_CLIENT_PROVE;
	event->scram = &c->scram;
	client_go(c, AT_PROVING);
}

void client_on_signature(struct smtp_client *c, struct slice text, struct smtp_client_event *event)
{
	const char *wrong;
	size_t len;

	(void)event;
	if (!base64_decode(slice_trim(text), c->challenge, sizeof(c->challenge), &len))
		len = 0;
	wrong = proof_scram_signed(&c->scram, slice_bytes(c->challenge, len));
	if (wrong)
		client_fail_because(c, STAGE_AUTH, wrong);
	else
		client_go(c, AT_SCRAM_END);
}

/* A 235 that came without it is worth nothing: anybody can say that. */
void client_on_unproved(struct smtp_client *c, struct slice text, struct smtp_client_event *event)
{
	(void)text, (void)event;
	client_fail_because(c, STAGE_AUTH, "the server did not prove that it knows our password");
}

/*
 * 504 and 534 are about the mechanism: some servers offer what their accounts can't do. In TLS the next one is tried, once; in
 * clear somebody on the way could have said so to be told the password. 535 is about the password, and a
 * second try would be counted as a second guess.
 */
void client_on_scram_refused(struct smtp_client *c, struct slice text, struct smtp_client_event *event)
{
	bool mechanism = c->upstream.reply.code == 504 || c->upstream.reply.code == 534;
	enum smtp_mechanism next = 0;

	(void)text, (void)event;
	c->mechanisms &= ~(unsigned)SASL_SCRAM_SHA_256;
	if (mechanism && c->secured && choose_mechanism(c, &next) != AT_FAILED)
		client_login(c);
	else
		client_fail(c, STAGE_AUTH);
}

/*
 * What stands in the 334 that comes in answer to a token says why it is refused; the empty line then fetches the 535.
 * A token that has not been sent yet is asked for.
 */
void client_on_token(struct smtp_client *c, struct slice text, struct smtp_client_event *event)
{
	static const struct slice command = SLICE("AUTH XOAUTH2");
	const struct buffer line = { .tail = command.len, .size = command.len };
	bool said = lines_holds_token(c, &line) && slice_trim(text).len > 0;

	(void)event;
	client_go(c, said ? AT_TOKEN_REFUSED : AT_TOKEN_RESPONSE);
}

static bool repeats_secret(const struct smtp_client *c, struct slice text)
{
	char memory[SMTP_COMMAND_MAX];
	struct buffer sent;
	bool found;

	buffer_init(&sent, memory, sizeof(memory));
	if (c->state == AT_LOGIN_PASSWORD)
		lines_put_password(c, &sent);
	else if (c->state >= AT_TOKEN && c->state <= AT_TOKEN_REFUSED)
		lines_put_token(c, &sent);
	else
		lines_put_plain(c, &sent);
	found = echo_repeats(text, buffer_bytes(&sent)) || echo_repeats(text, c->settings->password) ||
		echo_repeats(text, c->settings->token);
	secret_wipe(memory, sizeof(memory));
	return found;
}

/*
 * "500 unknown command AHVzZXIAcGFzcw==": servers repeat what they don't understand, and replies
 * go to logs and into return mail.
 */
void client_withhold_secret(struct smtp_client *c)
{
	struct smtp_upstream_reply *reply = &c->upstream.reply;
	uint16_t code = reply->code;

	if (!repeats_secret(c, upstream_text(reply)))
		return;
	upstream_explain(&c->upstream, "(the reply repeats our credentials)");
	reply->code = code;
}

bool smtp_client_respond(struct smtp_client *c, struct buffer *out, struct slice hex)
{
	char text[BASE64_LENGTH(LOGIN_MAX + 1 + 32) + 2];
	struct buffer line;
	enum sending sent;

	if (c->state != AT_CHALLENGED)
		return false;
	buffer_init(&line, text, sizeof(text));
	proof_put_cram(&line, c->settings->user, hex);
	sent = sending_put(out, &line);
	if (sent == SENDING_IMPOSSIBLE)
		client_fail_unsendable(c, STAGE_AUTH);
	else if (sent == SENDING_DONE)
		client_go(c, AT_CRAM_RESPONSE);
	return sent != SENDING_NO_ROOM;
}

bool smtp_client_prove(struct smtp_client *c, struct buffer *out, const uint8_t proof[PROOF_KEY_SIZE],
		       const uint8_t signature[PROOF_KEY_SIZE])
{
	char text[BASE64_LENGTH(PROOF_SERVER_MAX + 64) + 2];
	struct buffer line;
	enum sending sent;

	if (c->state != AT_PROVING)
		return false;
	buffer_init(&line, text, sizeof(text));
	proof_scram_put_last(&c->scram, &line, proof);
	sent = sending_put(out, &line);
	if (sent == SENDING_IMPOSSIBLE)
		client_fail_unsendable(c, STAGE_AUTH);
	if (sent != SENDING_DONE)
		return sent != SENDING_NO_ROOM;
	memcpy(c->scram.signature, signature, sizeof(c->scram.signature));
	client_go(c, AT_SCRAM_LAST);
	return true;
}
