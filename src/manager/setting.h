/*
 * One setting of the configuration as a row of a table, and the one function that checks a value's text against its row and
 * stores it. Values are stored by offset into the memory of their section.
 */
#ifndef MANAGER_SETTING_H
#define MANAGER_SETTING_H

#include <sys/socket.h>

#include "base/fault.h"
#include "base/slice.h"

enum setting_kind {
	KIND_TEXT,		/* char[size] */
	KIND_LIST,		/* comma-separated: char[max][size], and how many in the unsigned at count_at */
	KIND_WORD,		/* one of `words`: an integer of `size` octets */
	KIND_NAME,		/* by `lookup`: likewise */
	KIND_NUMBER,		/* decimal, min to max: likewise */
	KIND_SIZE,		/* octets, with K, M or G: likewise */
	KIND_TIME,		/* with s, m, h or d; stored, as min and max, in ms: likewise */
	KIND_TIMES,		/* comma-separated: int64_t[count_max], and how many at count_at */
	KIND_NETWORKS,		/* struct network_list; min 1: `none` is refused */
	KIND_ENDPOINTS,		/* ADDRESS:PORT, comma-separated: struct setting_endpoint[count_max] */
};

enum setting_flag {		/* bits */
	SETTING_REQUIRED = 1 << 0,
	SETTING_SECRET = 1 << 1,	/* the value is never shown */
	SETTING_LEFT_OUT = 1 << 2,	/* of a feature that Kconfig has left out: refused, never ignored */
};
#define SETTING_OF(feature)	((feature) ? 0 : SETTING_LEFT_OUT)	/* a row's flag, by its feature's CONFIG_ */

struct setting_word {		/* the last of an array has text NULL */
	const char *text;
	uint8_t value;
	bool missing;		/* not in this program: refused, never ignored */
};

struct setting_endpoint {
	struct sockaddr_storage address;
	socklen_t len;
};

struct setting_row {		/* the last of an array has key NULL */
	const char *key;
	const char *fallback;	/* the default as it would be written; "": none, and an empty value says so; NULL: none */
	uint8_t kind;		/* enum setting_kind */
	uint8_t flags;		/* enum setting_flag */
	uint16_t size;		/* of the field, or one element of it */
	uint32_t at, count_at;	/* offsets of the field, and of how many elements it has */
	uint16_t count_max;
	union {			/* what the value is held against, by its kind; all zero: by nothing */
		struct {
			uint64_t min, max;	/* of NUMBER, SIZE, TIME, TIMES; of NETWORKS min */
		};
		/* Of TEXT and of each element of LIST: NULL when it is fine, else what is wrong with it. May be NULL. */
		const char *(*check)(struct slice text);
		const struct setting_word *words;	/* of WORD */
		struct {
			int (*lookup)(struct slice text);	/* of NAME; -1: unknown */
			const char *hint;		/* what is said then */
		};
	};
};

/* Checks and stores. False with FILE:LINE: key = value: what. */
bool setting_put(const struct setting_row *row, void *memory, struct slice value, const char *path, unsigned line,
		 struct fault *f);
/* A time as the file would say it, in the largest unit that leaves no rest: "90s", "2h". `size` of 24 is enough. */
void setting_time(int64_t ms, char *out, size_t size);
/* Puts all defaults of a table. */
bool setting_defaults(const struct setting_row *rows, void *memory, struct fault *f);

#endif
