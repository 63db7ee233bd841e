#include "base/crc32.h"

#define POLYNOMIAL	0x82f63b78	/* reflected */
/* Octets a step ("slicing by 8"), since each octet of a mail passes here: a table of 1 KiB for each. */
#define STEP		(CONFIG_FAST_CRC ? 8 : 1)

/* ahead[k][n]: what octet n adds to the remainder once k more octets have followed it. */
static uint32_t ahead[STEP][256];

static void make_tables(void)
{
	for (uint32_t n = 0; n < 256; n++) {
		uint32_t crc = n;

		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
		ahead[0][n] = crc;
	}
	for (size_t k = 1; k < STEP; k++)
		for (size_t n = 0; n < 256; n++)
			ahead[k][n] = ahead[k - 1][n] >> 8 ^ ahead[0][ahead[k - 1][n] & 0xff];
}

/* Octets, not words: right on any alignment and byte order. */
static uint32_t four(const unsigned char *at)
{
	return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* What four octets add that `later` others follow in this step. */
static uint32_t fold(uint32_t word, size_t later)
{
	return ahead[later + 3][word & 0xff] ^ ahead[later + 2][word >> 8 & 0xff] ^
	       ahead[later + 1][word >> 16 & 0xff] ^ ahead[later][word >> 24];
}

uint32_t crc32c_tables(uint32_t crc, struct slice data)
{
	const unsigned char *at = (const unsigned char *)data.at;
	size_t left = data.len;

	if (!ahead[0][1])
		make_tables();
	crc = ~crc;
	for (; STEP == 8 && left >= 8; left -= 8, at += 8)
		crc = fold(crc ^ four(at), 4) ^ fold(four(at + 4), 0);
	for (; left > 0; left--, at++)
		crc = crc >> 8 ^ ahead[0][(crc ^ *at) & 0xff];
	return ~crc;
}

static crc32c_way choose, *chosen = choose;

/* The first call asks the processor. */
static uint32_t choose(uint32_t crc, struct slice data)
{
	crc32c_way *instruction = crc32c_instruction();

	chosen = instruction ? instruction : crc32c_tables;
	return chosen(crc, data);
}

uint32_t crc32c(uint32_t crc, struct slice data)
{
	return chosen(crc, data);
}
