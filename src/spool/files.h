/*
 * The file calls of the spool, one table: the system's, or a test's that fails, cuts and forgets. Each returns as the
 * system call of its name does, but -errno for -1.
 */
#ifndef SPOOL_FILES_H
#define SPOOL_FILES_H

#include <stdint.h>
#include <sys/types.h>

struct spool_files {
	int (*open)(int dir, const char *name, int flags, mode_t mode);		/* openat; flags get O_CLOEXEC */
	int (*close)(int fd);
	ssize_t (*pread)(int fd, void *out, size_t len, off_t at);
	ssize_t (*pwrite)(int fd, const void *in, size_t len, off_t at);
	int (*fdatasync)(int fd);
	int (*fsync)(int fd);
	int (*allocate)(int fd, off_t len);		/* fallocate; -EOPNOTSUPP is no error */
	int (*unlink)(int dir, const char *name);
	int64_t (*size)(int fd);			/* st_size */
	int (*lock)(int fd);				/* for this process alone; -EAGAIN or -EACCES: another has it */
};

const struct spool_files *spool_files_system(void);

#endif
