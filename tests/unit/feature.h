/* Tests of what a board may have left out: they are registered where it is there. */
#ifndef TESTS_FEATURE_H
#define TESTS_FEATURE_H

/* cmocka passes over a row without a function, and doesn't count it. */
#define unit_test_of(feature, test) { #test, (feature) ? (test) : NULL, NULL, NULL, NULL }

#define unit_test_between(feature, test, setup, teardown) \
	{ #test, (feature) ? (test) : NULL, (feature) ? (setup) : NULL, (feature) ? (teardown) : NULL, NULL }

/* In texts: ACCOUNTS_MAX as "4096". */
#define TEXT_OF_(number)	#number
#define TEXT_OF(number)		TEXT_OF_(number)

/* What the tests of the configuration's words want: they mix it all. */
#define EVERY_WORD	(CONFIG_TLS && CONFIG_SCRAM && CONFIG_XOAUTH2 && CONFIG_CREDENTIALS_SENDER && CONFIG_CREDENTIALS_CLIENT && \
			 CONFIG_POP_BEFORE_SMTP && CONFIG_DIRECT && CONFIG_STAMP && CONFIG_RETURN_JA && CONFIG_LOCKOUT && CONFIG_AUDIT)

#endif
