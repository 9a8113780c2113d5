/*-------------------------------------------------------------------------
 *
 * renewals.h
 *	  Renewals of sessions in shared memory.
 *
 * A renewal is worth nothing after a restart, so it needs no row.  An entry
 * mirrors a lease whose row is committed; where there is no entry, the row
 * is all there is.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_RENEWALS_H
#define ATX_RENEWALS_H

#include "base/clock.h"

typedef enum AtxRenewalState
{
	ATX_RENEWAL_ABSENT,
	ATX_RENEWAL_LIVE,
	ATX_RENEWAL_ENDING			/* somebody's transaction is ending it */
} AtxRenewalState;

/* A copy of an entry. */
typedef struct AtxRenewal
{
	Oid			owner;
	int64		timeout;		/* ticks */
	AtxTick		renewed_at;		/* by the latest committed renewal */
	AtxTick		anchored_at;	/* the renewal that the row knows */
} AtxRenewal;

/* A renewal that the row does not know yet. */
typedef struct AtxAnchor
{
	int64		session_id;
	AtxTick		renewed_at;
} AtxAnchor;

/*
 * How long after its timeout a session is ended at the earliest.  It makes
 * room for renewals that were not written because one was just before them.
 */
#define ATX_LEASE_SLACK(timeout)	((timeout) / 8)

extern void atx_renewals_request(void);
extern void atx_renewals_create(void);
extern void atx_renewals_init(void);
extern bool atx_renewals_usable(void);

extern AtxRenewalState atx_renewal_find(Oid extension, int64 session_id,
										AtxRenewal *renewal);
extern bool atx_renewal_fill(Oid extension, int64 session_id,
							 const AtxRenewal *renewal);
extern bool atx_renewal_note(Oid extension, int64 session_id, AtxTick at,
							 bool in_row);

extern bool atx_renewal_end_if_due(Oid extension, int64 session_id,
								   AtxTick now, AtxTick grace_from);
extern void atx_renewal_end(Oid extension, int64 session_id);

extern int	atx_renewals_to_anchor(Oid extension, AtxTick now,
								   AtxAnchor *anchors, int limit);
extern void atx_renewal_anchored(Oid extension, const AtxAnchor *anchor);
extern void atx_renewals_forget_others(Oid database, Oid kept_extension);
extern void atx_renewals_forget_extension(Oid extension);
extern Oid	atx_renewals_next_database(Oid after);

#endif							/* ATX_RENEWALS_H */
