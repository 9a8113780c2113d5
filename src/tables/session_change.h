/*-------------------------------------------------------------------------
 *
 * session_change.h
 *	  Sessions whose services have changed.
 *
 * All functions need an open scope (base/spi.h).
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_SESSION_CHANGE_H
#define ATX_SESSION_CHANGE_H

extern void atx_session_change_add(const int64 *session_ids, int count);
extern bool atx_session_change_any(void);
extern int	atx_session_change_find(int limit, int64 *session_ids);
extern int	atx_session_change_take(const int64 *session_ids, int count);

#endif							/* ATX_SESSION_CHANGE_H */
