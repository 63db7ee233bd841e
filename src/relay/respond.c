#include "relay/respond.h"

#include "base/buffer.h"
#include "base/limits.h"
#include "base/secret.h"
#include "smtp/pop3.h"

bool respond_cram(struct slice password, struct slice challenge, char hex[RESPOND_SIZE])
{
	uint8_t digest[DIGEST_MD5_SIZE];

	if (!digest_hmac(DIGEST_MD5, password, challenge, digest))
		return false;
	ascii_hex(digest, sizeof(digest), hex);
	return true;
}

bool respond_apop(struct slice password, struct slice timestamp, char hex[RESPOND_SIZE])
{
	char text[POP3_TIMESTAMP_MAX + PASSWORD_MAX];
	uint8_t digest[DIGEST_MD5_SIZE];
	struct buffer joined;
	bool good;

	buffer_init(&joined, text, sizeof(text));
	buffer_put(&joined, timestamp);
	buffer_put(&joined, password);
	good = digest_hash(DIGEST_MD5, buffer_bytes(&joined), digest);
	secret_wipe(text, sizeof(text));
	if (good)
		ascii_hex(digest, sizeof(digest), hex);
	return good;
}
