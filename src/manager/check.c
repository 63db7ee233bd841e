/* sekimori check */
#include <stdio.h>
#include <string.h>

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
	printf("%s is good\n", c->path);
	warn_of_memory(c);
	summary_print(c);
	config_free(c);
	return STATUS_OK;
}
