/*-------------------------------------------------------------------------
 *
 * duties.h
 *	  What the worker does for services: settle claims, remove entries and
 *	  events, end transactions that keep others waiting.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_DUTIES_H
#define ATX_DUTIES_H

#include "tables/authority.h"

/* What one look found. */
typedef struct AtxDuties
{
	const AtxAuthority *authority;
	AtxTick		next_expiry;	/* of an entry; 0: none has a time to live */
	AtxTick		next_claim;		/* 0: no claim waits for a time */
	AtxTick		grants_begin;	/* after a promotion, for claims that wait; 0:
								 * they have begun */
	bool		closing;		/* sessions are to be finished */
} AtxDuties;

extern void atx_duties_look(AtxDuties *duties, const AtxAuthority *authority,
							const AtxMoment *moment);
extern void atx_duties_settle(const AtxDuties *duties, bool ended, bool pending);
extern void atx_duties_serve(const AtxDuties *duties);
extern AtxTick atx_duties_next(const AtxDuties *duties);

/* In worker.c: what may not wait until a long pass is over. */
extern void atx_worker_between_steps(void);

#endif							/* ATX_DUTIES_H */
