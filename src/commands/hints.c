/*-------------------------------------------------------------------------
 *
 * hints.c
 *	  Notifications: hints that something has changed.
 *
 * NOTIFY holds a lock of the whole cluster until its commit is on disk, so
 * it is sent by the worker (or tick), never in a user's transaction.  A hint
 * carries an id and a position; whoever hears it reads the truth from the
 * tables, and whoever misses it loses time only.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/async.h"

#include "commands/hints.h"

#define SESSIONS_CHANNEL	"atomix_sessions"

/*
 * Tell listeners that a session's state changed: "<session id> <version>".
 */
void
atx_hint_session_change(const AtxSessionChange *change)
{
	char		payload[64];

	snprintf(payload, sizeof(payload), INT64_FORMAT " " INT64_FORMAT,
			 change->session_id, change->version);
	Async_Notify(SESSIONS_CHANNEL, payload);
}
