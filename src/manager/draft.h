/*
 * The configuration while it is being put together: what each section said and where, before it becomes a struct config.
 * keys.c says what there may be, config.c reads it, assemble.c and routes.c join it.
 */
#ifndef MANAGER_DRAFT_H
#define MANAGER_DRAFT_H

#include "manager/config.h"
#include "manager/setting.h"

#define DRAFT_KEYS_MAX	48	/* rows of the longest section's table, [relay] */
#define DRAFT_NAME_MAX	48	/* octets of NAME in [relay NAME]: INI_SECTION_MAX less the rest */

enum draft_kind {
	DRAFT_SERVER, DRAFT_TLS, DRAFT_TRUST, DRAFT_STAMP, DRAFT_RETURN, DRAFT_QUEUE, DRAFT_LIMITS, DRAFT_LOG, DRAFT_MANAGER,
	DRAFT_SINGLES,			/* those above come once, and fill struct config itself */
	DRAFT_RELAY = DRAFT_SINGLES, DRAFT_LISTEN, DRAFT_DEVICE, DRAFT_LOCAL, DRAFT_PEER, DRAFT_AGENT, DRAFT_ALIAS,
	DRAFT_KINDS
};

enum draft_naming { NAME_NONE, NAME_MAYBE, NAME_MUST };	/* [title], [title] or [title NAME], [title NAME] */

struct draft_section {
	struct slice title;
	const struct setting_row *rows;	/* ended by a NULL key; NULL: any key ([alias]) */
	uint8_t named;			/* enum draft_naming */
	unsigned max;			/* how many of them */
	size_t size;			/* of its memory, in octets; 0: struct config */
};
extern const struct draft_section draft_sections[DRAFT_KINDS];	/* keys.c */

struct draft_listen {
	struct ingest_listen listen;
	unsigned count;
	struct setting_endpoint endpoints[LISTENERS_MAX];
};

struct draft_device {
	struct trust_device device;
	char sender[ADDRESS_MAX + 1];
};

enum draft_credentials { CREDENTIALS_STORED, CREDENTIALS_SENDER, CREDENTIALS_CLIENT };

/* auth = auto. */
#define MECHANISMS_ALL	(SASL_PLAIN | SASL_LOGIN | SASL_CRAM_MD5 | (CONFIG_SCRAM ? SASL_SCRAM_SHA_256 : 0))

struct draft_relay {
	struct relay_route route;
	char ca[256], pin[96], certificate[256], key[256], password_file[256];
	uint8_t auth;				/* enum smtp_mechanism, all that may be used */
	char pop_password_file[256], pop_pin[96];
	char credentials_file[256];
	uint8_t credentials;
};

struct draft_agent {
	struct agent_rule rule;
	char pin[96];
};

struct draft_block {			/* one section of the file */
	struct draft_block *next;
	enum draft_kind kind;
	char name[DRAFT_NAME_MAX + 1];
	unsigned line;			/* 0: not in the file */
	unsigned lines[DRAFT_KEYS_MAX];	/* of each row of its table; 0: not in the file */
	union {
		struct draft_listen *listen;
		struct draft_device *device;	/* and of [local] */
		struct trust_peer *peer;
		struct draft_relay *relay;
		struct draft_agent *agent;
		void *memory;		/* owned but of the singles */
	};
};

struct draft_alias {
	struct draft_alias *next;
	unsigned line;
	struct slice key, accounts;
	char text[];
};

struct draft {
	struct config *config;
	const char *path;		/* config->path: trust keeps it for its faults */
	bool network, accounts, stamp;	/* what is read besides the file itself */
	struct draft_block singles[DRAFT_SINGLES];
	struct draft_block *blocks, **blocks_end;
	struct draft_alias *aliases, **aliases_end;
	struct draft_block *block;	/* the section being read */
	unsigned last_line, faults;
	void (*notice)(void *context, const char *text);
	void (*each)(void *context, const struct fault *f);
	void *context;
	struct fault *fault;
};

/* The row of a key in the table of its section; -1: there is no such key. */
int draft_row(const struct draft_block *b, struct slice key);
/* The line of a key of a section, else of the section, else the last of the file. */
unsigned draft_line(const struct draft *d, const struct draft_block *b, const char *key);
/* Whether the file gives the key; an empty value counts. */
bool draft_has(const struct draft_block *b, const char *key);
/* The next section of a kind after `b` (NULL: the first); NULL at the end. */
struct draft_block *draft_next(const struct draft *d, struct draft_block *b, enum draft_kind kind);
bool draft_refuse(const struct draft *d, const struct draft_block *b, const char *key, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
void draft_notice(const struct draft *d, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Joins what was read into d->config. False with the fault set. */
bool draft_assemble(struct draft *d);
/* The password in a file of its own. False with FILE: what. */
bool draft_password(const char *path, char out[PASSWORD_MAX + 1], struct fault *why);
/* The password in the file that `key` names. False with the fault set. */
bool draft_read_password(struct draft *d, const struct draft_block *b, const char *key, const char *path,
			 char out[PASSWORD_MAX + 1]);
#if CONFIG_CREDENTIALS_SENDER
/* credentials_file of a relay, into its route. */
bool draft_read_logins(struct draft *d, struct draft_block *b);
#else
static inline bool draft_read_logins(struct draft *d, struct draft_block *b)
{
	(void)d, (void)b;
	return false;
}
#endif
/* Relays: routes with their passwords and TLS, return mail, loops. */
bool draft_assemble_relay(struct draft *d);
#if CONFIG_POP_BEFORE_SMTP
/* POP before SMTP of one relay: its login and TLS. After user, password and bind of the relay. */
bool draft_assemble_pop(struct draft *d, struct draft_block *b);
#else
static inline bool draft_assemble_pop(struct draft *d, struct draft_block *b)
{
	(void)d, (void)b;
	return true;
}
#endif
#if CONFIG_FORWARD || CONFIG_AGENTS
/* The way to the manager, or the agents of one. */
bool draft_assemble_boxes(struct draft *d);
#else
static inline bool draft_assemble_boxes(struct draft *d)
{
	(void)d;
	return true;
}
#endif
/* "AA:BB…" as openssl prints a fingerprint, in place. */
void draft_strip_colons(char *text);

#endif
