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

#endif							/* ATX_HINTS_H */
