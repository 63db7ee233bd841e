/*
 * What people read in return mail, a table for each language; report.c puts them together. Japanese can be left out (RETURN_JA).
 */
#ifndef MAIL_WORDS_H
#define MAIL_WORDS_H

#include <stddef.h>

#include "mail/report.h"

enum advice {			/* what to do, by the status: see report.c */
	ADVICE_SENDER, ADVICE_ADDRESS, ADVICE_FULL, ADVICE_LARGE, ADVICE_UNUSABLE, ADVICE_LATER, ADVICE_POLICY, ADVICE_OTHER,
	ADVICES
};

struct report_words {		/* lines end with CRLF where nothing is put behind them */
	const char *subject[2], *opening[2];	/* of the end, and of a notice of delay */
	const char *greeting, *after_host;
	const char *cause[REPORT_DELAYED + 1];
	const char *to, *host, *said, *until, *advice, *wait, *end, *after_id;
	const char *advices[ADVICES];
};

const struct report_words *report_english(void);
#if CONFIG_RETURN_JA
const struct report_words *report_japanese(void);
#else
static inline const struct report_words *report_japanese(void)
{
	return NULL;
}
#endif

#endif
