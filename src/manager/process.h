/*
 * What the gate asks of its process and of the kernel before it serves: standard files, descriptors, memory, random numbers.
 */
#ifndef MANAGER_PROCESS_H
#define MANAGER_PROCESS_H

#include "base/fault.h"

/* Descriptors 0 to 2 are open from now on, so that no socket of ours is ever taken for standard error (lesson 22). */
void process_guard_files(void);
/* From here on nothing of the caller's terminal is held, by helpers neither; -1, or standard error for a fault at start. */
int process_detach(void);
/* Passwords are in memory: it is left in no core (R63). */
void process_forbid_cores(void);
/* Large tables cost no pages before they are used. */
void process_keep_lean(void);
/* Raises the limit of open files, or says that it can't. */
void process_open_files(unsigned long need);
/* TLS with random numbers: right after power-on the kernel may have to gather them first. */
bool process_start_tls(struct fault *f);

#endif
