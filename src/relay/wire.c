#include "relay/wire.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/secret.h"
#include "relay/advice.h"

#define SESSION_MS	300000	/* for all of it, however the server drips */
#define DAY		86400	/* s */
#define RENEW_DAYS	14	/* fewer are worth a word */

enum wire_stage { WIRE_DIALLING, WIRE_SHAKING, WIRE_TALKING };

const char *probe_result_name(enum probe_result result)
{
	static const char *const names[] = {
		[PROBE_OK] = "ok", [PROBE_NOTE] = "note", [PROBE_TEMPORARY] = "later", [PROBE_UNREACHABLE] = "away",
		[PROBE_WRONG] = "wrong",
	};

	return names[result];
}

static int64_t after(const struct wire *w, int64_t ms)
{
	int64_t until = loop_now(w->house->loop) + ms;

	return until < w->give_up ? until : w->give_up;
}

void wire_tell(struct wire *w, const char *step, enum probe_result result, const char *change, const char *format, ...)
{
	char text[2 * FAULT_MAX], name[32];
	struct probe_step s = { .relay = route_name(w->route), .host = w->end.host, .step = name, .result = result,
				.text = text, .change = change };
	va_list arguments;

	if (result > w->worst)
		w->worst = result;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	ascii_tame(text);
	snprintf(name, sizeof(name), "%s%s", w->end.prefix, step);
	w->house->tell(w->house->context, &s);
}

/* By a visit or an attempt before. */
static bool is_told(const struct wire *w)
{
	return w->brief || w->shakes;
}

void wire_finish(struct wire *w)
{
	w->over = true;
	w->watch.dead = true;
}

/* Look-up and connect */

static void on_step(void *context, const char *address, const char *error)
{
	struct wire *w = context;
	size_t room = sizeof(w->found) - w->found_len;
	int put;

	if (error) {
		snprintf(w->failed + strlen(w->failed), sizeof(w->failed) - strlen(w->failed), "%s%s: %s", w->failed[0] ? "; " : "",
			 address, error);
		return;
	}
	put = snprintf(w->found + w->found_len, room, "%s%s", w->found_len ? ", " : "", address);
	if (put > 0 && (size_t)put < room)
		w->found_len += (size_t)put;
}

static void tell_found(struct wire *w)
{
	if (w->found_len && !is_told(w))
		wire_tell(w, "lookup", PROBE_OK, "", "%s", w->found);
}

/* A link-local address says nothing without its interface. */
static void note_source(struct wire *w, int fd)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} own;
	socklen_t len = sizeof(own);

	w->source[0] = '\0';
	if (getsockname(fd, &own.any, &len) < 0)
		return;
	if (own.any.sa_family == AF_INET)
		inet_ntop(AF_INET, &own.v4.sin_addr, w->source, sizeof(w->source));
	else if (!IN6_IS_ADDR_LINKLOCAL(&own.v6.sin6_addr))
		inet_ntop(AF_INET6, &own.v6.sin6_addr, w->source, sizeof(w->source));
}

static void dialled(void *context, int fd, const char *address, const char *error)
{
	struct wire *w = context;

	w->dial = NULL;
	if (w->watch.dead)
		return;
	tell_found(w);
	if (fd < 0) {
		wire_tell(w, w->failed[0] ? "connect" : "lookup", PROBE_UNREACHABLE, advice_connect(slice_of(error), w->end.port),
			  "%s", w->failed[0] ? w->failed : error);
		wire_finish(w);
		return;
	}
	note_source(w, fd);
	snprintf(w->address, sizeof(w->address), "%s", address);
	stream_open(&w->stream, fd, w->house->blocks);
	if (self_is_peer(&w->house->settings->self, fd)) {
		wire_tell(w, "connect", PROBE_WRONG, "host and port must be the provider's", "%s is a listener of our own: "
			  "mail would go round for ever", address);
		wire_finish(w);
		return;
	}
	if (!is_told(w))
		wire_tell(w, "connect", w->failed[0] ? PROBE_NOTE : PROBE_OK, "", "%s%s%s from %s", w->failed,
			  w->failed[0] ? "; " : "", address, w->source);
	w->stage = WIRE_TALKING;
	w->deadline = after(w, WIRE_REPLY_MS);
	w->talk->connected(w);
	if (w->end.tls == TLS_USE_IMPLICIT)
		wire_shake(w);
}

static bool dial(struct wire *w)
{
	w->stage = WIRE_DIALLING;
	w->deadline = NEVER;
	w->found_len = 0;
	w->failed[0] = '\0';
	w->dial = dial_start(w->house->loop, w->house->resolver, w->end.host, w->end.port, w->end.bind, WIRE_REPLY_MS, dialled, w);
	if (w->dial)
		dial_show(w->dial, on_step);
	return w->dial;
}

/* TLS */

bool wire_shake(struct wire *w)
{
	w->stage = WIRE_SHAKING;
	w->deadline = after(w, WIRE_REPLY_MS);
	if (!stream_start_tls(&w->stream, w->end.context, w->end.tls_name[0] ? w->end.tls_name : w->end.host)) {
		wire_tell(w, "tls", PROBE_TEMPORARY, "", "no memory for TLS");
		wire_finish(w);
		return false;
	}
	tls_show(w->stream.tls, &w->shown);
	return true;
}

static void tell_secured(struct wire *w)
{
	int64_t days = clock_days(w->shown.valid_to - clock_wall());
	const char *change = "";

	if (w->brief)
		return;
	if (w->shown.shown && days < RENEW_DAYS)
		change = "the server's owner has to renew the certificate soon";
	if (!w->shown.shown)
		wire_tell(w, "tls", PROBE_OK, "", "%s, %s, a session resumed", tls_version(w->stream.tls), tls_cipher(w->stream.tls));
	else
		wire_tell(w, "tls", change[0] ? PROBE_NOTE : PROBE_OK, change, "%s, %s; certificate for %s, by %s, %lld days left; "
			  "sha256 %s", tls_version(w->stream.tls), tls_cipher(w->stream.tls), w->shown.names, w->shown.issuer,
			  (long long)days, w->shown.sha256);
}

/* A certificate, or a firewall, is nothing that goes away by waiting; a connection that was cut off may be. */
static void tell_unsecured(struct wire *w, const char *why)
{
	char change[FAULT_MAX], date[16];
	const char *what = advice_tls(&w->shown, w->end.key_prefix, change, sizeof(change));
	enum probe_result result = w->shown.wrong || w->stream.error == 0 ? PROBE_WRONG : PROBE_TEMPORARY;

	if (w->shown.shown)
		wire_tell(w, "tls", result, what, "%s; it shows a certificate for %s, by %s, valid to %s, sha256 %s", why,
			  w->shown.names, w->shown.issuer, clock_date(w->shown.valid_to, date), w->shown.sha256);
	else
		wire_tell(w, "tls", result, what, "%s", why);
}

static bool has_shaken(const struct wire *w)
{
	return !w->over && w->stage == WIRE_SHAKING && w->stream.state == STREAM_OPEN;
}

static void end_handshake(struct wire *w)
{
	tell_secured(w);
	w->stage = WIRE_TALKING;
	w->deadline = after(w, WIRE_REPLY_MS);
	w->talk->secured(w);
}

static bool shake_again(struct wire *w)
{
	return stream_retry_tls(&w->stream, &w->shakes) && dial(w);
}

/* The turn */

static void converse(struct wire *w)
{
	struct buffer *out;
	bool more = true;

	while (more && !w->over && w->stage == WIRE_TALKING) {
		out = stream_output(&w->stream);
		w->starved = !out;
		if (!out)
			return;
		more = w->talk->feed(w, out);
	}
}

static void look_for_end(struct wire *w)
{
	char words[FAULT_MAX];

	if (w->over || w->stage == WIRE_DIALLING ||
	    (w->stream.state != STREAM_FAILED && w->stream.state != STREAM_ENDED))
		return;
	slice_copy(slice_first(slice_of(stream_lost(&w->stream)), sizeof(words) - 1), words, sizeof(words));
	if (w->stage == WIRE_TALKING) {
		w->talk->lost(w, words);
		wire_finish(w);
	} else if (!shake_again(w)) {
		tell_unsecured(w, words);
		wire_finish(w);
	}
}

void wire_go_on(struct wire *w)
{
	if (w->over)
		return;
	do {
		if (has_shaken(w))
			end_handshake(w);
		converse(w);
		if (!w->over && w->stage != WIRE_DIALLING)
			stream_write(&w->stream);
	} while (has_shaken(w) || (!w->over && w->stage == WIRE_TALKING && stream_ready(&w->stream) && stream_read(&w->stream)));
	look_for_end(w);
}

static void want(struct watch *watch)
{
	struct wire *w = (struct wire *)watch;
	bool connected = w->stage != WIRE_DIALLING;

	watch->fd = connected ? w->stream.fd : -1;
	watch->events = connected ? stream_events(&w->stream, true) : 0;
	watch->deadline = w->deadline;
	if (connected && stream_ready(&w->stream))
		watch->deadline = loop_now(w->house->loop);
	else if (connected && w->starved)
		watch->deadline = loop_now(w->house->loop) + STREAM_STARVED_MS;
}

static void on_deadline(struct wire *w)
{
	if (w->stage == WIRE_SHAKING)
		tell_unsecured(w, "time-out in the TLS handshake");
	else
		w->talk->lost(w, "no answer in time");
	wire_finish(w);
}

static void ready(struct watch *watch, short revents)
{
	struct wire *w = (struct wire *)watch;

	if (w->stage == WIRE_DIALLING)
		return;
	if (!revents && !stream_ready(&w->stream) && loop_now(w->house->loop) >= w->deadline) {
		on_deadline(w);
		return;
	}
	if ((revents & ~POLLOUT) || stream_ready(&w->stream))
		if (stream_read(&w->stream) && w->stage == WIRE_TALKING)
			w->deadline = after(w, WIRE_REPLY_MS);
	wire_go_on(w);
}

static void reap(struct watch *watch)
{
	struct wire *w = (struct wire *)watch;

	if (w->dial)
		dial_cancel(w->dial);
	if (w->stream.out.at)
		secret_wipe(w->stream.out.at, pool_block_size(w->house->blocks));	/* our login was in it (R63) */
	stream_close(&w->stream);
	w->over = w->reaped = true;
}

enum probe_result wire_run(struct wire *w)
{
	w->watch = (struct watch){ .want = want, .ready = ready, .reap = reap, .fd = -1 };
	w->stream.fd = -1;
	w->give_up = loop_now(w->house->loop) + SESSION_MS;
	if (!loop_add(w->house->loop, &w->watch)) {
		wire_tell(w, "connect", PROBE_TEMPORARY, "", "no memory");
		return w->worst;
	}
	if (!dial(w)) {
		wire_tell(w, "connect", PROBE_TEMPORARY, "", "no memory");
		wire_finish(w);
	}
	while (!w->reaped && loop_turn(w->house->loop) >= 0)
		;
	return w->worst;
}
