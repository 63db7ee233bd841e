/* Preloaded by test_o_start.py: while the file $SHIM_RANDOM is there, the kernel has no random numbers yet, as after power-on. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

ssize_t getrandom(void *out, size_t len, unsigned flags)
{
	const char *path = getenv("SHIM_RANDOM");

	if (path && !access(path, F_OK)) {
		errno = EAGAIN;
		return -1;
	}
	return syscall(SYS_getrandom, out, len, flags);
}
