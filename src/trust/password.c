#include "trust/password.h"

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/secret.h"
#include "trust/cram.h"

/* Sets of few places, found by a keyed digest that nobody outside can aim at. */
#define MEMO_WAYS 4
#define MEMO_SETS (PASSWORD_MEMO_MAX / MEMO_WAYS)

struct password_memo {
	uint8_t key[DIGEST_SHA256_SIZE];
	uint8_t known[MEMO_SETS][MEMO_WAYS][DIGEST_SHA256_SIZE];
};

static bool is_password(struct slice password)
{
	return password.len > 0 && password.len <= PASSWORD_MAX &&
	       slice_find(password, '\0') == password.len;
}

/* For those who have no secret of their own: the same work, and nobody's password. */
static const struct trust_scram nobodys = { .iterations = SCRAM_ITERATIONS, .salt_len = 16 };

/* The best secret decides alone: an older one left beside it is no second door. */
static void take_secret(const struct trust_account *a, struct password_job *job)
{
	if (a->has_scram) {
		job->scram = a->scram;
	} else if (a->has_plain) {
		job->has_plain = true;
		job->plain_len = (uint16_t)strlen(a->plain);
		memcpy(job->plain, a->plain, job->plain_len);
	} else {
		job->has_cram = true;
		memcpy(job->cram, a->cram, sizeof(job->cram));
	}
}

void password_job(const struct trust_account *a, struct slice password, struct password_job *job)
{
	memset(job, 0, sizeof(*job));
	job->scram = nobodys;
	job->hopeless = !a || !account_can_login(a) || a->upstream || !is_password(password);
	if (!job->hopeless)
		take_secret(a, job);
	job->password_len = (uint16_t)slice_first(password, PASSWORD_MAX).len;
	if (job->password_len > 0)
		memcpy(job->password, password.at, job->password_len);
}

static bool check_cram_secret(const struct password_job *job, struct slice password)
{
	uint8_t typed[DIGEST_CRAM_SIZE];
	bool right = digest_cram_context(password, typed) &&
		     secret_equal(typed, job->cram, sizeof(typed));

	secret_wipe(typed, sizeof(typed));
	return right;
}

bool password_check(const struct password_job *job)
{
	struct slice password = slice_bytes(job->password, job->password_len);
	/* First and always, so that the time taken tells nothing of the account (R24). */
	bool right = scram_check(&job->scram, password);

	if (job->has_plain)
		right = secret_equal(job->plain, job->password, PASSWORD_MAX) &&
			job->plain_len == job->password_len;
	else if (job->has_cram)
		right = check_cram_secret(job, password);
	return right && !job->hopeless;
}

static bool cram_context(const struct trust_account *a, uint8_t out[DIGEST_CRAM_SIZE])
{
	if (!a || !a->has_cram)
		return digest_cram_context(slice_of(a && a->has_plain ? a->plain : "nobody"), out);
	memcpy(out, a->cram, DIGEST_CRAM_SIZE);
	return true;
}

bool password_check_cram(const struct trust_account *a, struct slice challenge,
			 struct slice response)
{
	bool usable = a && (a->has_cram || a->has_plain);
	uint8_t context[DIGEST_CRAM_SIZE];
	bool right = cram_context(a, context) && cram_check(context, challenge, response);

	secret_wipe(context, sizeof(context));
	return right && usable;
}

struct password_memo *password_memo_new(void)
{
	struct password_memo *m = calloc(1, sizeof(*m));

	if (m && !secret_random(m->key, sizeof(m->key))) {
		free(m);
		m = NULL;
	}
	return m;
}

void password_memo_free(struct password_memo *m)
{
	if (!m)
		return;
	secret_wipe(m, sizeof(*m));
	free(m);
}

/* Lengths go in front, so that no two different triples make the same octets. */
static void put_counted(struct buffer *b, const void *at, size_t len)
{
	const char count[2] = { (char)(len >> 8 & 0xff), (char)(len & 0xff) };

	buffer_put(b, slice_bytes(count, sizeof(count)));
	buffer_put(b, slice_bytes(at, len));
}

static void put_scram(struct buffer *b, const struct trust_scram *s)
{
	uint8_t iterations[4];

	for (size_t i = 0; i < sizeof(iterations); i++)
		iterations[i] = (uint8_t)(s->iterations >> (24 - 8 * i));
	put_counted(b, iterations, sizeof(iterations));
	put_counted(b, s->salt, s->salt_len);
	put_counted(b, s->stored, sizeof(s->stored));
	put_counted(b, s->server, sizeof(s->server));
}

/* Over account, password and the account's secrets: a changed secret makes another digest. */
static bool memo_digest(const struct password_memo *m, const struct trust_account *a,
			struct slice password, uint8_t out[DIGEST_SHA256_SIZE])
{
	char memory[1024];
	struct slice name;
	struct buffer b;
	bool ok;

	if (!a || !account_can_login(a) || a->upstream || !is_password(password))
		return false;
	name = account_name(a);
	buffer_init(&b, memory, sizeof(memory));
	put_counted(&b, name.at, name.len);
	put_counted(&b, password.at, password.len);
	put_scram(&b, &a->scram);
	put_counted(&b, a->cram, sizeof(a->cram));
	put_counted(&b, a->plain, strlen(a->plain));
	ok = !b.overflow &&
	     digest_hmac(DIGEST_SHA256, slice_bytes((const char *)m->key, sizeof(m->key)),
			 buffer_bytes(&b), out);
	secret_wipe(memory, sizeof(memory));
	return ok;
}

static size_t memo_set(const uint8_t digest[DIGEST_SHA256_SIZE])
{
	return ((size_t)digest[0] << 8 | digest[1]) % MEMO_SETS;
}

bool password_memo_knows(const struct password_memo *m, const struct trust_account *a,
			 struct slice password)
{
	uint8_t digest[DIGEST_SHA256_SIZE];
	bool known = false;

	if (!memo_digest(m, a, password, digest))
		return false;
	for (size_t way = 0; way < MEMO_WAYS; way++)
		known |= secret_equal(m->known[memo_set(digest)][way], digest, sizeof(digest));
	secret_wipe(digest, sizeof(digest));
	return known;
}

static size_t free_way(const struct password_memo *m, size_t set, uint8_t choice)
{
	static const uint8_t none[DIGEST_SHA256_SIZE];

	for (size_t way = 0; way < MEMO_WAYS; way++)
		if (secret_equal(m->known[set][way], none, sizeof(none)))
			return way;
	return choice % MEMO_WAYS;
}

void password_memo_add(struct password_memo *m, const struct trust_account *a,
		       struct slice password)
{
	uint8_t digest[DIGEST_SHA256_SIZE];
	size_t set;

	if (password_memo_knows(m, a, password) || !memo_digest(m, a, password, digest))
		return;
	set = memo_set(digest);
	memcpy(m->known[set][free_way(m, set, digest[2])], digest, sizeof(digest));
	secret_wipe(digest, sizeof(digest));
}
