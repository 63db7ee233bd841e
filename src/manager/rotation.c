#include "manager/rotation.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

bool rotation_name(const char *path, unsigned n, char out[PATH_MAX])
{
	int len = n ? snprintf(out, PATH_MAX, "%s.%u", path, n) : snprintf(out, PATH_MAX, "%s", path);

	return len > 0 && len < PATH_MAX;
}

/* The first number that is free, or `keep`. */
static unsigned first_free(const char *path, unsigned keep)
{
	char name[PATH_MAX];
	unsigned n = 1;

	while (n < keep && rotation_name(path, n, name) && access(name, F_OK) == 0)
		n++;
	return n < keep ? n : keep;
}

/* What an earlier, larger `keep` has left. */
static void drop_older(const char *path, unsigned keep)
{
	char name[PATH_MAX];

	for (unsigned n = keep + 1; n <= ROTATION_MAX && rotation_name(path, n, name) && unlink(name) == 0; n++)
		;
}

int rotation_shift(const char *path, unsigned keep)
{
	char from[PATH_MAX], to[PATH_MAX];
	unsigned n = first_free(path, keep);

	if (!rotation_name(path, n, to))
		return -ENAMETOOLONG;
	if (n == 0 && unlink(to) < 0)
		return -errno;
	/* rename puts each over the one that was there: of the oldest, nothing stays. */
	for (; n > 0; n--) {
		if (!rotation_name(path, n - 1, from) || !rotation_name(path, n, to))
			return -ENAMETOOLONG;
		if (rename(from, to) < 0 && errno != ENOENT)
			return -errno;
	}
	drop_older(path, keep);
	return 0;
}
