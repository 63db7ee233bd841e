#include "spool/medium.h"

#include <errno.h>
#include <limits.h>
#include <linux/magic.h>
#include <mntent.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/slice.h"

/* Cuts the last name off; false when there is none left. */
static bool go_up(char *path)
{
	char *slash = strrchr(path, '/');

	if (!slash || !path[1])
		return false;
	slash[slash == path] = '\0';
	return true;
}

static const char *kind_of(const struct statfs *fs)
{
	/* f_type is signed on some machines: what counts is its 32 bits. */
	switch ((uint32_t)fs->f_type) {
	case TMPFS_MAGIC:
		return "tmpfs";
	case RAMFS_MAGIC:
		return "ramfs";
	default:
		return NULL;
	}
}

/* The directory that takes what is written to an overlay; false when the mount doesn't tell. */
static bool find_upper(dev_t device, char *upper, size_t size)
{
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	struct mntent *m;
	bool found = false;
	struct stat st;

	while (mounts && !found && (m = getmntent(mounts))) {
		const char *option = strcmp(m->mnt_type, "overlay") ? NULL : hasmntopt(m, "upperdir");

		if (!option || stat(m->mnt_dir, &st) || st.st_dev != device)
			continue;
		option += strlen("upperdir=");
		found = slice_copy(slice_first(slice_of(option), strcspn(option, ",")), upper, size);
	}
	if (mounts)
		endmntent(mounts);
	return found;
}

const char *medium_memory(const char *path)
{
	char at[PATH_MAX];
	struct statfs fs;
	struct stat st;

	if (!slice_copy(slice_of(path), at, sizeof(at)))
		return NULL;
	while (statfs(at, &fs))
		if (errno != ENOENT || !go_up(at))
			return NULL;
	/* OpenWrt's root is one, whose upper is in memory until the flash has been made ready at the first start. */
	if ((uint32_t)fs.f_type == OVERLAYFS_SUPER_MAGIC &&
	    (stat(at, &st) || !find_upper(st.st_dev, at, sizeof(at)) || statfs(at, &fs)))
		return NULL;
	return kind_of(&fs);
}
