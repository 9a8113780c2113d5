/*-------------------------------------------------------------------------
 *
 * status.h
 *	  Statuses of the protocol.
 *
 * Numbered as in the generation of PartitionInput, where 0 is UNKNOWN and is
 * never an answer; so they are kept in tables, too.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_STATUS_H
#define ATX_STATUS_H

#include "base/errors.h"

typedef enum AtxStatus
{
	ATX_STATUS_UNKNOWN,
	ATX_STATUS_OK,
	ATX_STATUS_ERROR,
	ATX_STATUS_CANCELED,
	ATX_STATUS_NOT_FOUND,
	ATX_STATUS_ALREADY_EXISTS,
	ATX_STATUS_UNAUTHORIZED,
	ATX_STATUS_FORBIDDEN,
	ATX_STATUS_CONFLICT,
	ATX_STATUS_INVALID,
	ATX_STATUS_UNAVAILABLE,
	ATX_STATUS_NOT_SUPPORTED,
	ATX_STATUS_TIMEOUT,
	ATX_STATUS_INTERNAL
} AtxStatus;

extern const char *atx_status_name(AtxStatus status);
extern AtxStatus atx_status_of(AtxOutcome outcome);

#endif							/* ATX_STATUS_H */
