/* sekimori check */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "manager/commands.h"
#include "manager/config.h"
#include "manager/summary.h"
#include "spool/medium.h"

/* Notices come before anybody knows whether there is a fault; both are told, in the order they are found. */
static void print_notice(void *context, const char *text)
{
	(void)context;
	printf("notice: %s\n", text);
}

static void print_fault(void *context, const struct fault *f)
{
	(void)context;
	command_failed(f);
}

static void warn_of_memory(const struct config *c)
{
	const char *memory = medium_memory(c->spool);

	if (memory)
		printf("warning: the spool is in memory (%s): a power cut or a restart of the machine loses the mail in the queue\n",
		       memory);
}

/* `run` makes the sockets, but nothing for them to lie in: it would end there, however good the file is. */
static bool has_place(const char *socket, struct fault *f)
{
	size_t len = strlen(socket);
	char directory[PATH_MAX];
	struct stat st;

	while (len > 0 && socket[len - 1] != '/')
		len--;
	if (len == 0 || !slice_copy(slice_bytes(socket, len), directory, sizeof(directory)) || stat(directory, &st) == 0 ||
	    (errno != ENOENT && errno != ENOTDIR))
		return true;
	return fault_set(f, STATUS_UNAVAILABLE, "%s: %s", socket, strerror(errno));
}

int command_check(const char *path, int argc, char **argv)
{
	struct fault f = { .text = "" };
	struct config *c;
	int result;

	(void)argv;
	if (argc > 0)
		return command_usage("check");
	result = tls_start();
	if (result < 0) {
		fault_set(&f, STATUS_UNAVAILABLE, "TLS: %s", strerror(-result));
		return command_failed(&f);
	}
	c = config_check(path, print_notice, print_fault, NULL, &f);
	if (!c)
		return f.status;
	if (has_place(c->control, &f) && (!c->user_count || has_place(c->local, &f))) {
		printf("%s is good\n", c->path);
		warn_of_memory(c);
		summary_print(c);
	}
	config_free(c);
	return f.text[0] ? command_failed(&f) : STATUS_OK;
}
