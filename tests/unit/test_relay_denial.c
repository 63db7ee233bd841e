/* relay/denial: what servers say when a door is shut, and what they say of addresses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "relay/denial.h"

static void words_of_servers(void **unused)
{
	static const struct {
		unsigned code;
		struct slice words;
		bool denial;
	} rows[] = {
		/* Postfix, Sendmail, qmail, Exim, Courier, Exchange, Dovecot's submission */
		{ 554, SLICE("5.7.1 <a@b.example>: Relay access denied"), true },
		{ 454, SLICE("4.7.1 <a@b.example>: Relay access denied"), true },
		{ 550, SLICE("5.7.1 <a@b.example>... Relaying denied"), true },
		{ 550, SLICE("5.7.1 <a@b.example>... Relaying denied. Proper authentication required."), true },
		{ 553, SLICE("sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)"), true },
		{ 553, SLICE("sorry, that domain isn't in my list of allowed rcpthosts"), true },
		{ 550, SLICE("relay not permitted"), true },
		{ 513, SLICE("Relaying denied."), true },
		{ 550, SLICE("5.7.54 SMTP; Unable to relay recipient in non-accepted domain"), true },
		{ 530, SLICE("5.7.0 Authentication required"), true },
		{ 530, SLICE("what"), true },
		{ 535, SLICE("what"), true },
		{ 550, SLICE("Please use POP before SMTP"), true },
		{ 550, SLICE("log in by POP first"), true },
		{ 503, SLICE("Authentication required"), true },
		{ 550, SLICE("Access denied"), true },
		{ 554, SLICE("5.5.1 <a@b.example>: relaying denied"), true },
		{ 550, SLICE("5.1.8 <a@b.example>: we do not relay"), true },
		{ 550, SLICE("5.7.1"), true },
		/* About the address, or temporary for reasons of their own */
		{ 550, SLICE("5.1.1 <relay@b.example>: User unknown"), false },
		{ 550, SLICE("5.1.1 <a@b.example>: User unknown in relay recipient table"), false },
		{ 550, SLICE("No such user here"), false },
		{ 550, SLICE("<pop3@relay.example> unknown"), false },
		{ 550, SLICE("unknown <authentic@b.example"), false },
		{ 552, SLICE("5.2.2 mailbox full"), false },
		{ 450, SLICE("4.7.1 <a@b.example>: greylisted"), false },
		{ 451, SLICE("4.3.0 denied for now"), false },
		{ 501, SLICE("5.1.3 popular syntax"), false },
		{ 250, SLICE("5.7.1 relay access denied"), false },
		{ 0, SLICE("relay access denied"), false },
		{ 550, SLICE("unpopular"), false },
		{ 550, SLICE(""), false },
		{ 550, SLICE("#"), false },
		{ 550, SLICE("5.7777.1 no"), false },
		{ 550, SLICE("5.7. no"), false },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (denial_is_of_relaying(rows[i].code, rows[i].words) != rows[i].denial)
			fail_msg("%u %.*s", rows[i].code, SLICE_ARGS(rows[i].words));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_of_servers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
