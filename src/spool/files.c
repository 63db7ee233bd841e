#include "spool/files.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static int outcome(int result)
{
	return result < 0 ? -errno : result;
}

static int system_open(int dir, const char *name, int flags, mode_t mode)
{
	return outcome(openat(dir, name, flags | O_CLOEXEC, mode));
}

static int system_close(int fd)
{
	return outcome(close(fd));
}

static ssize_t system_pread(int fd, void *out, size_t len, off_t at)
{
	ssize_t n = pread(fd, out, len, at);

	return n < 0 ? -errno : n;
}

static ssize_t system_pwrite(int fd, const void *in, size_t len, off_t at)
{
	ssize_t n = pwrite(fd, in, len, at);

	return n < 0 ? -errno : n;
}

static int system_fdatasync(int fd)
{
	return outcome(fdatasync(fd));
}

static int system_fsync(int fd)
{
	return outcome(fsync(fd));
}

/* Not posix_fallocate: where the file system can't (UBIFS, JFFS2), that one writes each block. */
static int system_allocate(int fd, off_t len)
{
	return outcome(fallocate(fd, 0, 0, len));
}

static int system_unlink(int dir, const char *name)
{
	return outcome(unlinkat(dir, name, 0));
}

static int64_t system_size(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	return st.st_size;
}

/*
 * A POSIX lock belongs to the process and ends with it; one of flock(2) would live on in a helper
 * process that was forked later and outlives a killed daemon.
 */
static int system_lock(int fd)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	return outcome(fcntl(fd, F_SETLK, &whole));
}

static const struct spool_files system_files = {
	.open = system_open,
	.close = system_close,
	.pread = system_pread,
	.pwrite = system_pwrite,
	.fdatasync = system_fdatasync,
	.fsync = system_fsync,
	.allocate = system_allocate,
	.unlink = system_unlink,
	.size = system_size,
	.lock = system_lock,
};

const struct spool_files *spool_files_system(void)
{
	return &system_files;
}
