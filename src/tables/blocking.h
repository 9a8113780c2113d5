/*-------------------------------------------------------------------------
 *
 * blocking.h
 *	  Who keeps whom waiting on our locks, as the server's lock table tells.
 *
 * All functions need an open scope (base/spi.h).
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_BLOCKING_H
#define ATX_BLOCKING_H

#include "tables/authority.h"

/* In place of a process: a prepared transaction. */
#define ATX_PREPARED_TRANSACTION	0

/* A transaction that somebody has waited for too long. */
typedef struct AtxBlocker
{
	int			pid;			/* or ATX_PREPARED_TRANSACTION */
	int64		waited;			/* ticks */
} AtxBlocker;

extern int	atx_blocking_waiters(int64 longer_than, AtxBlocker **blockers);
extern int	atx_blocking_expiry(const AtxMoment *moment, int64 longer_than,
								AtxBlocker **blockers);

#endif							/* ATX_BLOCKING_H */
