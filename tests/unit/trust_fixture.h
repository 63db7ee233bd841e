/*
 * F0, the fixture of requirements.md: test-sample.jp with user1, user2, mfp1, info@, sales@; and a peer.
 */
#ifndef TRUST_FIXTURE_H
#define TRUST_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "trust/accounts.h"

#define U1	"user1@test-sample.jp"
#define U2	"user2@test-sample.jp"
#define INI	"sekimori.ini"
#define F0_ACCOUNTS "# F0\n" U1 ":{PLAIN}user1234:\n" U2 ":{PLAIN}user2345:\n"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static inline struct network_list networks(const char *text)
{
	struct network_list l;

	assert_true(network_list_parse(slice_of(text), &l));
	return l;
}

static inline struct trust_device device_of(const char *name, const char *ip, const char *sender)
{
	struct trust_device d = { .from = networks(ip) };

	assert_true(slice_copy(slice_of(name), d.name, sizeof(d.name)));
	assert_true(address_key_of(slice_of(sender), &d.sender));
	return d;
}

static inline struct trust_peer peer_of(const char *name, const char *ip)
{
	struct trust_peer p = { .from = networks(ip) };

	assert_true(slice_copy(slice_of(name), p.name, sizeof(p.name)));
	return p;
}

static inline bool add_alias(struct trust *t, const char *alias, const char *accounts, unsigned line,
			     struct fault *f)
{
	return trust_add_alias(t, slice_of(alias), slice_of(accounts), INI, line, f);
}

static inline bool add_device(struct trust *t, const char *ip, const char *sender, unsigned line,
			      struct fault *f)
{
	struct trust_device d = device_of("mfp1", ip, sender);

	return trust_add_device(t, &d, INI, line, f);
}

static inline bool add_peer(struct trust *t, const char *ip, unsigned line, struct fault *f)
{
	struct trust_peer p = peer_of("mailserver", ip);

	return trust_add_peer(t, &p, INI, line, f);
}

/* Domain and accounts only; not sealed. */
static inline struct trust *f0_start(const char *accounts)
{
	struct trust *t = trust_new();
	struct fault f = { .text = "" };

	assert_non_null(t);
	if (!trust_add_domain(t, SLICE_OF("Test-Sample.jp"), INI, 2, &f) ||
	    !accounts_parse(t, slice_of(accounts), "accounts", &f))
		fail_msg("%s", f.text);
	return t;
}

static inline void f0_rest(struct trust *t, struct fault *f)
{
	if (!add_alias(t, "info@test-sample.jp", U1, 20, f) ||
	    !add_alias(t, "sales@test-sample.jp", U1 ", " U2, 21, f) ||
	    !add_alias(t, "boss@test-sample.jp", U2, 22, f) ||
	    !add_device(t, "192.168.0.50", "mfp1@test-sample.jp", 30, f) ||
	    !add_peer(t, "192.168.100.10", 40, f) || !trust_seal(t, f))
		fail_msg("%s", f->text);
}

static inline struct trust *f0_with(const char *accounts)
{
	struct trust *t = f0_start(accounts);
	struct fault f = { .text = "" };

	f0_rest(t, &f);
	return t;
}

static inline struct trust *f0(void)
{
	return f0_with(F0_ACCOUNTS);
}

static inline void f0_policy(struct trust *t, struct trust_policy policy)
{
	if (policy.action == ACTION_DEFAULT)
		policy.action = ACTION_REFUSE;
	trust_set_policy(t, &policy);
}

static inline struct principal as_account(const struct trust *t, const char *id)
{
	struct principal p = { .kind = PRINCIPAL_ACCOUNT, .account = accounts_find(t, slice_of(id)) };

	assert_non_null(p.account);
	return p;
}

static inline struct principal as_address(const struct trust *t, const char *ip)
{
	struct ip_address a;
	struct principal p;

	assert_true(ip_parse(slice_of(ip), &a));
	trust_by_address(t, &a, &p);
	return p;
}

#endif
