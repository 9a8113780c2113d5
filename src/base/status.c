/*-------------------------------------------------------------------------
 *
 * status.c
 *	  Statuses of the protocol.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/status.h"

static const char *const names[] = {
	[ATX_STATUS_UNKNOWN] = "UNKNOWN",
	[ATX_STATUS_OK] = "OK",
	[ATX_STATUS_ERROR] = "ERROR",
	[ATX_STATUS_CANCELED] = "CANCELED",
	[ATX_STATUS_NOT_FOUND] = "NOT_FOUND",
	[ATX_STATUS_ALREADY_EXISTS] = "ALREADY_EXISTS",
	[ATX_STATUS_UNAUTHORIZED] = "UNAUTHORIZED",
	[ATX_STATUS_FORBIDDEN] = "FORBIDDEN",
	[ATX_STATUS_CONFLICT] = "CONFLICT",
	[ATX_STATUS_INVALID] = "INVALID",
	[ATX_STATUS_UNAVAILABLE] = "UNAVAILABLE",
	[ATX_STATUS_NOT_SUPPORTED] = "NOT_SUPPORTED",
	[ATX_STATUS_TIMEOUT] = "TIMEOUT",
	[ATX_STATUS_INTERNAL] = "INTERNAL"
};

/*
 * The protocol's name of a status.
 */
const char *
atx_status_name(AtxStatus status)
{
	return (int) status >= 0 && status < lengthof(names) ? names[status] : "UNKNOWN";
}

/*
 * The status by which the wire functions tell an outcome.
 */
AtxStatus
atx_status_of(AtxOutcome outcome)
{
	switch (outcome)
	{
		case ATX_DONE:
			return ATX_STATUS_OK;
		case ATX_SESSION_UNKNOWN:
		case ATX_SESSION_EXPIRED:
		case ATX_SESSION_CLOSED:
		case ATX_SERVICE_DELETED:
			return ATX_STATUS_NOT_FOUND;
		case ATX_SERVICE_NOT_OPEN:
		case ATX_SERVICE_TYPE_DIFFERS:
		case ATX_SERVICE_TYPE_UNKNOWN:
			return ATX_STATUS_FORBIDDEN;
		case ATX_INVALID:
			return ATX_STATUS_INVALID;
		case ATX_UNAVAILABLE:
		case ATX_PARTITION_ELSEWHERE:
			return ATX_STATUS_UNAVAILABLE;
		case ATX_NOT_SUPPORTED:
			return ATX_STATUS_NOT_SUPPORTED;
		case ATX_COMPACTED:
		case ATX_NOT_HOLDER:
			return ATX_STATUS_CONFLICT;
		case ATX_NUMBER_ACKNOWLEDGED:
		case ATX_NUMBER_REUSED:
		case ATX_LIMIT_REACHED:
			/* These are raised by every face. */
			break;
	}
	return ATX_STATUS_INTERNAL;
}
