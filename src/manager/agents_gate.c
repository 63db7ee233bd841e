/* The listeners, and who gets a place. */
#include "manager/agents_inner.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "net/listener.h"

#define STRANGERS_PER_HOST	8	/* connections of one host that are nobody's yet: a flood can't take all places */
#define ACCEPTS_PER_TURN	16
#define REST_MS			200	/* no descriptors, no flush: tried again after this */

static unsigned strangers_of(const struct agents *a, const struct ip_address *client)
{
	unsigned n = 0;

	for (unsigned i = 0; i < AGENT_SESSIONS_MAX; i++) {
		const struct agent_session *s = &a->sessions[i];

		n += s->used && !s->watch.dead && !s->state && ip_is_same_host(&s->client, client);
	}
	return n;
}

static struct agent_session *free_session(struct agents *a)
{
	for (unsigned i = 0; i < AGENT_SESSIONS_MAX; i++)
		if (!a->sessions[i].used)
			return &a->sessions[i];
	return NULL;
}

static bool are_too_many(struct agents *a, const struct ip_address *client)
{
	if (strangers_of(a, client) < STRANGERS_PER_HOST)
		return false;
	agents_look_who_is_gone(a);
	return strangers_of(a, client) >= STRANGERS_PER_HOST;
}

/* All places are taken, but some by who is gone: those are free in the next turn. */
static bool will_have_place(struct agents *a)
{
	if (free_session(a))
		return false;
	agents_look_who_is_gone(a);
	for (unsigned i = 0; i < AGENT_SESSIONS_MAX; i++)
		if (a->sessions[i].watch.dead)
			return true;
	return false;
}

static void turn_away(struct agents *a, int fd, const char *address, const char *reason)
{
	struct record r;

	close(fd);
	if (loop_now(a->loop) < a->full_told + REST_MS)	/* a flood isn't logged one by one */
		return;
	a->full_told = loop_now(a->loop);
	record_start(&r, "agent");
	record_word(&r, "result", "refused");
	record_word(&r, "reason", reason);
	record_word(&r, "client", address);
	log_record(SEVERITY_WARNING, &r);
}

static void welcome(struct agent_gate *g, int fd, const struct sockaddr_storage *peer)
{
	struct agents *a = g->agents;
	struct ip_address client;
	struct agent_session *s = free_session(a);
	char address[64];
	uint16_t port;

	listener_peer_text(peer, address, sizeof(address), &port);
	if (!ip_of_socket((const struct sockaddr *)peer, &client) || !agents_expect(a, &client)) {
		turn_away(a, fd, address, "address");
		return;
	}
	if (!s || are_too_many(a, &client)) {
		turn_away(a, fd, address, "busy");
		return;
	}
	memset(s, 0, sizeof(*s));
	s->client = client;
	memcpy(s->address, address, sizeof(s->address));
	if (!agents_begin(s, a, g, fd)) {
		log_line(SEVERITY_ERR, "no room for an agent");
		return;
	}
	agents_turn(s);
}

static void gate_want(struct watch *w)
{
	const struct agent_gate *g = (const struct agent_gate *)w;
	bool rests = loop_now(g->agents->loop) < g->rests_until;

	w->events = rests ? 0 : POLLIN;
	w->deadline = rests ? g->rests_until : NEVER;
}

static void gate_ready(struct watch *w, short revents)
{
	struct agent_gate *g = (struct agent_gate *)w;
	struct sockaddr_storage peer;

	for (unsigned n = 0; revents && n < ACCEPTS_PER_TURN && !will_have_place(g->agents); n++) {
		int fd = listener_accept(w->fd, &peer);

		if (fd < 0) {
			if (fd != -EAGAIN)
				g->rests_until = loop_now(g->agents->loop) + REST_MS;
			return;
		}
		welcome(g, fd, &peer);
	}
}

static void gate_reap(struct watch *w)
{
	if (w->fd >= 0)
		close(w->fd);
	free(w);
}

static bool same_socket(const struct agents_listen *a, const struct agents_listen *b)
{
	return a->len == b->len && !memcmp(&a->address, &b->address, a->len);
}

static struct agent_gate *gate_at(const struct agents *a, const struct agents_listen *listen)
{
	for (unsigned n = 0; n < a->gate_count; n++)
		if (same_socket(&a->gates[n]->listen, listen))
			return a->gates[n];
	return NULL;
}

static struct agent_gate *gate_open(struct agents *a, const struct agents_listen *listen, struct fault *f)
{
	struct agent_gate *g = calloc(1, sizeof(*g));

	if (!g) {
		fault_set(f, STATUS_TEMPORARY, "out of memory");
		return NULL;
	}
	g->watch = (struct watch){ .want = gate_want, .ready = gate_ready, .reap = gate_reap };
	g->agents = a;
	g->listen = *listen;
	g->watch.fd = listener_open(&listen->address, listen->len, f);
	if (g->watch.fd >= 0 && loop_add(a->loop, &g->watch))
		return g;
	if (g->watch.fd >= 0) {
		fault_set(f, STATUS_TEMPORARY, "no room for a listener of agents");
		close(g->watch.fd);
	}
	free(g);
	return NULL;
}

bool agents_open_gates(struct agents *a, const struct agents_settings *s, struct agent_gate *gates[], struct fault *f)
{
	for (unsigned n = 0; n < s->listen_count; n++) {
		gates[n] = gate_at(a, &s->listen[n]);
		if (!gates[n])
			gates[n] = gate_open(a, &s->listen[n], f);
		if (gates[n])
			continue;
		while (n-- > 0)
			if (!gate_at(a, &s->listen[n]))
				gates[n]->watch.dead = true;
		return false;
	}
	return true;
}

bool agents_is_listed(const struct agents_settings *s, const struct agent_gate *g)
{
	for (unsigned n = 0; n < s->listen_count; n++)
		if (same_socket(&g->listen, &s->listen[n]))
			return true;
	return false;
}
