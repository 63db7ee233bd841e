#include "replace.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define MODE_KEPT	(S_IRWXU | S_IRGRP)	/* what trust lets pass */

static bool failed(struct fault *f, const char *path, int error)
{
	int status = error == EACCES || error == EPERM || error == EROFS ? STATUS_DENIED : STATUS_TEMPORARY;

	return fault_set(f, status, "%s: %s", path, strerror(error));
}

/* The directory of `path`, open; -1 with errno. */
static int open_directory(const char *path)
{
	struct slice text = slice_of(path);
	char directory[PATH_MAX];

	while (text.len > 0 && text.at[text.len - 1] != '/')
		text.len--;
	if (text.len == 0)
		text = SLICE_OF("./");
	if (!slice_copy(text, directory, sizeof(directory))) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int replace_lock(const char *path, struct fault *f)
{
	int fd = open_directory(path);

	if (fd >= 0 && flock(fd, LOCK_EX) == 0)
		return fd;
	failed(f, path, errno);
	if (fd >= 0)
		close(fd);
	return -1;
}

void replace_unlock(int lock)
{
	if (lock >= 0)
		close(lock);
}

static int write_all(int fd, struct slice text)
{
	while (text.len > 0) {
		ssize_t n = write(fd, text.at, text.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text = slice_skip(text, (size_t)n);
	}
	return 0;
}

/* Owner first: chown takes mode bits away, and nobody gets the file before its mode is right. */
static int dress_old(int fd, const struct stat *old)
{
	struct stat now;

	if (fstat(fd, &now) < 0)
		return -errno;
	if ((now.st_uid != old->st_uid || now.st_gid != old->st_gid) && fchown(fd, old->st_uid, old->st_gid) < 0)
		return -errno;
	return fchmod(fd, old->st_mode & MODE_KEPT) < 0 ? -errno : 0;
}

static int dress_new(int fd, gid_t group)
{
	bool shared = group != (gid_t)-1 && fchown(fd, (uid_t)-1, group) == 0;

	return fchmod(fd, shared ? 0640 : 0600) < 0 ? -errno : 0;
}

static int fill(int fd, const char *path, struct slice text, gid_t group)
{
	struct stat old;
	int result = stat(path, &old) == 0 ? dress_old(fd, &old) : dress_new(fd, group);

	if (!result)
		result = write_all(fd, text);
	if (!result && fsync(fd) < 0)
		result = -errno;
	return result;
}

/* The new name must be on disk as well as the new text. */
static int sync_directory(const char *path)
{
	int fd = open_directory(path);
	int result = 0;

	if (fd < 0)
		return -errno;
	if (fsync(fd) < 0)
		result = -errno;
	close(fd);
	return result;
}

static int replace_real(const char *path, struct slice text, gid_t group)
{
	char beside[PATH_MAX];
	int n = snprintf(beside, sizeof(beside), "%s.XXXXXX", path);
	int fd, result;

	if (n < 0 || (size_t)n >= sizeof(beside))
		return -ENAMETOOLONG;
	fd = mkostemp(beside, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	result = fill(fd, path, text, group);
	close(fd);
	if (!result && rename(beside, path) < 0)
		result = -errno;
	if (result)
		unlink(beside);
	return result ? result : sync_directory(path);
}

bool replace_file(const char *path, struct slice text, gid_t group, struct fault *f)
{
	/* A symbolic link stays one. */
	char *real = realpath(path, NULL);
	int result = replace_real(real ? real : path, text, group);

	free(real);
	return !result || failed(f, path, -result);
}
