/*
 * Command lines: whatever the octets, a verb of the table or none, and arguments that are what was written: a good MAIL
 * or RCPT written anew from what was understood is understood the same.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "smtp/command.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void check_mail(struct slice argument, bool extended)
{
	char text[512];
	struct mail_arguments mail, again;
	enum reply refusal = command_mail(argument, extended, &mail);

	require(refusal == REPLY_NONE || reply_code(refusal) / 100 == 5);
	if (refusal != REPLY_NONE)
		return;
	require(extended || (mail.size == 0 && !mail.body_8bit));
	snprintf(text, sizeof text, "FROM:<%s> SIZE=%" PRIu64 " BODY=%s", mail.sender.text, mail.size,
		 mail.body_8bit ? "8BITMIME" : "7BIT");
	require(command_mail(slice_of(text), true, &again) == REPLY_NONE);
	require(again.size == mail.size && again.body_8bit == mail.body_8bit);
	require(slice_equal(address_text(&again.sender), address_text(&mail.sender)));
}

static void check_rcpt(struct slice argument)
{
	char text[512];
	struct address a, again;
	enum reply refusal = command_rcpt(argument, &a);

	require(refusal == REPLY_NONE || reply_code(refusal) / 100 == 5);
	if (refusal != REPLY_NONE)
		return;
	require(a.len > 0 && strlen(a.text) == a.len);
	snprintf(text, sizeof text, "TO:<%s>", a.text);
	require(command_rcpt(slice_of(text), &again) == REPLY_NONE);
	require(slice_equal(address_text(&again), address_text(&a)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice line = slice_bytes((const char *)data, size), argument;
	const struct verb_row *row = command_find(line, &argument);

	require(row == command_row(row->verb));
	require(slice_starts_fold(line, row->name) && slice_equal(argument, slice_trim(argument)));
	require(row->verb == VERB_UNKNOWN || line.len == row->name.len || ascii_is_blank(line.at[row->name.len]));
	check_mail(argument, true);
	check_mail(argument, false);
	check_rcpt(argument);
	return 0;
}
