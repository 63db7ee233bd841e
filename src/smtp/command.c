#include "smtp/command.h"

#include "smtp/server.h"	/* enum smtp_phase */

/* Where a verb is legal: bits of enum smtp_phase. */
enum {
	READY		= 1 << PHASE_READY,
	TRANSACTION	= 1 << PHASE_MAIL | 1 << PHASE_RCPT,
	ALWAYS		= 1 << PHASE_START | READY | TRANSACTION,
	NEVER		= 0
};

static const struct verb_row rows[] = {
	[VERB_HELO]	= { SLICE("HELO"), VERB_HELO, ALWAYS, 0 },
	[VERB_EHLO]	= { SLICE("EHLO"), VERB_EHLO, ALWAYS, 0 },
	[VERB_MAIL]	= { SLICE("MAIL"), VERB_MAIL, READY, VERB_NEEDS_AUTH | VERB_TAKES_PATH },
	[VERB_RCPT]	= { SLICE("RCPT"), VERB_RCPT, TRANSACTION, VERB_TAKES_PATH },
	[VERB_DATA]	= { SLICE("DATA"), VERB_DATA, TRANSACTION, VERB_NO_ARGUMENT | VERB_ENDS_PIPELINE },
	[VERB_RSET]	= { SLICE("RSET"), VERB_RSET, ALWAYS, VERB_NO_ARGUMENT },
	[VERB_NOOP]	= { SLICE("NOOP"), VERB_NOOP, ALWAYS, 0 },
	[VERB_VRFY]	= { SLICE("VRFY"), VERB_VRFY, ALWAYS, 0 },
	[VERB_EXPN]	= { SLICE("EXPN"), VERB_EXPN, NEVER, 0 },
	[VERB_HELP]	= { SLICE("HELP"), VERB_HELP, ALWAYS, 0 },
	[VERB_QUIT]	= { SLICE("QUIT"), VERB_QUIT, ALWAYS, VERB_ENDS_SESSION },
	[VERB_STARTTLS]	= { SLICE("STARTTLS"), VERB_STARTTLS, READY, VERB_NO_ARGUMENT | VERB_ENDS_PIPELINE },
	[VERB_AUTH]	= { SLICE("AUTH"), VERB_AUTH, READY, VERB_IS_SECRET },
	[VERB_BDAT]	= { SLICE("BDAT"), VERB_BDAT, NEVER, VERB_ENDS_SESSION },
	[VERB_UNKNOWN]	= { SLICE(""), VERB_UNKNOWN, NEVER, 0 },
};

const struct verb_row *command_row(enum verb verb)
{
	return &rows[verb];
}

const struct verb_row *command_find(struct slice line, struct slice *argument)
{
	size_t end = 0;
	struct slice word;
	const struct verb_row *row = rows;

	while (end < line.len && !ascii_is_blank(line.at[end]))
		end++;
	word = slice_first(line, end);
	*argument = slice_trim(slice_skip(line, end));
	while (row->verb != VERB_UNKNOWN && !slice_equal_fold(word, row->name))
		row++;
	return row;
}

/* The keywords of MAIL, each at most once. */
enum { SEEN_SIZE = 1 << 0, SEEN_BODY = 1 << 1, SEEN_AUTH = 1 << 2 };

static enum reply take_size(struct slice value, struct mail_arguments *out)
{
	return slice_number(value, UINT64_MAX, &out->size) ? REPLY_NONE : REPLY_SYNTAX;
}

static enum reply take_body(struct slice value, struct mail_arguments *out)
{
	out->body_8bit = slice_equal_fold(value, SLICE_OF("8BITMIME"));
	if (out->body_8bit || slice_equal_fold(value, SLICE_OF("7BIT")))
		return REPLY_NONE;
	return REPLY_UNKNOWN_PARAMETER;
}

static bool is_upper_hex(char c)
{
	return ascii_is_digit(c) || (c >= 'A' && c <= 'F');
}

/* `+HH` at the start of s. */
static bool is_hexchar(struct slice s)
{
	return s.len >= 3 && is_upper_hex(s.at[1]) && is_upper_hex(s.at[2]);
}

/* RFC 3461 section 4: xtext. Only its form counts: it never says who a mail is from (R28). */
static enum reply take_auth(struct slice value, struct mail_arguments *out)
{
	(void)out;
	if (value.len == 0)
		return REPLY_SYNTAX;
	for (size_t i = 0; i < value.len; i++) {
		if (value.at[i] == '=')
			return REPLY_SYNTAX;
		if (value.at[i] != '+')
			continue;
		if (!is_hexchar(slice_skip(value, i)))
			return REPLY_SYNTAX;
		i += 2;
	}
	return REPLY_NONE;
}

static const struct parameter {
	struct slice keyword;
	unsigned seen;
	enum reply (*take)(struct slice value, struct mail_arguments *out);
} parameters[] = {
	{ SLICE("SIZE"), SEEN_SIZE, take_size },
	{ SLICE("BODY"), SEEN_BODY, take_body },
	{ SLICE("AUTH"), SEEN_AUTH, take_auth },
};

/* RFC 5321 4.1.2: esmtp-param; blanks have been cut away. */
static bool is_parameter(struct slice word)
{
	size_t end = slice_find(word, '=');

	if (end == 0 || word.at[0] == '-')
		return false;
	for (size_t i = 0; i < end; i++)
		if (!ascii_is_alnum(word.at[i]) && word.at[i] != '-')
			return false;
	for (size_t i = end; i < word.len; i++)
		if (!ascii_is_print(word.at[i]))
			return false;
	return true;
}

static enum reply take_parameter(struct slice word, unsigned *seen, struct mail_arguments *out)
{
	struct slice keyword = { NULL, 0 };

	if (!is_parameter(word))
		return REPLY_SYNTAX;
	slice_cut(&word, '=', &keyword);
	for (size_t i = 0; i < sizeof parameters / sizeof parameters[0]; i++) {
		if (!slice_equal_fold(keyword, parameters[i].keyword))
			continue;
		if (*seen & parameters[i].seen)
			return REPLY_SYNTAX;
		*seen |= parameters[i].seen;
		return parameters[i].take(word, out);
	}
	return REPLY_UNKNOWN_PARAMETER;
}

static enum reply take_parameters(struct slice text, struct mail_arguments *out)
{
	unsigned seen = 0;
	struct slice word;
	enum reply refusal = REPLY_NONE;

	while (refusal == REPLY_NONE && slice_word(&text, &word))
		refusal = take_parameter(word, &seen, out);
	return refusal;
}

/* What address_parse_path says, in the words of MAIL and of RCPT. */
static const enum reply sender_refusals[] = {
	[ADDRESS_OK]		= REPLY_NONE,
	[ADDRESS_SYNTAX]	= REPLY_SENDER_SYNTAX,
	[ADDRESS_TOO_LONG]	= REPLY_SENDER_SYNTAX,
	[ADDRESS_NON_ASCII]	= REPLY_SENDER_NON_ASCII,
	[ADDRESS_ROUTE]		= REPLY_SENDER_ROUTE,
};

static const enum reply recipient_refusals[] = {
	[ADDRESS_OK]		= REPLY_NONE,
	[ADDRESS_SYNTAX]	= REPLY_RECIPIENT_SYNTAX,
	[ADDRESS_TOO_LONG]	= REPLY_RECIPIENT_SYNTAX,
	[ADDRESS_NON_ASCII]	= REPLY_RECIPIENT_NON_ASCII,
	[ADDRESS_ROUTE]		= REPLY_RECIPIENT_ROUTE,
};

/* `KEYWORD<path>`, then the end or a blank and *parameters. */
static enum reply take_path(struct slice argument, struct slice keyword, const enum reply *refusals,
			    struct address *path, struct slice *parameters_at)
{
	enum address_error error;

	if (!slice_starts_fold(argument, keyword))
		return REPLY_SYNTAX;
	error = address_parse_path(slice_skip(argument, keyword.len), path, parameters_at);
	if (error != ADDRESS_OK)
		return refusals[error];
	if (parameters_at->len && !ascii_is_blank(parameters_at->at[0]))
		return refusals[ADDRESS_SYNTAX];
	*parameters_at = slice_trim(*parameters_at);
	return REPLY_NONE;
}

enum reply command_mail(struct slice argument, bool extended, struct mail_arguments *out)
{
	struct slice rest = { NULL, 0 };
	enum reply refusal;

	*out = (struct mail_arguments){ .size = 0 };
	refusal = take_path(argument, SLICE_OF("FROM:"), sender_refusals, &out->sender, &rest);
	if (refusal != REPLY_NONE)
		return refusal;
	if (rest.len && !extended)
		return REPLY_UNKNOWN_PARAMETER;
	return take_parameters(rest, out);
}

/* RFC 5321 4.5.1: the one recipient that needs no domain. */
static bool is_postmaster(const struct address *a)
{
	return slice_equal_fold(address_text(a), SLICE_OF("postmaster"));
}

enum reply command_rcpt(struct slice argument, struct address *out)
{
	struct slice rest = { NULL, 0 };
	enum reply refusal = take_path(argument, SLICE_OF("TO:"), recipient_refusals, out, &rest);

	if (refusal != REPLY_NONE)
		return refusal;
	if (address_is_null(out) || (!out->well_formed && !is_postmaster(out)))
		return REPLY_RECIPIENT_SYNTAX;
	return rest.len ? REPLY_UNKNOWN_PARAMETER : REPLY_NONE;
}
