#include "manager/local.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/listener.h"

bool local_open(const struct config *c, int *fd, struct fault *f)
{
	*fd = -1;
	if (!c->user_count)
		return true;
	*fd = listener_open_unix(c->local, f);
	if (*fd < 0)
		return false;
	/* Whoever can run a program here may ask; who may send, and as whom, [local] says. */
	if (!chmod(c->local, 0666))
		return true;
	fault_set(f, STATUS_DENIED, "%s: %s", c->local, strerror(errno));
	close(*fd);
	*fd = -1;
	return false;
}

void local_remove(const struct config *c)
{
	if (c->user_count)
		unlink(c->local);
}
