/*
 * One saved session for each server of a context, so that the next connection to it need not exchange and check certificates again.
 * In memory only. The rules of a context never change, so what was verified under them stays so; but a session does not outlive the
 * certificate that vouched for it.
 */
#include "net/tls_inner.h"

#include <string.h>

#include "base/clock.h"
#include "base/secret.h"

#define SESSION_LIFETIME	14400	/* s: a CA or the server's owner may change their mind; most servers keep less */

static void forget(struct tls_saved *row)
{
	if (!row->used)
		return;
	mbedtls_ssl_session_free(&row->session);	/* wipes it */
	secret_wipe(row, sizeof(*row));
}

static struct tls_saved *find(struct tls_context *c, const char *name)
{
	for (size_t i = 0; i < TLS_SAVED_MAX; i++)
		if (c->saved[i].used && strcmp(c->saved[i].name, name) == 0)
			return &c->saved[i];
	return NULL;
}

static struct tls_saved *free_row(struct tls_context *c)
{
	struct tls_saved *row;

	for (size_t i = 0; i < TLS_SAVED_MAX; i++)
		if (!c->saved[i].used)
			return &c->saved[i];
	row = &c->saved[c->next_saved];
	c->next_saved = (c->next_saved + 1) % TLS_SAVED_MAX;
	return row;
}

/* A clock that was stepped either way ends it as well. */
static bool is_fresh(const struct tls_saved *row)
{
	int64_t age = clock_wall() - row->saved_at;

	return age >= 0 && age < SESSION_LIFETIME && !mbedtls_x509_time_is_past(&row->valid_to);
}

void tls_offer_session(struct tls *t)
{
	struct tls_saved *row = find(t->context, t->name);

	if (!row)
		return;
	if (!is_fresh(row) || mbedtls_ssl_set_session(&t->ssl, &row->session) != 0) {
		forget(row);
		return;
	}
	t->offered = true;
	t->valid_to = row->valid_to;
}

void tls_save_session(struct tls *t)
{
	struct tls_saved *row = find(t->context, t->name);
	int64_t saved_at = clock_wall();

	if (!t->verified || t->failed || t->only_12 != tls_context_is_12(t->context))
		return;
	/* The life of what was verified once isn't prolonged by resuming it. */
	if (t->resumed && !row)
		return;
	if (row && t->resumed)
		saved_at = row->saved_at;
	if (!row)
		row = free_row(t->context);
	forget(row);
	mbedtls_ssl_session_init(&row->session);
	row->used = true;
	if (mbedtls_ssl_get_session(&t->ssl, &row->session) != 0) {
		forget(row);
		return;
	}
	row->saved_at = saved_at;
	row->valid_to = t->valid_to;
	slice_copy(slice_of(t->name), row->name, sizeof(row->name));
}

void tls_forget_session(struct tls *t)
{
	struct tls_saved *row = find(t->context, t->name);

	if (row)
		forget(row);
}

void tls_forget_sessions(struct tls_context *c)
{
	for (size_t i = 0; i < TLS_SAVED_MAX; i++)
		forget(&c->saved[i]);
}
