/*
 * What the relay's own files share: relay.c, its face; states.c, what is known of the routes; heard.c, what couriers report; vouch.c, which
 * tries clients' pairs; direct.c, which decides what goes where and when of messages that are passed on while they come in, and schedule.c,
 * which does so for the queue; outcome.c, which ends an attempt, and answer.c, which ends those of direct.c. Each calls those behind it,
 * never back.
 */
#ifndef RELAY_INNER_H
#define RELAY_INNER_H

#include "relay/courier.h"
#include "relay/doubt.h"
#include "relay/login.h"
#include "relay/missing.h"
#include "relay/pace.h"
#include "relay/relay.h"
#include "relay/token.h"
#include "relay/wallet.h"

struct route_state {
	unsigned couriers;		/* those that were made before a reload are counted as well */
	unsigned failures;		/* in a row */
	int64_t down_until;		/* monotonic ms; 0: up */
	bool login_refused;		/* it is down since the upstream refuses our login */
	struct pace pace;
	struct pop *pop;		/* NULL where we don't log in by POP */
	int64_t line;			/* monotonic ms: the turn of the last message that waits for the rate in the queue */
	int64_t last_success, last_failure;	/* wall */
	struct login_state *logins;	/* LOGIN_STORED, and a row a row of the route's table */
	struct token *token;		/* NULL: no token_command */
	int64_t missing_told;		/* monotonic ms: when an account without a login was last alarmed about; 0: never */
	char last_error[FAULT_MAX];
};

struct relay {
	struct watch watch;		/* the schedule; has no descriptor */
	struct relay_house house;
	struct keeper *keeper;
	struct relay_settings *settings;
	struct route_state *states;	/* a row a route of settings */
	struct courier *couriers;
	struct attempt *waiting;	/* in memory, the first to come first */
	struct attempt *direct;		/* messages that are passed on while they come in */
	struct attempt *returning;	/* those whose return mail is on its way to the disk */
	unsigned open;			/* couriers */
	bool closing, scheduling, wake;
	int64_t next_sweep;
	uint64_t swept;			/* id of the last message looked at in a sweep under way; 0: none is */
	int64_t sweep_began, sweep_before;	/* monotonic ms: this one, and the one before; 0: none yet */
	int64_t clock_offset;		/* wall less monotonic, s, at the last look */
	int64_t clock_step, clock_stepped_at;	/* s forward, and from which wall time; 0: never */
	int64_t clock_since;		/* monotonic ms: at the latest step, or the first look */
	struct doubts doubts;
	/* credentials = client */
	struct wallet *wallet;		/* NULL until some route has it */
	struct check *checks;		/* pairs that clients wait to hear of, the first to come first */
	unsigned check_count;
	struct pace refusals;		/* of pairs, by the upstream */
	struct missing missing;
	struct relay_counters counters;
};

/* How the last words of a parked message begin. No upstream's do: theirs begin with the code. */
#define PARKED_WORDS	"parked: "

static inline int64_t relay_now(const struct relay *r)
{
	return loop_now(r->house.loop);
}

/* How long to wait after so many tries; the last of [queue] retry repeats. */
static inline int64_t relay_delay(const struct relay_settings *s, uint32_t tries)
{
	return s->retry[tries < s->retry_count ? tries : s->retry_count - 1];
}

/* The state of a courier's route in today's settings; NULL: there is none of that name any more. */
static inline struct route_state *relay_state(const struct relay *r, const struct courier *c)
{
	int i = route_named(r->settings, c->settings->routes[c->route].name);

	return i < 0 ? NULL : &r->states[i];
}

/* By name, for logs: empty for the stored one. */
static inline const char *relay_login_name(const struct relay *r, unsigned route, int login)
{
	const struct relay_route *to = &r->settings->routes[route];

	if (login <= LOGIN_STORED)
		return "";
	return to->by_client ? wallet_account(r->wallet, login - 1).at : to->logins[login - 1].account;
}

/* states.c */

/* A row a route of `settings`, with its tokens, POP logins and logins; as before where a reload must not forget. NULL without memory. */
struct route_state *states_make(struct relay *r, struct relay_settings *settings);
/* NULL is ignored. */
void states_free(struct route_state *states, unsigned count);

/* heard.c */

/* Ours, for relay_house. */
struct courier_calls heard_calls(void);
/* The upstream refuses this login, in these words: it rests, and the operator is told. */
void heard_refusal(struct relay *r, unsigned route, int login, const char *words);

/* vouch.c */

#if CONFIG_CREDENTIALS_CLIENT
/* Pairs that wait are tried as far as there is room. */
void vouch_place(struct relay *r);
int64_t vouch_deadline(const struct relay *r);
void vouch_expire(struct relay *r);
/* A courier that was checking has logged in; or it could not, `login`: for the pair's sake perhaps. */
void vouch_proved(struct relay *r, struct courier *c);
void vouch_failed(struct relay *r, struct courier *c, const char *words, bool login);
/* It went without a word, at a reload: the pair waits again. */
void vouch_gone(struct relay *r, const struct courier *c);
/* A pair that was good is refused. */
void vouch_forget(struct relay *r, unsigned route, int login);
/* At the very end. */
void vouch_end(struct relay *r);
#else
static inline void vouch_place(struct relay *r)
{
	(void)r;
}

static inline int64_t vouch_deadline(const struct relay *r)
{
	(void)r;
	return NEVER;
}

static inline void vouch_expire(struct relay *r)
{
	(void)r;
}

static inline void vouch_proved(struct relay *r, struct courier *c)
{
	(void)r, (void)c;
}

static inline void vouch_failed(struct relay *r, struct courier *c, const char *words, bool login)
{
	(void)r, (void)c, (void)words, (void)login;
}

static inline void vouch_gone(struct relay *r, const struct courier *c)
{
	(void)r, (void)c;
}

static inline void vouch_forget(struct relay *r, unsigned route, int login)
{
	(void)r, (void)route, (void)login;
}

static inline void vouch_end(struct relay *r)
{
	(void)r;
}
#endif

/* direct.c */

#if CONFIG_DIRECT
/* Those that wait for a courier get one, before any queued message does. */
void direct_place(struct relay *r);
/* After a reload: route and login of those that wait are found afresh. */
void direct_regroup(struct relay *r);
/* When the first of them has waited long enough; NEVER: none waits. */
int64_t direct_deadline(const struct relay *r);
void direct_expire(struct relay *r);
/* Its recipients have been tried, or it could not be brought. Ends the attempt. */
void direct_done(struct relay *r, struct attempt *a);
#else
static inline void direct_place(struct relay *r)
{
	(void)r;
}

static inline void direct_regroup(struct relay *r)
{
	(void)r;
}

static inline int64_t direct_deadline(const struct relay *r)
{
	(void)r;
	return NEVER;
}

static inline void direct_expire(struct relay *r)
{
	(void)r;
}

static inline void direct_done(struct relay *r, struct attempt *a)
{
	(void)r, (void)a;
}
#endif

/* age.c */

/* Once a turn. */
void age_watch(struct relay *r);
/* Seconds since a mail arrived; 0 when nobody knows. */
int64_t age_of(const struct relay *r, int64_t arrived);
/* [queue] expire. */
bool age_is_over(const struct relay *r, int64_t arrived);

/* schedule.c */

/* To a courier of its route, idle or new; false when there is none to be had now. */
bool schedule_carry(struct relay *r, struct attempt *a);

/* A connection that tries a pair; NULL when there is no place for one now. */
struct courier *schedule_check(struct relay *r, unsigned route, const struct relay_pair *pair);
/* Mail that waits for the account goes now. */
void schedule_came(struct relay *r, struct slice account);

/* What keeps a route's mail. */
enum relay_wait schedule_wait(const struct relay *r, unsigned route);
/* To the next route; when there is no more, or none that can be used now, the end of the attempt. */
void schedule_go_on(struct relay *r, struct attempt *a);
void schedule_run(struct relay *r);
/* Those that wait in memory go back to the queue. */
void schedule_end_waiting(struct relay *r);
/* Out of the schedule, though it may not be due; NULL when it is being sent. */
const struct spool_entry *schedule_take(struct relay *r, uint64_t id);
/* Reads a taken message; NULL: it can't be read, and has been put off or dropped. */
struct attempt *schedule_load(struct relay *r, const struct spool_entry *e);
/* As if it had never been taken. */
void schedule_put_off(struct relay *r, struct attempt *a, int64_t until);
/* The schedule's watch. */
void schedule_before(struct watch *w);
void schedule_want(struct watch *w);
void schedule_ready(struct watch *w, short revents);

/* answer.c */

#if CONFIG_DIRECT
/* Tells the client's side what has become of its message. Ends the attempt. */
void answer_client(struct relay *r, struct attempt *a);
/* It was not even tried. */
void answer_missed(struct passage *p, const char *why);
#else
static inline void answer_client(struct relay *r, struct attempt *a)
{
	(void)r, (void)a;
}

static inline void answer_missed(struct passage *p, const char *why)
{
	(void)p, (void)why;
}
#endif

/* outcome.c */

/* Its sender is to be told now that it is late ([return] delay_notice). */
bool outcome_is_late(const struct relay *r, const struct attempt *a);
/* The log's lines for the group that has just been tried at `address`. */
void outcome_log(struct relay *r, const struct attempt *a, const char *address);
/* All that were pending have been tried: records it, makes return mail of what failed for good, or is late. Ends the attempt. */
void outcome_finish(struct relay *r, struct attempt *a);
/* The message's time is over, or it is taken back by hand: the same, with all that is pending failed. */
void outcome_expire(struct relay *r, struct attempt *a, bool by_hand);
/* A taken message leaves the queue, unread and untold: `why` is "removed" by hand, or "unreadable" and over its time. 0 or -errno. */
int outcome_drop(struct relay *r, const struct spool_entry *e, const char *why);
/* Records it as it is. Ends the attempt. */
void outcome_record(struct relay *r, struct attempt *a);

#endif
