/*
 * Stands in for inih on targets that Debian has neither a package nor a source archive for (big-endian 32-bit MIPS, musl): the one
 * function that the program uses, with inih's own bounds of line and section. For tests of everything else there; never in a product.
 */
#include <ini.h>
#include <string.h>

#define LINE_SIZE	200
#define SECTION_SIZE	50

static int is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static char *trim(char *text)
{
	char *end;

	while (is_blank(*text))
		text++;
	end = text + strlen(text);
	while (end > text && is_blank(end[-1]))
		*--end = '\0';
	return text;
}

static void cut_comment(char *text)
{
	for (char *at = text; *at; at++)
		if (*at == ';' && (at == text || is_blank(at[-1])))
			*at = '\0';
}

/* 0, or -1: a line that is none. */
static int take(char *line, char section[SECTION_SIZE], ini_handler handler, void *user)
{
	char *text = trim(line), *end, *value;

	if (*text == '\0' || *text == ';' || *text == '#')
		return 0;
	if (*text == '[') {
		end = strchr(text, ']');
		if (!end)
			return -1;
		*end = '\0';
		section[0] = '\0';
		strncat(section, text + 1, SECTION_SIZE - 1);
		return 0;
	}
	value = text + strcspn(text, "=:");
	if (*value == '\0')
		return -1;
	*value++ = '\0';
	cut_comment(value);
	return handler(user, section, trim(text), trim(value)) ? 0 : -1;
}

int ini_parse_stream(ini_reader reader, void *stream, ini_handler handler, void *user)
{
	char line[LINE_SIZE], section[SECTION_SIZE] = "";
	int number = 0, error = 0;

	while (reader(line, LINE_SIZE, stream)) {
		number++;
		if (take(line, section, handler, user) < 0 && error == 0)
			error = number;
	}
	return error;
}
