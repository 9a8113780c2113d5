/*-------------------------------------------------------------------------
 *
 * fingerprint.h
 *	  What a numbered command asked for, in 32 bytes.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_FINGERPRINT_H
#define ATX_FINGERPRINT_H

#include "lib/stringinfo.h"

#define ATX_FINGERPRINT_LEN		32

typedef struct AtxFingerprint
{
	uint8		bytes[ATX_FINGERPRINT_LEN];
} AtxFingerprint;

extern void atx_fingerprint_add(StringInfo request, const void *data, Size len);
extern AtxFingerprint atx_fingerprint(const StringInfoData *request);

#endif							/* ATX_FINGERPRINT_H */
