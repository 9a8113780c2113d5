/*-------------------------------------------------------------------------
 *
 * waiting.h
 *	  Waiting inside the server, in bounded time.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_WAITING_H
#define ATX_WAITING_H

#include "base/errors.h"
#include "base/spi.h"

extern AtxAnswer atx_await_index(int64 index);
extern AtxAnswer atx_wait_events(AtxScope *scope, int64 session_id,
								 int64 timeout, bool *happened);

#endif							/* ATX_WAITING_H */
