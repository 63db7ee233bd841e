/*
 * [relay] mode = direct: the relay's side of a message that is passed on while it comes in. An attempt like any other, but it is not in
 * the spool, and a client waits for its end: what can't be brought goes back to ingest, which queues it or refuses it.
 */

#include "relay/inner.h"

static void unlink_attempt(struct relay *r, struct attempt *a)
{
	struct attempt **link = &r->direct;

	while (*link && *link != a)
		link = &(*link)->next;
	if (*link)
		*link = a->next;
	a->next = NULL;
}

void direct_done(struct relay *r, struct attempt *a)
{
	unlink_attempt(r, a);
	/* Refused by all, the client is told so itself; by some, it is told 250, and these are for return mail (R30). */
	if (a->passage && attempt_count(a, RECIPIENT_DELIVERED))
		outcome_finish(r, a);
	else
		answer_client(r, a);
}

static struct courier *courier_of(const struct relay *r, const struct attempt *a)
{
	struct courier *c = r->couriers;

	while (c && c->attempt != a)
		c = c->next;
	return c;
}

static void give_up(struct relay *r, struct attempt *a, const char *why)
{
	struct courier *c = courier_of(r, a);

	attempt_group_verdict(a, 0, slice_of(why), true);
	outcome_log(r, a, c ? c->address : "");
	if (c)
		courier_abandon(c);
	direct_done(r, a);
}

/* Why it isn't even tried; NULL: it is. */
static const char *obstacle(const struct relay *r, const struct attempt *a)
{
	const struct route_state *state;

	if (r->closing)
		return "the gate is stopping";
	if (a->route < 0 || a->group_count != a->count)
		return "its recipients go by different relays";
	if (a->login == LOGIN_MISSING)
		return "there is no upstream login for this account";
	state = &r->states[a->route];
	if (login_is_down(&state->logins[a->login], relay_now(r)))
		return r->settings->routes[a->route].by_sender ? "the next hop refuses the login of this account" : state->last_error;
	if (state->down_until <= relay_now(r))
		return NULL;
	/* Without a queue each message has to find out for itself; but not by a login that the upstream may count against us. */
	return a->passage->mode == PASSAGE_DIRECT_ONLY && !state->login_refused ? NULL : state->last_error;
}

static void offer(void *context, struct passage *p)
{
	struct relay *r = context;
	struct attempt *a = attempt_of_passage(p);
	const char *why;

	if (!a) {
		answer_missed(p, "out of memory");
		return;
	}
	a->relay = r;
	a->next = r->direct;
	r->direct = a;
	attempt_group(a, r->settings);
	why = obstacle(r, a);
	if (why) {
		give_up(r, a, why);
		return;
	}
	a->give_up_at = relay_now(r) + r->settings->routes[a->route].direct_wait;
	direct_place(r);
}

void direct_regroup(struct relay *r)
{
	struct attempt *next;

	for (struct attempt *a = r->direct; a; a = next) {
		const char *why;

		next = a->next;
		if (a->carried)
			continue;
		attempt_group(a, r->settings);
		why = obstacle(r, a);
		if (why)
			give_up(r, a, why);
	}
}

/* Carrying may end attempts, this one and others: the list is looked at afresh after each. */
static bool place_one(struct relay *r)
{
	for (struct attempt *a = r->direct; a; a = a->next) {
		if (a->carried)
			continue;
		a->carried = true;
		if (schedule_carry(r, a))
			return true;
		a->carried = false;
	}
	return false;
}

void direct_place(struct relay *r)
{
	while (!r->closing && place_one(r))
		;
}

int64_t direct_deadline(const struct relay *r)
{
	int64_t at = NEVER;

	for (const struct attempt *a = r->direct; a; a = a->next)
		if (!a->flowing && a->give_up_at < at)
			at = a->give_up_at;
	return at;
}

void direct_expire(struct relay *r)
{
	struct attempt *a = r->direct;

	while (a) {
		struct attempt *next = a->next;

		if (!a->flowing && a->give_up_at <= relay_now(r))
			give_up(r, a, "no upstream has taken it within direct_wait");
		a = next;
	}
}

static void cancel(void *context, struct passage *p)
{
	struct relay *r = context;
	struct attempt *a = p->carrier;
	struct courier *c = courier_of(r, a);

	p->carrier = NULL;
	a->passage = NULL;
	if (c && smtp_client_in_doubt(&c->smtp)) {
		attempt_group_verdict(a, 0, SLICE_OF("the client left before the answer (not known whether the mail got through)"), false);
		outcome_log(r, a, c->address);
	}
	if (c)
		courier_abandon(c);
	if (!a->keeping.done) {		/* else its return mail is on the way to the disk */
		unlink_attempt(r, a);
		attempt_free(a);
	}
	r->wake = true;
}

static enum passage_mode mode_of(void *context, struct slice sender, struct slice recipients)
{
	const struct relay *r = context;
	struct slice to;
	int route = -1;

	for (bool first = true; envelope_next(&recipients, &to); first = false) {
		int next = route_find(r->settings, sender, to);

		if (next < 0 || (!first && next != route))
			return PASSAGE_QUEUE;
		route = next;
	}
	return route < 0 ? PASSAGE_QUEUE : r->settings->routes[route].mode;
}

static bool possible(void *context)
{
	const struct relay *r = context;

	for (unsigned i = 0; r->settings && i < r->settings->route_count; i++)
		if (r->settings->routes[i].mode != PASSAGE_QUEUE)
			return true;
	return false;
}

void relay_way(struct relay *r, struct passage_way *out)
{
	*out = (struct passage_way){ .context = r, .possible = possible, .mode = mode_of, .offer = offer, .cancel = cancel };
}
