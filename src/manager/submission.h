/*
 * One mail handed to the running gate through its socket for programs of this machine: SMTP, waiting for each answer. For a command
 * that sends and ends; the daemon has smtp/client.h. Results are exit statuses of sysexits.h, and have been told on standard error.
 */
#ifndef MANAGER_SUBMISSION_H
#define MANAGER_SUBMISSION_H

#include <stdio.h>

#include "base/limits.h"
#include "base/slice.h"

struct submission {
	FILE *from, *to;
	unsigned code;			/* of the last reply */
	char reply[SMTP_REPLY_MAX];	/* its last line */
	char sender[ADDRESS_MAX + 1];	/* as whom the gate knows us */
	char mailbox[ADDRESS_MAX + 1];	/* where mail to names of this machine goes; empty: to those names in the sender's domain */
};

int submission_open(struct submission *s, const char *path);
/* `sender` empty: <>. Both without angle brackets. */
int submission_sender(struct submission *s, const char *sender);
int submission_recipient(struct submission *s, const char *recipient);
/* From 0 on, the message is written to s->to, in wire form, up to submission_end. */
int submission_data(struct submission *s);
int submission_end(struct submission *s);
void submission_close(struct submission *s);

#endif
