/* CRC-32C (Castagnoli), RFC 3720 appendix B.4: finds damaged records in the spool. */
#ifndef BASE_CRC32_H
#define BASE_CRC32_H

#include "slice.h"

/* Continues `crc` (0 to begin) over data. */
uint32_t crc32c(uint32_t crc, struct slice data);

typedef uint32_t crc32c_way(uint32_t crc, struct slice data);
/* The two ways that crc32c takes: the processor's own instruction, NULL where there is none, and tables, made by the first call. */
crc32c_way crc32c_tables;
#if CONFIG_FAST_CRC
crc32c_way *crc32c_instruction(void);
#else
static inline crc32c_way *crc32c_instruction(void)
{
	return NULL;
}
#endif

#endif
