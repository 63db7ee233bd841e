#include "trust/lockout.h"

#include "trust_fixture.h"

#define MINUTE	60000
#define NAT	"203.0.113.7"

static const struct lockout_policy *policy(void)
{
	static struct lockout_policy p = { .after = 5, .window = 10 * MINUTE, .time = 30 * MINUTE };

	p.allow = networks("127.0.0.0/8, ::1/128, 10.1.0.0/16");
	return &p;
}

static struct ip_address ip(const char *text)
{
	struct ip_address a;

	assert_true(ip_parse(slice_of(text), &a));
	return a;
}

static enum lockout_scope failed(struct lockout *l, const char *id, const char *password, const char *client,
				 int64_t now)
{
	struct ip_address a = ip(client);

	return lockout_failed(l, policy(), slice_of(id), slice_of(password), &a, now);
}

static bool locked(const struct lockout *l, const char *id, const char *client, int64_t now)
{
	struct ip_address a = ip(client);

	return lockout_is_locked(l, policy(), slice_of(id), &a, now);
}

static void succeeded(struct lockout *l, const char *id, const char *client)
{
	struct ip_address a = ip(client);

	lockout_succeeded(l, slice_of(id), &a);
}

static struct lockout *fresh(void)
{
	struct lockout *l = lockout_new();

	assert_non_null(l);
	return l;
}

/* `count` wrong passwords, each a new one; what the last of them began. */
static enum lockout_scope guess(struct lockout *l, const char *id, unsigned count, const char *client, int64_t now)
{
	static unsigned n;
	enum lockout_scope last = LOCKOUT_NONE;

	while (count-- > 0) {
		char password[16];

		snprintf(password, sizeof(password), "guess%u", n++);
		assert_int_equal(last, LOCKOUT_NONE);
		last = failed(l, id, password, client, now);
	}
	return last;
}

enum act { GUESS, SAME, LOGIN, LOCKED, OPEN };

/* Each is a story of its own; a step with `begins` must begin that lock with its last guess, and with none before. */
static const struct {
	const char *name;
	struct step {
		enum act act;
		const char *id, *client;
		unsigned count;		/* GUESS, SAME */
		int64_t at;		/* ms */
		enum lockout_scope begins;
	} steps[16];
} stories[] = {
	{ "nobody has done anything", {
		{ OPEN, U1, NAT, .at = 0 } } },
	{ "the fifth guess locks the pair, and only it", {
		{ GUESS, U1, NAT, .count = 4 }, { OPEN, U1, NAT, .at = 0 },
		{ GUESS, U1, NAT, .count = 1, .begins = LOCKOUT_PAIR }, { LOCKED, U1, NAT, .at = 0 },
		{ OPEN, U2, NAT, .at = 0 }, { OPEN, U1, "203.0.113.8", .at = 0 } } },
	{ "one wrong password, how often soever", {
		{ SAME, U1, NAT, .count = 1000 }, { OPEN, U1, NAT, .at = 0 } } },
	{ "the same one between others counts once", {
		{ SAME, U1, NAT, .count = 3 }, { GUESS, U1, NAT, .count = 3 }, { SAME, U1, NAT, .count = 3 },
		{ OPEN, U1, NAT, .at = 0 },
		{ GUESS, U1, NAT, .count = 1, .begins = LOCKOUT_PAIR } } },
	{ "case makes no other account", {
		{ GUESS, U1, NAT, .count = 4 },
		{ GUESS, "USER1@Test-Sample.JP", NAT, .count = 1, .begins = LOCKOUT_PAIR },
		{ LOCKED, U1, NAT, .at = 0 } } },
	{ "who isn't there counts as well", {
		{ GUESS, "nobody", NAT, .count = 4 }, { GUESS, "nobody", NAT, .count = 1, .begins = LOCKOUT_PAIR },
		{ LOCKED, "nobody", NAT, .at = 0 } } },
	{ "a login resets the pair", {
		{ GUESS, U1, NAT, .count = 4 }, { LOGIN, U1, NAT, .at = 0 }, { GUESS, U1, NAT, .count = 4 },
		{ OPEN, U1, NAT, .at = 0 },
		{ GUESS, U1, NAT, .count = 1, .begins = LOCKOUT_PAIR } } },
	{ "another's login, or one from elsewhere, resets nothing", {
		{ GUESS, U1, NAT, .count = 4 }, { LOGIN, U2, NAT, .at = 0 }, { LOGIN, U1, "203.0.113.8", .at = 0 },
		{ GUESS, U1, NAT, .count = 1, .begins = LOCKOUT_PAIR } } },
	{ "a lock ends, and isn't prolonged", {
		{ GUESS, U1, NAT, .count = 5, .at = 1000, .begins = LOCKOUT_PAIR },
		{ GUESS, U1, NAT, .count = 9, .at = 20 * MINUTE },
		{ LOCKED, U1, NAT, .at = 30 * MINUTE + 999 }, { OPEN, U1, NAT, .at = 30 * MINUTE + 1000 },
		{ GUESS, U1, NAT, .count = 4, .at = 30 * MINUTE + 1000 },
		{ OPEN, U1, NAT, .at = 30 * MINUTE + 1000 },
		{ GUESS, U1, NAT, .count = 1, .at = 30 * MINUTE + 1000, .begins = LOCKOUT_PAIR } } },
	{ "what fell out of the window is forgotten", {
		{ GUESS, U1, NAT, .count = 4 }, { GUESS, U1, NAT, .count = 4, .at = 10 * MINUTE },
		{ OPEN, U1, NAT, .at = 10 * MINUTE },
		{ GUESS, U1, NAT, .count = 1, .at = 20 * MINUTE - 1, .begins = LOCKOUT_PAIR } } },
	{ "the window slides", {
		{ GUESS, U1, NAT, .count = 2 }, { GUESS, U1, NAT, .count = 2, .at = 9 * MINUTE },
		{ GUESS, U1, NAT, .count = 2, .at = 10 * MINUTE },
		{ OPEN, U1, NAT, .at = 10 * MINUTE },
		{ GUESS, U1, NAT, .count = 1, .at = 18 * MINUTE, .begins = LOCKOUT_PAIR } } },
	{ "longer up than the clock's lower half lasts", {
		{ GUESS, U1, NAT, .count = 2, .at = INT64_C(4294967296) - 1000 },
		{ GUESS, U1, NAT, .count = 2, .at = INT64_C(4294967296) + 1000 },
		{ OPEN, U1, NAT, .at = INT64_C(4294967296) + 1000 },
		{ GUESS, U1, NAT, .count = 1, .at = INT64_C(4294967296) + 2000, .begins = LOCKOUT_PAIR },
		{ GUESS, U1, NAT, .count = 4, .at = INT64_C(8589934592) },
		{ OPEN, U1, NAT, .at = INT64_C(8589934592) } } },
	{ "old guesses don't come back when the clock's lower half does", {
		{ GUESS, U1, NAT, .count = 4, .at = 1000 },
		{ GUESS, U1, NAT, .count = 4, .at = INT64_C(4294967296) + 2000 },
		{ OPEN, U1, NAT, .at = INT64_C(4294967296) + 2000 } } },
	{ "a network guessing at many is locked as a whole", {
		{ GUESS, "a", NAT, .count = 4 }, { GUESS, "b", NAT, .count = 4 }, { GUESS, "c", NAT, .count = 4 },
		{ GUESS, "d", NAT, .count = 4 },
		{ GUESS, "e", NAT, .count = 3 }, { OPEN, U1, NAT, .at = 0 },
		{ GUESS, "f", NAT, .count = 1, .begins = LOCKOUT_ADDRESS },
		{ LOCKED, U1, NAT, .at = 0 }, { LOCKED, "nobody", NAT, .at = 0 },
		{ OPEN, U1, "203.0.113.8", .at = 0 },
		{ LOCKED, U1, NAT, .at = 30 * MINUTE - 1 }, { OPEN, U1, NAT, .at = 30 * MINUTE } } },
	{ "locked pairs make up a locked network", {
		{ GUESS, "a", NAT, .count = 5, .begins = LOCKOUT_PAIR },
		{ GUESS, "b", NAT, .count = 5, .begins = LOCKOUT_PAIR },
		{ GUESS, "c", NAT, .count = 5, .begins = LOCKOUT_PAIR }, { OPEN, U1, NAT, .at = 0 },
		{ GUESS, "d", NAT, .count = 5, .begins = LOCKOUT_ADDRESS },
		{ LOCKED, U1, NAT, .at = 0 } } },
	{ "an account of one's own is no rubber", {
		{ GUESS, "a", NAT, .count = 4 }, { GUESS, "b", NAT, .count = 4 }, { LOGIN, U2, NAT, .at = 0 },
		{ GUESS, "c", NAT, .count = 4 },
		{ GUESS, "d", NAT, .count = 4 }, { LOGIN, U2, NAT, .at = 0 },
		{ GUESS, "e", NAT, .count = 4, .begins = LOCKOUT_ADDRESS } } },
	{ "neither is a login behind a lock", {
		{ GUESS, "a", NAT, .count = 5, .begins = LOCKOUT_PAIR },
		{ GUESS, "b", NAT, .count = 5, .begins = LOCKOUT_PAIR }, { LOGIN, "a", NAT, .at = 0 },
		{ LOGIN, "b", NAT, .at = 0 }, { GUESS, "c", NAT, .count = 4 }, { GUESS, "d", NAT, .count = 4 },
		{ GUESS, "e", NAT, .count = 2, .begins = LOCKOUT_ADDRESS } } },
	{ "an IPv6 /64 is one place", {
		{ GUESS, U1, "2001:db8:0:1::1", .count = 2 }, { GUESS, U1, "2001:db8:0:1:ffff::2", .count = 2 },
		{ OPEN, U1, "2001:db8:0:1::1", .at = 0 },
		{ GUESS, U1, "2001:db8:0:1:8000::3", .count = 1, .begins = LOCKOUT_PAIR },
		{ LOCKED, U1, "2001:db8:0:1:1234::99", .at = 0 },
		{ OPEN, U1, "2001:db8:0:2::1", .at = 0 }, { OPEN, U1, "2001:db8:1:1::1", .at = 0 } } },
	{ "so it is over all accounts", {
		{ GUESS, "a", "2001:db8::1", .count = 4 }, { GUESS, "b", "2001:db8::2", .count = 4 },
		{ GUESS, "c", "2001:db8::3", .count = 4 },
		{ GUESS, "d", "2001:db8::4", .count = 4 },
		{ GUESS, "e", "2001:db8::5", .count = 4, .begins = LOCKOUT_ADDRESS },
		{ LOCKED, U1, "2001:db8::6", .at = 0 }, { OPEN, U1, "2001:db8:0:1::6", .at = 0 } } },
	{ "mapped IPv4 is IPv4", {
		{ GUESS, U1, NAT, .count = 4 }, { GUESS, U1, "::ffff:" NAT, .count = 1, .begins = LOCKOUT_PAIR },
		{ LOCKED, U1, NAT, .at = 0 } } },
	{ "octets of IPv4 don't pass for IPv6", {
		{ GUESS, "abcdx", "32.1.13.184", .count = 4 }, { GUESS, "x", "2001:db8:6162:6364::", .count = 4 },
		{ OPEN, "x", "2001:db8:6162:6364::", .at = 0 } } },
	{ "the allowed", {
		{ GUESS, U1, "127.0.0.1", .count = 100 }, { OPEN, U1, "127.0.0.1", .at = 0 },
		{ GUESS, U1, "::1", .count = 100 }, { OPEN, U1, "::1", .at = 0 },
		{ GUESS, U1, "10.1.2.3", .count = 100 }, { OPEN, U1, "10.1.2.3", .at = 0 },
		{ OPEN, U1, "10.1.2.4", .at = 0 },
		{ GUESS, U1, "10.2.2.3", .count = 5, .begins = LOCKOUT_PAIR } } },
};

static void take_step(const char *name, struct lockout *l, const struct step *s)
{
	enum lockout_scope begun = LOCKOUT_NONE;

	switch (s->act) {
	case GUESS:
		begun = guess(l, s->id, s->count, s->client, s->at);
		break;
	case SAME:
		for (unsigned n = 0; n < s->count && !begun; n++)
			begun = failed(l, s->id, "old", s->client, s->at);
		break;
	case LOGIN:
		succeeded(l, s->id, s->client);
		break;
	case LOCKED:
	case OPEN:
		if (locked(l, s->id, s->client, s->at) != (s->act == LOCKED))
			fail_msg("%s: %s at %s, %lld ms", name, s->id, s->client, (long long)s->at);
	}
	if (begun != s->begins)
		fail_msg("%s: %s at %s began %s", name, s->id, s->client, lockout_scope_name(begun));
}

static void tells_stories(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < COUNT(stories); i++) {
		struct lockout *l = fresh();

		for (size_t n = 0; n < COUNT(stories[i].steps) && stories[i].steps[n].id; n++)
			take_step(stories[i].name, l, &stories[i].steps[n]);
		lockout_free(l);
	}
}

/* The office: 30 phones, of which one has an old password and tries it every minute, for a day. */
static void office_behind_one_address(void **unused)
{
	struct lockout *l = fresh();

	(void)unused;
	for (int64_t now = 0; now < 24 * 60 * MINUTE; now += MINUTE) {
		assert_int_equal(failed(l, "user7@test-sample.jp", "stale", NAT, now), LOCKOUT_NONE);
		for (unsigned n = 0; n < 30; n++) {
			char id[32];

			snprintf(id, sizeof(id), "user%u@test-sample.jp", n);
			assert_false(locked(l, id, NAT, now));
			if (n != 7)
				succeeded(l, id, NAT);
		}
	}
	lockout_free(l);
}

/* Monday: all of 100 mistype twice and get in, within a window. */
static void office_that_mistypes(void **unused)
{
	struct lockout *l = fresh();

	(void)unused;
	for (unsigned n = 0; n < 100; n++) {
		char id[32];

		snprintf(id, sizeof(id), "user%u", n);
		assert_int_equal(guess(l, id, 2, NAT, n * 1000), LOCKOUT_NONE);
		assert_int_equal(failed(l, id, "", NAT, n * 1000), LOCKOUT_NONE);
		assert_false(locked(l, id, NAT, n * 1000));
		succeeded(l, id, NAT);
	}
	assert_false(locked(l, "user1", NAT, 100000));
	lockout_free(l);
}

/* CRAM-MD5: whether it was the same one isn't to be seen. The pair is locked, the office is not. */
static void passwords_that_are_not_seen(void **unused)
{
	struct lockout *l = fresh();
	unsigned locks = 0;

	(void)unused;
	for (int64_t now = 0; now < 24 * 60 * MINUTE; now += MINUTE) {
		enum lockout_scope begun = failed(l, U1, "", NAT, now);

		assert_int_not_equal(begun, LOCKOUT_ADDRESS);
		locks += begun == LOCKOUT_PAIR;
		assert_false(locked(l, U2, NAT, now));
	}
	/* In minute 4, and from then on 30 of rest and 4 more of failures. */
	assert_int_equal(locks, (24 * 60 - 1 - 4) / 34 + 1);
	/* Over many accounts it counts for the network. */
	for (unsigned n = 0; n < 19; n++) {
		char id[16];

		snprintf(id, sizeof(id), "other%u", n);
		assert_int_equal(failed(l, id, "", "203.0.113.9", 0), LOCKOUT_NONE);
		assert_int_equal(failed(l, id, "", "203.0.113.9", 0), LOCKOUT_NONE);
	}
	assert_int_equal(failed(l, "last", "", "203.0.113.9", 0), LOCKOUT_ADDRESS);
	lockout_free(l);
}

static const char *client_text(unsigned n)
{
	static char text[48];

	snprintf(text, sizeof(text), "2001:db8:%x:%x::1", n >> 16, n & 0xffff);
	return text;
}

/* All from one network: it is locked long before it could have pushed anything out. */
static void flood_of_pairs_from_one_network(void **unused)
{
	struct lockout *l = fresh();
	unsigned locks = 0;

	(void)unused;
	guess(l, U1, 4, NAT, 0);
	for (unsigned n = 0; n < 4 * LOCKOUT_PAIRS; n++) {
		char id[16];

		snprintf(id, sizeof(id), "x%u", n);
		locks += failed(l, id, "x", NAT, 1) == LOCKOUT_ADDRESS;
	}
	assert_int_equal(locks, 1);
	assert_true(locked(l, U1, NAT, 1));
	assert_false(locked(l, U1, "203.0.113.8", 1));
	lockout_free(l);
}

/* Fewer other networks than there are rows change nothing; what went first is what nobody used for the longest time. */
static void flood_from_many_networks(void **unused)
{
	struct lockout *l = fresh();

	(void)unused;
	assert_int_equal(guess(l, U1, 5, NAT, 0), LOCKOUT_PAIR);
	guess(l, "a", 4, NAT, 1);
	guess(l, "b", 4, NAT, 1);
	guess(l, "c", 4, NAT, 1);
	for (unsigned n = 0; n < LOCKOUT_ADDRESSES - 1; n++)
		assert_int_equal(failed(l, U1, "x", client_text(n), 2), LOCKOUT_NONE);
	assert_true(locked(l, U1, NAT, 3));
	assert_int_equal(guess(l, "d", 3, NAT, 3), LOCKOUT_ADDRESS);
	assert_true(locked(l, U2, NAT, 3));
	/* As many as there are rows: forgotten, and nothing has grown. */
	for (unsigned n = 0; n < LOCKOUT_ADDRESSES; n++)
		assert_int_equal(failed(l, U1, "x", client_text(n + 10000), 4), LOCKOUT_NONE);
	assert_false(locked(l, U2, NAT, 5));
	assert_int_equal(guess(l, U2, 5, NAT, 5), LOCKOUT_PAIR);
	lockout_free(l);
}

/* Rows that have run out go first, so that the living lose nothing. */
static void old_rows_make_room(void **unused)
{
	struct lockout *l = fresh();
	int64_t later = 10 * MINUTE;

	(void)unused;
	for (unsigned n = 0; n < LOCKOUT_ADDRESSES - 1; n++)
		failed(l, U1, "x", client_text(n), 1000);
	guess(l, U1, 4, NAT, 999 + later);
	for (unsigned n = 0; n < LOCKOUT_ADDRESSES - 1; n++)
		failed(l, U1, "x", client_text(n + 10000), 1000 + later);
	assert_int_equal(guess(l, U1, 1, NAT, 1000 + later), LOCKOUT_PAIR);
	lockout_free(l);
}

/* In a full table two newcomers must not push each other out for ever. */
static void newcomers_to_a_full_table(void **unused)
{
	struct lockout *l = fresh();
	enum lockout_scope first = LOCKOUT_NONE, second = LOCKOUT_NONE;

	(void)unused;
	for (unsigned n = 0; n < LOCKOUT_ADDRESSES; n++)
		guess(l, U1, 5, client_text(n), 0);
	for (unsigned n = 0; n < 20; n++) {
		char id[16];

		snprintf(id, sizeof(id), "x%u", n);
		first = guess(l, id, 1, NAT, 1 + n);
		second = guess(l, id, 1, "203.0.113.8", 1 + n);
	}
	assert_int_equal(first, LOCKOUT_ADDRESS);
	assert_int_equal(second, LOCKOUT_ADDRESS);
	lockout_free(l);
}

static void policies_change(void **unused)
{
	struct lockout_policy p = *policy();
	struct ip_address a = ip(NAT);
	struct lockout *l = fresh();

	(void)unused;
	guess(l, U1, 4, NAT, 0);
	p.after = 2;
	assert_int_equal(lockout_failed(l, &p, SLICE_OF(U1), SLICE_OF("x"), &a, 1), LOCKOUT_PAIR);
	p.allow = networks(NAT);
	assert_false(lockout_is_locked(l, &p, SLICE_OF(U1), &a, 1));
	assert_int_equal(lockout_failed(l, &p, SLICE_OF(U1), SLICE_OF("x"), &a, 1), LOCKOUT_NONE);
	assert_true(locked(l, U1, NAT, 1));
	lockout_free(l);
	lockout_free(NULL);
}

static void bounds_of_the_policy(void **unused)
{
	static const struct { unsigned after, guesses; } rows[] = {
		{ 1, 1 }, { LOCKOUT_AFTER_MAX, LOCKOUT_AFTER_MAX }, { LOCKOUT_AFTER_MAX + 100, LOCKOUT_AFTER_MAX }
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct lockout_policy p = *policy();
		struct ip_address a = ip(NAT);
		struct lockout *l = fresh();

		p.after = rows[i].after;
		for (unsigned n = 1; n <= rows[i].guesses; n++) {
			char password[16];

			snprintf(password, sizeof(password), "%u", n);
			assert_int_equal(lockout_failed(l, &p, SLICE_OF(U1), slice_of(password), &a, 0),
					 n < rows[i].guesses ? LOCKOUT_NONE : LOCKOUT_PAIR);
		}
		lockout_free(l);
	}
}

/* Overlong IDs and passwords are cut, not refused: they must not be a way to guess uncounted. */
static void any_octets(void **unused)
{
	static char text[2000];
	struct ip_address a = ip(NAT);
	struct lockout *l = fresh();

	(void)unused;
	memset(text, 'x', sizeof(text));
	for (unsigned n = 0; n < 5; n++) {
		text[0] = (char)n;	/* NUL as well */
		assert_int_equal(lockout_failed(l, policy(), slice_bytes("\0" "a\xff", 3),
						slice_bytes(text, sizeof(text)), &a, 0),
				 n < 4 ? LOCKOUT_NONE : LOCKOUT_PAIR);
	}
	assert_true(lockout_is_locked(l, policy(), slice_bytes("\0A\xff", 3), &a, 0));
	assert_false(lockout_is_locked(l, policy(), slice_bytes("\0", 1), &a, 0));
	assert_false(lockout_is_locked(l, policy(), slice_bytes(text + 1, sizeof(text) - 1), &a, 0));
	for (unsigned n = 0; n < 5; n++) {
		text[0] = (char)n;
		lockout_failed(l, policy(), slice_bytes(text + 1, sizeof(text) - 1), slice_bytes(text, 3), &a, 0);
	}
	assert_true(lockout_is_locked(l, policy(), slice_bytes(text + 1, sizeof(text) - 1), &a, 0));
	lockout_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_stories), cmocka_unit_test(office_behind_one_address),
		cmocka_unit_test(office_that_mistypes), cmocka_unit_test(passwords_that_are_not_seen),
		cmocka_unit_test(flood_of_pairs_from_one_network), cmocka_unit_test(flood_from_many_networks),
		cmocka_unit_test(old_rows_make_room), cmocka_unit_test(newcomers_to_a_full_table),
		cmocka_unit_test(policies_change), cmocka_unit_test(bounds_of_the_policy), cmocka_unit_test(any_octets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
