/* What the tests of the audit file's readers share: a directory of their own, and lines as the gate writes them. */
#ifndef TESTS_AUDIT_FIXTURE_H
#define TESTS_AUDIT_FIXTURE_H

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "manager/chain.h"
#include "manager/rotation.h"

#define AUDIT_WALL	INT64_C(1795309200)	/* 2026-11-22T01:00:00Z, of the line with number 0 */

static char audit_directory[] = "/tmp/test-audit-XXXXXX";
static struct chain audit_chain;
static struct chain_key audit_key;

static inline int enter_audit(void **state)
{
	(void)state;
	if (!mkdtemp(audit_directory) || chdir(audit_directory) < 0)
		return -1;
	return chain_key_of(NULL, 0, &audit_key) ? 0 : -1;
}

static inline void drop_files(void)
{
	char name[PATH_MAX];

	for (unsigned n = 0; n <= 5; n++)
		if (rotation_name("audit", n, name))
			unlink(name);
}

static inline int leave_audit(void **state)
{
	(void)state;
	drop_files();
	return chdir("/") < 0 || rmdir(audit_directory) < 0;
}

/* Between tests: no file, and the numbers begin anew. */
static inline int begin_audit(void **state)
{
	(void)state;
	drop_files();
	chain_begin(&audit_chain);
	return 0;
}

/* The next line, with its LF; a second a line. */
static inline struct slice audit_line(struct slice record)
{
	static char memory[CHAIN_LINE_MAX + 1];
	struct buffer out;

	buffer_init(&out, memory, sizeof(memory));
	assert_true(chain_put(&audit_chain, &audit_key, AUDIT_WALL + (int64_t)audit_chain.number + 1, 0, record, &out));
	return buffer_bytes(&out);
}

static inline void add_octets(const char *path, struct slice octets)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, octets.at, octets.len), octets.len);
	close(fd);
}

static inline void add_line(const char *path, struct slice record)
{
	add_octets(path, audit_line(record));
}

/* As many octets of one kind, which are no line of ours. */
static inline void add_many(const char *path, char octet, size_t count)
{
	char *octets = malloc(count);

	assert_non_null(octets);
	memset(octets, octet, count);
	add_octets(path, slice_bytes(octets, count));
	free(octets);
}

#endif
