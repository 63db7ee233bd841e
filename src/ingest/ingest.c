#include "ingest/ingest.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "ingest/session.h"
#include "net/listener.h"
#include "trust/password.h"

/* Connections taken of one listener in one turn, so that a flood of them doesn't starve the sessions. */
#define ACCEPTS_PER_TURN	64

/* When accept fails for want of something, trying again at once would only burn time. */
#define ACCEPT_REST_MS		200

struct gate {				/* an open listening socket */
	struct watch watch;
	struct ingest *ingest;
	struct ingest_settings *settings;
	const struct ingest_listen *listen;	/* in settings */
	int64_t rests_until;			/* ms: out of descriptors or memory, see ACCEPT_REST_MS */
};

/* Who is in which slot, apart from the sessions: counted at each accept, so it has to be small. */
struct guest {
	struct ip_address client;
	bool here;
};

struct ingest {
	struct session_house house;
	struct ingest_settings *settings;
	struct session *sessions;
	struct guest *guests;		/* slot_count, as sessions */
	unsigned *free_slots, free_count, slot_count;
	struct gate *gates[LISTENERS_MAX];
	unsigned gate_count;
	struct gate *local;		/* NULL: none */
};

static void session_closed(void *context, struct session *s)
{
	struct ingest *i = context;

	unsigned slot = (unsigned)(s - i->sessions);

	i->guests[slot].here = false;
	i->free_slots[i->free_count++] = slot;
}

static unsigned sessions_of(const struct ingest *i, const struct ip_address *client)
{
	unsigned n = 0;

	for (unsigned k = 0; k < i->slot_count; k++)
		n += i->guests[k].here && ip_is_same_host(&i->guests[k].client, client);
	return n;
}

/* Said without a session: one write, then closed. */
static void turn_away(struct ingest *i, int fd, const struct caller *caller, enum reply reply)
{
	char memory[SMTP_REPLY_MAX], text[CLIENT_TEXT_MAX];
	struct buffer out;
	struct record r;
	ssize_t sent;

	buffer_init(&out, memory, sizeof(memory));
	reply_put(&out, reply, slice_of(i->settings->hostname), i->settings->enhanced_codes);
	sent = send(fd, out.at, buffer_length(&out), MSG_DONTWAIT | MSG_NOSIGNAL);
	(void)sent;			/* a courtesy: nothing depends on it */
	close(fd);
	i->house.counters.refused_sessions++;
	session_client_text(caller, text);
	record_start(&r, "turned-away");
	record_word(&r, "client", text);
	record_number(&r, "code", reply_code(reply));
	record_word(&r, "reason", reply == REPLY_TOO_BUSY ? "max_sessions" : "sessions_per_client");
	log_record(SEVERITY_WARNING, &r);
}

static bool identify(const struct gate *g, int fd, const struct sockaddr_storage *peer, struct caller *c)
{
	*c = (struct caller){ .is_user = g->listen->is_local };
	if (!c->is_user)
		return ip_of_socket((const struct sockaddr *)peer, &c->client);
	if (!listener_peer_user(fd, &c->uid))
		return false;
	/* Of 0.0.0.0/8, this host (RFC 6890): users are counted like hosts. */
	c->client = ip_from_v4((const uint8_t[]){ 0, (uint8_t)(c->uid >> 16), (uint8_t)(c->uid >> 8), (uint8_t)c->uid });
	return true;
}

static void welcome(struct gate *g, int fd, const struct sockaddr_storage *peer)
{
	struct ingest *i = g->ingest;
	struct caller caller;
	unsigned slot;

	if (!identify(g, fd, peer, &caller)) {
		close(fd);
		return;
	}
	if (!i->free_count) {
		turn_away(i, fd, &caller, REPLY_TOO_BUSY);
		return;
	}
	if (sessions_of(i, &caller.client) >= g->settings->sessions_per_client) {
		turn_away(i, fd, &caller, REPLY_TOO_MANY_FROM_CLIENT);
		return;
	}
	slot = i->free_slots[--i->free_count];
	if (!session_open(&i->sessions[slot], &i->house, g->settings, g->listen, fd, &caller)) {
		i->free_count++;
		log_line(SEVERITY_ERR, "no room for a session");
		return;
	}
	i->guests[slot] = (struct guest){ .client = caller.client, .here = true };
}

static void gate_want(struct watch *w)
{
	const struct gate *g = (const struct gate *)w;
	bool rests = loop_now(g->ingest->house.loop) < g->rests_until;

	w->events = rests ? 0 : POLLIN;
	w->deadline = rests ? g->rests_until : NEVER;
}

static void rest(struct gate *g, int error)
{
	int64_t now = loop_now(g->ingest->house.loop);

	if (now > g->rests_until + ACCEPT_REST_MS)	/* said once, not five times a second */
		log_line(SEVERITY_ERR, "no connection can be taken on listener %s: %s", g->listen->name,
			 strerror(error));
	g->rests_until = now + ACCEPT_REST_MS;
}

static void gate_ready(struct watch *w, short revents)
{
	struct gate *g = (struct gate *)w;
	struct sockaddr_storage peer;

	if (!revents)
		return;
	for (unsigned n = 0; n < ACCEPTS_PER_TURN; n++) {
		int fd = listener_accept(w->fd, &peer);

		if (fd < 0) {
			if (fd != -EAGAIN)
				rest(g, -fd);
			return;
		}
		welcome(g, fd, &peer);
	}
}

static void shut(struct gate *g)
{
	if (g->watch.fd >= 0)
		close(g->watch.fd);
	g->watch.fd = -1;
}

static void gate_reap(struct watch *w)
{
	struct gate *g = (struct gate *)w;

	shut(g);
	g->settings->users--;
	free(g);
}

struct ingest *ingest_new(struct loop *l, struct pool *blocks, struct keeper *k, struct helper *hasher,
			  const struct ingest_settings *settings)
{
	struct ingest *i = calloc(1, sizeof(*i));

	if (!i)
		return NULL;
	i->slot_count = settings->max_sessions;
	i->sessions = calloc(i->slot_count, sizeof(*i->sessions));
	i->guests = calloc(i->slot_count, sizeof(*i->guests));
	i->free_slots = calloc(i->slot_count, sizeof(*i->free_slots));
	i->house = (struct session_house){
		.loop = l, .blocks = blocks, .keeper = k, .hasher = hasher,
		.transactions = pool_new(sizeof(struct transaction), i->slot_count),
		.memo = password_memo_new(), .lockout = lockout_new(),
		.turn = session_turn, .closed = session_closed, .context = i,
	};
	if (!i->sessions || !i->guests || !i->free_slots || !i->house.transactions || !i->house.memo ||
	    (CONFIG_LOCKOUT && !i->house.lockout)) {
		ingest_free(i);
		return NULL;
	}
	for (unsigned n = i->slot_count; n > 0; n--)
		i->free_slots[i->free_count++] = n - 1;
	return i;
}

void ingest_pass_by(struct ingest *i, const struct passage_way *way)
{
	i->house.way = *way;
}

void ingest_ask_upstream(struct ingest *i, const struct vouch_way *way)
{
	i->house.vouch = *way;
}

void ingest_free(struct ingest *i)
{
	if (!i)
		return;
	lockout_free(i->house.lockout);
	password_memo_free(i->house.memo);
	pool_free(i->house.transactions);
	free(i->free_slots);
	free(i->guests);
	free(i->sessions);
	free(i);
}

static bool same_socket(const struct ingest_listen *a, const struct ingest_listen *b)
{
	return a->address_len == b->address_len && !memcmp(&a->address, &b->address, a->address_len);
}

static struct gate *gate_at(const struct ingest *i, const struct ingest_listen *listen)
{
	for (unsigned n = 0; n < i->gate_count; n++)
		if (same_socket(i->gates[n]->listen, listen))
			return i->gates[n];
	return NULL;
}

/* An address may come later than we: told, no reason to stay away. */
static int open_socket(const struct ingest_listen *listen, struct fault *f)
{
	struct fault own = { .text = "" };
	int fd = listener_open(&listen->address, listen->address_len, &own);

	if (fd < 0)
		*f = own;
	else if (fault_is(&own))
		log_line(SEVERITY_WARNING, "listener %s: %s", listen->name, own.text);
	return fd;
}

static struct gate *gate_open(struct ingest *i, struct ingest_settings *settings, const struct ingest_listen *listen,
			      struct fault *f)
{
	struct gate *g = calloc(1, sizeof(*g));

	if (!g) {
		fault_set(f, STATUS_TEMPORARY, "no memory for listener %s", listen->name);
		return NULL;
	}
	g->watch = (struct watch){ .want = gate_want, .ready = gate_ready, .reap = gate_reap };
	g->ingest = i;
	g->settings = settings;
	g->listen = listen;
	g->watch.fd = open_socket(listen, f);
	if (g->watch.fd >= 0 && !loop_add(i->house.loop, &g->watch)) {
		fault_set(f, STATUS_TEMPORARY, "no room for listener %s", listen->name);
		close(g->watch.fd);
		g->watch.fd = -1;
	}
	if (g->watch.fd >= 0) {
		settings->users++;
		return g;
	}
	free(g);
	return NULL;
}

/* A listener that stays open changes its settings in place; its backlog loses nothing. */
static void gate_renew(struct gate *g, struct ingest_settings *settings, const struct ingest_listen *listen)
{
	g->settings->users--;
	g->settings = settings;
	g->listen = listen;
	settings->users++;
}

static bool is_listed(const struct ingest_settings *settings, const struct gate *g)
{
	for (unsigned n = 0; n < settings->listen_count; n++)
		if (same_socket(g->listen, &settings->listen[n]))
			return true;
	return false;
}

static in_port_t port_of(const struct ingest_listen *l)
{
	return l->address.ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)&l->address)->sin6_port :
						  ((const struct sockaddr_in *)&l->address)->sin_port;
}

/* 127.0.0.1:587 stands in the way of 0.0.0.0:587: what isn't listed any more leaves a port that is wanted. */
static void make_way(struct ingest *i, const struct ingest_settings *settings)
{
	for (unsigned n = 0; n < i->gate_count; n++)
		for (unsigned k = 0; k < settings->listen_count && !is_listed(settings, i->gates[n]); k++)
			if (port_of(i->gates[n]->listen) == port_of(&settings->listen[k]))
				shut(i->gates[n]);
}

static void take_back(struct ingest *i)
{
	struct fault f = { .text = "" };

	for (unsigned n = 0; n < i->gate_count; n++) {
		struct gate *g = i->gates[n];

		if (g->watch.fd < 0)
			g->watch.fd = open_socket(g->listen, &f);
		if (g->watch.fd < 0)
			log_line(SEVERITY_ERR, "listener %s is lost: %s", g->listen->name, f.text);
	}
}

/* Opens what isn't open yet. False when one can't be; those opened are closed again. */
static bool open_fresh(struct ingest *i, struct ingest_settings *settings, struct gate *gates[], struct fault *f)
{
	for (unsigned n = 0; n < settings->listen_count; n++) {
		gates[n] = gate_at(i, &settings->listen[n]);
		if (!gates[n])
			gates[n] = gate_open(i, settings, &settings->listen[n], f);
		else if (gates[n]->watch.fd < 0)	/* was lost at an earlier reload */
			gates[n]->watch.fd = open_socket(&settings->listen[n], f);
		if (gates[n] && gates[n]->watch.fd >= 0)
			continue;
		while (n-- > 0) {
			if (gates[n]->settings != settings)
				continue;
			shut(gates[n]);
			gates[n]->watch.dead = true;
		}
		return false;
	}
	return true;
}

bool ingest_apply(struct ingest *i, struct ingest_settings *settings, struct fault *f)
{
	struct gate *gates[LISTENERS_MAX];

	make_way(i, settings);
	if (!open_fresh(i, settings, gates, f)) {
		take_back(i);
		return false;
	}
	for (unsigned n = 0; n < i->gate_count; n++)
		if (!is_listed(settings, i->gates[n]))
			i->gates[n]->watch.dead = true;
	for (unsigned n = 0; n < settings->listen_count; n++)
		if (gates[n]->settings != settings)
			gate_renew(gates[n], settings, &settings->listen[n]);
	if (i->local)
		gate_renew(i->local, settings, &settings->local);
	memcpy(i->gates, gates, sizeof(gates[0]) * settings->listen_count);
	i->gate_count = settings->listen_count;
	i->settings = settings;
	return true;
}

bool ingest_take_local(struct ingest *i, int fd)
{
	struct gate *g = calloc(1, sizeof(*g));

	if (!g) {
		close(fd);
		return false;
	}
	g->watch = (struct watch){ .want = gate_want, .ready = gate_ready, .reap = gate_reap, .fd = fd };
	g->ingest = i;
	g->settings = i->settings;
	g->listen = &i->settings->local;
	if (!loop_add(i->house.loop, &g->watch)) {
		close(fd);
		free(g);
		return false;
	}
	g->settings->users++;
	i->local = g;
	return true;
}

void ingest_shutdown(struct ingest *i)
{
	if (i->local)
		i->local->watch.dead = true;
	i->local = NULL;
	for (unsigned n = 0; n < i->gate_count; n++)
		i->gates[n]->watch.dead = true;
	i->gate_count = 0;
	for (unsigned n = 0; n < i->slot_count; n++)
		if (i->guests[n].here)
			session_shutdown(&i->sessions[n]);
}

bool ingest_idle(const struct ingest *i)
{
	return i->house.counters.open_sessions == 0;
}

const struct ingest_counters *ingest_counters(const struct ingest *i)
{
	return &i->house.counters;
}
