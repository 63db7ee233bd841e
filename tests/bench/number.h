/* An argument of a measuring program. */
#ifndef BENCH_NUMBER_H
#define BENCH_NUMBER_H

/* Digits only; -1 for anything else and for what is beyond all use. */
static int number(const char *text)
{
	int n = 0;

	if (!*text)
		return -1;
	for (; *text; text++) {
		if (*text < '0' || *text > '9' || n > 1000000)
			return -1;
		n = n * 10 + (*text - '0');
	}
	return n;
}

#endif
