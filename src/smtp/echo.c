#include "smtp/echo.h"

#define ECHO_MIN	8	/* octets of a secret in a row that no reply may repeat */

static bool holds(struct slice text, struct slice part)
{
	size_t i;

	for (i = 0; i + part.len <= text.len; i++)
		if (slice_starts(slice_skip(text, i), part))
			return true;
	return false;
}

bool echo_repeats(struct slice text, struct slice secret)
{
	size_t window = secret.len < ECHO_MIN ? secret.len : ECHO_MIN;
	size_t i;

	for (i = 0; window > 0 && i + window <= secret.len; i++)
		if (holds(text, slice_first(slice_skip(secret, i), window)))
			return true;
	return false;
}
