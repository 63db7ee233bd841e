#include "ingest/login.h"

#include <string.h>

#include "base/secret.h"
#include "ingest/audit.h"
#include "trust/password.h"

static bool is_locked(const struct session *s)
{
	return lockout_is_locked(s->house->lockout, &s->settings->lockout, s->identity, &s->client,
				 loop_now(s->house->loop));
}

static void login_failed(struct session *s)
{
	enum lockout_scope begun = lockout_failed(s->house->lockout, &s->settings->lockout, s->identity, s->password,
						  &s->client, loop_now(s->house->loop));

	if (begun == LOCKOUT_NONE)
		return;
	s->house->counters.lockouts++;
	audit_lockout(s, begun);
}

static void forget_login(struct session *s)
{
	s->candidate = NULL;
	s->password = slice_of(NULL);
	s->identity = slice_of(NULL);
}

/* Looked at only now: others may have guessed for the same pair while this password was checked (R61). */
static void login_answer(struct session *s, enum reply reply)
{
	struct buffer *out = stream_output(&s->stream);
	bool locked = is_locked(s);

	if (locked && reply == REPLY_AUTH_OK)
		reply = REPLY_AUTH_FAILED;
	audit_login(s, reply, locked);
	if (reply == REPLY_AUTH_FAILED && !locked)
		login_failed(s);
	if (reply == REPLY_AUTH_OK) {
		lockout_succeeded(s->house->lockout, s->identity, &s->client);
		password_memo_add(s->house->memo, s->candidate, s->password);
		s->principal = (struct principal){ .kind = PRINCIPAL_ACCOUNT, .account = s->candidate };
		s->house->counters.logins++;
	} else {
		s->house->counters.refused_logins++;
	}
	forget_login(s);
	if (out)
		smtp_server_login_done(&s->smtp, out, reply);
	else
		s->watch.dead = true;
}

size_t ingest_hash(const void *request, size_t len, int fd, void *answer)
{
	struct password_job job;
	uint8_t good;

	(void)fd;
	if (len != sizeof(job))
		return 0;
	memcpy(&job, request, sizeof(job));
	good = password_check(&job);
	secret_wipe(&job, sizeof(job));
	memcpy(answer, &good, 1);
	return 1;
}

static void hashed(void *context, const void *result, size_t len)
{
	struct session *s = context;
	bool good = result && len == 1 && *(const uint8_t *)result == 1;

	if (good && s->candidate)
		login_answer(s, REPLY_AUTH_OK);
	else
		login_answer(s, result ? REPLY_AUTH_FAILED : REPLY_AUTH_TEMPORARY);
	s->house->turn(s);
}

/* Not while locked: a guesser must not reach the upstream, which would lock the account, or us. */
static bool asks_upstream(const struct session *s)
{
	return s->candidate && s->candidate->upstream && s->house->vouch.ask && !is_locked(s);
}

bool login_due(const struct session *s)
{
	return s->vouch.state > VOUCH_ASKED && !s->watch.dead;
}

void login_turn(struct session *s)
{
	static const enum reply replies[] = {
		[VOUCH_GOOD] = REPLY_AUTH_OK, [VOUCH_BAD] = REPLY_AUTH_FAILED, [VOUCH_UNKNOWN] = REPLY_AUTH_TEMPORARY,
	};
	enum reply reply;

	if (!login_due(s))
		return;
	reply = replies[s->vouch.state];
	s->vouch = (struct vouch){ 0 };
	login_answer(s, reply);
}

/* What password and identity point to is wiped with the session: an answer that comes later must find nobody. */
void login_drop(struct session *s)
{
	if (s->vouch.carrier)
		s->house->vouch.cancel(s->house->vouch.context, &s->vouch);
	s->vouch = (struct vouch){ 0 };
	if (s->password.at)
		helper_forget(s->house->hasher, s);
	forget_login(s);
}

/*
 * The account's address, or its login= name, whichever was meant; never what was typed: `user1` may be ours here and somebody else at the
 * next hop, whose password would then open our account.
 */
static struct slice name_upstream(const struct trust_account *a, struct slice typed)
{
	return a->login[0] && slice_equal_fold(typed, slice_of(a->login)) ? slice_of(a->login) : account_name(a);
}

static void check_password(struct session *s, const struct smtp_login *login)
{
	bool known = s->candidate && password_memo_knows(s->house->memo, s->candidate, login->password);
	struct password_job job;

	s->password = login->password;
	/* While locked no short cut, or the answer's haste says that the password is right. */
	if (known && !is_locked(s)) {
		login_answer(s, REPLY_AUTH_OK);
		return;
	}
	if (asks_upstream(s)) {
		s->vouch.state = VOUCH_ASKED;
		s->house->vouch.ask(s->house->vouch.context, &s->vouch, account_name(s->candidate),
				    name_upstream(s->candidate, login->authcid), login->password);
		return;
	}
	password_job(s->candidate, login->password, &job);
	if (!helper_ask(s->house->hasher, &job, sizeof(job), -1, hashed, s))
		login_answer(s, REPLY_AUTH_TEMPORARY);
	secret_wipe(&job, sizeof(job));
}

void login_begin(struct session *s, const struct smtp_server_event *e)
{
	const struct trust *t = s->settings->trust;
	const struct smtp_login *login = &e->login;

	s->candidate = accounts_find(t, login->authcid);
	s->identity = s->candidate ? account_name(s->candidate) : login->authcid;
	slice_copy(slice_first(login->authcid, sizeof(s->login) - 1), s->login, sizeof(s->login));
	/* An authorisation identity that is somebody else is refused like a wrong password (R24). */
	if (login->authzid.len && accounts_find(t, login->authzid) != s->candidate)
		s->candidate = NULL;
	if (login->mechanism != SASL_CRAM_MD5) {
		check_password(s, login);
		return;
	}
	if (password_check_cram(s->candidate, login->challenge, login->response))
		login_answer(s, REPLY_AUTH_OK);
	else
		login_answer(s, REPLY_AUTH_FAILED);
}
