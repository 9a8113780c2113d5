/*-------------------------------------------------------------------------
 *
 * claims.h
 *	  Claims on a service: who has it, who waits, who is next.
 *
 * The one mechanism behind locks, semaphores and elections.  A claim takes
 * some of the service's capacity: an exclusive lock all of it.  The first in
 * the queue is granted as soon as there is room for it, and nobody overtakes
 * it.  The calls hold the service's lock exclusive.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_CLAIMS_H
#define ATX_CLAIMS_H

#include "services/service_type.h"
#include "tables/claim.h"

/* More than any number of claims can take. */
#define ATX_WHOLE_CAPACITY		PG_INT32_MAX

/* What tells one type of claimed service from another. */
typedef struct AtxClaimRules
{
	int64		(*capacity) (const AtxService *service);
	bool		fixed;			/* the capacity never changes */
	/* A claim was granted, perhaps to the session of another call. */
	void		(*granted) (AtxCall *call, const AtxClaim *claim);
	/* The output of the command that waited for it. */
	bytea	   *(*output) (AtxCall *call, const AtxClaim *claim);
	const char *held;			/* why a claim that timed out was not granted */
} AtxClaimRules;

typedef struct AtxClaimRequest
{
	int64		session_id;
	int64		sequence_num;	/* of the command that is to be answered; 0:
								 * none */
	int32		weight;
	int64		timeout;		/* ticks, 0 not to wait, or ATX_WAIT_FOR_EVER */
	char	   *candidate;		/* NULL: none */
	int32		priority;
} AtxClaimRequest;

extern bool atx_claim_request(AtxCall *call, const AtxClaimRequest *request,
							  AtxClaim *claim);
extern bool atx_claim_end(AtxCall *call, const AtxClaim *claim);
extern void atx_claim_grant(AtxCall *call, AtxClaim *claim);
extern void atx_claim_lock_or_retry(const AtxClaim *claim);
extern void atx_claim_end_or_retry(AtxCall *call, const AtxClaim *claim);
extern int	atx_claims_granted(AtxCall *call, AtxClaim **claims);
extern bool atx_claims_postponed(const AtxCall *call);
extern void atx_claims_settle(AtxCall *call);
extern void atx_claims_settle_all(AtxCall *call);
extern bool atx_claim_fits_instead(AtxCall *call, const AtxClaim *granted,
								   const AtxClaim *claim);
extern bool atx_claims_release_session(AtxCall *call, int64 session_id);
extern void atx_claims_detach_session(AtxCall *call);
extern void atx_claim_cancel_command(AtxCall *call, const AtxClaim *claim,
									 AtxStatus status, const char *message);

#endif							/* ATX_CLAIMS_H */
