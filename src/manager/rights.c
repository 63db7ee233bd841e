#include "manager/rights.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Without libcap: one system call. */
static int keep_low_ports(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { { 0 } };

	data[0].effective = data[0].permitted = 1u << CAP_NET_BIND_SERVICE;
	return syscall(SYS_capset, &head, data) ? -errno : 0;
}

bool rights_drop(const char *user, const char *control, struct fault *f)
{
	const struct passwd *pw;

	if (geteuid())
		return true;
	errno = 0;
	pw = getpwnam(user);
	if (!pw)
		return fault_set(f, STATUS_CONFIG, "[server] user: there is no user %s; create it, or name another", user);
	if (!pw->pw_uid)
		return true;
	if (control && chown(control, 0, pw->pw_gid))
		return fault_set(f, STATUS_DENIED, "%s: %s", control, strerror(errno));
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) || initgroups(user, pw->pw_gid) || setgid(pw->pw_gid) ||
	    setuid(pw->pw_uid) || keep_low_ports())
		return fault_set(f, STATUS_DENIED, "can't become user %s: %s", user, strerror(errno));
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return true;
}

/* systemd's LogsDirectory= makes it as root's: as long as nothing is in it, nobody else can have a use for it. */
static void hand_over(const char *path, const struct passwd *pw)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	struct stat st;
	unsigned entries = 0;

	if (!directory) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while (entries <= 2 && (entry = readdir(directory)))
		entries += entry->d_name[0] != '\0';
	if (entries == 2 && fstat(fd, &st) == 0 && st.st_uid == 0 && fchown(fd, pw->pw_uid, pw->pw_gid) == 0)
		fchmod(fd, st.st_mode & 0750);
	closedir(directory);
}

bool rights_make_directory(const char *path, const char *user, struct fault *f)
{
	bool made = mkdir(path, 0700) == 0;
	const struct passwd *pw;

	if (!made && errno != EEXIST)
		return fault_set(f, STATUS_DENIED, "%s: can't be made: %s", path, strerror(errno));
	pw = geteuid() ? NULL : getpwnam(user);
	if (pw && pw->pw_uid && !made)
		hand_over(path, pw);
	if (!made)
		return true;
	if (pw && chown(path, pw->pw_uid, pw->pw_gid))
		return fault_set(f, STATUS_DENIED, "%s: %s", path, strerror(errno));
	return true;
}

gid_t rights_group(const char *user)
{
	const struct passwd *pw = geteuid() ? NULL : getpwnam(user);

	return pw ? pw->pw_gid : (gid_t)-1;
}
