#include "smtp/reply.h"

#include "base/limits.h"

struct row {
	uint16_t code;
	const char *enhanced;	/* NULL: RFC 2034 knows none for the greeting, HELO and 3yz */
	const char *text;
};

static const struct row rows[REPLY_COUNT] = {
	[REPLY_GREETING] = { 220, NULL, "% ESMTP Sekimori" },
	[REPLY_HELO] = { 250, NULL, "%" },
	[REPLY_BYE] = { 221, "2.0.0", "% closing connection." },
	[REPLY_OK] = { 250, "2.0.0", "OK" },
	[REPLY_VRFY] = {
		252, "2.5.2", "Cannot verify, but will accept mail and try to deliver it"
	},
	[REPLY_HELP] = { 214, "2.0.0", "Commands: %" },
	[REPLY_TLS_READY] = { 220, "2.0.0", "Ready to start TLS" },
	[REPLY_TLS_UNAVAILABLE] = { 454, "4.7.0", "TLS not available now" },
	[REPLY_SHUTDOWN] = { 421, "4.3.2", "% shutting down" },
	[REPLY_TOO_BUSY] = { 421, "4.3.2", "% too busy, try again later" },
	[REPLY_TOO_MANY_FROM_CLIENT] = { 421, "4.7.0", "Too many connections from your address" },
	[REPLY_TIMEOUT] = { 421, "4.4.2", "Timeout, closing connection" },
	[REPLY_TOO_SLOW] = { 421, "4.4.2", "Data rate too low, closing connection" },
	[REPLY_TOO_MANY_ERRORS] = { 421, "4.7.0", "Too many errors, closing connection" },

	[REPLY_UNKNOWN_COMMAND] = { 500, "5.5.2", "Command not recognized" },
	[REPLY_LINE_TOO_LONG] = { 500, "5.5.6", "Line too long" },
	[REPLY_BAD_LINE_END] = {
		500, "5.5.2", "Lines must end in CRLF, and hold no CR, LF or NUL"
	},
	[REPLY_SYNTAX] = { 501, "5.5.4", "Syntax error in arguments" },
	[REPLY_NOT_IMPLEMENTED] = { 502, "5.5.1", "Command not implemented" },
	[REPLY_BAD_SEQUENCE] = { 503, "5.5.1", "Bad sequence of commands" },
	[REPLY_UNKNOWN_PARAMETER] = { 555, "5.5.4", "Parameter not recognized" },

	[REPLY_AUTH_OK] = { 235, "2.7.0", "Authentication successful." },
	[REPLY_AUTH_CHALLENGE] = { 334, NULL, "%" },
	[REPLY_AUTH_FAILED] = { 535, "5.7.8", "Authentication failed" },
	[REPLY_AUTH_TEMPORARY] = { 454, "4.7.0", "Temporary authentication failure" },
	[REPLY_AUTH_CANCELLED] = { 501, "5.7.0", "Authentication cancelled" },
	[REPLY_AUTH_BASE64] = { 501, "5.5.2", "Cannot decode response" },
	[REPLY_AUTH_MECHANISM] = { 504, "5.5.4", "Authentication mechanism not available" },
	[REPLY_AUTH_ALREADY] = { 503, "5.5.1", "Already authenticated" },
	[REPLY_AUTH_NEEDS_TLS] = {
		538, "5.7.11", "Encryption required for this authentication mechanism"
	},
	[REPLY_AUTH_TOO_MANY] = { 421, "4.7.0", "Too many failed logins, closing connection" },
	[REPLY_AUTH_REQUIRED] = { 530, "5.7.0", "Authentication required" },

	[REPLY_SENDER_OK] = { 250, "2.1.0", "<%>... Sender ok." },
	[REPLY_SENDER_SYNTAX] = { 501, "5.1.7", "Syntax error in sender address" },
	[REPLY_SENDER_REFUSED] = { 550, "5.7.1", "Please mail to a valid e-mail address." },
	[REPLY_SENDER_NON_ASCII] = { 553, "5.6.7", "Sender address must be ASCII" },
	[REPLY_SENDER_ROUTE] = { 553, "5.1.7", "Source routes are not accepted" },
	[REPLY_TOO_LARGE] = { 552, "5.3.4", "Message exceeds the size limit" },
	[REPLY_DISK_FULL] = { 452, "4.3.1", "Insufficient system storage" },

	[REPLY_RECIPIENT_OK] = { 250, "2.1.5", "<%>... Recipient ok." },
	[REPLY_RECIPIENT_SYNTAX] = { 501, "5.1.3", "Syntax error in recipient address" },
	[REPLY_RECIPIENT_NON_ASCII] = { 553, "5.6.7", "Recipient address must be ASCII" },
	[REPLY_RECIPIENT_ROUTE] = { 553, "5.1.3", "Source routes are not accepted" },
	[REPLY_RELAY_DENIED] = { 550, "5.7.1", "Relaying denied" },
	[REPLY_TOO_MANY_RECIPIENTS] = { 452, "4.5.3", "Too many recipients" },
	[REPLY_NO_RECIPIENTS] = { 503, "5.5.1", "No valid recipients" },

	[REPLY_START_INPUT] = { 354, NULL, "Start mail input;id <%> end with <CRLF>.<CRLF>" },
	[REPLY_ACCEPTED] = { 250, "2.0.0", "<%>... Message accepted for delivery." },
	[REPLY_FILTERED] = {
		552, "5.7.1", "Requested mail action aborted: caught by the filter setting."
	},
	[REPLY_BARE_CR_LF] = { 550, "5.6.0", "Message holds CR or LF outside CRLF, or NUL" },
	[REPLY_HEADER_CONTINUES]	= { 550, "5.6.0", "The first line of the message must not begin with a blank." },
	[REPLY_LOOP] = { 554, "5.4.6", "Too many hops" },
	[REPLY_SPOOL_FAILED] = { 451, "4.3.0", "Message not stored, try again later" },
};

unsigned reply_code(enum reply id)
{
	return rows[id].code;
}

/* What a client made up must not end the line or colour a terminal. */
static void put_printable(struct buffer *line, struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = ascii_is_print(text.at[i]) ? text.at[i] : '?';

		buffer_put(line, slice_bytes(&c, 1));
	}
}

static bool is_code_part(struct slice s)
{
	uint64_t value;

	return s.len <= 3 && slice_number(s, 999, &value);
}

/* Takes an enhanced code (RFC 3463 2) off *words; empty when there is none of this class. */
static struct slice take_enhanced(struct slice *words, char class)
{
	struct slice rest = *words, word, part, head;
	unsigned n = 0;

	if (!slice_word(&rest, &word) || word.at != words->at || word.at[0] != class)
		return slice_bytes("", 0);
	part = word;
	while (slice_cut(&part, '.', &head))
		n += is_code_part(head) ? 1 : 4;
	if (n != 3)
		return slice_bytes("", 0);
	*words = slice_trim(rest);
	return word;
}

bool reply_put_passed(struct buffer *out, unsigned code, struct slice id, struct slice words, bool enhanced)
{
	char memory[SMTP_REPLY_MAX];
	struct buffer line;
	struct slice class = take_enhanced(&words, (char)('0' + code / 100));

	buffer_init(&line, memory, sizeof memory);
	buffer_putf(&line, "%u ", code);
	if (enhanced && class.len)
		buffer_putf(&line, "%.*s ", SLICE_ARGS(class));
	else if (enhanced)
		buffer_putf(&line, "%u.0.0 ", code / 100);
	buffer_putf(&line, "<%.*s>...%s", SLICE_ARGS(id), words.len ? " " : "");
	put_printable(&line, words);
	buffer_put_text(&line, "\r\n");
	return !line.overflow && buffer_put(out, buffer_bytes(&line));
}

bool reply_put(struct buffer *out, enum reply id, struct slice argument, bool enhanced)
{
	char memory[SMTP_REPLY_MAX];
	struct buffer line;
	const struct row *row = &rows[id];
	struct slice text = slice_of(row->text);
	size_t place = slice_find(text, '%');

	buffer_init(&line, memory, sizeof memory);
	buffer_putf(&line, "%u ", (unsigned)row->code);
	if (enhanced && row->enhanced)
		buffer_putf(&line, "%s ", row->enhanced);
	buffer_put(&line, slice_first(text, place));
	if (place < text.len)
		put_printable(&line, argument);
	buffer_put(&line, slice_skip(text, place + 1));
	buffer_put_text(&line, "\r\n");
	return !line.overflow && buffer_put(out, buffer_bytes(&line));
}
