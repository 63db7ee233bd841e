/*
 * Dialogues in files, for the runners of this folder. A file holds cases; a case holds steps, one a line:
 *
 *	= NAME			a case begins; its settings start from the runner's defaults
 *	# text			a comment
 *	C: text			the client sends text and CRLF
 *	C- text			the client sends text alone
 *	S: text			the server sends text and CRLF
 *	S- text			the server sends text alone
 *	S~ pattern		likewise, `*` stands for any characters
 *	E: pattern		an event of the session
 *	closed			the session has asked to be closed
 *	sync			what stands behind is sent only when all before has been answered
 *	anything else		words for the runner (settings)
 *
 * `C*N: text` and `S*N: text` are N times the line. In C and S lines \r \n \t \0 \\ \xHH stand for one octet and
 * \{N}c for N times the character c.
 */
#ifndef DIALOG_SCRIPT_H
#define DIALOG_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"

/* Text that grows; the tests' own, the program has no such thing. */
struct text {
	char *at;
	size_t len, size;
};

void text_add(struct text *t, struct slice bytes);
void text_free(struct text *t);
static inline struct slice text_bytes(const struct text *t)
{
	return slice_bytes(t->at, t->len);
}

enum script_kind {
	SCRIPT_CLIENT, SCRIPT_SERVER,	/* octets as sent, CRLF included where the line says so */
	SCRIPT_PATTERN,			/* of the server, without CRLF */
	SCRIPT_EVENT, SCRIPT_CLOSED, SCRIPT_SYNC, SCRIPT_WORDS
};

struct script_step {
	enum script_kind kind;
	unsigned line;			/* of the file */
	struct text text;
};

struct script_case {
	char *name;
	unsigned line;
	struct script_step *steps;
	size_t count;
};

struct script {
	const char *file;
	struct script_case *cases;
	size_t count;
};

/* False with a message on standard error. */
bool script_read(struct script *s, const char *file);
void script_free(struct script *s);

/* A runner's main: runs each case of the files, and counts; `run` says why where it is false. */
int script_main(int argc, char **argv, bool (*run)(const struct script *s, const struct script_case *c));

/* `*` in the pattern stands for any octets. */
bool script_match(struct slice pattern, struct slice text);

/*
 * From one place of a pair of cuts to the next: 1, every pair; more by DIALOG_STRIDE, where an emulated processor would take all day. Cuts at
 * every single octet are made in any case.
 */
size_t script_stride(void);

#endif
