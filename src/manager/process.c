#include "manager/process.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "net/tls.h"

/* Two minutes for the kernel to gather randomness, then the supervisor tries again. */
#define RANDOM_TRIES		240
#define RANDOM_WAIT_MS		500

void process_guard_files(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd <= 2);
	if (fd > 2)
		close(fd);
}

int process_detach(void)
{
	int error = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = 0; null >= 0 && fd <= 2; fd++)
		dup2(null, fd);
	if (null > 2)
		close(null);
	return error;
}

void process_forbid_cores(void)
{
	struct rlimit no_core = { 0, 0 };

	setrlimit(RLIMIT_CORE, &no_core);
	prctl(PR_SET_DUMPABLE, 0);		/* the limit doesn't hold for cores that are piped to a program (core(5)) */
}

void process_keep_lean(void)
{
#ifdef __GLIBC__
	/*
	 * glibc raises its threshold for mapped memory to the largest block ever freed, and from then on takes large tables from
	 * used heap, which it clears: the slots of sessions that never come would cost their pages.
	 */
	mallopt(M_MMAP_THRESHOLD, 24 * 1024);	/* above the buffers of a TLS session, which come and go */
	mallopt(M_TOP_PAD, 0);			/* nor from 128 KiB that it would ask the kernel for ahead of need */
#endif
}

void process_open_files(unsigned long files)
{
	rlim_t need = files;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= need)
		return;
	limit.rlim_cur = need;
	if (limit.rlim_max < need && !geteuid())
		limit.rlim_max = need;
	if (limit.rlim_max < need)
		limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur < need)
		log_line(SEVERITY_WARNING, "%llu open files are allowed, [server] max_sessions and spool_size ask for %llu: raise the limit",
			 (unsigned long long)limit.rlim_cur, (unsigned long long)need);
}

/* getrandom(2) that doesn't wait makes nobody gather anything; a read of this makes the kernel try for a moment (since 5.18). */
static void stir_randomness(void)
{
	int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
	char octet;

	if (fd < 0)
		return;
	if (read(fd, &octet, 1) < 0)
		log_line(SEVERITY_WARNING, "/dev/urandom: %s", strerror(errno));
	close(fd);
}

bool process_start_tls(struct fault *f)
{
	int result = tls_start();

	if (result == -EAGAIN)
		log_line(SEVERITY_NOTICE, "waiting for the kernel's random numbers");
	for (unsigned i = 0; result == -EAGAIN && i < RANDOM_TRIES; i++) {
		stir_randomness();
		poll(NULL, 0, RANDOM_WAIT_MS);
		result = tls_start();
	}
	return !result ? true : fault_set(f, STATUS_TEMPORARY, "no random numbers for TLS: %s", strerror(-result));
}
