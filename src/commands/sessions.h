/*-------------------------------------------------------------------------
 *
 * sessions.h
 *	  Opening, renewing and closing sessions.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_SESSIONS_H
#define ATX_SESSIONS_H

#include "base/spi.h"
#include "tables/session.h"

/* In AtxSessionSpec.timeout: the default of the server. */
#define ATX_DEFAULT_TIMEOUT		INT64CONST(-1)

extern AtxAnswer atx_open_session(AtxScope *scope, AtxSessionSpec *spec,
								  int64 *session_id);
extern AtxAnswer atx_keep_alive(AtxScope *scope, int64 session_id, int64 *time_left);
extern AtxAnswer atx_close_session(AtxScope *scope, int64 session_id, bool *ended);
extern AtxAnswer atx_end_session(AtxScope *scope, int64 session_id,
								 const char *reason, bool *ended);

#endif							/* ATX_SESSIONS_H */
