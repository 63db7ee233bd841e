#include "manager/newkey.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/secret.h"
#include "manager/commands.h"
#include "manager/config.h"
#include "manager/replace.h"
#include "manager/rights.h"
#include "manager/text.h"

#define LINE_MAX_OCTETS	(STAMP_KEY_ID_MAX + STAMP_SECRET_MAX + 3)

struct newkey {
	const struct config *config;
	const char *file;
	struct slice old;		/* text of the file; at NULL: there is none */
	struct keyring ring;		/* what it holds */
	char id[STAMP_KEY_ID_MAX + 1];
	struct fault fault;
};

static bool read_old(struct newkey *n)
{
	int result = text_read(n->file, KEYRING_FILE_MAX, &n->old, NULL);

	if (result == -ENOENT)
		return true;
	if (result < 0)
		return fault_set(&n->fault, result == -EACCES ? STATUS_DENIED : STATUS_CONFIG, "%s: %s", n->file,
				 strerror(-result));
	return keyring_parse(n->old, n->file, &n->ring, &n->fault);
}

static bool is_taken(const struct newkey *n)
{
	for (unsigned i = 0; i < n->ring.count; i++)
		if (strcmp(n->ring.key[i].id, n->id) == 0)
			return true;
	return false;
}

/* Named after the day, so that one sees which may go. */
static void choose_id(struct newkey *n)
{
	time_t now = (time_t)clock_wall();
	struct tm day = { .tm_year = 70 };
	char date[16];

	gmtime_r(&now, &day);
	if (!strftime(date, sizeof(date), "k%Y%m%d", &day))
		date[0] = '\0';
	snprintf(n->id, sizeof(n->id), "%s", date[0] ? date : "k");
	for (unsigned i = 2; is_taken(n); i++)
		snprintf(n->id, sizeof(n->id), "%s.%u", date[0] ? date : "k", i);
}

static bool write_new(struct newkey *n)
{
	size_t size = LINE_MAX_OCTETS + n->old.len;
	char *memory = malloc(size);
	struct buffer text;
	bool good;

	if (!memory)
		return fault_set(&n->fault, STATUS_TEMPORARY, "out of memory");
	buffer_init(&text, memory, size);
	if (!keyring_line(&text, n->id))
		good = fault_set(&n->fault, STATUS_TEMPORARY, "the system has no random octets to give");
	else
		good = buffer_put(&text, n->old) && keyring_parse(buffer_bytes(&text), n->file, &n->ring, &n->fault) &&
		       replace_file(n->file, buffer_bytes(&text), rights_group(n->config->user), &n->fault);
	secret_wipe(memory, size);
	free(memory);
	return good;
}

static bool make(struct newkey *n)
{
	int lock;
	bool good;

	if (!n->file[0])
		return fault_set(&n->fault, STATUS_CONFIG, "%s: there is no file for keys: write key_file = … in [stamp]",
				 n->config->path);
	lock = replace_lock(n->file, &n->fault);
	if (lock < 0)
		return false;
	good = read_old(n);
	if (good)
		choose_id(n);
	good = good && write_new(n);
	replace_unlock(lock);
	return good;
}

int newkey_run(const char *path)
{
	struct newkey n = { .old = { NULL, 0 } };
	struct config *c = config_read_domains(path, &n.fault);
	bool good = false;

	if (c) {
		n.config = c;
		n.file = c->stamp_keys;
		good = make(&n);
	}
	if (good)
		printf("Key %s is in %s. A running sekimori seals with it after: sekimori reload\n", n.id, n.file);
	text_free(n.old);
	secret_wipe(&n.ring, sizeof(n.ring));
	config_free(c);
	return good ? STATUS_OK : command_failed(&n.fault);
}
