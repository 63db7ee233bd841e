/*
 * credentials = client (R40): the pair that a client logs in with is tried at the next hop while the client waits, by a connection that
 * then stays for its mail. A flood of guesses doesn't get through: few are asked at once, refused ones not again for a while, and
 * when many are refused, none is asked for a moment, or the provider would lock us all out.
 */
#include <stdlib.h>

#include "base/log.h"
#include "base/secret.h"
#include "relay/inner.h"

#define ANSWER_MS	20000	/* a mail program's patience with AUTH is less than RFC 4954's */
#define REFUSALS_RATE	60	/* a minute, over all accounts */

struct check {
	struct check *next;
	struct vouch *vouch;		/* NULL: nobody waits any more */
	struct courier *courier;	/* NULL: it waits for its turn */
	int64_t give_up_at;		/* monotonic ms */
	char account[ADDRESS_MAX + 1];
	struct relay_pair pair;
};

static void end_check(struct relay *r, struct check *k, enum vouch_state state)
{
	struct check **link = &r->checks;

	while (*link != k)
		link = &(*link)->next;
	*link = k->next;
	r->check_count--;
	if (k->vouch) {
		k->vouch->state = (uint8_t)state;
		k->vouch->carrier = NULL;
	}
	secret_wipe(k, sizeof(*k));
	free(k);
	r->wake = true;
}

static struct check *check_of(const struct relay *r, const struct courier *c)
{
	struct check *k = r->checks;

	while (k && k->courier != c)
		k = k->next;
	return k;
}

/* [relay] sections with credentials = client: one at most. */
static int client_route(const struct relay *r)
{
	for (unsigned i = 0; r->settings && i < r->settings->route_count; i++)
		if (r->settings->routes[i].by_client)
			return (int)i;
	return -1;
}

static bool is_pair(struct slice user, struct slice password)
{
	return user.len > 0 && user.len <= LOGIN_MAX && password.len > 0 && password.len <= PASSWORD_MAX &&
	       slice_find(user, '\0') == user.len && slice_find(password, '\0') == password.len;
}

static enum vouch_state answer_from_memory(struct relay *r, int route, struct slice account, struct slice user,
					   struct slice password)
{
	int64_t now = relay_now(r);

	if (!is_pair(user, password))
		return VOUCH_BAD;
	if (route < 0 || !r->wallet || r->closing)
		return VOUCH_UNKNOWN;
	if (wallet_knows(r->wallet, account, user, password, now))
		return VOUCH_GOOD;
	if (wallet_has_refused(r->wallet, account, user, password, now))
		return VOUCH_BAD;
	if (r->check_count >= VOUCHES_WAITING_MAX || !pace_tokens(&r->refusals, REFUSALS_RATE, now))
		return VOUCH_UNKNOWN;
	return schedule_wait(r, (unsigned)route) == WAIT_DOWN ? VOUCH_UNKNOWN : VOUCH_ASKED;
}

static void ask(void *context, struct vouch *v, struct slice account, struct slice user, struct slice password)
{
	struct relay *r = context;
	enum vouch_state state = answer_from_memory(r, client_route(r), account, user, password);
	struct check *k = state == VOUCH_ASKED ? calloc(1, sizeof(*k)) : NULL;
	struct check **link = &r->checks;

	if (!k) {
		v->state = state == VOUCH_ASKED ? VOUCH_UNKNOWN : (uint8_t)state;
		return;
	}
	slice_copy(account, k->account, sizeof(k->account));
	slice_copy(user, k->pair.user, sizeof(k->pair.user));
	slice_copy(password, k->pair.password, sizeof(k->pair.password));
	k->give_up_at = relay_now(r) + ANSWER_MS;
	k->vouch = v;
	v->carrier = k;
	while (*link)
		link = &(*link)->next;
	*link = k;			/* first come, first served */
	r->check_count++;
	vouch_place(r);
}

static void abandon(struct relay *r, struct check *k, enum vouch_state state)
{
	if (k->courier)
		courier_abandon(k->courier);
	end_check(r, k, state);
}

static void cancel(void *context, struct vouch *v)
{
	struct relay *r = context;
	struct check *k = v->carrier;

	k->vouch = NULL;
	v->carrier = NULL;
	if (!k->courier)		/* one that is under way goes on: its answer is worth remembering */
		abandon(r, k, VOUCH_UNKNOWN);
}

void vouch_place(struct relay *r)
{
	int route = client_route(r);
	unsigned busy = 0;

	for (const struct check *k = r->checks; k; k = k->next)
		busy += k->courier != NULL;
	for (struct check *k = r->checks; k && route >= 0 && busy < VOUCHES_MAX; k = k->next) {
		if (k->courier)
			continue;
		k->courier = schedule_check(r, (unsigned)route, &k->pair);
		if (!k->courier)
			return;
		busy++;
	}
}

int64_t vouch_deadline(const struct relay *r)
{
	int64_t at = NEVER;

	for (const struct check *k = r->checks; k; k = k->next)
		if (k->give_up_at < at)
			at = k->give_up_at;
	return at;
}

void vouch_expire(struct relay *r)
{
	struct check *k = r->checks;

	while (k) {
		struct check *next = k->next;

		if (k->give_up_at <= relay_now(r) || r->closing || client_route(r) < 0)
			abandon(r, k, VOUCH_UNKNOWN);
		k = next;
	}
}

/* An idle connection of whoever had the row is nobody's now. */
static void end_connections(struct relay *r, int login)
{
	for (struct courier *c = r->couriers; c; c = c->next)
		if (c->login == login && c->settings->routes[c->route].by_client)
			courier_quit(c);
}

static int remember(struct relay *r, const struct check *k)
{
	struct slice account = slice_of(k->account);
	int had = wallet_find(r->wallet, account);
	int row = wallet_put(r->wallet, account, slice_of(k->pair.user), slice_of(k->pair.password), relay_now(r));

	if (row >= 0 && had < 0) {
		end_connections(r, row + 1);
		direct_regroup(r);
		schedule_came(r, account);
	}
	return row;
}

void vouch_proved(struct relay *r, struct courier *c)
{
	struct check *k = check_of(r, c);
	int row = k ? remember(r, k) : -1;

	c->checking = false;
	if (row >= 0)
		c->login = row + 1;
	if (row < 0)
		courier_quit(c);	/* it can't be said whose it is */
	if (!k)
		return;
	end_check(r, k, row < 0 ? VOUCH_UNKNOWN : VOUCH_GOOD);
}

/* The pair is refused, and not the way we asked, or us. RFC 4954 6; 534 is said where a provider wants another kind of password. */
static bool is_refusal(const struct courier *c)
{
	unsigned code = c->smtp.upstream.reply.code;

	return smtp_client_stage(&c->smtp) == STAGE_AUTH && (code == 535 || code == 534 || code == 550 || code == 554);
}

void vouch_failed(struct relay *r, struct courier *c, const char *words, bool login)
{
	struct check *k = check_of(r, c);
	bool refused = login && is_refusal(c);

	c->checking = false;
	if (!k)
		return;
	if (!refused)
		log_line(SEVERITY_WARNING, "a client's login could not be tried at the next hop: %s", words);
	if (refused) {
		pace_take(&r->refusals, REFUSALS_RATE, relay_now(r));
		wallet_refuse(r->wallet, slice_of(k->account), slice_of(k->pair.user), slice_of(k->pair.password),
			      relay_now(r));
	}
	k->courier = NULL;
	end_check(r, k, refused ? VOUCH_BAD : VOUCH_UNKNOWN);
}

void vouch_gone(struct relay *r, const struct courier *c)
{
	struct check *k = check_of(r, c);

	if (k)
		k->courier = NULL;
}

void vouch_forget(struct relay *r, unsigned route, int login)
{
	if (login <= LOGIN_STORED || !r->settings->routes[route].by_client)
		return;
	/* It doesn't rest: there is nothing left that could be tried. */
	r->states[route].logins[login] = (struct login_state){ .refusals = 0 };
	end_connections(r, login);
	wallet_forget(r->wallet, login - 1);
	direct_regroup(r);		/* the row may soon be another's */
}

void vouch_end(struct relay *r)
{
	while (r->checks) {
		r->checks->courier = NULL;
		r->checks->vouch = NULL;
		end_check(r, r->checks, VOUCH_UNKNOWN);
	}
	wallet_free(r->wallet);
}

void relay_vouch_way(struct relay *r, struct vouch_way *out)
{
	*out = (struct vouch_way){ .context = r, .ask = ask, .cancel = cancel };
}
