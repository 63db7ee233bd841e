/*
 * SCRAM's slow half: the salted password (PBKDF2) is made in the hashing helper, so that an upstream that asks for many
 * iterations holds up nobody (R65).
 */
#ifndef RELAY_PROVE_H
#define RELAY_PROVE_H

#include "net/helper.h"
#include "smtp/proof.h"

#if CONFIG_SCRAM
/* The helper's side; 0 for a request of somebody else. */
size_t relay_hash(const void *request, size_t len, int fd, void *answer);
/* Asks for the salted password. False when the helper takes nothing now. `done` gets the answer for prove_finish. */
bool prove_ask(struct helper *hasher, const struct proof_scram *s, struct slice password, helper_done *done,
	       void *context);
/* ClientProof and ServerSignature of an answer. False when it is none. */
bool prove_finish(const struct proof_scram *s, const void *answer, size_t len, uint8_t proof[PROOF_KEY_SIZE],
		  uint8_t signature[PROOF_KEY_SIZE]);
#else
static inline size_t relay_hash(const void *request, size_t len, int fd, void *answer)
{
	(void)request, (void)len, (void)fd, (void)answer;
	return 0;
}

static inline bool prove_ask(struct helper *hasher, const struct proof_scram *s, struct slice password,
			helper_done *done, void *context)
{
	(void)hasher, (void)s, (void)password, (void)done, (void)context;
	return false;
}

static inline bool prove_finish(const struct proof_scram *s, const void *answer, size_t len,
			uint8_t proof[PROOF_KEY_SIZE], uint8_t signature[PROOF_KEY_SIZE])
{
	(void)s, (void)answer, (void)len, (void)proof, (void)signature;
	return false;
}
#endif

#endif
