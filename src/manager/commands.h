/*
 * The commands of cli.md that need no running daemon. `path` is the configuration; argc and argv are what follows the
 * command's name. Results go to standard output, errors as `sekimori: what` to standard error; the result is the exit
 * status of cli.md.
 */
#ifndef MANAGER_COMMANDS_H
#define MANAGER_COMMANDS_H

#include "base/fault.h"

/* Reads everything, says what is wrong (each fault that can be found) or what will happen; changes nothing. */
int command_check(const char *path, int argc, char **argv);
/* [--cram-md5] [--level L] [--delete] ADDRESS: writes the accounts file. */
int command_passwd(const char *path, int argc, char **argv);
/* [--json]: lists the accounts. */
int command_accounts(const char *path, int argc, char **argv);
/* AUTH-ID ENVELOPE FILE|-: the verdict a session would give, and why. AUTH-ID `-` or empty: nobody. */
int command_trust(const char *path, int argc, char **argv);

/* [--json] FILE|-: did this mail pass here, as whom, and what was changed since (R17). --new-key: puts a key on top of the file. */
int command_verify(const char *path, int argc, char **argv);

/* [--json] [RELAY]: walks through each step to the next hops, and says what is wrong and what to change; nothing is sent (R41, R73). */
int command_probe(const char *path, int argc, char **argv);

/* [--since T] [--until T] [--account A] …: searches the audit file; --check: whether its chain is whole (R18). */
int command_log(const char *path, int argc, char **argv);

/* "sekimori: what" on standard error; returns the fault's status. */
int command_failed(const struct fault *f);
/* Likewise "usage: sekimori [-c FILE] …"; returns 64. */
int command_usage(const char *usage);

#endif
