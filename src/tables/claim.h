/*-------------------------------------------------------------------------
 *
 * claim.h
 *	  Claims of sessions on services: granted, or waiting.
 *
 * Whoever changes a claim holds its service's lock exclusive.  All functions
 * need an open scope (base/spi.h).
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_CLAIM_H
#define ATX_CLAIM_H

#include "tables/authority.h"

/* In AtxClaim.wait_until: for ever. */
#define ATX_WAIT_FOR_EVER	INT64CONST(-1)

/* In place of a session: the delay after one that expired. */
#define ATX_DELAY_SESSION	INT64CONST(0)

typedef struct AtxClaim
{
	int64		service_id;
	int64		position;		/* minus the token if granted, else the place
								 * in the queue */
	int64		claim_id;		/* the ticket */
	int64		session_id;		/* or ATX_DELAY_SESSION */
	int64		sequence_num;	/* of the command that waits for it; 0: none */
	AtxTick		wait_until;		/* on the clock of now, or ATX_WAIT_FOR_EVER */
	int64		wait_for;
	TimestampTz since;			/* queued, or granted */
	int32		weight;
	int32		priority;
	bool		written_here;	/* by the running transaction */
	int64		queue_from;		/* granted: nobody waits up to there; 0:
								 * unknown */
	char	   *candidate;		/* NULL: none */
} AtxClaim;

#define ATX_CLAIM_GRANTED(claim)	((claim)->position < 0)
#define ATX_CLAIM_TOKEN(claim)		(-(claim)->position)

extern void atx_claim_insert(const AtxClaim *claim, const AtxMoment *moment);
extern bool atx_claim_find(int64 service_id, int64 position, AtxClaim *claim);
extern bool atx_claim_granted(int64 service_id, AtxClaim *claim);
extern void atx_claims_require_unchanged(int64 service_id);
extern int	atx_claims_of_service(int64 service_id, bool with_waiting, AtxClaim **claims);
extern int	atx_claims_over(int64 service_id, const AtxMoment *moment, AtxClaim **claims);
extern bool atx_claim_first_waiting(int64 service_id, int64 queue_from, AtxClaim *claim);
extern int	atx_claims_of_session(int64 session_id, int64 service_id, AtxClaim **claims);
extern bool atx_claim_any_of_session(int64 session_id);
extern int	atx_claims_count_of_session(int64 session_id, int limit);
extern int	atx_claims_count_waiting(int64 service_id, int64 queue_from, int limit);
extern void atx_claim_change(const AtxClaim *claim, int64 position, const AtxMoment *moment);
extern void atx_claim_delete(const AtxClaim *claim);

extern int	atx_claim_services_of_session(int64 session_id, int limit, int64 *service_ids);
extern int	atx_claim_services_of_closing(int64 after, int limit, int64 *service_ids);
extern int	atx_claim_services_due(const AtxMoment *moment, int64 after, int limit,
								   int64 *service_ids);
extern int	atx_claim_services_idle(int64 after, int limit, int64 *service_ids);
extern int	atx_claim_services_waited_for(int64 after, int limit,
										  int64 *service_ids);
extern bool atx_claim_next_due(const AtxMoment *moment, AtxTick *at);
extern void atx_claim_enter_epoch(const AtxMoment *moment);

#endif							/* ATX_CLAIM_H */
