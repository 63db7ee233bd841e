#include "ingest/session.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "ingest/evidence.h"
#include "trust/password.h"

/* The rate of DATA is looked at over windows of this length, so that a short stall doesn't end a session. */
#define DATA_WINDOW_MS	30000
/* A handshake that takes longer holds memory for nothing. */
#define HANDSHAKE_MS	30000
/* After our last word we read on this long, so that the peer gets it before the kernel's RST for what it still sends. */
#define LINGER_MS	2000

/* All blocks are lent: look again after this long. */
#define STARVED_MS	20

enum session_stage {
	STAGE_TALK,
	STAGE_TLS_DUE,		/* 220 is on its way out; then the handshake */
	STAGE_SHAKING,
	STAGE_LEAVING,		/* the last reply is on its way out */
	STAGE_LINGER,		/* nothing more to say: see LINGER_MS */
};

static void session_turn(struct session *s);

static struct session *session_of(struct watch *w)
{
	return (struct session *)w;
}

static const char *tls_words(const struct session *s)
{
	return s->stream.tls && s->smtp.secured ? tls_version(s->stream.tls) : NULL;
}

/* Fields that every line of a session carries. */
static void record_who(struct record *r, const struct session *s)
{
	record_text(r, "client", slice_of(s->client_text));
	record_word(r, "listener", s->listen->name);
	record_word(r, "tls", tls_words(s));
}

/* Who it is, canonical and as typed. */
static void record_principal(struct record *r, const struct session *s)
{
	record_who(r, s);
	record_word(r, "trust", principal_kind_name(s->principal.kind));
	record_text(r, "account", principal_name(&s->principal));
	if (s->login[0])
		record_text(r, "login", slice_of(s->login));
}

static void log_end(const struct session *s)
{
	struct record r;

	record_start(&r, "session");
	record_word(&r, "end", s->end ? s->end : "closed");
	record_number(&r, "messages", s->messages);
	record_number(&r, "refused", s->refused);
	record_seconds(&r, "duration", loop_now(s->house->loop) - s->started);
	record_principal(&r, s);
	record_text(&r, "helo", smtp_server_helo(&s->smtp));
	if (s->stage != STAGE_LINGER && stream_error(&s->stream)[0])
		record_text(&r, "error", slice_of(stream_error(&s->stream)));
	log_record(SEVERITY_INFO, &r);
}

static void drop_transaction(struct session *s)
{
	struct transaction *t = s->transaction;

	s->transaction = NULL;
	if (!t)
		return;
	if (t->committing) {
		t->session = NULL;	/* complete and on its way to the disk: it is mail, though nobody hears the 250 */
		return;
	}
	transaction_reset(t);
	pool_put(s->house->transactions, t);
}

/* Verdict, sender, recipients and fate of a message: the audit line of R18. */
static void log_message(const struct session *s, const struct transaction *t, enum reply reply)
{
	const struct verdict *v = t->header_verdict.level ? &t->header_verdict : &t->envelope_verdict;
	struct record r;

	record_start(&r, "message");
	record_word(&r, "id", t->id);
	record_word(&r, "verdict", reply == REPLY_ACCEPTED ? "accepted" : "refused");
	record_number(&r, "code", reply_code(reply));
	evidence_record_verdict(&r, v);
	record_number(&r, "rcpts", t->recipient_count);
	record_number(&r, "size", (int64_t)t->size);
	record_principal(&r, s);
	record_text(&r, "from", address_text(&t->mail.sender));
	record_text(&r, "header_from", address_text(&v->from_address));
	record_text(&r, "to", slice_first(buffer_bytes(&t->recipients),
					  slice_find(buffer_bytes(&t->recipients), '\n')));
	record_text(&r, "msgid", transaction_message_id(t));
	log_record(SEVERITY_INFO, &r);
}

/* A refusal before there is a message: at MAIL or RCPT. */
static void log_refusal(const struct session *s, const char *at, const struct address *who, const struct verdict *v,
			enum reply reply)
{
	struct record r;

	record_start(&r, "refused");
	record_word(&r, "at", at);
	record_number(&r, "code", reply_code(reply));
	if (v)
		evidence_record_verdict(&r, v);
	record_principal(&r, s);
	record_text(&r, at[0] == 'm' ? "from" : "to", address_text(who));
	log_record(SEVERITY_INFO, &r);
}

static void answer(struct session *s, enum reply reply, struct slice argument)
{
	struct buffer *out = stream_output(&s->stream);

	if (out)
		smtp_server_answer(&s->smtp, out, reply, argument);
	else
		s->watch.dead = true;	/* can't be: a turn begins only with room for a reply */
}

/* AUTH */

static void login_answer(struct session *s, enum reply reply)
{
	struct buffer *out = stream_output(&s->stream);
	struct record r;

	record_start(&r, "login");
	record_word(&r, "result", reply == REPLY_AUTH_OK ? "ok" : reply == REPLY_AUTH_FAILED ? "refused" : "error");
	record_who(&r, s);
	record_text(&r, "login", slice_of(s->login));
	record_text(&r, "account", s->candidate ? account_name(s->candidate) : slice_of(""));
	log_record(reply == REPLY_AUTH_OK ? SEVERITY_INFO : SEVERITY_NOTICE, &r);
	if (reply == REPLY_AUTH_OK) {
		s->principal = (struct principal){ .kind = PRINCIPAL_ACCOUNT, .account = s->candidate };
		s->house->counters.logins++;
	} else {
		s->house->counters.refused_logins++;
	}
	s->candidate = NULL;
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

static void on_login(struct session *s, const struct smtp_server_event *e)
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

/* MAIL and RCPT */

static enum reply sender_reply(const struct verdict *v)
{
	if (v->reason == REASON_NO_AUTH)
		return REPLY_AUTH_REQUIRED;
	return v->pass || v->action != ACTION_REFUSE ? REPLY_SENDER_OK : REPLY_SENDER_REFUSED;
}

static enum reply begin_transaction(struct session *s, const struct smtp_mail *mail, const struct verdict *v)
{
	struct transaction *t = pool_get(s->house->transactions);
	int result;

	if (!t)
		return REPLY_TOO_BUSY;
	*t = (struct transaction){ 0 };
	result = transaction_begin(t, s->house->keeper, s->house->blocks, mail, s->settings->max_header);
	t->session = s;
	t->envelope_verdict = *v;
	s->transaction = t;
	if (!result)
		return REPLY_SENDER_OK;
	drop_transaction(s);
	return result == -ENOSPC || result == -EDQUOT ? REPLY_DISK_FULL : REPLY_SPOOL_FAILED;
}

static void on_mail(struct session *s, const struct smtp_server_event *e)
{
	struct verdict v;
	enum reply reply;

	drop_transaction(s);
	trust_judge_mail(s->settings->trust, &s->principal, &e->mail.sender, &v);
	reply = sender_reply(&v);
	if (reply == REPLY_SENDER_OK)
		reply = begin_transaction(s, &e->mail, &v);
	if (reply != REPLY_SENDER_OK) {
		s->refused++;
		log_refusal(s, "mail", &e->mail.sender, &v, reply);
	}
	answer(s, reply, address_text(&e->mail.sender));
}

/* RFC 5321 4.5.1: <postmaster> without a domain is accepted, and is the one of our first domain. */
static void complete_postmaster(const struct session *s, struct address *to)
{
	struct slice domain = trust_default_domain(s->settings->trust);
	char text[ADDRESS_MAX + 1];
	int len;

	if (!domain.len || !slice_equal_fold(address_text(to), SLICE_OF("postmaster")))
		return;
	len = snprintf(text, sizeof(text), "%s@%.*s", to->text, SLICE_ARGS(domain));
	if (len > 0 && (size_t)len < sizeof(text))
		address_parse(slice_bytes(text, (size_t)len), to);
}

static enum reply recipient_reply(struct session *s, const struct address *to)
{
	const struct trust_device *device = s->principal.kind == PRINCIPAL_DEVICE ? s->principal.device : NULL;
	struct address_key key;

	if (!to->well_formed || address_is_null(to))
		return REPLY_RECIPIENT_SYNTAX;
	if (device && device->local_only &&
	    (!address_key(to, &key) || !trust_is_our_domain(s->settings->trust, address_key_domain(&key))))
		return REPLY_RELAY_DENIED;
	if (s->transaction->recipient_count >= s->settings->max_recipients)
		return REPLY_TOO_MANY_RECIPIENTS;
	return transaction_add_recipient(s->transaction, to) ? REPLY_RECIPIENT_OK : REPLY_TOO_MANY_RECIPIENTS;
}

static void on_rcpt(struct session *s, const struct smtp_server_event *e)
{
	struct address to = e->rcpt;
	enum reply reply;

	complete_postmaster(s, &to);
	reply = recipient_reply(s, &to);
	if (reply != REPLY_RECIPIENT_OK)
		log_refusal(s, "rcpt", &e->rcpt, NULL, reply);
	answer(s, reply, address_text(&e->rcpt));
}

/* DATA */

static void open_window(struct session *s)
{
	s->window_start = s->transaction ? s->transaction->size : 0;
	s->deadline = loop_now(s->house->loop) + DATA_WINDOW_MS;
}

static void on_data(struct session *s, const struct smtp_server_event *e)
{
	(void)e;
	if (transaction_data(s->transaction)) {
		drop_transaction(s);	/* a refused DATA ends it */
		answer(s, REPLY_SPOOL_FAILED, slice_of(""));
		return;
	}
	open_window(s);
	answer(s, REPLY_START_INPUT, slice_of(s->transaction->id));
}

static void on_content(struct session *s, const struct smtp_server_event *e)
{
	transaction_content(s->transaction, e->content, s->settings->max_message_size);
}

/* The message's fate, worst defect first; REPLY_ACCEPTED when it may be kept. */
static enum reply message_reply(struct session *s, bool bare_cr_lf)
{
	struct transaction *t = s->transaction;
	struct verdict *v = &t->header_verdict;

	header_finish(&t->header);
	trust_judge_header(s->settings->trust, &s->principal, &t->mail.sender, &t->header, v);
	if (!v->pass && v->action == ACTION_REFUSE)
		return REPLY_FILTERED;
	if (bare_cr_lf)
		return REPLY_BARE_CR_LF;
	if (t->too_large)
		return REPLY_TOO_LARGE;
	if (t->header.count[FIELD_RECEIVED] > s->settings->received_max)
		return REPLY_LOOP;
	return t->error == -ENOSPC || t->error == -EDQUOT ? REPLY_DISK_FULL :
	       t->error ? REPLY_SPOOL_FAILED : REPLY_ACCEPTED;
}

static void finish_message(struct session *s, enum reply reply)
{
	struct transaction *t = s->transaction;
	char id[SPOOL_ID_TEXT];

	memcpy(id, t->id, sizeof(id));
	log_message(s, t, reply);
	if (reply == REPLY_ACCEPTED) {
		s->messages++;
		s->house->counters.messages++;
		s->house->counters.octets += t->size;
	} else {
		s->refused++;
		s->house->counters.refused_messages++;
	}
	drop_transaction(s);
	answer(s, reply, slice_of(id));
	s->deadline = loop_now(s->house->loop) + s->settings->command_timeout;
}

static void committed(struct keeping *k, int result)
{
	struct transaction *t = (struct transaction *)k;
	struct session *s = t->session;
	struct pool *transactions;

	t->committing = false;
	t->keeping.writer.id = 0;	/* decided: nothing to abort any more */
	if (s) {
		finish_message(s, !result ? REPLY_ACCEPTED : result == -ENOSPC ? REPLY_DISK_FULL : REPLY_SPOOL_FAILED);
		session_turn(s);
		return;
	}
	transactions = t->home;
	transaction_reset(t);
	pool_put(transactions, t);
}

static enum reply commit(struct session *s)
{
	struct transaction *t = s->transaction;
	char memory[EVIDENCE_MAX];
	struct buffer front;
	int result;

	buffer_init(&front, memory, sizeof(memory));
	evidence_write(&front, s);
	t->keeping.done = committed;
	t->home = s->house->transactions;
	result = transaction_commit(t, buffer_bytes(&front), &s->principal, clock_wall());
	return !result ? REPLY_ACCEPTED : result == -ENOSPC || result == -EDQUOT ? REPLY_DISK_FULL : REPLY_SPOOL_FAILED;
}

static void on_end(struct session *s, const struct smtp_server_event *e)
{
	enum reply reply = message_reply(s, e->end.bare_cr_lf);

	if (reply == REPLY_ACCEPTED)
		reply = commit(s);
	if (reply != REPLY_ACCEPTED)
		finish_message(s, reply);	/* else `committed` answers, once it is on the disk */
}

/* The rest */

static void on_reset(struct session *s, const struct smtp_server_event *e)
{
	(void)e;
	drop_transaction(s);
}

static void on_tls(struct session *s, const struct smtp_server_event *e)
{
	(void)e;
	drop_transaction(s);
	s->stage = STAGE_TLS_DUE;
}

/* Why the protocol ended it, by its last reply. */
static const char *const ends[REPLY_COUNT] = {
	[REPLY_BYE] = "quit",
	[REPLY_LINE_TOO_LONG] = "line-too-long",
	[REPLY_BAD_LINE_END] = "bad-line-end",
	[REPLY_NOT_IMPLEMENTED] = "bdat",
	[REPLY_AUTH_TOO_MANY] = "auth-failures",
	[REPLY_TOO_MANY_ERRORS] = "errors",
	[REPLY_TOO_BUSY] = "busy",
};

static void on_close(struct session *s, const struct smtp_server_event *e)
{
	(void)e;
	drop_transaction(s);
	s->stage = STAGE_LEAVING;
	if (!s->end)
		s->end = ends[s->smtp.last_reply] ? ends[s->smtp.last_reply] : "early-talk";
}

static void (*const handlers[])(struct session *, const struct smtp_server_event *) = {
	[SMTP_SERVER_LOGIN] = on_login,
	[SMTP_SERVER_MAIL] = on_mail,
	[SMTP_SERVER_RCPT] = on_rcpt,
	[SMTP_SERVER_DATA] = on_data,
	[SMTP_SERVER_CONTENT] = on_content,
	[SMTP_SERVER_END] = on_end,
	[SMTP_SERVER_RESET] = on_reset,
	[SMTP_SERVER_TLS] = on_tls,
	[SMTP_SERVER_CLOSE] = on_close,
};

/* Lets the protocol look at the input until it wants more, waits for an answer, or has no room to reply. */
static void talk(struct session *s)
{
	struct smtp_server_event e;
	struct buffer *out;
	size_t used;

	while (s->stage == STAGE_TALK && !s->smtp.waiting && !s->watch.dead) {
		out = stream_output(&s->stream);
		s->starved = !out;
		if (!out)
			return;
		used = smtp_server_feed(&s->smtp, stream_input(&s->stream), out, &e);
		if (handlers[e.type])
			handlers[e.type](s, &e);
		stream_consume(&s->stream, used);
		if (used && s->stage == STAGE_TALK && s->smtp.phase != PHASE_DATA)
			s->deadline = loop_now(s->house->loop) + s->settings->command_timeout;
		if (e.type == SMTP_SERVER_ROOM)
			stream_write(&s->stream);
		if (e.type == SMTP_SERVER_MORE || (e.type == SMTP_SERVER_ROOM && stream_has_output(&s->stream)))
			return;
	}
}

static void begin_tls(struct session *s)
{
	if (!stream_start_tls(&s->stream, s->settings->tls, NULL)) {
		s->end = "no-memory";
		s->watch.dead = true;
		return;
	}
	s->stage = STAGE_SHAKING;
	s->deadline = loop_now(s->house->loop) + HANDSHAKE_MS;
}

static void greet(struct session *s)
{
	struct buffer *out = stream_output(&s->stream);

	s->stage = STAGE_TALK;
	s->deadline = loop_now(s->house->loop) + s->settings->command_timeout;
	if (!out)
		s->watch.dead = true;
	else
		smtp_server_greet(&s->smtp, out);
}

static void end_handshake(struct session *s)
{
	bool implicit = s->listen->tls == TLS_USE_IMPLICIT;

	smtp_server_secured(&s->smtp);
	if (implicit)
		greet(s);
	s->stage = STAGE_TALK;
	s->deadline = loop_now(s->house->loop) + s->settings->command_timeout;
}

/* What the end of output means in each stage. */
static void after_output(struct session *s)
{
	if (stream_has_output(&s->stream))
		return;
	if (s->stage == STAGE_TLS_DUE) {
		begin_tls(s);
	} else if (s->stage == STAGE_LEAVING && s->smtp.last_reply == REPLY_BYE) {
		s->watch.dead = true;	/* it said so itself: nothing is on its way that could undo our reply */
	} else if (s->stage == STAGE_LEAVING) {
		stream_finish(&s->stream);
		s->stage = STAGE_LINGER;
		s->deadline = loop_now(s->house->loop) + LINGER_MS;
	}
}

static void look_for_end(struct session *s)
{
	if (s->stream.state == STREAM_FAILED ||
	    (s->stream.state == STREAM_ENDED && !s->smtp.waiting && !stream_has_output(&s->stream))) {
		if (!s->end)
			s->end = s->stream.state == STREAM_FAILED ? "error" : "disconnect";
		s->watch.dead = true;
	}
}

/* Writing carries a handshake on as well as reading does. */
static bool has_shaken(const struct session *s)
{
	return s->stage == STAGE_SHAKING && s->stream.state == STREAM_OPEN;
}

static bool reads_more(struct session *s)
{
	return s->stage == STAGE_TALK && !s->smtp.waiting && stream_ready(&s->stream) && stream_read(&s->stream);
}

/* Goes as far as it can without waiting. */
static void session_turn(struct session *s)
{
	do {
		if (has_shaken(s))
			end_handshake(s);
		if (s->stage == STAGE_LINGER)
			stream_consume(&s->stream, stream_input(&s->stream).len);
		else
			talk(s);
		stream_write(&s->stream);
		after_output(s);
	} while (!s->watch.dead && (has_shaken(s) || reads_more(s)));
	stream_rest(&s->stream);
	look_for_end(s);
}

static bool wants_input(const struct session *s)
{
	if (s->stage == STAGE_TALK)
		return !s->smtp.waiting && !stream_has_output(&s->stream);
	return s->stage == STAGE_SHAKING || s->stage == STAGE_LINGER;
}

static void want(struct watch *w)
{
	struct session *s = session_of(w);

	w->fd = s->stream.fd;
	w->events = stream_events(&s->stream, wants_input(s));
	/* While it is we who owe something, a login or a commit, the client's time doesn't run. */
	w->deadline = s->stage == STAGE_TALK && s->smtp.waiting ? NEVER : s->deadline;
	if (wants_input(s) && stream_ready(&s->stream))
		w->deadline = loop_now(s->house->loop);
	else if (s->starved)
		w->deadline = loop_now(s->house->loop) + STARVED_MS;
}

static bool too_slow(struct session *s)
{
	uint64_t came = s->transaction ? s->transaction->size - s->window_start : 0;

	return came < (uint64_t)s->settings->data_min_rate * (DATA_WINDOW_MS / 1000);
}

static void end_with(struct session *s, enum reply reply, const char *why)
{
	struct buffer *out = stream_output(&s->stream);

	s->end = why;
	drop_transaction(s);
	if (s->stage != STAGE_TALK || !out) {
		s->watch.dead = true;
		return;
	}
	smtp_server_end(&s->smtp, out, reply);
	s->stage = STAGE_LEAVING;
	s->deadline = loop_now(s->house->loop) + LINGER_MS;
	session_turn(s);
}

static void on_deadline(struct session *s)
{
	if (s->smtp.phase == PHASE_DATA && s->stage == STAGE_TALK && !too_slow(s))
		open_window(s);
	else if (s->smtp.phase == PHASE_DATA)
		end_with(s, REPLY_TOO_SLOW, "too-slow");
	else
		end_with(s, REPLY_TIMEOUT, s->stage == STAGE_LINGER ? s->end : "timeout");
}

static void ready(struct watch *w, short revents)
{
	struct session *s = session_of(w);

	if (!revents && !stream_ready(&s->stream) && loop_now(s->house->loop) >= s->deadline) {
		on_deadline(s);
		return;
	}
	/* Reading first: writing to a peer that has hung up would lose what it said last. */
	if ((revents & ~POLLOUT) || stream_ready(&s->stream))
		stream_read(&s->stream);
	session_turn(s);
}

static void reap(struct watch *w)
{
	struct session *s = session_of(w);

	helper_forget(s->house->hasher, s);
	drop_transaction(s);
	log_end(s);
	stream_close(&s->stream);
	secret_wipe(&s->smtp, sizeof(s->smtp));
	s->settings->users--;
	s->house->counters.open_sessions--;
	s->house->closed(s->house->context, s);
}

static bool make_nonce(char out[17])
{
	uint8_t bytes[8];

	if (!secret_random(bytes, sizeof(bytes)))
		return false;
	for (unsigned i = 0; i < sizeof(bytes); i++)
		snprintf(out + 2 * i, 3, "%02x", bytes[i]);
	return true;
}

static unsigned usable_mechanisms(const struct trust *t)
{
	if (!accounts_any_login(t))
		return 0;
	return SASL_PLAIN | SASL_LOGIN | (accounts_all_cram(t) ? SASL_CRAM_MD5 : 0u);
}

static void make_rules(struct session *s)
{
	const struct ingest_settings *set = s->settings;
	bool known = s->principal.kind != PRINCIPAL_NOBODY;

	s->rules = (struct smtp_server_settings){
		.hostname = slice_of(set->hostname),
		.client = slice_of(s->client_text),
		.enhanced_codes = set->enhanced_codes,
		.starttls = s->listen->tls == TLS_USE_STARTTLS,
		.mechanisms = usable_mechanisms(set->trust),
		.plaintext_auth = network_list_match(&s->listen->plaintext_auth, &s->client) >= 0,
		.auth_required = s->listen->auth_required || !known,
		.auth_failures = set->auth_failures,
		.max_message_size = set->max_message_size,
	};
}

bool session_open(struct session *s, struct session_house *house, struct ingest_settings *settings,
		  const struct ingest_listen *listen, int fd, const struct ip_address *client)
{
	char ip[48], nonce[17];

	*s = (struct session){ .house = house, .settings = settings, .listen = listen, .client = *client };
	s->watch.want = want;
	s->watch.ready = ready;
	s->watch.reap = reap;
	ip_text(client, ip, sizeof(ip));
	snprintf(s->client_text, sizeof(s->client_text), client->v6 ? "[IPv6:%s]" : "[%s]", ip);
	stream_open(&s->stream, fd, house->blocks);
	s->started = loop_now(house->loop);
	trust_by_address(settings->trust, client, &s->principal);
	make_rules(s);
	if (!make_nonce(nonce) || !loop_add(house->loop, &s->watch)) {
		stream_close(&s->stream);
		return false;
	}
	settings->users++;
	house->counters.sessions++;
	house->counters.open_sessions++;
	smtp_server_init(&s->smtp, &s->rules, nonce);
	if (listen->tls == TLS_USE_IMPLICIT)
		begin_tls(s);
	else
		greet(s);
	session_turn(s);
	return true;
}

void session_shutdown(struct session *s)
{
	if (!s->watch.dead && !(s->transaction && s->transaction->committing))
		end_with(s, REPLY_SHUTDOWN, "shutdown");
}
