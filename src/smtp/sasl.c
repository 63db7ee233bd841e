#include "smtp/sasl.h"

#define CRAM_DIGITS	32	/* an MD5 digest in hexadecimal */

/* In the order EHLO names them: clients that take the first offered need no hash. */
static const struct {
	enum smtp_mechanism mechanism;
	const char *name;
} names[] = {
	{ SASL_PLAIN, "PLAIN" }, { SASL_LOGIN, "LOGIN" }, { SASL_CRAM_MD5, "CRAM-MD5" },
	{ SASL_SCRAM_SHA_256, "SCRAM-SHA-256" }, { SASL_XOAUTH2, "XOAUTH2" },
};

#define NAMES	(sizeof names / sizeof names[0])

const char *smtp_mechanism_name(enum smtp_mechanism m)
{
	for (size_t i = 0; i < NAMES; i++)
		if (names[i].mechanism == m)
			return names[i].name;
	return "";
}

unsigned sasl_find(struct slice name)
{
	for (size_t i = 0; i < NAMES; i++)
		if (slice_equal_fold(name, slice_of(names[i].name)))
			return names[i].mechanism;
	return 0;
}

bool sasl_put_names(struct buffer *out, unsigned mechanisms)
{
	bool put = true;

	for (size_t i = 0; i < NAMES; i++)
		if (mechanisms & names[i].mechanism)
			put = buffer_putf(out, " %s", names[i].name) && put;
	return put;
}

static bool is_word(struct slice s, size_t max)
{
	return s.len > 0 && s.len <= max && slice_find(s, '\0') == s.len;
}

bool sasl_is_identity(struct slice user)
{
	return is_word(user, LOGIN_MAX);
}

bool sasl_login(struct slice user, struct slice password, struct smtp_login *login)
{
	login->mechanism = SASL_LOGIN;
	login->authcid = user;
	login->password = password;
	return sasl_is_identity(user) && is_word(password, PASSWORD_MAX);
}

/* [authzid] NUL authcid NUL passwd; a third NUL would be in the password, where none is allowed. */
bool sasl_plain(struct slice message, struct smtp_login *login)
{
	struct slice rest = message;

	login->mechanism = SASL_PLAIN;
	if (!slice_cut(&rest, '\0', &login->authzid))
		return false;
	if (!slice_cut(&rest, '\0', &login->authcid) || !rest.at)
		return false;
	login->password = rest;
	return login->authzid.len <= LOGIN_MAX && sasl_is_identity(login->authcid) &&
		is_word(login->password, PASSWORD_MAX);
}

static bool is_lower_hex(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!ascii_is_digit(s.at[i]) && !(s.at[i] >= 'a' && s.at[i] <= 'f'))
			return false;
	return true;
}

/* user SP digest; the user may hold blanks, the digest has its fixed length. */
bool sasl_cram_md5(struct slice message, struct smtp_login *login)
{
	size_t user_len = message.len - CRAM_DIGITS - 1;

	login->mechanism = SASL_CRAM_MD5;
	if (message.len < CRAM_DIGITS + 2 || message.at[user_len] != ' ')
		return false;
	login->authcid = slice_first(message, user_len);
	login->response = slice_skip(message, user_len + 1);
	return sasl_is_identity(login->authcid) && is_lower_hex(login->response);
}
