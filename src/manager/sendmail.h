/*
 * sendmail(1): mail from programs of this machine. It runs as whoever called it, reads no configuration, and hands the mail to the running
 * gate, which knows the user from the kernel.
 */
#ifndef MANAGER_SENDMAIL_H
#define MANAGER_SENDMAIL_H

enum sendmail_mode { SENDMAIL_SEND, SENDMAIL_QUEUE, SENDMAIL_ALIASES };

/* argv[0] is the name; `path` the configuration, for the queue only. Exit status of sysexits.h. */
int sendmail_run(enum sendmail_mode mode, const char *path, int argc, char **argv);

#endif
