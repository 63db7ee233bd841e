#include <string.h>

#if defined(__x86_64__)
#include <nmmintrin.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#endif

#include "base/crc32.h"

/*
 * Processors with an instruction for just this polynomial: four times as fast. Each kind says whether it is there, and
 * adds eight octets, the first the lowest, or one.
 */
#if defined(__x86_64__)

#define HAVE_INSTRUCTION	1
#define INSTRUCTION_TARGET	__attribute__((target("sse4.2")))

static bool has_instruction(void)
{
	return __builtin_cpu_supports("sse4.2");
}

INSTRUCTION_TARGET static inline uint32_t add_eight(uint32_t crc, uint64_t octets)
{
	return (uint32_t)_mm_crc32_u64(crc, octets);
}

INSTRUCTION_TARGET static inline uint32_t add_one(uint32_t crc, unsigned char octet)
{
	return _mm_crc32_u8(crc, octet);
}

#elif defined(__aarch64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__

#define HAVE_INSTRUCTION	1
#define INSTRUCTION_TARGET

#ifndef HWCAP_CRC32
#define HWCAP_CRC32	(1 << 7)
#endif

static bool has_instruction(void)
{
	return getauxval(AT_HWCAP) & HWCAP_CRC32;
}

/* In assembly: compilers disagree on how to name the extension that their intrinsics want. */
static inline uint32_t add_eight(uint32_t crc, uint64_t octets)
{
	__asm__(".arch_extension crc\n\tcrc32cx %w0, %w0, %x1" : "+r"(crc) : "r"(octets));
	return crc;
}

static inline uint32_t add_one(uint32_t crc, unsigned char octet)
{
	__asm__(".arch_extension crc\n\tcrc32cb %w0, %w0, %w1" : "+r"(crc) : "r"((uint32_t)octet));
	return crc;
}

#else

#define HAVE_INSTRUCTION	0

#endif

#if HAVE_INSTRUCTION

INSTRUCTION_TARGET static uint32_t by_instruction(uint32_t crc, struct slice data)
{
	const char *at = data.at;
	size_t left = data.len;

	crc = ~crc;
	for (; left >= 8; left -= 8, at += 8) {
		uint64_t octets;

		memcpy(&octets, at, sizeof(octets));
		crc = add_eight(crc, octets);
	}
	for (; left > 0; left--, at++)
		crc = add_one(crc, (unsigned char)*at);
	return ~crc;
}

crc32c_way *crc32c_instruction(void)
{
	return has_instruction() ? by_instruction : NULL;
}

#else

crc32c_way *crc32c_instruction(void)
{
	return NULL;
}

#endif
