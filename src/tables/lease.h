/*-------------------------------------------------------------------------
 *
 * lease.h
 *	  Leases: until when a session lives.
 *
 * A lease exists as long as its session has not been ended.  All functions
 * need an open scope (base/spi.h).
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_LEASE_H
#define ATX_LEASE_H

#include "utils/snapshot.h"

#include "base/renewals.h"
#include "tables/authority.h"

/* A place in the order in which leases come due. */
typedef struct AtxLeasePosition
{
	int32		check_epoch;
	AtxTick		check_at;
	int64		session_id;
} AtxLeasePosition;

/* A lease as a batch of renewals reads it. */
typedef struct AtxLeaseCopy
{
	int64		session_id;
	AtxRenewal	renewal;		/* times of 0: from before grace */
	bool		committed;
	bool		recent;			/* need not be written to be renewed */
	int64		time_left;		/* that it has in any case, up to its timeout */
} AtxLeaseCopy;

/*
 * The timeout of a lease called l, in SQL.  It is bounded, beyond all that
 * can be asked for, like the other columns below: a row that was edited to
 * something absurd must not raise an error, which would delay all others.
 */
#define ATX_LEASE_TIMEOUT "LEAST(GREATEST(l.timeout, 0), 4398046511104)"

/*
 * The deadline in SQL, for a lease called l; $1 to $4 are the epoch, now,
 * grace_from and grace_served of a moment.  atx_lease_deadline is its twin.
 */
#define ATX_LEASE_DEADLINE \
	"(CASE WHEN l.epoch = $1 AND l.renewed_at >= $3" \
	" THEN LEAST(l.renewed_at, $2) + " ATX_LEASE_TIMEOUT " + " ATX_LEASE_TIMEOUT " / 8" \
	" ELSE $3 + LEAST(" ATX_LEASE_TIMEOUT " + " ATX_LEASE_TIMEOUT " / 8, GREATEST(0, " \
	ATX_LEASE_TIMEOUT " / 4 * 5 + " ATX_LEASE_TIMEOUT " / 8" \
	" - ($4 - LEAST(GREATEST(l.served, 0), $4)))) END)"

/* In place of a role: whoever the owner is. */
#define ATX_ANY_ROLE	InvalidOid

/* May the role in that parameter use lease l?  A condition in SQL. */
#define ATX_LEASE_USABLE_BY(role) \
	"(l.owner = " role " OR " role " = 0" \
	" OR pg_catalog.pg_has_role(" role ", l.owner, 'USAGE'))"

extern void atx_lease_insert(int64 session_id, Oid owner, int64 timeout, const AtxMoment *moment);
extern void atx_lease_lock_all(void);
extern bool atx_lease_delete(int64 session_id, Oid role, int64 *floor);
extern AtxTick atx_lease_deadline(const AtxMoment *moment, int32 epoch,
								  AtxTick renewed_at, int64 served, int64 timeout);

extern bool atx_lease_renew(int64 session_id, Oid role, const AtxMoment *moment,
							int64 *timeout, bool *written);
extern bool atx_lease_mirror(int64 session_id, Oid role, const AtxMoment *moment,
							 AtxRenewal *renewal);
extern bool atx_lease_floor_in(Snapshot snapshot, int64 session_id, Oid role, int64 *floor);
extern bool atx_lease_is_due(int64 session_id, const AtxMoment *moment);
extern bool atx_lease_lock_floor(int64 session_id, Oid role, int64 *floor);
extern void atx_lease_set_floor(int64 session_id, int64 floor);
extern int	atx_lease_read_many(const AtxMoment *moment, Oid role,
								const int64 *ids, int count, AtxLeaseCopy *leases);
extern int	atx_lease_renew_many(const AtxMoment *moment, int64 *ids, int count);
extern int	atx_lease_lock_due(const AtxMoment *moment, int64 *ids, int count);
extern int	atx_lease_anchor(const AtxMoment *moment, AtxAnchor *anchors, int count);
extern int	atx_lease_due(const AtxMoment *moment, AtxLeasePosition *from,
						  int limit, int64 *due, int64 *early);
extern int	atx_lease_postpone(const AtxMoment *moment, const int64 *ids, int count);
extern bool atx_lease_next_check(const AtxMoment *moment, AtxTick *check_at);
extern void atx_lease_correct_future(const AtxMoment *moment);

#endif							/* ATX_LEASE_H */
