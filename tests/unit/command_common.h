/* What the tests of commands share: one is run with its standard input and output in files. */
#ifndef TESTS_COMMAND_COMMON_H
#define TESTS_COMMAND_COMMON_H

#include "manager/commands.h"
#include "manager_common.h"

#define ARGUMENTS_MAX 6

typedef int command(const char *path, int argc, char **argv);

static char said[8192], complained[4096];

static inline void read_back(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, text, size - 1);

	close(fd);
	assert_true(n >= 0);
	text[n] = '\0';
}

static inline int put_in_place(const char *path, int flags, int place)
{
	int kept = dup(place);
	int fd = open(path, flags | O_CLOEXEC, 0600);

	assert_true(kept >= 0 && fd >= 0 && dup2(fd, place) == place);
	close(fd);
	return kept;
}

/* Runs it with `in` as standard input; `said` and `complained` are what it wrote. */
static inline int run_words(command *run, int argc, char **argv, struct slice in)
{
	int kept[3], status;

	fflush(stdout);
	fflush(stderr);
	assert_int_equal(write_text("in", in, 0600), 0);
	kept[0] = put_in_place("in", O_RDONLY, 0);
	kept[1] = put_in_place("out", O_WRONLY | O_CREAT | O_TRUNC, 1);
	kept[2] = put_in_place("err", O_WRONLY | O_CREAT | O_TRUNC, 2);
	status = run("s.ini", argc, argv);
	fflush(stdout);
	fflush(stderr);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(dup2(kept[i], i), i);
		close(kept[i]);
	}
	read_back("out", said, sizeof(said));
	read_back("err", complained, sizeof(complained));
	return status;
}

static inline int run(command *c, const char *line, struct slice in)
{
	char words[256], *argv[ARGUMENTS_MAX + 1] = { NULL };
	struct slice rest = slice_of(line), word;
	size_t used = 0;
	int argc = 0;

	while (argc < ARGUMENTS_MAX && slice_word(&rest, &word)) {
		argv[argc++] = words + used;
		assert_true(slice_copy(word, words + used, sizeof(words) - used));
		used += word.len + 1;
	}
	return run_words(c, argc, argv, in);
}

static inline void restore(void)
{
	assert_int_equal(write_accounts(), 0);
	assert_int_equal(write_config("s.ini", 0, NULL), 0);
}

#endif
