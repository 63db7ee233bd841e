/* CRC-32C (Castagnoli), RFC 3720 appendix B.4: finds damaged records in the spool. */
#ifndef BASE_CRC32_H
#define BASE_CRC32_H

#include "slice.h"

/* Continues `crc` (0 to begin) over data. */
uint32_t crc32c(uint32_t crc, struct slice data);
/* The same without the processor's own instruction for it, which crc32c takes where there is one. */
#if CONFIG_FAST_CRC
uint32_t crc32c_tables(uint32_t crc, struct slice data);
#else
static inline uint32_t crc32c_tables(uint32_t crc, struct slice data)
{
	return crc32c(crc, data);
}
#endif

#endif
