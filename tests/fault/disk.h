/*
 * A disk in memory behind the spool's file table. It knows what was flushed, can lose the rest in a
 * power cut (all, none, or some sectors of it), and lets the k-th call fail.
 */
#ifndef TESTS_DISK_H
#define TESTS_DISK_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spool/files.h"

#define DISK_FILES	64
#define DISK_FDS	256
#define DISK_SECTOR	512u
#define DISK_DIR	(DISK_FDS + 1)	/* the descriptor of the directory */

enum disk_fault { DISK_EIO, DISK_ENOSPC, DISK_EINTR, DISK_SHORT, DISK_FAULTS };

struct disk_file {
	char name[16];			/* empty: not there */
	uint8_t *now, *kept;		/* as read, and as on stable storage */
	size_t size, kept_size;
	bool named;			/* the name is on stable storage, too */
};

struct disk {
	struct disk_file files[DISK_FILES];
	int fds[DISK_FDS];		/* file number + 1 */
	size_t room;			/* octets that files may take; 0: endless */
	unsigned calls;			/* since the start */
	size_t octets;			/* written since the start */
	unsigned fail_at;		/* that call fails; 0: none */
	unsigned fail_count;		/* and so many more after it */
	enum disk_fault fault;
	bool only_flush;		/* of the calls to fail */
	bool is_flush;			/* the call under way */
	bool frozen;			/* the process was killed: nothing is changed any more */
	bool locked;			/* by another process */
};

static struct disk disk;

/* 0, or what this call has to fail with; 1: cut it short. */
static int disk_call(void)
{
	static const int errors[] = { [DISK_EIO] = -EIO, [DISK_ENOSPC] = -ENOSPC, [DISK_EINTR] = -EINTR,
		[DISK_SHORT] = 1 };

	disk.calls++;
	if (disk.only_flush && !disk.is_flush)
		return 0;
	if (disk.fail_at == 0 || disk.calls < disk.fail_at || disk.calls > disk.fail_at + disk.fail_count)
		return 0;
	return errors[disk.fault];
}

static struct disk_file *disk_named(const char *name)
{
	for (size_t i = 0; i < DISK_FILES; i++)
		if (strcmp(disk.files[i].name, name) == 0)
			return &disk.files[i];
	return NULL;
}

static struct disk_file *disk_of(int fd)
{
	return &disk.files[disk.fds[fd] - 1];
}

static void disk_resize(struct disk_file *f, size_t size)
{
	if (size <= f->size)
		return;
	f->now = realloc(f->now, size);
	f->kept = realloc(f->kept, size);
	memset(f->now + f->size, 0, size - f->size);
	memset(f->kept + f->size, 0, size - f->size);
	f->size = size;
}

static size_t disk_used(void)
{
	size_t n = 0;

	for (size_t i = 0; i < DISK_FILES; i++)
		n += disk.files[i].name[0] ? disk.files[i].size : 0;
	return n;
}

static void disk_drop(struct disk_file *f)
{
	free(f->now);
	free(f->kept);
	memset(f, 0, sizeof(*f));
}

static int disk_open(int dir, const char *name, int flags, mode_t mode)
{
	struct disk_file *f = disk_named(name);
	int error = disk_call();

	(void)dir;
	(void)mode;
	if (error < 0)
		return error;
	if (flags & O_DIRECTORY)
		return DISK_DIR;
	if (!f && !(flags & O_CREAT))
		return -ENOENT;
	if (!f) {
		f = disk_named("");
		snprintf(f->name, sizeof(f->name), "%s", name);
	}
	for (int fd = 3; fd < DISK_FDS; fd++) {
		if (disk.fds[fd] != 0)
			continue;
		disk.fds[fd] = (int)(f - disk.files) + 1;
		return fd;
	}
	return -EMFILE;
}

static int disk_close(int fd)
{
	if (fd < DISK_FDS)
		disk.fds[fd] = 0;
	return 0;
}

static ssize_t disk_pread(int fd, void *out, size_t len, off_t at)
{
	struct disk_file *f = disk_of(fd);
	int error = disk_call();

	if (error < 0)
		return error;
	if ((size_t)at >= f->size)
		return 0;
	if (len > f->size - (size_t)at)
		len = f->size - (size_t)at;
	if (error > 0 && len > 1)
		len /= 2;
	memcpy(out, f->now + at, len);
	return (ssize_t)len;
}

static ssize_t disk_pwrite(int fd, const void *in, size_t len, off_t at)
{
	struct disk_file *f = disk_of(fd);
	int error = disk_call();

	if (error < 0)
		return error;
	if (disk.frozen)
		return (ssize_t)len;
	if (error > 0 && len > 1)
		len /= 2;
	disk.octets += len;
	disk_resize(f, (size_t)at + len);
	memcpy(f->now + at, in, len);
	return (ssize_t)len;
}

static int disk_fdatasync(int fd)
{
	int error;

	disk.is_flush = true;
	error = disk_call();
	disk.is_flush = false;

	if (error < 0 || disk.frozen)
		return error < 0 ? error : 0;
	if (fd == DISK_DIR) {
		for (size_t i = 0; i < DISK_FILES; i++)
			disk.files[i].named = true;
		return 0;
	}
	memcpy(disk_of(fd)->kept, disk_of(fd)->now, disk_of(fd)->size);
	disk_of(fd)->kept_size = disk_of(fd)->size;
	return 0;
}

static int disk_allocate(int fd, off_t len)
{
	int error = disk_call();

	if (error < 0)
		return error;
	if (disk.room != 0 && disk_used() + (size_t)len > disk.room)
		return -ENOSPC;
	disk_resize(disk_of(fd), (size_t)len);
	return 0;
}

static int disk_unlink(int dir, const char *name)
{
	struct disk_file *f = disk_named(name);
	int error = disk_call();

	(void)dir;
	if (error < 0 || disk.frozen)
		return error < 0 ? error : 0;
	if (!f)
		return -ENOENT;
	disk_drop(f);
	return 0;
}

static int64_t disk_size(int fd)
{
	return (int64_t)disk_of(fd)->size;
}

static int disk_lock(int fd)
{
	(void)fd;
	return disk.locked ? -EAGAIN : 0;
}

static const struct spool_files disk_files = {
	.open = disk_open, .close = disk_close, .pread = disk_pread, .pwrite = disk_pwrite,
	.fdatasync = disk_fdatasync, .fsync = disk_fdatasync, .allocate = disk_allocate, .unlink = disk_unlink,
	.size = disk_size, .lock = disk_lock,
};

static inline void disk_clear(void)
{
	for (size_t i = 0; i < DISK_FILES; i++)
		disk_drop(&disk.files[i]);
	memset(&disk, 0, sizeof(disk));
}

/*
 * The power goes: of what was not flushed, each sector is lost or kept as `luck` has it: 0 all
 * lost, 1 all kept, else by a coin thrown from it.
 */
static inline void disk_cut(uint32_t luck)
{
	uint32_t coin = luck;

	for (size_t i = 0; i < DISK_FILES; i++) {
		struct disk_file *f = &disk.files[i];

		for (size_t at = 0; at < f->size; at += DISK_SECTOR) {
			size_t n = f->size - at < DISK_SECTOR ? f->size - at : DISK_SECTOR;

			coin = coin * 1664525u + 1013904223u;
			if (luck == 0 || (luck > 1 && coin >> 31))
				memcpy(f->now + at, f->kept + at, n);
			else
				memcpy(f->kept + at, f->now + at, n);
		}
		if (f->name[0] && !f->named && luck != 1)
			disk_drop(f);
	}
	memset(disk.fds, 0, sizeof(disk.fds));
	disk.frozen = false;
}

#endif
