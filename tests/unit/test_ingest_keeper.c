/* ingest/keeper: a commit is told of when the flushing helper has answered, and as it has answered (R50, lesson 21). */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "ingest/keeper.h"

#define TURNS_MAX	20000	/* of 1 ms at least; a helper's answer takes some, its new start a thousand */

struct room {
	char path[64];
	struct loop *loop;
	struct helper *flusher;
	struct spool *spool;
	struct keeper *keeper;
};

/* What the helper does next, in memory that we share: it is a process of its own, and keeps no descriptor of ours. */
struct orders {
	atomic_uint given, taken;
	char what[16];		/* (g)ood, (f)ailed, (s)hort answer, (d)ie */
};
static struct orders *orders;
static struct room room;
static struct watch ticker;

static size_t obey(const void *request, size_t len, int fd, void *answer)
{
	unsigned taken = atomic_load(&orders->taken);
	int32_t result;
	char order;

	(void)request, (void)len, (void)fd;
	for (unsigned i = 0; i < TURNS_MAX && atomic_load(&orders->given) == taken; i++)
		usleep(1000);
	order = atomic_load(&orders->given) == taken ? 'd' : orders->what[taken % sizeof(orders->what)];
	atomic_store(&orders->taken, taken + 1);
	if (order == 'd')
		_exit(1);
	result = order == 'f' ? -EIO : 0;
	memcpy(answer, &result, sizeof(result));
	return order == 's' ? 1 : sizeof(result);
}

static void order(char what)
{
	unsigned given = atomic_load(&orders->given);

	orders->what[given % sizeof(orders->what)] = what;
	atomic_store(&orders->given, given + 1);
}

/* No turn waits for long: what doesn't happen is seen not to. */
static void tick(struct watch *w)
{
	w->fd = -1;
	w->deadline = loop_now(room.loop) + 1;
}

static void ticked(struct watch *w, short revents)
{
	(void)w, (void)revents;
}

static void reaped(struct watch *w)
{
	(void)w;
}

static int setup(void **state)
{
	struct spool_settings s = { .path = room.path, .size = 16 << 20 };
	struct fault f = { .text = "" };

	(void)state;
	memcpy(room.path, "/tmp/sekimori-keeper-XXXXXX", 28);
	orders = mmap(NULL, sizeof(*orders), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (!mkdtemp(room.path) || orders == MAP_FAILED)
		return -1;
	room.loop = loop_new(16);
	ticker = (struct watch){ .want = tick, .ready = ticked, .reap = reaped, .fd = -1 };
	loop_add(room.loop, &ticker);
	room.flusher = helper_start(room.loop, "flush", obey);
	if (!room.flusher || spool_open(&s, 1800000000, 0, &room.spool, &f) < 0)
		return -1;
	room.keeper = keeper_new(room.loop, room.flusher, room.spool);
	return room.keeper ? 0 : -1;
}

static int teardown(void **state)
{
	struct dirent *e;
	DIR *dir;

	(void)state;
	helper_stop(room.flusher);
	loop_free(room.loop);
	keeper_free(room.keeper);
	spool_close(room.spool);
	munmap(orders, sizeof(*orders));
	dir = opendir(room.path);
	while (dir && (e = readdir(dir)))
		unlinkat(dirfd(dir), e->d_name, 0);
	closedir(dir);
	return rmdir(room.path);
}

struct mail {
	struct keeping keeping;
	int result, told;
};

static void told(struct keeping *k, int result)
{
	struct mail *m = (struct mail *)k;

	m->result = result;
	m->told++;
}

static void commit(struct mail *m)
{
	char memory[256];
	struct buffer envelope;
	struct envelope e = {
		.arrived = 1800000000, .sender = SLICE("a@example.com"), .recipients = SLICE("b@example.com\n"), .recipient_count = 1,
		.trust = SLICE("account"), .ends_in_crlf = true,
	};

	*m = (struct mail){ .keeping.done = told };
	buffer_init(&envelope, memory, sizeof(memory));
	assert_true(envelope_write(&envelope, &e));
	assert_int_equal(spool_begin(room.spool, &m->keeping.writer, 0), 0);
	assert_int_equal(spool_append(room.spool, &m->keeping.writer, SLICE_OF("Subject: x\r\n\r\nx\r\n")), 0);
	assert_int_equal(keeper_commit(room.keeper, &m->keeping, SLICE_OF(""), buffer_bytes(&envelope)), 0);
}

static void turn_until(const int *what)
{
	for (unsigned i = 0; i < TURNS_MAX && !*what; i++)
		assert_int_equal(loop_turn(room.loop), 0);
	assert_true(*what);
}

static void turns(unsigned count)
{
	while (count--)
		assert_int_equal(loop_turn(room.loop), 0);
}

/* However many flushes it takes: the directory's, where a segment is new, and its own. */
static void commit_well(void)
{
	struct mail m;

	for (unsigned i = 0; i < 8; i++)
		order('g');
	commit(&m);
	turn_until(&m.told);
	assert_int_equal(m.result, 0);
	turns(20);
	assert_int_equal(helper_busy(room.flusher), 0);
	atomic_store(&orders->given, atomic_load(&orders->taken));
}

static void heard(void *context)
{
	(*(int *)context)++;
}

static void test_told_when_it_is_safe(void **state)
{
	struct mail first, second;
	int looks = 0;

	(void)state;
	commit_well();
	keeper_on_commit(room.keeper, heard, &looks);
	commit(&first);
	turns(20);
	assert_int_equal(first.told, 0);
	assert_false(keeper_idle(room.keeper));
	commit(&second);			/* the flush for the first is under way */
	order('g');
	turn_until(&first.told);
	assert_int_equal(first.result, 0);
	assert_int_equal(second.told, 0);
	assert_int_equal(looks, 1);
	order('g');
	turn_until(&second.told);
	assert_int_equal(second.result, 0);
	assert_int_equal(looks, 2);
	assert_true(keeper_idle(room.keeper));
}

/* Whatever the helper says but success, and when it dies, is a failure of all who waited; then it goes on. */
static void test_failures(void **state)
{
	static const char orders_of[] = { 'f', 's', 'd' };

	(void)state;
	commit_well();
	for (size_t i = 0; i < sizeof(orders_of); i++) {
		struct mail one, other;
		int looks = 0;

		keeper_on_commit(room.keeper, heard, &looks);
		commit(&one);
		commit(&other);
		order(orders_of[i]);
		turn_until(&one.told);
		turn_until(&other.told);
		assert_int_equal(one.result, -EIO);
		assert_int_equal(other.result, -EIO);
		assert_int_equal(looks, 0);
		assert_int_equal(spool_count(room.spool), 1 + i);
		commit_well();
	}
}

/* An outcome that nobody waits for is flushed all the same, a little later. */
static void test_note(void **state)
{
	struct mail m;
	int idle = 0;

	(void)state;
	commit_well();
	order('g');
	commit(&m);
	turn_until(&m.told);
	assert_int_equal(spool_outcome(room.spool, m.keeping.writer.id, SLICE_OF("D"), 0, 0, SLICE_OF("")), 0);
	keeper_note(room.keeper);
	assert_false(keeper_idle(room.keeper));
	order('g');
	for (unsigned i = 0; i < TURNS_MAX && !idle; i++) {
		assert_int_equal(loop_turn(room.loop), 0);
		idle = keeper_idle(room.keeper);
	}
	assert_true(idle);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_told_when_it_is_safe, setup, teardown),
		cmocka_unit_test_setup_teardown(test_failures, setup, teardown),
		cmocka_unit_test_setup_teardown(test_note, setup, teardown),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("ingest_keeper", tests, NULL, NULL);
}
