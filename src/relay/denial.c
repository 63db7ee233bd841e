#include "relay/denial.h"

/* Any of these is enough in a refusal that has no enhanced code. */
static const struct slice hints[] = {
	SLICE("relay"), SLICE("denied"), SLICE("authenti"), SLICE("rcpthosts"), SLICE("not permitted"), SLICE("log in"),
	SLICE("pop before"), SLICE("pop-before"), SLICE("popbefore"), SLICE("pop3"), SLICE("by pop"),
};

/* Said of relaying by servers that have an enhanced code for something else beside it, or call it temporary. */
static const struct slice sure[] = {
	SLICE("relaying"), SLICE("relay access"), SLICE("relay denied"), SLICE("to relay"), SLICE("not relay"),
	SLICE("relay not"), SLICE("pop before"), SLICE("pop-before"), SLICE("popbefore"),
};

static bool mentions(struct slice text, const struct slice *words, size_t count)
{
	for (size_t i = 0; i < text.len; i++)
		for (size_t k = 0; k < count; k++)
			if (slice_starts_fold(slice_skip(text, i), words[k]))
				return true;
	return false;
}

/* Addresses are repeated in brackets, and may be called anything. */
static bool mentions_outside(struct slice text, const struct slice *words, size_t count)
{
	while (text.len) {
		size_t open = slice_find(text, '<');
		struct slice inside = slice_skip(text, open);

		if (mentions(slice_first(text, open), words, count))
			return true;
		text = slice_skip(inside, slice_find(inside, '>') + 1);
	}
	return false;
}

static bool take_digits(struct slice *text, size_t most)
{
	size_t n = 0;

	while (n < text->len && n <= most && ascii_is_digit(text->at[n]))
		n++;
	if (n == 0 || n > most)
		return false;
	*text = slice_skip(*text, n);
	return true;
}

/* The subject of "5.7.1" (RFC 3463), as its first digit; 0 when it is none. */
static char subject_of(struct slice text)
{
	char subject;

	if (text.len < 5 || (text.at[0] != '4' && text.at[0] != '5') || text.at[1] != '.')
		return 0;
	text = slice_skip(text, 2);
	subject = text.at[0];
	if (!take_digits(&text, 3) || !text.len || text.at[0] != '.')
		return 0;
	text = slice_skip(text, 1);
	return take_digits(&text, 3) ? subject : 0;
}

/* In front, or as qmail has it: "sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)". */
static char find_subject(struct slice words)
{
	char subject = subject_of(words);

	while (!subject && words.len) {
		words = slice_skip(words, slice_find(words, '#') + 1);
		subject = subject_of(words);
	}
	return subject;
}

bool denial_is_of_relaying(unsigned code, struct slice words)
{
	char subject = find_subject(words);

	if (code == 530 || code == 534 || code == 535 || code == 538)
		return true;
	if (code / 100 == 4 || (code / 100 == 5 && subject && subject != '7'))
		return mentions_outside(words, sure, sizeof(sure) / sizeof(*sure));
	return code / 100 == 5 && (subject || mentions_outside(words, hints, sizeof(hints) / sizeof(*hints)));
}
