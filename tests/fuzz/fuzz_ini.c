/*
 * The configuration. The guard and inih: of a file that is taken, every line that is neither blank nor a comment is told of
 * exactly once, in order, with text that stands in it. Then the same text goes through the tables of settings.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "manager/config.h"
#include "manager/ini.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct heard {
	struct slice text;
	unsigned line, count;	/* of what was told last; how much was told */
};

static void require(bool holds)
{
	if (!holds)
		abort();
}

static struct slice line_at(struct slice text, unsigned number)
{
	struct slice line = { "", 0 };

	while (number-- > 0)
		require(slice_cut(&text, '\n', &line));
	return line;
}

static bool holds(struct slice line, struct slice part)
{
	return part.len == 0 || memmem(line.at, line.len, part.at, part.len);
}

static bool hear(void *context, const char *section, const char *key, struct slice value, unsigned line,
		 struct fault *f)
{
	struct heard *h = context;
	struct slice text = line_at(h->text, line);

	require(!fault_is(f));
	require(line > h->line && section[0] && strlen(section) <= INI_SECTION_MAX);
	require(key ? key[0] && holds(text, slice_of(key)) && holds(text, value) : holds(text, slice_of(section)));
	require(slice_trim(value).len == value.len && slice_find(value, '\0') == value.len);
	h->line = line;
	h->count++;
	return true;
}

static unsigned count_lines(struct slice text)
{
	struct slice line;
	unsigned count = 0;

	while (slice_cut(&text, '\n', &line)) {
		line = slice_trim(line);
		count += line.len > 0 && line.at[0] != ';' && line.at[0] != '#';
	}
	return count;
}

static void try_reader(struct slice text)
{
	struct heard h = { .text = text };
	struct fault f = { .text = "" };

	if (ini_read_text(text, "f.ini", hear, &h, &f))
		require(h.count == count_lines(text) && !fault_is(&f));
	else
		require(strncmp(f.text, "f.ini:", 6) == 0 && f.status == STATUS_CONFIG);
}

static void try_settings(struct slice text)
{
	static int fd = -1;
	static char path[32];
	struct fault f = { .text = "" };
	struct config *c;

	if (fd < 0) {
		fd = memfd_create("ini", MFD_CLOEXEC);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	}
	require(fd >= 0 && ftruncate(fd, 0) == 0 && pwrite(fd, text.at, text.len, 0) == (ssize_t)text.len);
	c = config_read_domains(path, &f);
	require((c == NULL) == fault_is(&f));
	require(c || f.status == STATUS_CONFIG);
	config_free(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = slice_bytes(size ? (const char *)data : "", size);

	try_reader(text);
	try_settings(text);
	return 0;
}
