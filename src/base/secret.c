#include "base/secret.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

void secret_wipe(void *at, size_t len)
{
	if (len > 0)
		explicit_bzero(at, len);
}

bool secret_equal(const void *a, const void *b, size_t len)
{
	const volatile unsigned char *x = a, *y = b;
	unsigned char differ = 0;

	for (size_t i = 0; i < len; i++)
		differ |= x[i] ^ y[i];
	return differ == 0;
}

bool secret_random(void *out, size_t len)
{
	unsigned char *to = out;
	size_t done = 0;

	/* GRND_NONBLOCK: early at boot it isn't ready, and the loop must not wait for it. */
	while (done < len) {
		ssize_t n = getrandom(to + done, len - done, GRND_NONBLOCK);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			secret_wipe(out, len);
			return false;
		}
		done += (size_t)n;
	}
	return true;
}
