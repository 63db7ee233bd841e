#include "mail/words.h"

static const struct report_words words = {
	.subject = { "Undelivered mail", "Delayed mail" },
	.opening = {
		"Your message could not be delivered to the recipients below.\r\n",
		"Your message is late for the recipients below. It has not been given up.\r\n",
	},
	.greeting = "This is the mail relay at ",
	.after_host = ".\r\n",
	.cause = {
		[REPORT_REFUSED] = "The next mail server refused it. It will not be sent again.",
		[REPORT_EXPIRED] = "It was tried again and again until its time was over.",
		[REPORT_WITHDRAWN] = "The administrator has withdrawn it. It was not delivered.",
		[REPORT_DELAYED] = "It could not be delivered yet, and is being tried again.",
	},
	.to = "Recipient: ",
	.host = "Server: ",
	.said = "Its reply: ",
	.until = "Tried until: ",
	.advice = "What to do: ",
	.wait = "Nothing for now. If you send it again, it may arrive twice. If it is urgent, reach the recipient by\r\n"
		"    other means. You will be told if it can not be delivered in time.",
	.end = "\r\nIf you need help, show this message to the person who runs your mail.\r\n"
	       "Your message was accepted here as: ",
	.after_id = "\r\nIts header follows.\r\n",
	.advices = {
		[ADVICE_SENDER] = "The sender address was refused: check the sender settings.",
		[ADVICE_ADDRESS] = "Check the recipient's address and send again.",
		[ADVICE_FULL] = "The mailbox is full: tell the recipient by other means.",
		[ADVICE_LARGE] = "The message is too large: send it with smaller attachments.",
		[ADVICE_UNUSABLE] = "The mailbox can't be used now: ask the recipient by other means.",
		[ADVICE_LATER] = "Send again later; if it goes on, ask the administrator.",
		[ADVICE_POLICY] = "Refused by policy: ask the administrator about this sender.",
		[ADVICE_OTHER] = "Read the reply, check the address and send again.",
	},
};

const struct report_words *report_english(void)
{
	return &words;
}
