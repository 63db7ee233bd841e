/* What is known of each route beside its settings: made afresh with these, but for what a reload must not forget. */
#include <stdlib.h>

#include "relay/inner.h"

void states_free(struct route_state *states, unsigned count)
{
	for (unsigned i = 0; states && i < count; i++) {
		pop_release(states[i].pop);
		token_free(states[i].token);
		free(states[i].logins);
	}
	free(states);
}

static void on_token(void *context, unsigned route, const char *error)
{
	struct relay *r = context;

	if (error)
		heard_refusal(r, route, LOGIN_STORED, error);
	r->wake = true;
}

static bool make_tokens(struct relay *r, const struct relay_settings *settings, struct route_state *states)
{
	for (unsigned i = 0; i < settings->route_count; i++) {
		struct slice line = slice_of(settings->routes[i].token_command);

		if (line.len)
			states[i].token = token_new(r->house.loop, line, on_token, r, i);
		if (line.len && !states[i].token)
			return false;
	}
	return true;
}

/*
 * What a reload must not forget: how fast the route has been fed, and the connections that are still open. That it was down is
 * forgotten: the new settings may be the cure.
 */
static void inherit(const struct relay *r, const struct relay_settings *new, unsigned i, struct route_state *state)
{
	const char *name = new->routes[i].name;
	int before = r->settings ? route_named(r->settings, name) : -1;

	pace_start(&state->pace, new->routes[i].rate, relay_now(r));
	if (before >= 0) {
		const struct route_state *old = &r->states[before];

		if (r->settings->routes[before].rate)
			state->pace = old->pace;
		state->line = old->line;
		state->last_success = old->last_success;
		state->last_failure = old->last_failure;
	}
	for (const struct courier *c = r->couriers; c; c = c->next)
		state->couriers += slice_equal(slice_of(c->settings->routes[c->route].name), slice_of(name));
}

static bool make_logins(const struct relay_settings *settings, struct route_state *states)
{
	for (unsigned i = 0; i < settings->route_count; i++) {
		states[i].logins = calloc(settings->routes[i].login_count + 1u, sizeof(*states[i].logins));
		if (!states[i].logins)
			return false;
	}
	return true;
}

/* POP logins are made afresh: user, host or address may be other ones now. */
static bool make_pops(const struct relay *r, struct relay_settings *settings, struct route_state *states)
{
	for (unsigned i = 0; i < settings->route_count; i++) {
		if (settings->routes[i].pop.use != POP_AGENT)
			continue;
		states[i].pop = pop_new(r->house.loop, r->house.blocks, r->house.resolver, settings, i);
		if (!states[i].pop)
			return false;
	}
	return true;
}

/* It outlives a reload: nobody has to log in again for that. */
static bool share_wallet(struct relay *r, struct relay_settings *settings)
{
	for (unsigned i = 0; i < settings->route_count; i++) {
		if (!settings->routes[i].by_client)
			continue;
		if (!r->wallet)
			r->wallet = wallet_new();
		settings->routes[i].wallet = r->wallet;
		if (!r->wallet)
			return false;
	}
	return true;
}

struct route_state *states_make(struct relay *r, struct relay_settings *settings)
{
	struct route_state *states = calloc(settings->route_count + 1u, sizeof(*states));

	if (!states || !share_wallet(r, settings) || !make_logins(settings, states) || !make_tokens(r, settings, states) ||
	    !make_pops(r, settings, states)) {
		states_free(states, settings->route_count);
		return NULL;
	}
	for (unsigned i = 0; i < settings->route_count; i++)
		inherit(r, settings, i, &states[i]);
	return states;
}
