#include "relay/advice.h"

#include <stdio.h>

static bool contains(struct slice text, const char *word)
{
	struct slice w = slice_of(word);

	for (size_t i = 0; i + w.len <= text.len; i++)
		if (slice_starts_fold(slice_skip(text, i), w))
			return true;
	return false;
}

/* Specific first; code 0: any. What the largest providers say, in their own words. */
static const struct login_row {
	unsigned code;
	const char *word;
	const char *advice;
} login_rows[] = {
	{ 0, "SmtpClientAuthentication is disabled",
	  "Microsoft 365: SMTP AUTH is switched off for this mailbox or tenant; its administrator has to allow it "
	  "(Set-CASMailbox -SmtpClientAuthenticationDisabled $false), and then auth = xoauth2 with token_command" },
	{ 0, "5.7.139",
	  "Microsoft 365 has basic authentication (user and password) switched off: use auth = xoauth2 with token_command" },
	{ 0, "basic authentication is disabled",
	  "basic authentication (user and password) is switched off there: use auth = xoauth2 with token_command" },
	{ 0, "5.7.9",
	  "Google wants an app password here: make one in the account's security settings and put it into password_file" },
	{ 0, "application-specific password",
	  "an app password is wanted: make one in the account's security settings and put it into password_file" },
	{ 0, "5.7.14",
	  "Google wants a person to log in by a browser first, or an app password in password_file, or auth = xoauth2 with "
	  "token_command" },
	{ 530, "STARTTLS", "the server wants TLS before the login: tls = starttls" },
	{ 538, "", "the server wants TLS before this login: tls = starttls" },
	{ 534, "", "the server finds this mechanism too weak, or wants another kind of password: set auth, or ask the provider" },
	{ 504, "", "the server doesn't know this mechanism: set auth to one that it offers" },
	{ 0, "no AUTH mechanism is offered",
	  "see what ehlo offers: auth = must allow one of these; some servers offer a login only in TLS (tls = starttls), or on port "
	  "587 only" },
	{ 0, "did not prove", "this may not be the server that it seems to be: ask the provider before anything else" },
};

const char *advice_login(unsigned code, struct slice words, bool token)
{
	for (size_t i = 0; i < sizeof(login_rows) / sizeof(login_rows[0]); i++)
		if ((!login_rows[i].code || login_rows[i].code == code) && contains(words, login_rows[i].word))
			return login_rows[i].advice;
	if (code / 100 == 4)
		return "the server can't check logins now: try again later";
	if (token)
		return "the token is refused: does token_command make one for this user, with the right to send by SMTP?";
	return "user or password is wrong at the provider: look at user and password_file";
}

const char *advice_connect(struct slice error, uint16_t port)
{
	if (contains(error, "no such host"))
		return "is host written rightly? The name server knows no such name";
	if (contains(error, "name lookup"))
		return "the name server can't be reached or fails: look at /etc/resolv.conf, or write the numeric address";
	if (contains(error, "address to leave from"))
		return "bind (or where the POP login came from) must be an address of this machine, of the family that the host has";
	if (port == 25)
		return "port 25 is blocked by many access providers: use port = 587 with a login, if the provider has it";
	return "is port right (587; 465 with tls = implicit), and does a firewall let it through?";
}

/* "a.example, b.example": the first. */
static struct slice first_name(const struct tls_shown *s)
{
	struct slice names = slice_of(s->names);

	return slice_first(names, slice_find(names, ','));
}

const char *advice_tls(const struct tls_shown *s, const char *prefix, char *out, size_t size)
{
	bool pop = prefix[0];

	if (s->wrong & TLS_NOT_TLS)
		return pop ? "no TLS comes at once here: pop_tls = starttls, or pop_port = 995" :
		       "no TLS comes at once here: tls = starttls (port 587), or port = 465";
	if (s->wrong & (TLS_WRONG_CA | TLS_WRONG_PIN))
		snprintf(out, size, "tls_ca = the file of its CA; or, when the owner of the server confirms the number, %stls_pin = %s",
			 pop ? "pop_" : "", s->sha256);
	else if (s->wrong & TLS_WRONG_NAME)
		snprintf(out, size, "if the server is the one that is meant: %stls_name = %.*s", prefix, SLICE_ARGS(first_name(s)));
	else if (s->wrong & TLS_WRONG_EXPIRED)
		return "the provider has to renew it; look at this machine's clock first";
	else if (s->wrong & TLS_WRONG_FUTURE)
		return "set this machine's clock";
	else
		return "";
	return out;
}

const char *advice_silence(enum tls_use tls)
{
	if (tls == TLS_USE_IMPLICIT)
		return "";
	return "a server that expects TLS at once says nothing: its port (465, 995) wants tls = implicit; else a firewall may be in "
	       "between";
}
