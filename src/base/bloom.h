/*-------------------------------------------------------------------------
 *
 * bloom.h
 *	  The set of commands a client still waits for, as keep-alives carry it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_BLOOM_H
#define ATX_BLOOM_H

typedef struct AtxBloom
{
	uint64		m;				/* positions are taken modulo this; > 0 */
	int			k;				/* positions per number, capped */
	uint64		nbits;			/* m, or 0 for the empty filter */
	uint64	   *words;			/* (nbits + 63) / 64, bit 0 is lowest */
} AtxBloom;

extern bool atx_bloom_parse(const uint8 *data, size_t len, AtxBloom *filter,
							const char **problem);
extern bool atx_bloom_contains(const AtxBloom *filter, uint64 sequence_num);

#endif							/* ATX_BLOOM_H */
