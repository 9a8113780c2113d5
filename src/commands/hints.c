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

/*
 * Tell listeners of one session, on its own channel, that something happened
 * to it: "<session id> <version>".
 */
void
atx_hint_session(int64 session_id, int64 version)
{
	char		channel[64];
	char		payload[64];

	snprintf(channel, sizeof(channel), "atomix_session_" INT64_FORMAT, session_id);
	snprintf(payload, sizeof(payload), INT64_FORMAT " " INT64_FORMAT, session_id, version);
	Async_Notify(channel, payload);
}

/*
 * Tell listeners of a service that it has new events: "<service id>
 * <revision>".
 */
void
atx_hint_service(int64 service_id, int64 revision)
{
	char		channel[ATX_CHANNEL_LEN];
	char		payload[64];

	atx_service_channel(service_id, channel);
	snprintf(payload, sizeof(payload), INT64_FORMAT " " INT64_FORMAT, service_id, revision);
	Async_Notify(channel, payload);
}

/*
 * The channel of a service.
 */
void
atx_service_channel(int64 service_id, char *channel)
{
	snprintf(channel, ATX_CHANNEL_LEN, "atomix_service_" INT64_FORMAT, service_id);
}
