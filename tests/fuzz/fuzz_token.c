/*
 * What a token command says. A token that is taken can be sent in one line, stands in what was said (but for escapes), and
 * what is refused leaves nothing of it behind. The same octets as a command's line are words, or are not.
 */
#include <stdlib.h>
#include <string.h>

#include "net/program.h"
#include "relay/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* Memory of its own, so that a look behind the end is noticed. */
	char *copy = calloc(1, size + !size), out[TOKEN_MAX + 1];
	struct slice said = slice_bytes(copy, size);
	uint64_t life = 0;

	require(copy != NULL);
	memcpy(copy, data, size);
	memset(out, 'x', sizeof(out));
	if (token_read(said, out, &life)) {
		size_t len = strnlen(out, sizeof(out));

		require(len > 0 && len <= TOKEN_MAX && len <= size);
		for (size_t i = 0; i < len; i++)
			require(ascii_is_print(out[i]) && out[i] != ' ');
		require(memchr(copy, '\\', size) || memmem(copy, size, out, len));
	} else {
		for (size_t i = 0; i < sizeof(out); i++)
			require(out[i] == '\0');
	}
	program_check(said);
	free(copy);
	return 0;
}
