/* Passwords for next hops in files of their own. */
#include <errno.h>
#include <string.h>

#include "manager/draft.h"
#include "manager/text.h"

#define PASSWORD_FILE_MAX	(PASSWORD_MAX + 2)	/* octets: the password and a line end */

/* One line; its end may be missing. */
static bool take_password(struct slice text, char out[PASSWORD_MAX + 1])
{
	if (text.len > 0 && text.at[text.len - 1] == '\n')
		text.len--;
	for (size_t i = 0; i < text.len; i++)
		if (ascii_is_control(text.at[i]))
			return false;
	return text.len > 0 && slice_copy(text, out, PASSWORD_MAX + 1);
}

bool draft_password(const char *path, char out[PASSWORD_MAX + 1], struct fault *why)
{
	struct slice text;
	int others = 0;
	int result = text_read(path, PASSWORD_FILE_MAX, &text, &others);
	bool good;

	if (result == -EINVAL || result == -EFBIG)
		return fault_set(why, STATUS_CONFIG, "%s: must be a file of one line, at most %d octets", path, PASSWORD_MAX);
	if (result < 0)
		return fault_set(why, STATUS_CONFIG, "%s: %s", path, strerror(-result));
	good = take_password(text, out);
	text_free(text);
	if (!good)
		return fault_set(why, STATUS_CONFIG,
				 "%s: must hold one line of 1 to %d octets, without CR or other control characters", path,
				 PASSWORD_MAX);
	if (others > 0)
		return fault_set(why, STATUS_CONFIG, "%s is open to others: chmod 640 %s", path, path);
	return true;
}

bool draft_read_password(struct draft *d, const struct draft_block *b, const char *key, const char *path,
			 char out[PASSWORD_MAX + 1])
{
	struct fault why = { .text = "" };

	return draft_password(path, out, &why) || draft_refuse(d, b, key, "%s", why.text);
}
