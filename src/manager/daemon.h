/*
 * The running gate: puts the rooms together, turns the loop, reloads, ends.
 */
#ifndef MANAGER_DAEMON_H
#define MANAGER_DAEMON_H

#include <stdbool.h>

/* `sekimori run`: returns the exit status of cli.md. Without `foreground` it returns in the parent once the gate serves. */
int daemon_run(const char *path, bool foreground);

#endif
