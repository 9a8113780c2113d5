/*-------------------------------------------------------------------------
 *
 * session_end.h
 *	  Ending sessions whose time is over, and telling of every change.
 *
 * Each function is one bounded step, to be run in a transaction of its own
 * by the worker, or all of them by tick().  They need an open scope.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_SESSION_END_H
#define ATX_SESSION_END_H

#include "tables/lease.h"

/* Sessions one step works on; each takes one lock. */
#define ATX_END_BATCH		256

typedef struct AtxExpiry
{
	AtxLeasePosition from;		/* where the pass goes on */
	bool		more;			/* the pass has not seen all leases that are
								 * due */
	int			ended;			/* in the latest step */
	int			postponed;		/* in the latest step */
	int64		latest;			/* ticks the latest of them came after its
								 * deadline */
	int64		candidates[ATX_END_BATCH + 1];	/* of the latest step, 0 ends */
	const int64 *skip;			/* sessions to leave alone */
	int			nskip;
} AtxExpiry;

extern void atx_expiry_start(AtxExpiry *expiry, const int64 *skip, int nskip);
extern void atx_expire_step(const AtxAuthority *authority, AtxExpiry *expiry);
extern void atx_expire_one(const AtxAuthority *authority, int64 session_id,
						   AtxExpiry *expiry);
extern bool atx_finish_step(void);
extern bool atx_number_step(bool *passed_over);
extern void atx_hint_step(void);
extern AtxTick atx_next_sweep(void);
extern bool atx_sweep_step(const AtxAuthority *authority, int64 *after);

#endif							/* ATX_SESSION_END_H */
