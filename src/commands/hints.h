/*-------------------------------------------------------------------------
 *
 * hints.h
 *	  Notifications: hints that something has changed.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_HINTS_H
#define ATX_HINTS_H

#include "tables/session.h"

extern void atx_hint_session(int64 session_id, int64 version);
extern void atx_hint_session_change(const AtxSessionChange *change);

/* Room for the name of a channel. */
#define ATX_CHANNEL_LEN		64

extern void atx_hint_service(int64 service_id, int64 revision);
extern void atx_service_channel(int64 service_id, char *channel);

#endif							/* ATX_HINTS_H */
