/*
 * The program: one table of commands (cli.md).
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "manager/commands.h"
#include "manager/config.h"
#include "manager/control.h"
#include "manager/daemon.h"
#include "manager/sendmail.h"

#define DEFAULT_CONFIG	"/etc/sekimori.ini"

struct command {
	const char *name;
	int (*run)(const char *path, int argc, char **argv);
	const char *usage;
};

static int command_run(const char *path, int argc, char **argv)
{
	if (argc > 1 || (argc == 1 && strcmp(argv[0], "-f") != 0))
		return command_usage("run [-f]");
	return daemon_run(path, argc == 1);
}

/* Asks the running gate: the command's own words are the request. */
static int ask(const char *path, const char *name, int argc, char **argv)
{
	char control[CONTROL_PATH_MAX], line[CONTROL_LINE_MAX];
	size_t len = (size_t)snprintf(line, sizeof(line), "%s", name);

	for (int i = 0; i < argc && len < sizeof(line); i++)
		len += (size_t)snprintf(line + len, sizeof(line) - len, " %s", argv[i]);
	if (len >= sizeof(line))
		return command_usage(name);
	config_control(path, control);
	return control_ask(control, line);
}

static int command_reload(const char *path, int argc, char **argv)
{
	return argc ? command_usage("reload") : ask(path, "reload", argc, argv);
}

static int command_status(const char *path, int argc, char **argv)
{
	if (argc > 1 || (argc == 1 && strcmp(argv[0], "--json") != 0 && !(CONFIG_METRICS && !strcmp(argv[0], "--prometheus"))))
		return command_usage(CONFIG_METRICS ? "status [--json | --prometheus]" : "status [--json]");
	return ask(path, "status", argc, argv);
}

static int command_queue(const char *path, int argc, char **argv)
{
	if (argc > 2)
		return command_usage("queue [--json] | queue show ID | cat ID | retry [ID] | remove ID | return ID");
	return ask(path, "queue", argc, argv);
}

/* By the other names that programs look for it. */
#if CONFIG_SENDMAIL
static int command_as(const char *name, int argc, char **argv)
{
	static const struct {
		const char *name;
		enum sendmail_mode mode;
	} names[] = {
		{ "sendmail", SENDMAIL_SEND }, { "mailq", SENDMAIL_QUEUE }, { "newaliases", SENDMAIL_ALIASES }
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(name, names[i].name))
			return sendmail_run(names[i].mode, DEFAULT_CONFIG, argc, argv);
	return -1;
}

static int command_sendmail(const char *path, int argc, char **argv)
{
	return sendmail_run(SENDMAIL_SEND, path, argc + 1, argv - 1);
}
#else
static int command_as(const char *name, int argc, char **argv)
{
	(void)name, (void)argc, (void)argv;
	return -1;
}
#endif

static const struct command commands[] = {
	{ "run", command_run, "run [-f]                                start; -f stays in the foreground" },
	{ "check", command_check, "check                                   read everything, say what is wrong or will happen" },
	{ "reload", command_reload, "reload                                  the running gate reads its files again" },
	{ "status", command_status, CONFIG_METRICS ? "status [--json | --prometheus]          how it goes" : "status [--json]                         how it goes" },
#if CONFIG_PASSWD
	{ "passwd", command_passwd, "passwd [--cram-md5] [--level L] [--delete] ADDRESS" },
	{ "accounts", command_accounts, "accounts [--json]                       who can log in" },
#endif
#if CONFIG_TRUST_COMMAND
	{ "trust", command_trust, "trust AUTH-ID ENVELOPE FILE|-           the verdict on this message, and why" },
#endif
#if CONFIG_VERIFY_COMMAND
	{ "verify", command_verify, "verify [--json] FILE|- | --new-key       did this mail pass here, as whom, is it unchanged" },
#endif
#if CONFIG_PROBE
	{ "probe", command_probe, "probe [--json] [RELAY]                   try each step to the upstream; nothing is sent" },
#endif
#if CONFIG_SENDMAIL
	{ "sendmail", command_sendmail, "sendmail [-t] [-i] [-f SENDER] [-F NAME] [RECIPIENT ...]" },
#endif
#if CONFIG_AUDIT
	{ "log", command_log, "log [--since T] [--until T] [--account A] [--from A] [--to A] [--verdict V] [--id Q] ... who sent what" },
#endif
	{ "queue", command_queue, "queue [--json] | show ID | cat ID | retry [ID] | remove ID | return ID" },
};

static int usage(FILE *to)
{
	fputs("usage:\n", to);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(to, "  sekimori [-c FILE] %s\n", commands[i].usage);
	return to == stdout ? STATUS_OK : STATUS_USAGE;
}

static int version(void)
{
	static const struct {
		bool built;
		const char *name;
	} features[] = {
		{ CONFIG_TLS, "tls" }, { CONFIG_CRAM_MD5, "cram-md5" }, { CONFIG_LOCKOUT, "lockout" },
		{ CONFIG_SCRAM, "scram-sha-256" }, { CONFIG_XOAUTH2, "xoauth2" },
		{ CONFIG_CREDENTIALS_SENDER, "credentials-sender" },
		{ CONFIG_CREDENTIALS_CLIENT, "credentials-client" }, { CONFIG_POP_BEFORE_SMTP, "pop-before-smtp" },
		{ CONFIG_DIRECT, "direct" }, { CONFIG_STAMP, "stamp" }, { CONFIG_VERIFY_COMMAND, "verify" },
		{ CONFIG_PASSWD, "passwd" }, { CONFIG_TRUST_COMMAND, "trust" }, { CONFIG_RETURN_JA, "return-ja" },
		{ CONFIG_PROBE, "probe" }, { CONFIG_SENDMAIL, "sendmail" },
		{ CONFIG_ALARM_MAIL, "alarm-mail" }, { CONFIG_CHANGES, "changes" }, { CONFIG_SUMMARY, "summary" },
		{ CONFIG_METRICS, "metrics" }, { CONFIG_FAST_CRC, "fast-crc" }, { CONFIG_AUDIT, "audit" },
		{ CONFIG_FORWARD, "forward" }, { CONFIG_AGENTS, "agents" },
	};

	fputs("sekimori " SEKIMORI_VERSION, stdout);
	for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++)
		if (features[i].built)
			printf(" %s", features[i].name);
	putchar('\n');
	return STATUS_OK;
}

int main(int argc, char **argv)
{
	const char *path = DEFAULT_CONFIG, *slash = argc ? strrchr(argv[0], '/') : NULL;
	int at = 1, status = argc ? command_as(slash ? slash + 1 : argv[0], argc, argv) : STATUS_USAGE;

	if (status >= 0)
		return status;
	if (argc > 2 && !strcmp(argv[1], "-c")) {
		path = argv[2];
		at = 3;
	}
	if (at >= argc)
		return usage(stderr);
	if (!strcmp(argv[at], "--version"))
		return version();
	if (!strcmp(argv[at], "--help") || !strcmp(argv[at], "-h"))
		return usage(stdout);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(argv[at], commands[i].name))
			return commands[i].run(path, argc - at - 1, argv + at + 1);
	fprintf(stderr, "sekimori: there is no command %s\n", argv[at]);
	return usage(stderr);
}
