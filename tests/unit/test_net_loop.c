#include "net_common.h"

#include "base/clock.h"
#include "net/loop.h"

/* A watch that writes down what happens to it. */
struct probe {
	struct watch watch;
	struct loop *loop;
	int fd;
	short events;
	int64_t deadline;
	unsigned wants, readies, timeouts, reaps;
	short last;
	bool drain, die, postpone;
	struct probe *kill, *kill_late, *add;
};

static void want(struct watch *w)
{
	struct probe *p = (struct probe *)(void *)w;

	p->wants++;
	w->fd = p->fd;
	w->events = p->events;
	w->deadline = p->deadline;
}

static void ready(struct watch *w, short revents)
{
	struct probe *p = (struct probe *)(void *)w;
	char c;

	assert_false(w->dead);
	if (revents)
		p->readies++;
	else
		p->timeouts++;
	p->last = revents;
	if (revents && p->drain)
		assert_int_equal(read(p->fd, &c, 1), 1);
	if (p->postpone)
		p->deadline = NEVER;
	if (p->die)
		w->dead = true;
	if (p->kill)
		p->kill->watch.dead = true;
	if (p->add)
		assert_true(loop_add(p->loop, &p->add->watch));
	p->add = NULL;
}

static void reap(struct watch *w)
{
	struct probe *p = (struct probe *)(void *)w;

	p->reaps++;
	if (p->kill_late)
		p->kill_late->watch.dead = true;
}

static struct probe probe(struct loop *l)
{
	return (struct probe){ .watch = { .want = want, .ready = ready, .reap = reap },
			       .loop = l, .fd = -1, .deadline = NEVER };
}

/* Already past, so that a turn never waits. */
static struct probe due(struct loop *l)
{
	struct probe p = probe(l);

	p.deadline = loop_now(l);
	return p;
}

static void test_limit(void **state)
{
	struct loop *l = loop_new(2);
	struct probe a = due(l), b = due(l), c = due(l);

	(void)state;
	assert_true(loop_add(l, &a.watch));
	assert_true(loop_add(l, &b.watch));
	assert_false(loop_add(l, &c.watch));
	assert_int_equal(loop_count(l), 2);
	a.watch.dead = true;
	assert_int_equal(loop_turn(l), 0);
	assert_int_equal(loop_count(l), 1);
	assert_int_equal(a.reaps, 1);
	assert_int_equal(a.wants, 0);
	assert_int_equal(a.readies + a.timeouts, 0);
	assert_true(loop_add(l, &c.watch));
	a = due(l);
	assert_false(loop_add(l, &a.watch));
	assert_true(loop_widen(l, 3));
	assert_true(loop_add(l, &a.watch));
	assert_int_equal(loop_turn(l), 0);
	assert_int_equal(a.wants, 1);
	loop_free(l);
	assert_int_equal(a.reaps, 1);
	assert_int_equal(b.reaps, 1);
	assert_int_equal(c.reaps, 1);
}

static void test_ready_and_error(void **state)
{
	struct loop *l = loop_new(4);
	struct probe a = probe(l);
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	a.fd = ends[0];
	a.events = POLLIN;
	a.drain = true;
	assert_true(loop_add(l, &a.watch));
	assert_int_equal(write(ends[1], "x", 1), 1);
	assert_int_equal(loop_turn(l), 0);
	assert_int_equal(a.readies, 1);
	assert_int_equal(a.last, POLLIN);
	/* The end comes as what was asked for. */
	a.drain = false;
	close(ends[1]);
	assert_int_equal(loop_turn(l), 0);
	assert_int_equal(a.readies, 2);
	assert_true(a.last & POLLIN);
	/* Nobody waits: the hung-up fd must not wake the loop. */
	a.events = 0;
	a.deadline = clock_monotonic() + 20;
	assert_int_equal(loop_turn(l), 0);
	assert_int_equal(a.readies, 2);
	assert_int_equal(a.timeouts, 1);
	assert_true(loop_now(l) >= a.deadline);
	loop_free(l);
	close(ends[0]);
}

static void test_dead_hears_nothing(void **state)
{
	struct loop *l = loop_new(4);
	struct probe a = due(l), b = due(l), c = due(l);

	(void)state;
	a.kill = &b;
	loop_add(l, &a.watch);
	loop_add(l, &b.watch);
	loop_add(l, &c.watch);
	assert_int_equal(loop_turn(l), 0);
	assert_int_equal(a.timeouts, 1);
	assert_int_equal(b.timeouts, 0);
	assert_int_equal(b.reaps, 1);
	assert_int_equal(c.timeouts, 1);
	a.kill = NULL;
	assert_int_equal(loop_turn(l), 0);
	assert_int_equal(b.reaps, 1);
	assert_int_equal(b.wants, 1);
	assert_int_equal(c.timeouts, 2);
	loop_free(l);
}

/* Nor what has come for it already; and one that is dead before the turn makes nobody wait. */
static void test_dead_with_events(void **state)
{
	struct loop *l = loop_new(4);
	struct probe a = probe(l), b = probe(l);
	char octet;
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], "x", 1), 1);
	a.fd = b.fd = ends[0];
	a.events = b.events = POLLIN;
	a.kill = &b;
	loop_add(l, &a.watch);
	loop_add(l, &b.watch);
	assert_int_equal(loop_turn(l), 0);
	assert_int_equal(a.readies, 1);
	assert_int_equal(b.readies, 0);
	assert_int_equal(b.reaps, 1);
	assert_int_equal(read(ends[0], &octet, 1), 1);
	a.watch.dead = true;
	assert_int_equal(loop_turn(l), 0);
	assert_int_equal(a.reaps, 1);
	loop_free(l);
	close(ends[0]);
	close(ends[1]);
}

/* A reap that ends others: they go in the same turn, whichever side they are on. */
static void test_reap_kills(void **state)
{
	struct loop *l = loop_new(4);
	struct probe a = due(l), b = due(l), c = due(l);

	(void)state;
	b.die = true;
	loop_add(l, &a.watch);
	loop_add(l, &b.watch);
	loop_add(l, &c.watch);
	b.kill_late = &c;
	c.kill_late = &a;
	assert_int_equal(loop_turn(l), 0);
	assert_int_equal(loop_count(l), 0);
	assert_int_equal(a.reaps + b.reaps + c.reaps, 3);
	loop_free(l);
	assert_int_equal(a.reaps + b.reaps + c.reaps, 3);
}

static void test_added_joins_next_turn(void **state)
{
	struct loop *l = loop_new(4);
	struct probe a = due(l), b = due(l);

	(void)state;
	a.add = &b;
	loop_add(l, &a.watch);
	assert_int_equal(loop_turn(l), 0);
	assert_int_equal(b.wants + b.timeouts, 0);
	assert_int_equal(loop_count(l), 2);
	assert_int_equal(loop_turn(l), 0);
	assert_int_equal(b.timeouts, 1);
	loop_free(l);
}

/* Octets that never stop don't put a deadline off, unless the owner moves it. */
static void test_drip(void **state)
{
	struct loop *l = loop_new(4);
	struct probe a = due(l);
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	a.fd = ends[0];
	a.events = POLLIN;
	loop_add(l, &a.watch);
	assert_int_equal(write(ends[1], "x", 1), 1);
	assert_int_equal(loop_turn(l), 0);
	assert_int_equal(a.readies, 1);
	assert_int_equal(a.timeouts, 1);
	a.postpone = true;
	assert_int_equal(loop_turn(l), 0);
	assert_int_equal(a.readies, 2);
	assert_int_equal(a.timeouts, 1);
	loop_free(l);
	close(ends[0]);
	close(ends[1]);
}

static void test_earliest_deadline(void **state)
{
	struct loop *l = loop_new(4);
	struct probe a = probe(l), b = probe(l);
	int64_t start = loop_now(l);

	(void)state;
	a.deadline = start + 3600000;
	b.deadline = start + 10;
	loop_add(l, &a.watch);
	loop_add(l, &b.watch);
	assert_int_equal(loop_turn(l), 0);
	assert_int_equal(a.timeouts, 0);
	assert_int_equal(b.timeouts, 1);
	assert_true(loop_now(l) >= start + 10);
	loop_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limit), cmocka_unit_test(test_ready_and_error),
		cmocka_unit_test(test_dead_hears_nothing), cmocka_unit_test(test_dead_with_events),
		cmocka_unit_test(test_reap_kills),
		cmocka_unit_test(test_added_joins_next_turn), cmocka_unit_test(test_drip),
		cmocka_unit_test(test_earliest_deadline),
	};

	return cmocka_run_group_tests_name("net_loop", tests, NULL, NULL);
}
