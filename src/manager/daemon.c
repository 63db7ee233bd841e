#include "manager/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/trail.h"
#include "manager/alarms.h"
#include "manager/audit.h"
#include "manager/changes.h"
#include "manager/commands.h"
#include "manager/config.h"
#include "manager/control.h"
#include "manager/local.h"
#include "manager/process.h"
#include "manager/rights.h"
#include "manager/stats.h"
#include "net/dial.h"
#include "relay/prove.h"
#include "spool/medium.h"

/* Blocks a session may hold: input, output, content, recipients. */
#define BLOCKS_PER_SESSION	4
/* Input, output and one to spare for each of the relay's connections, and some for control clients. */
#define BLOCKS_EXTRA		(3 * COURIERS_MAX + 2 * AGENT_SESSIONS_MAX + 32)
/* Certificates, log, random numbers and the like: descriptors that no watch counts. */
#define DESCRIPTORS_EXTRA	32
/* Listeners, connections and their dials, helpers, control clients. */
#define WATCHES_EXTRA		(2 * COURIERS_MAX + LISTENERS_MAX + 4 * ROUTES_MAX + AGENT_SESSIONS_MAX + AGENT_LISTENERS_MAX + 64)
/* procd and systemd wait longer at a stop, but a system that goes down gives about a second. */
#define SHUTDOWN_MS		800

#define HELPERS			3

struct daemon {
	struct control_house house;	/* loop, blocks, spool, keeper, ingest, relay */
	struct ingest *ingest;
	struct helper *resolver, *hasher, *flusher;
	struct control *control;
	int local;			/* the socket of sendmail(1), until ingest takes it; -1: none */
	struct config *config;
	struct config *retired;		/* replaced ones that somebody still uses */
	struct watch signals;
	struct alarms alarms;
	struct stats stats;
	char spool_path[256];		/* the one that was opened */
	struct audit *audit;
	struct forward *forward;
	struct agents *agents;
	bool foreground;
	int64_t closing;		/* ms when it has to be over; 0: not closing */
	bool reload_due;
};

static void notice(void *context, const char *text)
{
	(void)context;
	log_line(SEVERITY_NOTICE, "%s", text);
}

static void report_spool(void *context, const char *line)
{
	(void)context;
	log_line(SEVERITY_WARNING, "spool: %s", line);
}

static void open_log(const struct daemon *d, const struct config *c)
{
	log_open("sekimori", c->log_facility, (enum severity)c->log_severity, d->foreground);
}

static void retire(struct daemon *d, struct config *c)
{
	c->next = d->retired;
	d->retired = c;
}

static void free_retired(struct daemon *d)
{
	struct config **link = &d->retired;

	while (*link) {
		struct config *c = *link;

		if (config_unused(c)) {
			*link = c->next;
			config_free(c);
		} else {
			link = &c->next;
		}
	}
}

static void take_record(void *context, const struct record *r)
{
	const struct daemon *d = context;

	audit_put(d->audit, clock_wall(), slice_bytes(r->text, r->len));
}

static void apply_audit(struct daemon *d, const struct config *c)
{
	const struct audit_settings s = {
		.path = c->audit, .size = c->audit_size, .keep = c->audit_keep, .ring = c->keyring
	};

	audit_apply(d->audit, &s);
	if (d->forward)
		forward_apply(d->forward, &c->forward);
}

static void keep_agents(struct daemon *d)
{
	struct fault f = { .text = "" };

	if (d->agents && d->config && !agents_apply(d->agents, &d->config->agents, &f))
		log_line(SEVERITY_ERR, "agents are lost: %s", f.text);
}

/* All or nothing (R20): whatever goes wrong, the old configuration has not been touched. */
static bool apply(struct daemon *d, struct config *c, struct fault *f)
{
	if (d->agents && !agents_apply(d->agents, &c->agents, f))
		return false;
	if (!ingest_apply(d->ingest, &c->ingest, f)) {
		keep_agents(d);
		return false;
	}
	if (relay_apply(d->house.relay, &c->relay)) {
		d->house.loaded = clock_wall();
		d->house.reload_failed = 0;
		d->house.licences = c->licences;
		d->house.licences_used = c->licences_used;
		d->house.certificate_until = config_tls(c) ? tls_context_valid_to(config_tls(c)) : INT64_MAX;
		return true;
	}
	if (d->config)
		ingest_apply(d->ingest, &d->config->ingest, f);
	keep_agents(d);
	return fault_set(f, STATUS_TEMPORARY, "no memory for the relays");
}

/* Into the log, and for who has asked. */
static void tell_change(void *context, const char *line)
{
	struct buffer *told = context;

	log_line(SEVERITY_NOTICE, "reload: %s", line);
	if (told)
		buffer_putf(told, "%s\n", line);
}

static bool reload(void *context, struct buffer *told, struct fault *f)
{
	struct daemon *d = context;
	struct config *c;

	if (d->closing)
		return fault_set(f, STATUS_TEMPORARY, "it is stopping");
	c = config_read(d->config->path, true, notice, NULL, f);
	if (!c || !apply(d, c, f)) {
		if (c)
			retire(d, c);	/* listeners that opened and were closed again hold it until the turn is over */
		d->house.reload_failed = clock_wall();
		log_line(SEVERITY_ERR, "reload failed, the old configuration stays: %s", f->text);
		return false;
	}
	if (!changes_tell(d->config, c, tell_change, told))
		tell_change(told, "nothing has changed");
	retire(d, d->config);
	d->config = c;
	open_log(d, c);
	apply_audit(d, c);
	log_line(SEVERITY_NOTICE, "reloaded %s", c->path);
	return true;
}

static void begin_shutdown(struct daemon *d)
{
	if (d->closing)
		return;
	log_line(SEVERITY_NOTICE, "stopping");
	d->closing = loop_now(d->house.loop) + SHUTDOWN_MS;
	ingest_shutdown(d->ingest);
	alarms_stop(&d->alarms);
	if (d->agents)
		agents_shutdown(d->agents);
	relay_shutdown(d->house.relay);
}

static void signals_want(struct watch *w)
{
	const struct daemon *d = (const struct daemon *)((const char *)w - offsetof(struct daemon, signals));

	w->events = POLLIN;
	w->deadline = d->closing ? d->closing : NEVER;
}

static void signals_ready(struct watch *w, short revents)
{
	struct daemon *d = (struct daemon *)((char *)w - offsetof(struct daemon, signals));
	struct signalfd_siginfo info;

	if (!revents)
		return;
	while (read(w->fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGHUP)
			d->reload_due = true;
		else
			begin_shutdown(d);
	}
}

static void signals_reap(struct watch *w)
{
	close(w->fd);
}

static bool watch_signals(struct daemon *d, struct fault *f)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	d->signals = (struct watch){ .want = signals_want, .ready = signals_ready, .reap = signals_reap };
	d->signals.fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (d->signals.fd < 0 || !loop_add(d->house.loop, &d->signals))
		return fault_set(f, STATUS_TEMPORARY, "signalfd: %s", strerror(errno));
	return true;
}

/* One a session, and some for the rest; procd and systemd start programs with 1024. */
static unsigned long descriptors(const struct config *c)
{
	return c->ingest.max_sessions + WATCHES_EXTRA + DESCRIPTORS_EXTRA + spool_descriptors(c->spool_size);
}

static bool get_memory(struct daemon *d, struct fault *f)
{
	unsigned sessions = d->config->ingest.max_sessions;

	d->house.blocks = pool_new(CHUNK_SIZE, sessions * (size_t)BLOCKS_PER_SESSION + BLOCKS_EXTRA);
	if (!loop_widen(d->house.loop, sessions + WATCHES_EXTRA) || !d->house.blocks)
		return fault_set(f, STATUS_TEMPORARY, "no memory for %u sessions: lower [server] max_sessions", sessions);
	return true;
}

static bool open_spool(struct daemon *d, struct fault *f)
{
	struct spool_settings s = { .path = d->config->spool, .size = d->config->spool_size, .report = report_spool };
	const char *memory = medium_memory(s.path);

	slice_copy(slice_of(d->config->spool), d->spool_path, sizeof(d->spool_path));
	if (memory)
		log_line(SEVERITY_WARNING, "the spool %s is in memory (%s): a power cut or a restart of the machine loses the mail in the queue",
			 s.path, memory);
	return spool_open(&s, clock_wall(), clock_monotonic(), &d->house.spool, f) == 0;
}

static size_t hash(const void *request, size_t len, int fd, void *answer)
{
	size_t answered = ingest_hash(request, len, fd, answer);

	return answered ? answered : relay_hash(request, len, fd, answer);
}

/* Before all else: a helper keeps a copy of each page that we change after its birth. */
static bool start_helpers(struct daemon *d, struct fault *f)
{
	d->house.loop = loop_new(HELPERS);
	if (!d->house.loop)
		return fault_set(f, STATUS_TEMPORARY, "out of memory");
	d->resolver = dial_resolver_start(d->house.loop);
	d->hasher = helper_start(d->house.loop, "hash", hash);
	d->flusher = helper_start(d->house.loop, "flush", keeper_serve);
	if (d->resolver && d->hasher && d->flusher)
		return true;
	return fault_set(f, STATUS_TEMPORARY, "no more processes can be started: %s", strerror(errno));
}

/* ingest and relay don't know each other. */
static void join_ways(struct daemon *d)
{
	struct passage_way way;
	struct vouch_way vouch;

	relay_way(d->house.relay, &way);
	ingest_pass_by(d->ingest, &way);
	relay_vouch_way(d->house.relay, &vouch);
	ingest_ask_upstream(d->ingest, &vouch);
}

/* Their rights are ours at birth: they give them up when we do. */
static bool drop_rights(struct daemon *d, struct fault *f)
{
	struct helper *const helpers[HELPERS] = { d->resolver, d->hasher, d->flusher };
	bool was_root = !geteuid();

	if (!rights_drop(d->config->user, d->config->control, f))
		return false;
	for (size_t i = 0; was_root && geteuid() && i < HELPERS; i++)
		helper_become(helpers[i], geteuid(), getegid());
	return true;
}

/* Two boxes: each has one side of it, by its role. */
static bool build_boxes(struct daemon *d, struct fault *f)
{
	d->forward = forward_new(d->house.loop, d->house.blocks, d->resolver, d->flusher, d->audit);
	d->agents = agents_new(d->house.loop, d->house.blocks, d->audit);
	d->house.forward = d->forward;
	d->house.agents = d->agents;
	if ((CONFIG_FORWARD && !d->forward) || (CONFIG_AGENTS && !d->agents))
		return fault_set(f, STATUS_TEMPORARY, "out of memory");
	if (d->agents && d->config->agents.listen_count)
		agents_recall(d->agents, d->config->audit, d->config->audit_keep);
	return true;
}

static bool build(struct daemon *d, struct fault *f)
{
	d->audit = audit_new(d->house.loop, d->flusher);
	d->house.audit = d->audit;
	if (d->audit)
		trail_open(take_record, d);
	d->house.keeper = keeper_new(d->house.loop, d->flusher, d->house.spool);
	if (d->house.keeper)
		d->ingest = ingest_new(d->house.loop, d->house.blocks, d->house.keeper, d->hasher, &d->config->ingest);
	if (d->ingest)
		d->house.relay = relay_new(d->house.loop, d->house.blocks, d->house.keeper, d->resolver, d->hasher);
	if (d->house.relay)
		join_ways(d);
	d->house.ingest = d->ingest;
	d->house.started = clock_wall();
	d->house.started_at = loop_now(d->house.loop);
	d->house.spool_path = d->spool_path;
	d->house.max_sessions = d->config->ingest.max_sessions;
	d->house.stats = &d->stats;
	d->house.reload = reload;
	d->house.context = d;
	return d->house.relay ? true : fault_set(f, STATUS_TEMPORARY, "out of memory");
}

/* What root could read at start may be closed to the user we have become: told now, not at the first reload. */
static void try_reload(const struct daemon *d)
{
	struct fault f = { .text = "" };
	struct config *c;

	if (!geteuid())
		return;
	c = config_read(d->config->path, true, NULL, NULL, &f);
	if (!c)
		log_line(SEVERITY_WARNING, "a reload would fail: %s; give group %s the right to read it", f.text,
			 d->config->user);
	config_free(c);
}

static bool watch_over(struct daemon *d, struct fault *f)
{
	if (alarms_start(&d->alarms, &d->house, &d->config) &&
	    stats_start(&d->stats, d->house.loop, d->ingest, d->house.relay, d->house.spool, &d->config))
		return true;
	return fault_set(f, STATUS_TEMPORARY, "no room to watch over the gate");
}

/* Without it mail goes on; audit_apply will say so. */
static void make_audit_directory(const struct daemon *d)
{
	struct fault ignored = { .text = "" };
	const char *path = d->config->audit;
	char directory[sizeof(d->config->audit)];
	size_t len = strlen(path);

	while (len > 1 && path[len - 1] != '/')
		len--;
	if (CONFIG_AUDIT && strcmp(path, "none") != 0 && slice_copy(slice_bytes(path, len - 1), directory, sizeof(directory)) &&
	    directory[0])
		rights_make_directory(directory, d->config->user, &ignored);
}

static bool take_local(struct daemon *d, struct fault *f)
{
	int fd = d->local;

	d->local = -1;
	if (fd < 0 || ingest_take_local(d->ingest, fd))
		return true;
	return fault_set(f, STATUS_TEMPORARY, "no room for %s", d->config->local);
}

static bool start(struct daemon *d, const char *path, struct fault *f)
{
	process_forbid_cores();
	process_keep_lean();
	log_open("sekimori", log_facility(SLICE_OF("mail")), SEVERITY_INFO, d->foreground);
	if (!start_helpers(d, f) || !process_start_tls(f))
		return false;
	d->config = config_read(path, true, notice, NULL, f);
	if (!d->config)
		return false;
	open_log(d, d->config);
	alarm_clock(clock_wall());
	process_open_files(descriptors(d->config));
	if (!get_memory(d, f))
		return false;
	d->control = control_new(&d->house, d->config->control, f);
	if (!d->control || !local_open(d->config, &d->local, f) ||
	    !rights_make_directory(d->config->spool, d->config->user, f))
		return false;
	make_audit_directory(d);
	if (!drop_rights(d, f))
		return false;
	try_reload(d);
	if (!open_spool(d, f) || !build(d, f) || !build_boxes(d, f))
		return false;
	if (!watch_signals(d, f) || !apply(d, d->config, f) || !take_local(d, f) || !watch_over(d, f))
		return false;
	apply_audit(d, d->config);	/* last: a start that fails is told in one line */
	return true;
}

static void serve(struct daemon *d)
{
	log_line(SEVERITY_NOTICE, "sekimori %s serves, %zu messages in the queue", SEKIMORI_VERSION,
		 spool_count(d->house.spool));
	while (!d->closing || (loop_now(d->house.loop) < d->closing &&
			       !(ingest_idle(d->ingest) && relay_idle(d->house.relay) && keeper_idle(d->house.keeper)))) {
		struct fault f = { .text = "" };
		int result = loop_turn(d->house.loop);

		if (result) {
			log_line(SEVERITY_ERR, "poll: %s", strerror(-result));
			return;
		}
		if (d->reload_due) {
			d->reload_due = false;
			reload(d, NULL, &f);
		}
		free_retired(d);
	}
	log_line(SEVERITY_NOTICE, "stopped, %zu messages in the queue", spool_count(d->house.spool));
}

static void tear_down(struct daemon *d)
{
	trail_open(NULL, NULL);
	forward_end(d->forward);
	audit_end(d->audit);
	control_free(d->control);
	if (d->ingest)
		local_remove(d->config);
	if (d->local >= 0)
		close(d->local);
	helper_stop(d->resolver);
	helper_stop(d->hasher);
	helper_stop(d->flusher);
	if (d->house.loop)
		loop_free(d->house.loop);	/* reaps sessions, listeners, couriers */
	agents_free(d->agents);
	keeper_free(d->house.keeper);
	spool_close(d->house.spool);		/* looks at writers that wait, which the next two own */
	relay_free(d->house.relay);
	ingest_free(d->ingest);
	pool_free(d->house.blocks);
	while (d->retired) {
		struct config *c = d->retired;

		d->retired = c->next;
		config_free(c);
	}
	config_free(d->config);
}

static void tell_ready(int told)
{
	if (write(told, "", 1) < 0)
		log_line(SEVERITY_WARNING, "nobody waited for the start");
	close(told);
}

/* `told`: where the parent waits for a word, or -1 in the foreground. */
static int run(const char *path, int told)
{
	struct fault f = { .text = "", .status = STATUS_TEMPORARY };
	struct daemon d = { .foreground = told < 0, .local = -1 };
	int error = told < 0 ? -1 : process_detach(), status = STATUS_OK;

	if (start(&d, path, &f)) {
		if (error >= 0)
			close(error);
		if (told >= 0)
			tell_ready(told);
		serve(&d);
	} else {
		if (error >= 0)
			dup2(error, STDERR_FILENO);
		command_failed(&f);
		log_open("sekimori", log_facility(SLICE_OF("mail")), SEVERITY_INFO, false);	/* said on standard error already */
		log_line(SEVERITY_ERR, "not started: %s", f.text);
		status = f.status;
	}
	tear_down(&d);
	return status;
}

/* The parent stays until the gate serves, so that its exit status is the truth. */
static int run_behind(const char *path)
{
	int ends[2], status;
	char ready;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC))
		return STATUS_TEMPORARY;
	pid = fork();
	if (pid < 0)
		return STATUS_TEMPORARY;
	if (!pid) {
		close(ends[0]);
		setsid();
		if (chdir("/"))
			_exit(STATUS_TEMPORARY);
		exit(run(path, ends[1]));
	}
	close(ends[1]);
	if (read(ends[0], &ready, 1) == 1)
		return STATUS_OK;
	if (waitpid(pid, &status, 0) == pid && WIFEXITED(status))
		return WEXITSTATUS(status);
	return STATUS_TEMPORARY;
}

int daemon_run(const char *path, bool foreground)
{
	char full[PATH_MAX];

	process_guard_files();
	if (foreground)
		return run(path, -1);
	/* Behind, it works in "/", and reads the file again at each reload. */
	return run_behind(realpath(path, full) ? full : path);
}
