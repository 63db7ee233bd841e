#include "mail/display.h"

#include <string.h>

#include "mail/word.h"

/* `word.word`, the last of letters only: a name with an `@` is no address yet. */
static bool is_dotted(struct slice domain)
{
	size_t i = domain.len;

	while (i > 0 && ascii_is_alpha(domain.at[i - 1]))
		i--;
	return domain.len - i >= 2 && i >= 2 && domain.at[i - 1] == '.' &&
	       address_is_domain(domain);
}

/* What looks like an address around the `@` at `at`; false when nothing does. */
static bool address_around(struct slice s, size_t at, struct slice *found)
{
	size_t start = at, end = at + 1;

	while (start > 0 && (address_is_atext(s.at[start - 1]) || s.at[start - 1] == '.'))
		start--;
	while (end < s.len && (ascii_is_alnum(s.at[end]) || s.at[end] == '-' || s.at[end] == '.'))
		end++;
	while (end > at + 1 && !ascii_is_alnum(s.at[end - 1]))
		end--;
	*found = slice_bytes(s.at + start, end - start);
	/* A local part that is quoted, or not of ASCII, counts, and is never equal to another. */
	return (start < at || (start > 0 && (s.at[start - 1] == '"' || (unsigned char)s.at[start - 1] >= 0x80))) &&
	       is_dotted(slice_bytes(s.at + at + 1, end - at - 1));
}

/*
 * Whether it stands as a mailbox stands in a list. Japanese by chance holds octets like `x@y.zz`,
 * but hardly between these; behind an escape the local part would begin with the escape's own
 * letters, as nobody's does.
 */
static bool stands_alone(struct slice s, struct slice found)
{
	size_t start = (size_t)(found.at - s.at), end = start + found.len;
	char before = start > 0 ? s.at[start - 1] : ',', after = end < s.len ? s.at[end] : ',';

	return memchr(" <>,;:\"()[]\\@", before, 13) != NULL &&
	       (ascii_is_control(after) || memchr(" >,;\"()", after, 7) != NULL);
}

/*
 * Whether s names an address besides the one at [start, end) whose key is own; alone: one that
 * stands_alone.
 */
static bool names_another(struct slice s, const struct display *d, size_t start, size_t end, bool alone)
{
	struct address_key first = d->own, key;
	struct slice found;

	for (size_t i = 0; i < s.len; i++) {
		if (s.at[i] != '@' || (i >= start && i < end))
			continue;
		if (!address_around(s, i, &found) || (alone && !stands_alone(s, found)))
			continue;
		if (!address_key_of(found, &key))
			return true;
		if (first.len > 0 && !address_key_equal(&key, &first))
			return true;
		first = key;
	}
	return false;
}

static size_t drop_backslashes(struct slice s, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < s.len; i++) {
		if (s.at[i] != '\\')
			out[n++] = s.at[i];
	}
	return n;
}

/* What parts names from addresses, and mailboxes from each other. */
static size_t count_marks(struct slice s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.len; i++)
		n += memchr("<>\",;:()", s.at[i], 8) != NULL;
	return n;
}

/* Likewise, in what quoted-pairs hide: `"user2\@a.example"`; text is without the mailbox. */
static bool escaped_names_another(const struct display *d, struct slice text)
{
	char seen[FIELD_KEEP_MAX];
	size_t n = drop_backslashes(text, seen);

	return n < text.len && names_another(slice_bytes(seen, n), d, 0, 0, false);
}

/*
 * Likewise, in what encoded-words hide. *marked: so that it isn't one name any more to readers that
 * decode first (s-nail's list of messages takes the first `<` for that of the address).
 */
static bool encoded_names_another(const struct display *d, struct slice text, bool *marked)
{
	char seen[FIELD_KEEP_MAX];
	struct slice decoded;

	if (memmem(text.at, text.len, "=?", 2) == NULL)
		return false;
	decoded = slice_bytes(seen, word_decode(text, seen, sizeof(seen)));
	*marked = count_marks(decoded) > count_marks(text);
	return names_another(decoded, d, 0, 0, false);
}

bool display_names_another(const struct display *d, bool *misleads)
{
	char text[FIELD_KEEP_MAX] = "";
	bool marked = false, encoded, shown;
	struct slice around;

	shown = names_another(d->plain, d, d->start, d->end, false) ||
		(d->escapes && names_another(d->body, d, d->start, d->end, true));
	*misleads = false;
	if (d->plain.len == 0 || d->plain.len > sizeof(text))
		return shown;
	memcpy(text, d->plain.at, d->plain.len);
	memset(text + d->start, ' ', d->end - d->start);
	around = slice_bytes(text, d->plain.len);
	encoded = encoded_names_another(d, around, &marked);
	*misleads = encoded && marked;
	return shown || encoded || escaped_names_another(d, around);
}
