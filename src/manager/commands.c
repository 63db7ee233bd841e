#include "commands.h"

#include <stdio.h>

int command_failed(const struct fault *f)
{
	fflush(stdout);
	fprintf(stderr, "sekimori: %s\n", f->text);
	return f->status;
}

int command_usage(const char *usage)
{
	fprintf(stderr, "usage: sekimori [-c FILE] %s\n", usage);
	return STATUS_USAGE;
}
