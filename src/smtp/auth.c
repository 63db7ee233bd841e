#include "smtp/auth.h"

#include <inttypes.h>

#include "base/base64.h"
#include "base/limits.h"
#include "base/secret.h"
#include "smtp/sasl.h"

/* Whose answer an AUTH exchange waits for. */
enum auth_step { STEP_NONE, STEP_PLAIN, STEP_LOGIN_USER, STEP_LOGIN_PASSWORD, STEP_CRAM_MD5 };

unsigned auth_mechanisms(const struct smtp_server *s)
{
	if (s->authenticated || (!s->secured && !s->settings->plaintext_auth))
		return 0;
	return s->settings->mechanisms;
}

void auth_forget(struct smtp_server *s)
{
	secret_wipe(s->credentials, sizeof s->credentials);
	s->authcid_len = 0;
	s->auth_step = STEP_NONE;
	s->auth_mechanism = 0;
}

static void login_failed(struct smtp_server *s, struct buffer *out)
{
	bool last = ++s->auth_failed >= s->settings->auth_failures;

	turn_say(s, out, last ? REPLY_AUTH_TOO_MANY : REPLY_AUTH_FAILED, no_argument);
}

static void take_login(const struct turn *t, bool good, const struct smtp_login *login)
{
	t->s->auth_step = STEP_NONE;
	if (!good) {
		auth_forget(t->s);
		login_failed(t->s, t->out);
		return;
	}
	t->event->login = *login;
	turn_ask(t, SMTP_SERVER_LOGIN);
}

/* The same text each time it is asked for, until `challenges` goes up. */
static void put_challenge(const struct smtp_server *s, struct buffer *b)
{
	buffer_putf(b, "<%" PRIu32 ".%s@", s->challenges, s->nonce);
	buffer_put(b, s->settings->hostname);
	buffer_put_text(b, ">");
}

static void challenge_cram_md5(const struct turn *t)
{
	char plain[SASL_CHALLENGE_MAX + 1], coded[BASE64_LENGTH(SASL_CHALLENGE_MAX)];
	struct buffer text, line;

	t->s->challenges++;
	buffer_init(&text, plain, sizeof plain);
	put_challenge(t->s, &text);
	buffer_init(&line, coded, sizeof coded);
	base64_encode(&line, buffer_bytes(&text));
	turn_say(t->s, t->out, REPLY_AUTH_CHALLENGE, buffer_bytes(&line));
}

static void challenge_plain(const struct turn *t)
{
	turn_say(t->s, t->out, REPLY_AUTH_CHALLENGE, no_argument);
}

/* `Username:` and `Password:`: copiers of one famous client give up on anything else (R25). */
static void challenge_user(const struct turn *t)
{
	turn_say(t->s, t->out, REPLY_AUTH_CHALLENGE, SLICE_OF("VXNlcm5hbWU6"));
}

static void challenge_password(const struct turn *t)
{
	turn_say(t->s, t->out, REPLY_AUTH_CHALLENGE, SLICE_OF("UGFzc3dvcmQ6"));
}

static void take_plain(const struct turn *t, struct slice message)
{
	struct smtp_login login = { .mechanism = SASL_PLAIN };

	take_login(t, sasl_plain(message, &login), &login);
}

static void take_user(const struct turn *t, struct slice user)
{
	struct smtp_login login = { .mechanism = SASL_LOGIN };

	if (!sasl_is_identity(user)) {
		take_login(t, false, &login);
		return;
	}
	t->s->authcid_len = (uint16_t)user.len;
	t->s->auth_step = STEP_LOGIN_PASSWORD;
	challenge_password(t);
}

static void take_password(const struct turn *t, struct slice password)
{
	struct smtp_login login = { .mechanism = SASL_LOGIN };
	struct slice user = slice_bytes(t->s->credentials, t->s->authcid_len);

	take_login(t, sasl_login(user, password, &login), &login);
}

/* The challenge is written again behind the response; both fit, or the response is none of ours. */
static void take_cram_md5(const struct turn *t, struct slice message)
{
	struct smtp_login login = { .mechanism = SASL_CRAM_MD5 };
	struct buffer challenge;
	size_t room = sizeof t->s->credentials - message.len;

	buffer_init(&challenge, t->s->credentials + message.len, room);
	put_challenge(t->s, &challenge);
	login.challenge = buffer_bytes(&challenge);
	take_login(t, !challenge.overflow && sasl_cram_md5(message, &login), &login);
}

/* What is sent on entering a step, and what is done with the client's answer to it. */
static const struct step {
	void (*challenge)(const struct turn *t);
	void (*take)(const struct turn *t, struct slice message);
} steps[] = {
	[STEP_PLAIN]		= { challenge_plain, take_plain },
	[STEP_LOGIN_USER]	= { challenge_user, take_user },
	[STEP_LOGIN_PASSWORD]	= { challenge_password, take_password },
	[STEP_CRAM_MD5]		= { challenge_cram_md5, take_cram_md5 },
};

static enum auth_step first_step(unsigned mechanism)
{
	if (mechanism == SASL_PLAIN)
		return STEP_PLAIN;
	return mechanism == SASL_LOGIN ? STEP_LOGIN_USER : STEP_CRAM_MD5;
}

/* RFC 4954 section 4. When a password comes, `credentials` holds the user already. */
void auth_take(const struct turn *t, struct slice coded)
{
	struct smtp_server *s = t->s;
	char *at = s->credentials + s->authcid_len;
	size_t room = sizeof s->credentials - s->authcid_len, len;
	const struct step *step = &steps[s->auth_step];

	if (coded.len > BASE64_LENGTH(room)) {
		take_login(t, false, NULL);
	} else if (slice_equal(coded, SLICE_OF("*"))) {
		auth_forget(s);
		turn_answer(t, REPLY_AUTH_CANCELLED);
	} else if (!base64_decode(coded, at, room, &len)) {
		auth_forget(s);
		turn_answer(t, REPLY_AUTH_BASE64);
	} else {
		step->take(t, slice_bytes(at, len));
	}
}

static enum reply auth_refusal(const struct smtp_server *s, unsigned mechanism, bool has_name,
			       bool has_initial)
{
	if (s->authenticated)
		return REPLY_AUTH_ALREADY;
	if (!s->settings->mechanisms)
		return REPLY_NOT_IMPLEMENTED;
	if (!has_name)
		return REPLY_SYNTAX;
	if (!(mechanism & s->settings->mechanisms))
		return REPLY_AUTH_MECHANISM;
	if (!auth_mechanisms(s))
		return REPLY_AUTH_NEEDS_TLS;
	/* RFC 4954 section 4: the server speaks first here. */
	return mechanism == SASL_CRAM_MD5 && has_initial ? REPLY_SYNTAX : REPLY_NONE;
}

void auth_begin(const struct turn *t)
{
	struct slice initial = t->argument, name = no_argument;
	bool has_name = slice_word(&initial, &name);
	unsigned mechanism = sasl_find(name);
	enum reply refusal;

	initial = slice_trim(initial);
	refusal = auth_refusal(t->s, mechanism, has_name, initial.len > 0);
	if (refusal != REPLY_NONE) {
		turn_answer(t, refusal);
		return;
	}
	t->s->auth_mechanism = (uint8_t)mechanism;
	t->s->auth_step = (uint8_t)first_step(mechanism);
	if (initial.len == 0)
		steps[t->s->auth_step].challenge(t);
	else	/* `=` is how an empty initial response is written */
		auth_take(t, slice_equal(initial, SLICE_OF("=")) ? no_argument : initial);
}

void smtp_server_login_done(struct smtp_server *s, struct buffer *out, enum reply reply)
{
	if (s->waiting != SMTP_SERVER_LOGIN)
		return;
	s->waiting = 0;
	auth_forget(s);
	s->authenticated = reply == REPLY_AUTH_OK;
	if (reply == REPLY_AUTH_FAILED)
		login_failed(s, out);
	else
		turn_say(s, out, reply, no_argument);
}
