/* AUTH: whose is the password (R24-R26). A slow hash is the helper's work, the session waits for it. */
#include <string.h>

#include "base/secret.h"
#include "ingest/audit.h"
#include "trust/password.h"

static void login_answer(struct session *s, enum reply reply)
{
	struct buffer *out = stream_output(&s->stream);

	audit_login(s, reply);
	if (reply == REPLY_AUTH_OK) {
		s->principal = (struct principal){ .kind = PRINCIPAL_ACCOUNT, .account = s->candidate };
		s->house->counters.logins++;
	} else {
		s->house->counters.refused_logins++;
	}
	s->candidate = NULL;
	s->password = slice_of(NULL);
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

	if (good && s->candidate) {
		password_memo_add(s->house->memo, s->candidate, s->password);
		login_answer(s, REPLY_AUTH_OK);
	} else {
		login_answer(s, result ? REPLY_AUTH_FAILED : REPLY_AUTH_TEMPORARY);
	}
	session_turn(s);
}

static void check_password(struct session *s, const struct smtp_login *login)
{
	struct password_job job;

	if (s->candidate && password_memo_knows(s->house->memo, s->candidate, login->password)) {
		login_answer(s, REPLY_AUTH_OK);
		return;
	}
	s->password = login->password;
	password_job(s->candidate, login->password, &job);
	if (!helper_ask(s->house->hasher, &job, sizeof(job), -1, hashed, s))
		login_answer(s, REPLY_AUTH_TEMPORARY);
	secret_wipe(&job, sizeof(job));
}

void session_login(struct session *s, const struct smtp_server_event *e)
{
	const struct trust *t = s->settings->trust;
	const struct smtp_login *login = &e->login;

	s->candidate = accounts_find(t, login->authcid);
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
