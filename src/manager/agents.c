#include "manager/agents.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/syslog.h"
#include "manager/reader.h"
#include "net/listener.h"
#include "net/stream.h"

#define STATES_MAX	(2 * AGENTS_MAX)	/* agents remembered, also such as are not in the file any more */
#define STRANGERS_PER_HOST	8	/* connections of one host that are nobody's yet: a flood can't take all places */
#define STRANGER_MS	30000	/* until we know who it is */
#define FRAME_MS	60000	/* for one record to come in whole, and for the other side to read our answers */
#define ANSWER_MAX	512	/* octets of an answer */
#define ACCEPTS_PER_TURN 16
#define REST_MS		200	/* no descriptors, no flush: tried again after this */
#define STARVED_MS	20	/* all blocks are lent: look again */
#define RENUMBERED_MS	60000	/* between lines about new numberings of one agent; those between are counted */
#define KEEPALIVE_S	60	/* an agent whose link was cut has come again by then */

struct state {				/* what is known of an agent; outlives its connections */
	char name[AGENT_NAME_MAX + 1];	/* empty: free */
	bool listed;			/* there is an [agent] section */
	char stream[AGENT_STREAM_MAX + 1];
	uint64_t taken;			/* the last record in the file */
	uint64_t taken_at;		/* and its number there */
	struct session *session;
	int64_t heard;			/* wall s */
	uint64_t records, doubles;
	uint64_t renumbered;		/* so often its records began another numbering */
	uint64_t untold;		/* of these, not in the log yet */
	int64_t tell_at;		/* ms: no line about them before */
};

struct session {
	struct watch watch;		/* first */
	struct agents *agents;
	bool used;
	bool is_tls, leaving;
	struct stream stream;
	struct ip_address client;
	char address[64];
	struct state *state;		/* NULL: nobody yet */
	uint64_t heard, told;		/* the last sequence that came; that we answered for */
	int64_t deadline;		/* ms */
	uint64_t records, doubles;
	const char *end;
};

struct gate {
	struct watch watch;		/* first */
	struct agents *agents;
	struct agents_listen listen;
	int64_t rests_until;
};

struct agents {
	struct watch watch;		/* first; answers when a flush is over */
	struct loop *loop;
	struct pool *blocks;
	struct audit *audit;
	struct gate *gates[AGENT_LISTENERS_MAX];
	unsigned gate_count, rule_count;
	struct agent_rule *rules;
	struct tls_context *tls;
	struct state states[STATES_MAX];
	struct session sessions[AGENT_SESSIONS_MAX];
	int64_t full_told;		/* ms */
	uint64_t losses;		/* audit_losses when the states were right */
};

/* Who it is */

static struct state *state_of(struct agents *a, struct slice name)
{
	struct state *free_one = NULL;

	for (unsigned i = 0; i < STATES_MAX; i++) {
		struct state *s = &a->states[i];

		if (s->name[0] && slice_equal(slice_of(s->name), name))
			return s;
		if (!free_one && (!s->name[0] || (!s->listed && !s->session)))
			free_one = s;
	}
	if (!free_one || name.len == 0 || name.len > AGENT_NAME_MAX)
		return NULL;
	*free_one = (struct state){ .listed = false };
	slice_copy(name, free_one->name, sizeof(free_one->name));
	return free_one;
}

static bool may_come_from(const struct agent_rule *r, const struct ip_address *client)
{
	return r->from.count == 0 || network_list_match(&r->from, client) >= 0;
}

static bool fits(const struct agent_rule *r, const struct session *s)
{
	uint8_t digest[DIGEST_SHA256_SIZE];

	if (!may_come_from(r, &s->client))
		return false;
	if (!s->is_tls)
		return r->from.count > 0 && !r->pinned && !r->tls_name[0];
	if (r->pinned)
		return tls_peer_digest(s->stream.tls, digest) && secret_equal(digest, r->pin, sizeof(digest));
	return r->tls_name[0] && tls_peer_is(s->stream.tls, r->tls_name);
}

static struct state *identify(const struct session *s)
{
	struct agents *a = s->agents;

	for (unsigned i = 0; i < a->rule_count; i++)
		if (fits(&a->rules[i], s))
			return state_of(a, slice_of(a->rules[i].name));
	return NULL;
}

/* The end of a connection */

static void log_end(const struct session *s)
{
	struct record r;

	record_start(&r, "agent");
	record_word(&r, "result", "ended");
	record_word(&r, "agent", s->state->name);
	record_word(&r, "end", s->end ? s->end : "closed");
	record_number(&r, "records", (int64_t)s->records);
	record_number(&r, "doubles", (int64_t)s->doubles);
	record_word(&r, "client", s->address);
	if (stream_error(&s->stream)[0])
		record_text(&r, "error", slice_of(stream_error(&s->stream)));
	log_record(SEVERITY_NOTICE, &r);
}

static void hang_up(struct session *s, const char *end)
{
	if (s->watch.dead)
		return;
	s->end = end;
	if (s->state) {
		log_end(s);
		s->state->session = NULL;
		s->state = NULL;
	}
	stream_close(&s->stream);
	s->watch.dead = true;
}

static bool answer(struct session *s, const char *words, uint64_t number)
{
	struct buffer *out = stream_output(&s->stream);

	if (!out || buffer_length(out) > ANSWER_MAX)
		return false;
	return number ? buffer_putf(out, "%s %" PRIu64 "\n", words, number) : buffer_putf(out, "no %s\n", words);
}

/* The last word, and then the end; it is not waited for that anybody reads it. */
static void refuse(struct session *s, const char *end, const char *words)
{
	if (s->stream.state == STREAM_OPEN && answer(s, words, 0))
		stream_write(&s->stream);
	hang_up(s, end);
}

static void refuse_stranger(struct session *s)
{
	uint8_t digest[DIGEST_SHA256_SIZE];
	char hex[2 * DIGEST_SHA256_SIZE + 1] = "";
	bool shown = s->is_tls && tls_peer_digest(s->stream.tls, digest);
	struct record r;

	for (size_t i = 0; shown && i < sizeof(digest); i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	record_start(&r, "agent");
	record_word(&r, "result", "refused");
	record_word(&r, "reason", !s->is_tls ? "address" : shown ? "certificate" : "no-certificate");
	record_word(&r, "client", s->address);
	record_word(&r, "sha256", shown ? hex : NULL);
	log_record(SEVERITY_WARNING, &r);
	refuse(s, "refused", !s->is_tls ? "this address is no agent's" :
	       shown ? "this certificate is no agent's" : "an agent shows a certificate");
}

static void log_agent(const struct session *s)
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
static bool welcome_agent(struct session *s)
{
	struct state *state = identify(s);

	if (!state) {
		refuse_stranger(s);
		return false;
	}
	if (state->session)
		hang_up(state->session, "replaced");
	state->session = s;
	s->state = state;
	s->deadline = NEVER;
	log_agent(s);
	return true;
}

/* Records */

/* Each record may bring another one: that must not fill the log. */
static void log_streams(struct agents *a, struct state *s)
{
	struct record r;

	if (!s->untold || loop_now(a->loop) < s->tell_at)
		return;
	record_start(&r, "agent");
	record_word(&r, "result", "renumbered");
	record_word(&r, "agent", s->name);
	record_text(&r, "stream", slice_of(s->stream));
	record_number(&r, "count", (int64_t)s->untold);
	log_record(SEVERITY_WARNING, &r);
	s->untold = 0;
	s->tell_at = loop_now(a->loop) + RENUMBERED_MS;
}

/* Another numbering: the agent's files were lost, or two boxes have one certificate. */
static void follow_stream(struct agents *a, struct state *state, struct slice stream)
{
	bool is_first = !state->stream[0];

	if (slice_equal(slice_of(state->stream), stream))
		return;
	slice_copy(stream, state->stream, sizeof(state->stream));
	state->taken = 0;
	if (is_first)
		return;
	state->renumbered++;
	state->untold++;
	log_streams(a, state);
}

/* What the manager alone says of a record. Readers that take the last of two (JSON) would believe the agent. */
static bool is_ours(struct slice key)
{
	static const struct slice keys[] = {
		SLICE("agent"), SLICE("agent_stream"), SLICE("agent_seq"), SLICE("time"), SLICE("number"), SLICE("event"), SLICE("chain"),
	};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (slice_equal(key, keys[i]))
			return true;
	return false;
}

/*
 * Our own words first, so that nothing of the agent's can stand before them. False: it says what only the manager or its file
 * may say; such a record must not come to the file either, which would count it as one that is lost.
 */
static bool write_line(const struct session *s, const struct syslog_message *m, struct buffer *line)
{
	struct slice fields, key, value;
	size_t head;

	buffer_putf(line, "%.*s agent=%s agent_stream=%.*s agent_seq=%" PRIu64, SLICE_ARGS(m->event), s->state->name,
		    SLICE_ARGS(m->stream), m->sequence);
	head = buffer_length(line);
	syslog_fields(m, line);
	fields = slice_skip(buffer_bytes(line), head);
	while (chain_next(&fields, &key, &value))
		if (is_ours(key))
			return false;
	return chain_is_record(buffer_bytes(line));
}

static bool keep(struct session *s, int64_t wall, struct slice line)
{
	struct audit_status file;

	if (!audit_put(s->agents->audit, wall, line))
		return false;
	audit_state(s->agents->audit, &file);
	s->state->taken_at = file.number;
	return true;
}

static bool take(struct session *s, struct slice message)
{
	struct state *state = s->state;
	char memory[AUDIT_LINE_MAX];
	struct syslog_message m;
	struct buffer line;

	buffer_init(&line, memory, sizeof(memory));
	if (!syslog_parse(message, &m) || !write_line(s, &m, &line)) {
		refuse(s, "not-a-record", "this is no record of an agent");
		return false;
	}
	follow_stream(s->agents, state, m.stream);
	s->heard = m.sequence;
	if (m.sequence <= state->taken) {
		state->doubles++;
		s->doubles++;
		return true;
	}
	if (!keep(s, m.wall, buffer_bytes(&line))) {
		refuse(s, "disk", "the audit file can't be written");
		return false;
	}
	state->taken = m.sequence;
	state->heard = clock_wall();
	state->records++;
	s->records++;
	return true;
}

static void take_all(struct session *s)
{
	struct slice message;
	int used = 0;

	while (!s->watch.dead && (used = syslog_frame(stream_input(&s->stream), &message)) > 0) {
		if (!take(s, message))
			return;
		stream_consume(&s->stream, (size_t)used);
	}
	if (!s->watch.dead && used < 0)
		refuse(s, "framing", "this is no octet-counted frame");
}

static bool is_due(const struct session *s)
{
	return s->used && !s->watch.dead && s->state && s->heard != s->told;
}

static void tell_kept(struct session *s)
{
	if (!is_due(s))
		return;
	if (audit_kept(s->agents->audit) < s->state->taken_at) {
		audit_hurry(s->agents->audit);
		return;
	}
	if (answer(s, "ok", s->heard)) {
		s->told = s->heard;
		stream_write(&s->stream);
	}
}

/* A connection's turn */

static int64_t now(const struct session *s)
{
	return loop_now(s->agents->loop);
}

static void set_deadline(struct session *s, int64_t was)
{
	bool waits = stream_input(&s->stream).len > 0 || stream_has_output(&s->stream);

	s->deadline = !waits ? NEVER : was == NEVER ? now(s) + FRAME_MS : was;
}

static void turn(struct session *s)
{
	int64_t deadline = s->deadline;
	uint64_t records = s->records + s->doubles;

	if (s->stream.state == STREAM_HANDSHAKE)
		return;
	if (s->stream.state == STREAM_OPEN && !s->state && !welcome_agent(s))
		return;
	if (s->state)
		take_all(s);
	if (s->watch.dead)
		return;
	tell_kept(s);
	if (s->stream.state == STREAM_ENDED || s->stream.state == STREAM_FAILED) {
		hang_up(s, s->stream.state == STREAM_ENDED ? "closed" : "error");
		return;
	}
	set_deadline(s, records == s->records + s->doubles ? deadline : NEVER);
	stream_rest(&s->stream);
}

static void want(struct watch *w)
{
	struct session *s = (struct session *)w;

	w->fd = s->stream.fd;
	w->events = stream_events(&s->stream, true);
	w->deadline = stream_ready(&s->stream) ? now(s) : s->deadline;
	if (!w->events && w->deadline > now(s) + STARVED_MS)
		w->deadline = now(s) + STARVED_MS;
}

static void ready(struct watch *w, short revents)
{
	struct session *s = (struct session *)w;

	if (!revents && now(s) >= s->deadline) {
		hang_up(s, "timeout");
		return;
	}
	if ((revents & ~POLLOUT) || stream_ready(&s->stream))
		stream_read(&s->stream);
	if (revents & POLLOUT)
		stream_write(&s->stream);
	turn(s);
}

static void reap(struct watch *w)
{
	struct session *s = (struct session *)w;

	if (s->state)
		s->state->session = NULL;
	stream_close(&s->stream);
	s->used = false;
}

/* Listeners */

static struct ip_address peer_address(const struct sockaddr_storage *peer)
{
	if (peer->ss_family == AF_INET6)
		return ip_from_v6(((const struct sockaddr_in6 *)peer)->sin6_addr.s6_addr);
	return ip_from_v4((const uint8_t *)&((const struct sockaddr_in *)peer)->sin_addr);
}

static bool same_host(const struct ip_address *a, const struct ip_address *b)
{
	return a->v6 == b->v6 && !memcmp(a->bytes, b->bytes, a->v6 ? 8 : 4);
}

static unsigned strangers_of(const struct agents *a, const struct ip_address *client)
{
	unsigned n = 0;

	for (unsigned i = 0; i < AGENT_SESSIONS_MAX; i++) {
		const struct session *s = &a->sessions[i];

		n += s->used && !s->watch.dead && !s->state && same_host(&s->client, client);
	}
	return n;
}

/* Who has hung up holds a place until its turn comes; nobody is to be turned away for that. */
static void look_who_is_gone(struct agents *a)
{
	for (unsigned i = 0; i < AGENT_SESSIONS_MAX; i++) {
		struct session *s = &a->sessions[i];

		if (s->used && !s->watch.dead && !s->state)
			ready(&s->watch, POLLIN);
	}
}

static struct session *free_session(struct agents *a)
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
	look_who_is_gone(a);
	return strangers_of(a, client) >= STRANGERS_PER_HOST;
}

/* All places are taken, but some by who is gone: those are free in the next turn. */
static bool will_have_place(struct agents *a)
{
	if (free_session(a))
		return false;
	look_who_is_gone(a);
	for (unsigned i = 0; i < AGENT_SESSIONS_MAX; i++)
		if (a->sessions[i].watch.dead)
			return true;
	return false;
}

/* Somebody's network; else there is nothing to talk about, and no handshake to pay for. */
static bool is_expected(const struct agents *a, const struct ip_address *client)
{
	for (unsigned i = 0; i < a->rule_count; i++)
		if (may_come_from(&a->rules[i], client))
			return true;
	return false;
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

static bool begin(struct session *s, struct agents *a, const struct gate *g, int fd)
{
	s->watch = (struct watch){ .want = want, .ready = ready, .reap = reap };
	s->agents = a;
	s->is_tls = g->listen.tls;
	s->deadline = loop_now(a->loop) + STRANGER_MS;
	stream_open(&s->stream, fd, a->blocks);
	if ((s->is_tls && !stream_start_tls(&s->stream, a->tls, NULL)) || !loop_add(a->loop, &s->watch)) {
		stream_close(&s->stream);
		return false;
	}
	s->used = true;
	return true;
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

static void welcome(struct gate *g, int fd, const struct sockaddr_storage *peer)
{
	struct agents *a = g->agents;
	struct ip_address client = peer_address(peer);
	struct session *s = free_session(a);
	char address[64];
	uint16_t port;

	listener_peer_text(peer, address, sizeof(address), &port);
	if (!is_expected(a, &client)) {
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
	watch_link(fd);
	if (!begin(s, a, g, fd)) {
		log_line(SEVERITY_ERR, "no room for an agent");
		return;
	}
	turn(s);
}

static void gate_want(struct watch *w)
{
	const struct gate *g = (const struct gate *)w;
	bool rests = loop_now(g->agents->loop) < g->rests_until;

	w->events = rests ? 0 : POLLIN;
	w->deadline = rests ? g->rests_until : NEVER;
}

static void gate_ready(struct watch *w, short revents)
{
	struct gate *g = (struct gate *)w;
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

/* What the files hold */

static void recall(struct agents *a, const struct chain_line *line)
{
	struct slice name, stream, number;
	struct state *s;
	uint64_t sequence;

	if (!chain_field(line->record, SLICE_OF("agent"), &name) ||
	    !chain_field(line->record, SLICE_OF("agent_stream"), &stream) ||
	    !chain_field(line->record, SLICE_OF("agent_seq"), &number) || !slice_number(number, INT64_MAX, &sequence))
		return;
	s = state_of(a, name);
	if (!s || stream.len > AGENT_STREAM_MAX)
		return;
	slice_copy(stream, s->stream, sizeof(s->stream));
	s->taken = sequence;
	s->taken_at = line->number;
}

void agents_recall(struct agents *a, const char *path, unsigned keep)
{
	struct reader r;
	struct chain_line line;
	uint64_t next = 1;

	reader_open(&r, path, keep);
	while (reader_next(&r, next, &line) > 0) {
		next = line.number + 1;
		recall(a, &line);
	}
	reader_close(&r);
}

/* Answers */

/* Records that we took are not in the file any more: each agent sends again what we haven't told it that we keep. */
static void begin_anew(struct agents *a)
{
	struct audit_status file;

	a->losses = audit_losses(a->audit);
	for (unsigned i = 0; i < AGENT_SESSIONS_MAX; i++)
		if (a->sessions[i].used && a->sessions[i].state)
			refuse(&a->sessions[i], "disk", "the audit file has lost records");
	for (unsigned i = 0; i < STATES_MAX; i++) {
		a->states[i].stream[0] = '\0';
		a->states[i].taken = a->states[i].taken_at = 0;
	}
	audit_state(a->audit, &file);
	agents_recall(a, file.path, file.keep);
}

static void before(struct watch *w)
{
	struct agents *a = (struct agents *)w;

	if (a->losses != audit_losses(a->audit))
		begin_anew(a);
	for (unsigned i = 0; i < AGENT_SESSIONS_MAX; i++)
		if (is_due(&a->sessions[i]))
			tell_kept(&a->sessions[i]);
}

static void idle_want(struct watch *w)
{
	const struct agents *a = (const struct agents *)w;

	w->fd = -1;
	w->deadline = NEVER;
	for (unsigned i = 0; i < STATES_MAX; i++)
		if (a->states[i].untold && a->states[i].tell_at < w->deadline)
			w->deadline = a->states[i].tell_at;
}

static void idle_ready(struct watch *w, short revents)
{
	struct agents *a = (struct agents *)w;

	(void)revents;
	for (unsigned i = 0; i < STATES_MAX; i++)
		log_streams(a, &a->states[i]);
}

static void idle_reap(struct watch *w)
{
	(void)w;			/* agents_free does it */
}

/* The face */

struct agents *agents_new(struct loop *l, struct pool *blocks, struct audit *audit)
{
	struct agents *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->watch = (struct watch){ .before = before, .want = idle_want, .ready = idle_ready, .reap = idle_reap, .fd = -1 };
	a->loop = l;
	a->blocks = blocks;
	a->audit = audit;
	if (loop_add(l, &a->watch))
		return a;
	free(a);
	return NULL;
}

void agents_free(struct agents *a)
{
	if (!a)
		return;
	tls_context_release(a->tls);
	free(a->rules);
	free(a);
}

static bool same_socket(const struct agents_listen *a, const struct agents_listen *b)
{
	return a->len == b->len && !memcmp(&a->address, &b->address, a->len);
}

static struct gate *gate_at(const struct agents *a, const struct agents_listen *listen)
{
	for (unsigned n = 0; n < a->gate_count; n++)
		if (same_socket(&a->gates[n]->listen, listen))
			return a->gates[n];
	return NULL;
}

static struct gate *gate_open(struct agents *a, const struct agents_listen *listen, struct fault *f)
{
	struct gate *g = calloc(1, sizeof(*g));

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

static bool open_gates(struct agents *a, const struct agents_settings *s, struct gate *gates[], struct fault *f)
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

static bool is_listed(const struct agents_settings *s, const struct gate *g)
{
	for (unsigned n = 0; n < s->listen_count; n++)
		if (same_socket(&g->listen, &s->listen[n]))
			return true;
	return false;
}

static void list_states(struct agents *a)
{
	for (unsigned i = 0; i < STATES_MAX; i++)
		a->states[i].listed = false;
	for (unsigned i = 0; i < a->rule_count; i++) {
		struct state *s = state_of(a, slice_of(a->rules[i].name));

		if (s)
			s->listed = true;
	}
}

/* Who was let in by rules that are no more comes again, or doesn't. */
static void judge_again(struct agents *a)
{
	for (unsigned i = 0; i < AGENT_SESSIONS_MAX; i++) {
		struct session *s = &a->sessions[i];

		if (s->used && s->state && identify(s) != s->state)
			hang_up(s, "reload");
	}
}

bool agents_apply(struct agents *a, const struct agents_settings *s, struct fault *f)
{
	struct agent_rule *rules = calloc(s->rule_count + 1, sizeof(*rules));
	struct gate *gates[AGENT_LISTENERS_MAX];

	if (!rules)
		return fault_set(f, STATUS_TEMPORARY, "out of memory");
	if (!open_gates(a, s, gates, f)) {
		free(rules);
		return false;
	}
	for (unsigned n = 0; n < a->gate_count; n++)
		if (!is_listed(s, a->gates[n]))
			a->gates[n]->watch.dead = true;
	for (unsigned n = 0; n < s->listen_count; n++)
		gates[n]->listen = s->listen[n];
	memcpy(a->gates, gates, sizeof(gates[0]) * s->listen_count);
	a->gate_count = s->listen_count;
	if (s->rule_count)
		memcpy(rules, s->rules, s->rule_count * sizeof(*rules));
	free(a->rules);
	a->rules = rules;
	a->rule_count = s->rule_count;
	if (s->tls)
		tls_context_hold(s->tls);
	tls_context_release(a->tls);
	a->tls = s->tls;
	list_states(a);
	judge_again(a);
	return true;
}

void agents_shutdown(struct agents *a)
{
	for (unsigned i = 0; i < STATES_MAX; i++) {
		a->states[i].tell_at = 0;
		log_streams(a, &a->states[i]);
	}
	for (unsigned n = 0; n < a->gate_count; n++)
		a->gates[n]->watch.dead = true;
	a->gate_count = 0;
	for (unsigned i = 0; i < AGENT_SESSIONS_MAX; i++)
		if (a->sessions[i].used)
			hang_up(&a->sessions[i], "shutdown");
}

bool agents_at(const struct agents *a, unsigned row, struct agent_face *out)
{
	for (unsigned i = 0; a && i < STATES_MAX; i++) {
		const struct state *s = &a->states[i];

		if (!s->listed || row-- > 0)
			continue;
		*out = (struct agent_face){
			.name = s->name, .address = s->session ? s->session->address : "", .heard = s->heard,
			.records = s->records, .doubles = s->doubles, .renumbered = s->renumbered, .sequence = s->taken,
		};
		return true;
	}
	return false;
}
