/* The walk through SMTP, and the mails that are begun and taken back. */
#include "relay/probe.h"

#include <stdio.h>

#include "base/base64.h"
#include "base/secret.h"
#include "relay/advice.h"
#include "relay/denial.h"
#include "relay/login.h"
#include "relay/prove.h"
#include "relay/respond.h"
#include "relay/wire.h"
#include "smtp/client.h"

enum trial_kind {
	TRIAL_ADDRESS,			/* the return address */
	TRIAL_NULL,			/* <> */
	TRIAL_OTHER,			/* an account's, by a login that is not its own */
	TRIAL_OWN			/* an account's, by its own login */
};

struct trial {				/* one MAIL, and RCPT with the return address */
	enum trial_kind kind;
	struct slice sender;
};

#define TRIALS_MAX	(PROBE_SENDERS_MAX + 3)

struct probe {
	struct wire wire;		/* first */
	const struct probe_visit *visit;
	struct smtp_client smtp;
	struct smtp_client_settings rules;
	struct smtp_client_mail mail;
	struct slice to;
	char nonce[PROOF_NONCE_LENGTH + 1];
	enum smtp_client_stage at;	/* told up to here */
	bool greeted;			/* READY has come once */
	bool answered;			/* a recipient's reply to the trial under way came */
	bool no_recipient;		/* the return address is refused as a recipient, whoever sends */
	bool undone;			/* RSET has been told */
	unsigned trial_count, next_trial;
	struct trial trials[TRIALS_MAX];
};

static struct probe *of(struct wire *w)
{
	return (struct probe *)w;
}

static const struct relay_route *route_of(const struct probe *p)
{
	return p->wire.route;
}

static const struct relay_settings *settings_of(const struct probe *p)
{
	return p->wire.house->settings;
}

/* "550 5.7.1 no", or our own reason. */
static const char *reply_text(const struct smtp_upstream_reply *r, char out[SMTP_REPLY_TEXT_MAX + 8])
{
	if (r->code)
		snprintf(out, SMTP_REPLY_TEXT_MAX + 8, "%u %.*s", r->code, r->len, r->text);
	else
		snprintf(out, SMTP_REPLY_TEXT_MAX + 8, "%.*s", r->len, r->text);
	return out;
}

/* What is to be tried */

static void add_trial(struct probe *p, enum trial_kind kind, struct slice sender)
{
	if (p->trial_count < TRIALS_MAX)
		p->trials[p->trial_count++] = (struct trial){ .kind = kind, .sender = sender };
}

static bool is_address(struct slice s)
{
	return slice_find(s, '@') < s.len;
}

/* Return mail goes by the login of its own account; others' senders matter where one login serves all. */
static void plan(struct probe *p)
{
	const struct relay_route *r = route_of(p);
	struct slice from = slice_of(settings_of(p)->return_from);
	int login = p->visit->login;

	if (r->by_client)
		return;
	if (route_login(r, from) == login) {
		if (from.len)
			add_trial(p, TRIAL_ADDRESS, from);
		add_trial(p, TRIAL_NULL, slice_of(""));
	}
	if (login > LOGIN_STORED && is_address(slice_of(r->logins[login - 1].account)))
		add_trial(p, TRIAL_OWN, slice_of(r->logins[login - 1].account));
	for (unsigned i = 0; r->mechanisms && !r->by_sender && i < p->wire.house->sender_count; i++)
		add_trial(p, TRIAL_OTHER, p->wire.house->senders[i]);
}

/* The session */

static void new_nonce(struct probe *p)
{
	uint8_t octets[PROOF_NONCE_LENGTH / 4 * 3];
	struct buffer text;

	buffer_init(&text, p->nonce, sizeof(p->nonce));
	if (secret_random(octets, sizeof(octets)))
		base64_encode(&text, slice_bytes((const char *)octets, sizeof(octets)));
}

static void connected(struct wire *w)
{
	struct probe *p = of(w);
	const struct relay_route *r = w->route;
	bool logs_in = !r->by_client;

	new_nonce(p);
	p->rules = (struct smtp_client_settings){
		.helo = slice_of(settings_of(p)->hostname),
		.starttls = r->tls == TLS_USE_STARTTLS,
		.secured = r->tls == TLS_USE_IMPLICIT,
		.mechanisms = logs_in ? r->mechanisms : 0,
		.login_optional = r->login_optional,
		.user = logs_in ? route_user(r, p->visit->login) : slice_of(""),
		.password = logs_in ? route_password(r, p->visit->login) : slice_of(""),
		.nonce = slice_of(p->nonce),
		.token = p->visit->token,
	};
	smtp_client_init(&p->smtp, &p->rules);
	p->at = STAGE_GREETING;
}

static void secured(struct wire *w)
{
	smtp_client_secured(&of(w)->smtp);
}

/* What was passed since the last look */

static void put_mechanisms(struct buffer *b, unsigned mechanisms)
{
	for (unsigned bit = SASL_PLAIN; bit <= SASL_XOAUTH2; bit <<= 1)
		if (mechanisms & bit)
			buffer_putf(b, " %s", smtp_mechanism_name((enum smtp_mechanism)bit));
}

static void put_offer(const struct smtp_client *c, struct buffer *b)
{
	static const struct {
		unsigned bit;
		const char *name;
	} rows[] = {
		{ EXT_PIPELINING, "PIPELINING, " }, { EXT_8BITMIME, "8BITMIME, " }, { EXT_STARTTLS, "STARTTLS, " },
		{ EXT_ENHANCED, "ENHANCEDSTATUSCODES, " },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (c->extensions & rows[i].bit)
			buffer_put_text(b, rows[i].name);
	if (c->size_limit)
		buffer_putf(b, "SIZE %llu, ", (unsigned long long)c->size_limit);
	buffer_put_text(b, c->extensions & EXT_AUTH ? "AUTH" : "no AUTH");
	put_mechanisms(b, c->mechanisms);
}

static void tell_offer(struct probe *p)
{
	uint64_t most = p->wire.house->max_message_size;
	char text[FAULT_MAX], change[FAULT_MAX] = "";
	struct buffer b;

	if (p->wire.brief)
		return;
	buffer_init(&b, text, sizeof(text) - 1);
	put_offer(&p->smtp, &b);
	if (!smtp_client_fits(&p->smtp, most))
		snprintf(change, sizeof(change), "[server] max_message_size is %llu: with %llu clients hear at once what is too large "
			 "for this upstream, in place of return mail", (unsigned long long)most,
			 (unsigned long long)p->smtp.size_limit);
	wire_tell(&p->wire, "ehlo", change[0] ? PROBE_NOTE : PROBE_OK, change, "offers %.*s", SLICE_ARGS(buffer_bytes(&b)));
}

static void tell_progress(struct probe *p, enum smtp_client_stage now, bool failed)
{
	char text[SMTP_REPLY_TEXT_MAX + 8] = "";

	if (now == STAGE_PROTOCOL)
		return;
	if (p->at == STAGE_GREETING && now > STAGE_GREETING) {
		if (now == STAGE_EHLO && !failed)
			reply_text(&p->smtp.upstream.reply, text);
		if (!p->wire.brief && !p->wire.shakes)
			wire_tell(&p->wire, "greeting", PROBE_OK, "", "%s", text[0] ? text : "220");
		p->at = STAGE_EHLO;
	}
	if (p->at == STAGE_EHLO && now > STAGE_STARTTLS) {
		tell_offer(p);
		p->at = STAGE_AUTH;
	}
}

/* Login */

static void tell_client_login(struct probe *p)
{
	if (p->smtp.mechanisms & (SASL_PLAIN | SASL_LOGIN))
		wire_tell(&p->wire, "login", PROBE_OK, "", "each client's own user and password are used, so none is tried here");
	else
		wire_tell(&p->wire, "login", PROBE_WRONG, "credentials = client needs PLAIN or LOGIN there: tls = starttls, or another port",
			  "clients' own logins can't be used: the server offers neither PLAIN nor LOGIN");
}

static void tell_login(struct probe *p)
{
	if (route_of(p)->by_client)
		tell_client_login(p);
	else if (p->smtp.mechanism)
		wire_tell(&p->wire, "login", PROBE_OK, "", "as %.*s by %s", SLICE_ARGS(p->rules.user),
			  smtp_mechanism_name(p->smtp.mechanism));
	else if (p->rules.mechanisms)
		wire_tell(&p->wire, "login", PROBE_OK, "", "the server offers no login here; the one by POP counts");
	else
		wire_tell(&p->wire, "login", PROBE_OK, "", "none is configured");
}

static void salted(void *context, const void *answer, size_t len)
{
	struct probe *p = context;
	uint8_t proof[PROOF_KEY_SIZE], signature[PROOF_KEY_SIZE];
	struct buffer *out = p->wire.over ? NULL : stream_output(&p->wire.stream);

	if (p->wire.over)
		return;
	if (!out || !prove_finish(&p->smtp.scram, answer, len, proof, signature)) {
		wire_tell(&p->wire, "login", PROBE_TEMPORARY, "", "no memory for SCRAM-SHA-256");
		wire_finish(&p->wire);
		return;
	}
	smtp_client_prove(&p->smtp, out, proof, signature);
	wire_go_on(&p->wire);
}

static void prove(struct probe *p)
{
	if (prove_ask(p->wire.house->hasher, &p->smtp.scram, p->rules.password, salted, p))
		return;
	wire_tell(&p->wire, "login", PROBE_TEMPORARY, "", "the hashing helper is busy");
	wire_finish(&p->wire);
}

static void respond(struct probe *p, struct slice challenge, struct buffer *out)
{
	char hex[RESPOND_SIZE];

	if (!respond_cram(p->rules.password, challenge, hex)) {
		wire_tell(&p->wire, "login", PROBE_TEMPORARY, "", "no memory for CRAM-MD5");
		wire_finish(&p->wire);
		return;
	}
	smtp_client_respond(&p->smtp, out, slice_of(hex));
}

/* Trials */

static const struct trial *trial_of(const struct probe *p)
{
	return &p->trials[p->next_trial - 1];
}

static enum probe_result result_of(unsigned code)
{
	if (code / 100 == 2)
		return PROBE_OK;
	return code / 100 == 4 ? PROBE_TEMPORARY : PROBE_WRONG;
}

/* R43: about the door, not about the address. */
static bool door_is_shut(const struct probe *p, const struct smtp_upstream_reply *r)
{
	return route_of(p)->pop.use != POP_OFF && r->code / 100 > 3 && denial_is_of_relaying(r->code, upstream_text(r));
}

static void tell_door(struct probe *p, const char *step, const struct smtp_upstream_reply *r)
{
	char text[SMTP_REPLY_TEXT_MAX + 8];

	if (route_of(p)->pop.use == POP_CLIENT)
		wire_tell(&p->wire, step, PROBE_TEMPORARY, "let a mail program fetch mail by POP, then probe again", "%s",
			  reply_text(r, text));
	else
		wire_tell(&p->wire, step, PROBE_WRONG, "our POP login does not open the door: is pop_host of the same provider, pop_wait "
			  "long enough, and do both leave by the same address (bind)?", "%s", reply_text(r, text));
}

static const char *refused_advice(const struct probe *p, enum trial_kind kind, const struct smtp_upstream_reply *r)
{
	if (r->code / 100 == 4)
		return "the server says that it is for now: probe again later";
	if (login_is_code(r->code))
		return route_of(p)->mechanisms ? "the server doesn't take the login for mail: ask the provider" :
		       "the server wants a login: write user and password_file";
	if (kind == TRIAL_OTHER)
		return "this upstream refuses senders other than its login: use credentials = sender, with a login for each account";
	if (kind == TRIAL_OWN)
		return "this login may not send as its account: is the line in credentials_file right?";
	if (kind == TRIAL_NULL)
		return "return mail can't leave with <>: [return] envelope = auto";
	return route_of(p)->mechanisms ?
	       "[return] from must be an address that exists, and that this login may send as" :
	       "[return] from must be an address that exists; or this server relays only for a login: write user and password_file";
}

/* What `<>` means for return mail (R48). */
static void tell_null(struct probe *p, const char *step, const struct smtp_upstream_reply *r)
{
	const struct relay_settings *s = settings_of(p);
	char text[SMTP_REPLY_TEXT_MAX + 8];

	if (result_of(r->code) == PROBE_OK)
		wire_tell(&p->wire, "mail", PROBE_OK, "", "<> is accepted%s", s->return_envelope == RETURN_ADDRESS ? "" :
			  ": return mail goes out with it");
	else if (result_of(r->code) == PROBE_TEMPORARY || (s->return_envelope == RETURN_NULL || !s->return_from[0]))
		wire_tell(&p->wire, step, result_of(r->code), refused_advice(p, TRIAL_NULL, r), "<>: %s", reply_text(r, text));
	else
		wire_tell(&p->wire, step, PROBE_OK, "", "<> is refused: return mail goes out with %s (envelope = %s); %s", s->return_from,
			  s->return_envelope == RETURN_AUTO ? "auto" : "address", reply_text(r, text));
}

static void tell_sender(struct probe *p, const char *step, const struct smtp_upstream_reply *r)
{
	const struct trial *t = trial_of(p);
	char text[SMTP_REPLY_TEXT_MAX + 8];

	if (door_is_shut(p, r))
		tell_door(p, step, r);
	else if (t->kind == TRIAL_NULL)
		tell_null(p, step, r);
	else if (result_of(r->code) != PROBE_OK)
		wire_tell(&p->wire, step, result_of(r->code), refused_advice(p, t->kind, r), "<%.*s>: %s", SLICE_ARGS(t->sender),
			  reply_text(r, text));
	else
		wire_tell(&p->wire, "mail", PROBE_OK, "", "<%.*s> may send%s", SLICE_ARGS(t->sender),
			  t->kind == TRIAL_OTHER ? ", though the login is another's" : "");
}

static void tell_recipient(struct probe *p, const struct smtp_upstream_reply *r)
{
	char text[SMTP_REPLY_TEXT_MAX + 8];
	enum probe_result result = result_of(r->code);

	p->no_recipient = result != PROBE_OK;
	wire_tell(&p->wire, "mail", PROBE_OK, "", "<%.*s> may send", SLICE_ARGS(trial_of(p)->sender));
	if (door_is_shut(p, r))
		tell_door(p, "rcpt", r);
	else
		wire_tell(&p->wire, "rcpt", result, result == PROBE_OK ? "" : refused_advice(p, TRIAL_ADDRESS, r), "<%.*s>: %s",
			  SLICE_ARGS(p->to), reply_text(r, text));
}

static void on_recipient(struct probe *p, const struct smtp_upstream_reply *r)
{
	static const struct smtp_upstream_reply fine = { .code = 250 };

	p->answered = true;
	if (trial_of(p)->kind == TRIAL_ADDRESS)
		tell_recipient(p, r);
	else
		tell_sender(p, "rcpt", p->no_recipient ? &fine : r);
}

/* True: another one was begun. */
static bool begin_trial(struct probe *p)
{
	if (p->next_trial == p->trial_count)
		return false;
	p->mail = (struct smtp_client_mail){
		.sender = p->trials[p->next_trial++].sender, .rehearsal = true, .recipients = &p->to,
		.recipient_count = p->to.len > 0,
	};
	p->answered = false;
	smtp_client_mail(&p->smtp, &p->mail);
	return true;
}

static void on_ready(struct probe *p)
{
	if (!p->greeted)
		tell_login(p);
	p->greeted = true;
	if (begin_trial(p))
		return;
	if (p->trial_count && !p->wire.brief)
		wire_tell(&p->wire, "rset", PROBE_OK, "", "nothing was sent");
	smtp_client_quit(&p->smtp);
}

/* The end */

static const char *failed_advice(const struct probe *p, enum smtp_client_stage stage, const struct smtp_upstream_reply *r)
{
	if (stage == STAGE_AUTH)
		return advice_login(r->code, upstream_text(r), p->visit->token.len > 0);
	if (stage == STAGE_STARTTLS)
		return "is port right (587; 465 with tls = implicit)? Without TLS nothing is sent, unless tls = none says so; somebody on "
		       "the way may take the offer out";
	if (stage == STAGE_PROTOCOL)
		return "is there an SMTP server at this port?";
	if (stage == STAGE_GREETING && r->code / 100 == 5)
		return "the server wants nothing from this address: it may stand in a list of bad ones; ask the provider";
	return r->code / 100 == 5 ? "ask the provider" : "";
}

static void on_failed(struct probe *p, const struct smtp_client_event *e)
{
	char text[SMTP_REPLY_TEXT_MAX + 8];
	enum probe_result result = e->reply->code / 100 == 4 ? PROBE_TEMPORARY : PROBE_WRONG;
	const char *step = e->stage == STAGE_AUTH ? "login" : e->stage == STAGE_STARTTLS ? "tls" :
			   e->stage == STAGE_PROTOCOL ? "reply" : smtp_client_stage_name(e->stage);

	wire_tell(&p->wire, step, result, failed_advice(p, e->stage, e->reply), "%s", reply_text(e->reply, text));
	wire_finish(&p->wire);
}

static void lost(struct wire *w, const char *why)
{
	struct probe *p = of(w);
	enum smtp_client_stage stage = smtp_client_stage(&p->smtp);

	tell_progress(p, stage, true);
	if (stage == STAGE_QUIT)
		wire_tell(w, "quit", PROBE_OK, "", "%s", why);
	else
		wire_tell(w, stage == STAGE_AUTH ? "login" : smtp_client_stage_name(stage), PROBE_TEMPORARY,
			  stage == STAGE_GREETING ? advice_silence(w->end.tls) : "", "%s", why);
}

static bool begin_tls(struct probe *p)
{
	if (stream_input(&p->wire.stream).len > 0) {
		wire_tell(&p->wire, "tls", PROBE_WRONG, "somebody on the way may do that: ask the provider",
			  "the server's 220 to STARTTLS had more behind it, in clear");
		wire_finish(&p->wire);
	} else {
		wire_shake(&p->wire);
	}
	return false;
}

static bool act(struct probe *p, const struct smtp_client_event *e, struct buffer *out)
{
	switch (e->type) {
	case SMTP_CLIENT_TLS:
		return begin_tls(p);
	case SMTP_CLIENT_CHALLENGE:
		respond(p, e->challenge, out);
		return true;
	case SMTP_CLIENT_PROVE:
		prove(p);
		return false;
	case SMTP_CLIENT_READY:
		on_ready(p);
		return true;
	case SMTP_CLIENT_RECIPIENT:
		on_recipient(p, e->reply);
		return true;
	case SMTP_CLIENT_SENT:
		if (!p->answered)
			tell_sender(p, "mail", e->reply);
		return true;
	case SMTP_CLIENT_FAILED:
		on_failed(p, e);
		return false;
	case SMTP_CLIENT_CLOSED:
		if (!p->wire.brief)
			wire_tell(&p->wire, "quit", PROBE_OK, "", "good-bye");
		wire_finish(&p->wire);
		return false;
	case SMTP_CLIENT_ROOM:
		stream_write(&p->wire.stream);
		return !stream_has_output(&p->wire.stream);
	case SMTP_CLIENT_CONTENT:	/* none is ever sent */
	case SMTP_CLIENT_MORE:
		return false;
	}
	return false;
}

static bool feed(struct wire *w, struct buffer *out)
{
	struct probe *p = of(w);
	struct smtp_client_event e;
	size_t used = smtp_client_feed(&p->smtp, stream_input(&w->stream), out, &e);

	stream_consume(&w->stream, used);
	tell_progress(p, smtp_client_stage(&p->smtp), e.type == SMTP_CLIENT_FAILED);
	return act(p, &e, out);
}

enum probe_result probe_smtp(const struct probe_house *h, const struct probe_visit *v)
{
	static const struct wire_talk talk = { .connected = connected, .secured = secured, .feed = feed, .lost = lost };
	const struct relay_route *r = &h->settings->routes[v->route];
	struct probe p = { .visit = v };
	enum probe_result worst;

	p.wire.house = h;
	p.wire.route = r;
	p.wire.talk = &talk;
	p.wire.brief = v->brief;
	p.wire.end = (struct wire_end){
		.host = r->host[v->host], .port = r->port, .tls = r->tls, .context = r->context, .tls_name = r->tls_name,
		.bind = v->bind, .prefix = "", .key_prefix = "",
	};
	p.to = slice_of(h->settings->return_from);
	plan(&p);
	worst = wire_run(&p.wire);
	helper_forget(h->hasher, &p);
	secret_wipe(&p.smtp, sizeof(p.smtp));
	return worst;
}
