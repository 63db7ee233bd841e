/* sekimori accounts */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "manager/commands.h"
#include "manager/config.h"
#include "trust/accounts.h"

#define JSON_MAX (6 * (ADDRESS_MAX + 1))	/* octets: each octet may become \u00HH */

static const char *level_of(const struct config *c, const struct trust_account *a)
{
	return trust_level_name(a->level == LEVEL_DEFAULT ? c->policy.level : a->level);
}

static void print_schemes(const struct trust_account *a)
{
	const char *const names[] = { a->has_scram ? "SCRAM-SHA-256" : NULL, a->has_cram ? "CRAM-MD5" : NULL,
				      a->has_plain ? "PLAIN" : NULL, a->upstream ? "UPSTREAM" : NULL };
	const char *before = "";

	if (!account_can_login(a))
		fputs("-", stdout);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!names[i])
			continue;
		printf("%s%s", before, names[i]);
		before = ",";
	}
}

static void print_row(const struct config *c, const struct trust_account *a)
{
	printf("%-32.*s  %-5s  ", SLICE_ARGS(account_name(a)), account_can_login(a) ? "login" : "no");
	print_schemes(a);
	printf("  %s%s", a->level == LEVEL_DEFAULT ? "" : "level=", level_of(c, a));
	if (a->action != ACTION_DEFAULT)
		printf("  action=%s", trust_action_name(a->action));
	if (a->login[0])
		printf("  login=%s", a->login);
	if (a->comment[0])
		printf("  comment=%s", a->comment);
	putchar('\n');
}

static void print_schemes_json(const struct trust_account *a)
{
	printf("[%s%s%s%s%s%s]", a->has_scram ? "\"SCRAM-SHA-256\"" : "",
	       a->has_scram && (a->has_cram || a->has_plain) ? ", " : "", a->has_cram ? "\"CRAM-MD5\"" : "",
	       a->has_cram && a->has_plain ? ", " : "", a->has_plain ? "\"PLAIN\"" : "", a->upstream ? "\"UPSTREAM\"" : "");
}

static void print_text_json(struct slice text)
{
	char memory[JSON_MAX];
	struct buffer out;

	buffer_init(&out, memory, sizeof(memory));
	json_text(&out, text);
	fwrite(memory, 1, buffer_length(&out), stdout);
}

static void print_row_json(const struct config *c, const struct trust_account *a)
{
	fputs("  {\"address\": ", stdout);
	print_text_json(account_name(a));
	printf(", \"can_login\": %s, \"schemes\": ", account_can_login(a) ? "true" : "false");
	print_schemes_json(a);
	printf(", \"level\": \"%s\", \"own_level\": %s", level_of(c, a), a->level == LEVEL_DEFAULT ? "false" : "true");
	printf(", \"action\": \"%s\", \"login\": ",
	       trust_action_name(a->action == ACTION_DEFAULT ? c->policy.action : a->action));
	print_text_json(slice_of(a->login));
	fputs(", \"comment\": ", stdout);
	print_text_json(slice_of(a->comment));
	fputs("}", stdout);
}

static void print_json(const struct config *c)
{
	size_t count = accounts_count(c->trust);

	fputs("[\n", stdout);
	for (size_t i = 0; i < count; i++) {
		print_row_json(c, accounts_at(c->trust, i));
		fputs(i + 1 < count ? ",\n" : "\n", stdout);
	}
	fputs("]\n", stdout);
}

int command_accounts(const char *path, int argc, char **argv)
{
	bool json = argc == 1 && strcmp(argv[0], "--json") == 0;
	struct fault f = { .text = "" };
	struct config *c;

	if (argc > 0 && !json)
		return command_usage("accounts [--json]");
	c = config_read(path, false, NULL, NULL, &f);
	if (!c)
		return command_failed(&f);
	if (json)
		print_json(c);
	for (size_t i = 0; !json && i < accounts_count(c->trust); i++)
		print_row(c, accounts_at(c->trust, i));
	config_free(c);
	return STATUS_OK;
}
