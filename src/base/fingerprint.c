/*-------------------------------------------------------------------------
 *
 * fingerprint.c
 *	  What a numbered command asked for, in 32 bytes (SHA-256).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/cryptohash.h"

#include "base/fingerprint.h"

/*
 * Append one part of a request with its length, so that no two lists of
 * parts look the same.
 */
void
atx_fingerprint_add(StringInfo request, const void *data, Size len)
{
	uint64		length = len;

	appendBinaryStringInfo(request, (const char *) &length, sizeof(length));
	appendBinaryStringInfo(request, data, (int) len);
}

/*
 * The fingerprint of a request.
 */
AtxFingerprint
atx_fingerprint(const StringInfoData *request)
{
	pg_cryptohash_ctx *context = pg_cryptohash_create(PG_SHA256);
	AtxFingerprint result;

	if (context == NULL ||
		pg_cryptohash_init(context) < 0 ||
		pg_cryptohash_update(context, (const uint8 *) request->data, request->len) < 0 ||
		pg_cryptohash_final(context, result.bytes, sizeof(result.bytes)) < 0)
		elog(ERROR, "could not compute SHA-256: %s", pg_cryptohash_error(context));
	pg_cryptohash_free(context);
	return result;
}
