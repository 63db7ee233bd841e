#include "relay/prove.h"

#include <string.h>

#include "base/secret.h"
#include "trust/password.h"

struct prove_job {
	uint32_t iterations;
	uint16_t password_len;
	uint8_t salt_len;
	uint8_t salt[PROOF_SALT_MAX];
	char password[PASSWORD_MAX];
};

_Static_assert(sizeof(struct prove_job) != sizeof(struct password_job), "the helper tells requests apart by their size");
_Static_assert(sizeof(struct prove_job) <= HELPER_MESSAGE_MAX, "a request is one message");

static struct slice octets(const uint8_t *at, size_t len)
{
	return slice_bytes((const char *)at, len);
}

size_t relay_hash(const void *request, size_t len, int fd, void *answer)
{
	struct prove_job job;
	bool good;

	(void)fd;
	if (len != sizeof(job))
		return 0;
	memcpy(&job, request, sizeof(job));
	good = job.salt_len <= sizeof(job.salt) && job.password_len <= sizeof(job.password) &&
	       digest_pbkdf2(slice_bytes(job.password, job.password_len), octets(job.salt, job.salt_len),
			     job.iterations, answer);
	secret_wipe(&job, sizeof(job));
	return good ? DIGEST_SHA256_SIZE : 0;
}

bool prove_ask(struct helper *hasher, const struct proof_scram *s, struct slice password, helper_done *done,
	       void *context)
{
	struct prove_job job;
	bool asked;

	if (password.len > sizeof(job.password))
		return false;
	memset(&job, 0, sizeof(job));
	job.iterations = s->iterations;
	job.salt_len = s->salt_len;
	memcpy(job.salt, s->salt, s->salt_len);
	job.password_len = (uint16_t)password.len;
	memcpy(job.password, password.at, password.len);
	asked = helper_ask(hasher, &job, sizeof(job), -1, done, context);
	secret_wipe(&job, sizeof(job));
	return asked;
}

bool prove_finish(const struct proof_scram *s, const void *answer, size_t len, uint8_t proof[PROOF_KEY_SIZE],
		  uint8_t signature[PROOF_KEY_SIZE])
{
	return answer && len == DIGEST_SHA256_SIZE && scram_prove(answer, proof_scram_message(s), proof, signature);
}
