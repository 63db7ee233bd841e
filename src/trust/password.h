/*
 * Is it the password: checks of what was typed, and the memory of what was right (R24, R26, R63).
 */
#ifndef TRUST_PASSWORD_H
#define TRUST_PASSWORD_H

#include "trust/accounts.h"

/*
 * A check costs one PBKDF2 and is made for the hashing helper, so what it needs is a value
 * without pointers. A NULL account, one that can't log in, and a password that can't be one make
 * a job that fails after the same work (R24; "same" as long as the account's secret has
 * SCRAM_ITERATIONS). Of several secrets the best alone decides: SCRAM-SHA-256, then PLAIN, then
 * CRAM-MD5. The caller wipes the job.
 */
struct password_job {
	struct trust_scram scram;		/* nobody's when the account has another secret */
	bool has_cram, has_plain;		/* this one decides, and not scram */
	bool hopeless;
	uint8_t cram[DIGEST_CRAM_SIZE];
	uint16_t plain_len, password_len;
	char plain[PASSWORD_MAX];
	char password[PASSWORD_MAX];		/* what was typed */
};
void password_job(const struct trust_account *a, struct slice password, struct password_job *job);
bool password_check(const struct password_job *job);

/* CRAM-MD5: quick. `response` is 32 hex digits. False, after the same work, for a NULL account. */
bool password_check_cram(const struct trust_account *a, struct slice challenge,
			 struct slice response);

/*
 * Remembers verified passwords as a keyed digest in memory, so that a busy client costs one slow
 * hash and not one per login. Holds PASSWORD_MEMO_MAX; a changed secret makes the old entry
 * useless.
 */
struct password_memo;
struct password_memo *password_memo_new(void);		/* NULL without memory or randomness */
void password_memo_free(struct password_memo *m);
bool password_memo_knows(const struct password_memo *m, const struct trust_account *a,
			 struct slice password);
void password_memo_add(struct password_memo *m, const struct trust_account *a,
		       struct slice password);

#endif
