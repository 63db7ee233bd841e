/* sekimori passwd */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/secret.h"
#include "manager/commands.h"
#include "manager/config.h"
#include "manager/replace.h"
#include "manager/rights.h"
#include "manager/text.h"
#include "trust/accounts.h"
#include "trust/edit.h"

#define USAGE "passwd [--cram-md5 | --upstream] [--level L] [--delete] ADDRESS"

struct change {
	bool cram_md5, upstream, delete;
	const char *level, *address;	/* level NULL: as it was */
	struct address_key key;
	struct config *config;
	struct slice old;		/* text of the accounts file; at NULL: there is none */
	const struct trust_account *account;	/* in config->trust; NULL: new */
	char password[PASSWORD_MAX + 2];
	struct fault fault;
};

static bool read_arguments(struct change *p, int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		if (strcmp(argv[i], "--cram-md5") == 0)
			p->cram_md5 = true;
		else if (strcmp(argv[i], "--upstream") == 0)
			p->upstream = true;
		else if (strcmp(argv[i], "--delete") == 0)
			p->delete = true;
		else if (strcmp(argv[i], "--level") == 0 && i + 1 < argc)
			p->level = argv[++i];
		else if (argv[i][0] == '-' || p->address)
			return false;
		else
			p->address = argv[i];
	}
	return p->address && !(p->delete && (p->level || p->cram_md5 || p->upstream)) && !(p->cram_md5 && p->upstream);
}

static bool check_arguments(struct change *p)
{
	if (p->level && trust_level_of(slice_of(p->level)) == LEVEL_DEFAULT)
		return fault_set(&p->fault, STATUS_USAGE, "level %s: must be auth | auth=envelope | auth=envelope=from, or 1 | 2 | 3",
				 p->level);
	if (!address_key_of(slice_of(p->address), &p->key))
		return fault_set(&p->fault, STATUS_USAGE, "%s: not a mail address", p->address);
	return true;
}

/* Up to LF or the end. False when it is too long. */
static bool read_line(int fd, char *out, size_t size)
{
	size_t used = 0;

	for (;;) {
		char c;
		ssize_t n = read(fd, &c, 1);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 || c == '\n')
			break;
		/* A NUL would end the password early. */
		if (used + 1 >= size || c == '\0')
			return false;
		out[used++] = c;
	}
	out[used] = '\0';
	return true;
}

static bool ask(const char *prompt, const char *address, char *out, size_t size)
{
	bool good;

	fprintf(stderr, "%s %s: ", prompt, address);
	good = read_line(STDIN_FILENO, out, size);
	fputc('\n', stderr);
	return good;
}

static bool ask_twice(struct change *p)
{
	char again[sizeof(p->password)];
	bool good = ask("Password of", p->address, p->password, sizeof(p->password)) &&
		    ask("The same again for", p->address, again, sizeof(again));

	if (!good)
		fault_set(&p->fault, STATUS_DATA, "password too long");
	else if (strcmp(p->password, again) != 0)
		fault_set(&p->fault, STATUS_DATA, "the two passwords differ");
	secret_wipe(again, sizeof(again));
	return !fault_is(&p->fault);
}

/* Signals of the keyboard are off too: one in between would leave a terminal that shows nothing. ^C is a refused character then. */
static bool ask_terminal(struct change *p)
{
	struct termios shown, hidden;
	bool good;

	if (tcgetattr(STDIN_FILENO, &shown) < 0)
		return fault_set(&p->fault, STATUS_UNAVAILABLE, "terminal: %s", strerror(errno));
	hidden = shown;
	hidden.c_lflag &= ~(tcflag_t)(ECHO | ISIG);
	if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden) < 0)
		return fault_set(&p->fault, STATUS_UNAVAILABLE, "terminal: %s", strerror(errno));
	good = ask_twice(p);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
	return good;
}

static bool read_password(struct change *p)
{
	if (p->delete || p->upstream)
		return true;
	if (isatty(STDIN_FILENO))
		return ask_terminal(p);
	if (read_line(STDIN_FILENO, p->password, sizeof(p->password)))
		return true;
	return fault_set(&p->fault, STATUS_DATA, "password too long, or with NUL");
}

/* A file that can't be read as it is must be put right by hand first. */
static bool read_old(struct change *p)
{
	const char *path = p->config->accounts;
	int result = text_read(path, ACCOUNTS_FILE_MAX, &p->old, NULL);

	if (result == -ENOENT)
		return true;
	if (result < 0)
		return fault_set(&p->fault, result == -EACCES ? STATUS_DENIED : STATUS_CONFIG, "%s: %s", path,
				 strerror(-result));
	if (!accounts_parse(p->config->trust, p->old, path, &p->fault))
		return false;
	for (size_t i = 0; i < accounts_count(p->config->trust); i++)
		if (address_key_equal(&accounts_at(p->config->trust, i)->key, &p->key))
			p->account = accounts_at(p->config->trust, i);
	return true;
}

static void put_option(struct buffer *out, const char *name, const char *value)
{
	if (value && value[0])
		buffer_putf(out, "%s%s=%s", buffer_length(out) ? " " : "", name, value);
}

/* A new password leaves the account's options as they are. */
static void put_options(const struct change *p, struct buffer *out)
{
	const struct trust_account *a = p->account;

	put_option(out, "level", p->level ? p->level :
		   a && a->level != LEVEL_DEFAULT ? trust_level_name(a->level) : NULL);
	if (!a)
		return;
	put_option(out, "action", a->action != ACTION_DEFAULT ? trust_action_name(a->action) : NULL);
	put_option(out, "login", a->login);
	put_option(out, "comment", a->comment);
}

/* One account without CRAM-MD5 takes it from all (R26), so an account that has it keeps it. */
static bool make_line(struct change *p, struct buffer *line)
{
	bool cram_md5 = p->cram_md5 || (p->account && p->account->has_cram);
	char memory[ACCOUNTS_LINE_MAX];
	struct buffer options;

	if (p->delete)
		return true;
	buffer_init(&options, memory, sizeof(memory));
	put_options(p, &options);
	if (p->upstream)
		return accounts_line_upstream(line, slice_of(p->address), buffer_bytes(&options), &p->fault);
	return accounts_line(line, slice_of(p->address), slice_of(p->password), cram_md5, buffer_bytes(&options),
			     &p->fault);
}

/* What the daemon would not read is not written: the new text is read as the daemon will. */
static bool would_be_read(struct change *p, const char *path, struct slice text)
{
	struct config *fresh = config_read_domains(path, &p->fault);
	bool good = fresh && accounts_parse(fresh->trust, text, fresh->accounts, &p->fault);

	config_free(fresh);
	return good;
}

static bool edit(struct change *p, const char *path, struct slice line, struct buffer *text)
{
	bool found;

	if (!accounts_edit(p->old, &p->key, line, text, &found))
		return fault_set(&p->fault, STATUS_CONFIG, "%s would become too large", p->config->accounts);
	if (p->delete && !found)
		return fault_set(&p->fault, STATUS_NO, "%s: no such account", p->address);
	return would_be_read(p, path, buffer_bytes(text)) &&
	       replace_file(p->config->accounts, buffer_bytes(text), rights_group(p->config->user), &p->fault);
}

static bool write_account(struct change *p, const char *path)
{
	char memory[ACCOUNTS_LINE_MAX + 2];
	size_t size;
	struct buffer line, text;
	char *room;
	bool good;

	buffer_init(&line, memory, sizeof(memory));
	if (!make_line(p, &line))
		return false;
	size = p->old.len + sizeof(memory);
	room = malloc(size);
	if (!room)
		return fault_set(&p->fault, STATUS_TEMPORARY, "out of memory");
	buffer_init(&text, room, size);
	good = edit(p, path, buffer_bytes(&line), &text);
	secret_wipe(room, size);
	free(room);
	secret_wipe(memory, sizeof(memory));
	return good;
}

static bool change_account(struct change *p, const char *path)
{
	int lock;
	bool good;

	p->config = config_read_domains(path, &p->fault);
	if (!p->config)
		return false;
	if (!trust_is_our_domain(p->config->trust, address_key_domain(&p->key)))
		return fault_set(&p->fault, STATUS_DATA, "%s is not in our domains: see domains in [server] of %s",
				 p->address, path);
	if (!read_password(p))
		return false;
	lock = replace_lock(p->config->accounts, &p->fault);
	if (lock < 0)
		return false;
	good = read_old(p) && write_account(p, path);
	replace_unlock(lock);
	return good;
}

static void tell(const struct change *p)
{
	printf("%s %s in %s. A running sekimori takes it over with: sekimori reload\n", p->address,
	       p->delete ? "is no longer" : p->account && !p->upstream ? "has its new password" : "is now", p->config->accounts);
}

int command_passwd(const char *path, int argc, char **argv)
{
	struct change p = { .cram_md5 = false };
	bool good;

	if (!read_arguments(&p, argc, argv))
		return command_usage(USAGE);
	good = check_arguments(&p) && change_account(&p, path);
	if (good)
		tell(&p);
	text_free(p.old);
	config_free(p.config);
	secret_wipe(p.password, sizeof(p.password));
	return good ? STATUS_OK : command_failed(&p.fault);
}
