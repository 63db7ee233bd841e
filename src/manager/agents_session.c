/* One connection: who it is has to be known soon, then its records come in. */
#include "manager/agents_inner.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>

#include "base/log.h"

#define STRANGER_MS	30000	/* until we know who it is */
#define FRAME_MS	60000	/* for one record to come in whole, and for the other side to read our answers */
#define KEEPALIVE_S	60	/* an agent whose link was cut has come again by then */

static void refuse_stranger(struct agent_session *s)
{
	uint8_t digest[DIGEST_SHA256_SIZE];
	char hex[2 * DIGEST_SHA256_SIZE + 1] = "";
	bool shown = s->is_tls && tls_peer_digest(s->stream.tls, digest);
	struct record r;

	if (shown)
		ascii_hex(digest, sizeof(digest), hex);
	record_start(&r, "agent");
	record_word(&r, "result", "refused");
	record_word(&r, "reason", !s->is_tls ? "address" : shown ? "certificate" : "no-certificate");
	record_word(&r, "client", s->address);
	record_word(&r, "sha256", shown ? hex : NULL);
	log_record(SEVERITY_WARNING, &r);
	agents_refuse(s, "refused", !s->is_tls ? "this address is no agent's" :
	       shown ? "this certificate is no agent's" : "an agent shows a certificate");
}

static void log_agent(const struct agent_session *s)
{
	struct record r;

	record_start(&r, "agent");
	record_word(&r, "result", "connected");
	record_word(&r, "agent", s->state->name);
	record_word(&r, "client", s->address);
	record_word(&r, "tls", s->is_tls ? tls_version(s->stream.tls) : NULL);
	log_record(SEVERITY_NOTICE, &r);
}

/* One that comes again has lost its old connection, whatever our side of that one thinks. */
static bool welcome_agent(struct agent_session *s)
{
	struct agent_state *state = agents_identify(s);

	if (!state) {
		refuse_stranger(s);
		return false;
	}
	if (state->session)
		agents_hang_up(state->session, "replaced");
	state->session = s;
	s->state = state;
	s->deadline = NEVER;
	log_agent(s);
	return true;
}

static int64_t now(const struct agent_session *s)
{
	return loop_now(s->agents->loop);
}

static void set_deadline(struct agent_session *s, int64_t was)
{
	bool waits = stream_input(&s->stream).len > 0 || stream_has_output(&s->stream);

	s->deadline = !waits ? NEVER : was == NEVER ? now(s) + FRAME_MS : was;
}

void agents_turn(struct agent_session *s)
{
	int64_t deadline = s->deadline;
	uint64_t records = s->records + s->doubles;

	if (s->stream.state == STREAM_HANDSHAKE)
		return;
	if (s->stream.state == STREAM_OPEN && !s->state && !welcome_agent(s))
		return;
	if (s->state)
		agents_take(s);
	if (s->watch.dead)
		return;
	agents_tell_kept(s);
	if (s->stream.state == STREAM_ENDED || s->stream.state == STREAM_FAILED) {
		agents_hang_up(s, s->stream.state == STREAM_ENDED ? "closed" : "error");
		return;
	}
	set_deadline(s, records == s->records + s->doubles ? deadline : NEVER);
	stream_rest(&s->stream);
}

static void want(struct watch *w)
{
	struct agent_session *s = (struct agent_session *)w;

	w->fd = s->stream.fd;
	w->events = stream_events(&s->stream, true);
	w->deadline = stream_ready(&s->stream) ? now(s) : s->deadline;
	if (!w->events && w->deadline > now(s) + STREAM_STARVED_MS)
		w->deadline = now(s) + STREAM_STARVED_MS;
}

static void ready(struct watch *w, short revents)
{
	struct agent_session *s = (struct agent_session *)w;

	if (!revents && now(s) >= s->deadline) {
		agents_hang_up(s, "timeout");
		return;
	}
	if ((revents & ~POLLOUT) || stream_ready(&s->stream))
		stream_read(&s->stream);
	if (revents & POLLOUT)
		stream_write(&s->stream);
	agents_turn(s);
}

static void reap(struct watch *w)
{
	struct agent_session *s = (struct agent_session *)w;

	if (s->state)
		s->state->session = NULL;
	stream_close(&s->stream);
	s->used = false;
}

static void watch_link(int fd)
{
	const int on = 1, seconds = KEEPALIVE_S, probes = 3;

	/* Where it can't be set, a dead link holds a place until its agent comes again. */
	if (setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)) == 0 &&
	    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof(seconds)) == 0 &&
	    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &seconds, sizeof(seconds)) == 0)
		setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
}

bool agents_begin(struct agent_session *s, struct agents *a, const struct agent_gate *g, int fd)
{
	s->watch = (struct watch){ .want = want, .ready = ready, .reap = reap };
	s->agents = a;
	s->is_tls = g->listen.tls;
	s->deadline = loop_now(a->loop) + STRANGER_MS;
	watch_link(fd);
	stream_open(&s->stream, fd, a->blocks);
	if ((s->is_tls && !stream_start_tls(&s->stream, a->tls, NULL)) || !loop_add(a->loop, &s->watch)) {
		stream_close(&s->stream);
		return false;
	}
	s->used = true;
	return true;
}

void agents_look_who_is_gone(struct agents *a)
{
	for (unsigned i = 0; i < AGENT_SESSIONS_MAX; i++) {
		struct agent_session *s = &a->sessions[i];

		if (s->used && !s->watch.dead && !s->state)
			ready(&s->watch, POLLIN);
	}
}
