/* The POP login that opens the door (R43), walked through. */
#include <string.h>

#include "base/secret.h"
#include "relay/advice.h"
#include "relay/probe.h"
#include "relay/respond.h"
#include "relay/wire.h"
#include "smtp/pop3.h"

struct knock {
	struct wire wire;		/* first */
	struct pop3 session;
	struct pop3_settings rules;
	bool greeted, opened;
};

static struct knock *of(struct wire *w)
{
	return (struct knock *)w;
}

static void connected(struct wire *w)
{
	struct knock *k = of(w);
	const struct relay_pop *o = &w->route->pop;

	k->rules = (struct pop3_settings){
		.starttls = o->tls == TLS_USE_STARTTLS, .secured = o->tls == TLS_USE_IMPLICIT, .login = o->login,
		.user = slice_of(o->user), .password = slice_of(o->password),
	};
	pop3_init(&k->session, &k->rules);
}

static void secured(struct wire *w)
{
	pop3_secured(&of(w)->session);
}

static void tell_greeting(struct knock *k, const struct pop3_reply *reply, bool failed)
{
	enum pop3_stage stage = pop3_stage(&k->session);

	if (k->greeted || stage == POP3_STAGE_GREETING || stage == POP3_STAGE_PROTOCOL)
		return;
	k->greeted = true;
	if (!k->wire.shakes)
		wire_tell(&k->wire, "greeting", PROBE_OK, "", "%.*s%s", failed ? 0 : reply->len, reply->text,
			  k->session.timestamp_len ? " (with APOP's timestamp)" : "");
}

static bool respond(struct knock *k, struct slice timestamp, struct buffer *out)
{
	char hex[RESPOND_SIZE];

	if (!respond_apop(k->rules.password, timestamp, hex)) {
		wire_tell(&k->wire, "login", PROBE_TEMPORARY, "", "no memory for APOP");
		wire_finish(&k->wire);
		return false;
	}
	pop3_respond(&k->session, out, slice_of(hex));
	return true;
}

static const char *failed_advice(enum pop3_stage stage, bool temporary)
{
	if (temporary && stage != POP3_STAGE_STLS && stage != POP3_STAGE_PROTOCOL)
		return "the server says that it is for now: probe again later";
	if (stage == POP3_STAGE_LOGIN)
		return "POP user or password is wrong at the provider, or POP is switched off there: look at pop_user and "
		       "pop_password_file (else user and password_file)";
	if (stage == POP3_STAGE_STLS)
		return "is pop_port right (110; 995 with pop_tls = implicit)? Without TLS no login is sent, unless pop_tls = none says so";
	return stage == POP3_STAGE_PROTOCOL ? "is there a POP3 server at this port?" : "ask the provider";
}

static const char *step_of(enum pop3_stage stage)
{
	static const char *const names[] = {
		[POP3_STAGE_GREETING] = "greeting", [POP3_STAGE_STLS] = "tls", [POP3_STAGE_LOGIN] = "login",
		[POP3_STAGE_QUIT] = "quit", [POP3_STAGE_PROTOCOL] = "reply",
	};

	return names[stage];
}

static void tell_failed(struct knock *k, const struct pop3_event *e)
{
	bool temporary = pop3_temporary(&k->session);
	bool wrong = !temporary || e->stage == POP3_STAGE_STLS || e->stage == POP3_STAGE_PROTOCOL;

	if (!k->opened)
		wire_tell(&k->wire, step_of(e->stage), wrong ? PROBE_WRONG : PROBE_TEMPORARY, failed_advice(e->stage, temporary), "%.*s",
			  e->reply->len, e->reply->text);
	wire_finish(&k->wire);
}

static void tell_open(struct knock *k, const struct pop3_reply *reply)
{
	k->opened = true;
	wire_tell(&k->wire, "login", PROBE_OK, "", "as %s by %s: %.*s", k->wire.route->pop.user,
		  k->session.by_apop ? "APOP" : "USER and PASS", reply->len, reply->text);
}

static bool begin_tls(struct knock *k)
{
	if (stream_input(&k->wire.stream).len > 0) {
		wire_tell(&k->wire, "tls", PROBE_WRONG, "somebody on the way may do that: ask the provider",
			  "the server's +OK to STLS had more behind it, in clear");
		wire_finish(&k->wire);
	} else {
		wire_shake(&k->wire);
	}
	return false;
}

static bool feed(struct wire *w, struct buffer *out)
{
	struct knock *k = of(w);
	struct pop3_event e;

	stream_consume(&w->stream, pop3_feed(&k->session, stream_input(&w->stream), out, &e));
	tell_greeting(k, e.reply, e.type == POP3_FAILED);
	switch (e.type) {
	case POP3_ROOM:
		stream_write(&w->stream);
		return !stream_has_output(&w->stream);
	case POP3_TLS:
		return begin_tls(k);
	case POP3_TIMESTAMP:
		return respond(k, e.timestamp, out);
	case POP3_OPEN:
		tell_open(k, e.reply);
		return true;
	case POP3_FAILED:
		tell_failed(k, &e);
		return false;
	case POP3_CLOSED:
		wire_finish(w);
		return false;
	case POP3_MORE:
		return false;
	}
	return false;
}

static void lost(struct wire *w, const char *why)
{
	struct knock *k = of(w);
	enum pop3_stage stage = pop3_stage(&k->session);

	if (!k->opened)
		wire_tell(w, step_of(stage), PROBE_TEMPORARY, stage == POP3_STAGE_GREETING ? advice_silence(w->end.tls) : "", "%s", why);
}

enum probe_result probe_pop(const struct probe_house *h, unsigned route, char source[INET6_ADDRSTRLEN])
{
	static const struct wire_talk talk = { .connected = connected, .secured = secured, .feed = feed, .lost = lost };
	const struct relay_route *r = &h->settings->routes[route];
	struct knock k = { .greeted = false };
	enum probe_result worst;

	k.wire.house = h;
	k.wire.route = r;
	k.wire.talk = &talk;
	k.wire.end = (struct wire_end){
		.host = r->pop.host, .port = r->pop.port, .tls = r->pop.tls, .context = r->pop.context, .tls_name = r->pop.tls_name,
		.bind = r->bind, .prefix = "pop-", .key_prefix = "pop_",
	};
	worst = wire_run(&k.wire);
	memcpy(source, k.wire.source, sizeof(k.wire.source));
	secret_wipe(&k.session, sizeof(k.session));
	return worst;
}
