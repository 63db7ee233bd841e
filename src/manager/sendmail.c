#include "manager/sendmail.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "mail/list.h"
#include "manager/config.h"
#include "manager/control.h"
#include "manager/letter.h"
#include "manager/submission.h"

/* Of the sendmails that programs were written for; those of no meaning here are taken and left alone. */
#define OPTIONS	"A:B:C:D:d:e:F:f:Gh:IiL:mN:nO:o:p:q::R:r:sTtUV:vX:b:"

struct order {
	enum sendmail_mode mode;
	bool from_header, dots;
	const char *sender, *name;	/* NULL: not given */
	char **recipients;
	size_t count;
	bool failed;			/* no memory for a recipient */
};

static bool add_recipient(void *context, struct slice address)
{
	struct order *o = context;
	char **more = realloc(o->recipients, (o->count + 1) * sizeof(*more));
	char *text = strndup(address.at, address.len);

	if (more)
		o->recipients = more;
	if (!more || !text) {
		free(text);
		o->failed = true;
		return false;
	}
	o->recipients[o->count++] = text;
	return true;
}

/* -bX: what else sendmail can be. */
static bool choose_mode(struct order *o, const char *mode)
{
	switch (mode[0]) {
	case 'm':
		return true;
	case 'p':
		o->mode = SENDMAIL_QUEUE;
		return true;
	case 'i':
		o->mode = SENDMAIL_ALIASES;
		return true;
	default:
		fprintf(stderr, "sendmail: -b%s is not for this one\n", mode);
		return false;
	}
}

static bool take_option(struct order *o, int option, const char *value)
{
	switch (option) {
	case 't':
		o->from_header = true;
		return true;
	case 'i':
		o->dots = false;
		return true;
	case 'o':
		if (!strcmp(value, "i"))
			o->dots = false;
		return true;
	case 'f': case 'r':
		o->sender = value;
		return true;
	case 'F':
		o->name = value;
		return true;
	case 'b':
		return choose_mode(o, value);
	case '?':
		return false;		/* getopt has said it */
	default:
		return true;
	}
}

static bool take_arguments(struct order *o, int argc, char **argv)
{
	int option;

	while ((option = getopt(argc, argv, OPTIONS)) != -1)
		if (!take_option(o, option, optarg))
			return false;
	for (int i = optind; i < argc; i++) {
		struct slice rest = slice_of(argv[i]), address;

		while (list_next(&rest, &address))
			if (!add_recipient(o, address))
				return false;
	}
	return true;
}

/* root, root@localhost: without a domain that anybody else could know. */
static bool is_of_this_machine(struct slice address)
{
	struct slice domain = slice_skip(address, slice_find(address, '@') + 1);

	return slice_find(domain, '.') == domain.len && !slice_starts(domain, SLICE_OF("["));
}

/* Nothing that could end the command it stands in, or its path. */
static bool is_repeatable(const char *address)
{
	for (; *address; address++)
		if (ascii_is_control(*address) || *address == '<' || *address == '>')
			return false;
	return true;
}

static int send_recipient(struct submission *s, const char *recipient)
{
	struct slice to = slice_of(recipient), local = slice_first(to, slice_find(to, '@')), sender = slice_of(s->sender);
	char text[ADDRESS_MAX + LOCAL_PART_MAX + 1];

	if (!is_repeatable(recipient)) {
		fprintf(stderr, "sendmail: a recipient is no address\n");
		return EX_DATAERR;
	}
	if (!is_of_this_machine(to))
		return submission_recipient(s, recipient);
	if (s->mailbox[0])
		return submission_recipient(s, s->mailbox);
	snprintf(text, sizeof(text), "%.*s%s", (int)(local.len < LOCAL_PART_MAX ? local.len : LOCAL_PART_MAX), local.at,
		 s->sender + slice_find(sender, '@'));
	return submission_recipient(s, text);
}

/* Names of this machine are whoever the gate knows us as. */
static int send_sender(struct submission *s, const struct order *o)
{
	const char *sender = o->sender ? o->sender : s->sender;

	if (!strcmp(sender, "<>") || !sender[0])
		return submission_sender(s, "");
	if (is_of_this_machine(slice_of(sender)) || !is_repeatable(sender))
		sender = s->sender;
	return submission_sender(s, sender);
}

/* A quoted string (RFC 5322 3.2.4): no name can be more than one. */
static void put_from(struct submission *s, const char *name)
{
	fputs("From: ", s->to);
	if (name && name[0]) {
		putc('"', s->to);
		for (; *name; name++)
			if (!ascii_is_control(*name) && *name != '"' && *name != '\\')
				putc(*name, s->to);
		fputs("\" ", s->to);
	}
	fprintf(s->to, "<%s>\r\n", s->sender);
}

static int send_content(struct submission *s, const struct order *o, struct letter *l)
{
	if (!letter_has(l, SLICE_OF("From")))
		put_from(s, o->name);
	if (letter_write(l, s->to))
		return submission_end(s);
	fprintf(stderr, "sendmail: the message can't be read to its end: nothing is sent\n");
	return EX_IOERR;
}

static int send_letter(struct submission *s, const struct order *o, struct letter *l)
{
	const char *path = getenv("SEKIMORI_SOCKET");
	int status = submission_open(s, path ? path : LOCAL_DEFAULT);

	if (status == EX_OK)
		status = send_sender(s, o);
	/* One that is refused, and nobody gets it: who called us hears of it, and can do better. */
	for (size_t i = 0; i < o->count && status == EX_OK; i++)
		status = send_recipient(s, o->recipients[i]);
	if (status == EX_OK)
		status = submission_data(s);
	return status == EX_OK ? send_content(s, o, l) : status;
}

static int no_memory(void)
{
	fprintf(stderr, "sendmail: out of memory, or a header of more than 1 MiB\n");
	return EX_OSERR;
}

static int send_order(struct order *o)
{
	struct submission s = { .code = 0 };
	struct letter l;
	int status = EX_OK;

	if (!letter_read(&l, stdin, o->dots) || (o->from_header && !letter_recipients(&l, add_recipient, o))) {
		status = no_memory();
	} else if (!o->count) {
		fprintf(stderr, "sendmail: no recipients\n");
		status = o->from_header ? EX_DATAERR : EX_USAGE;
	} else {
		status = send_letter(&s, o, &l);
		submission_close(&s);
	}
	letter_free(&l);
	return status;
}

static int show_queue(const char *path)
{
	char control[CONTROL_PATH_MAX];

	config_control(path, control);
	return control_ask(control, "queue");
}

int sendmail_run(enum sendmail_mode mode, const char *path, int argc, char **argv)
{
	struct order o = { .mode = mode, .dots = true };
	int status = EX_USAGE;

	signal(SIGPIPE, SIG_IGN);
	if (!take_arguments(&o, argc, argv))
		status = o.failed ? no_memory() : EX_USAGE;
	else if (o.mode == SENDMAIL_QUEUE)
		status = show_queue(path);
	else if (o.mode == SENDMAIL_ALIASES)
		status = EX_OK;
	else
		status = send_order(&o);
	for (size_t i = 0; i < o.count; i++)
		free(o.recipients[i]);
	free(o.recipients);
	return status;
}
