/*-------------------------------------------------------------------------
 *
 * election.h
 *	  Service type election: candidates in order, of which the first leads.
 *
 * The calls hold the service's lock exclusive, and have locked the claims
 * that they end or move before.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_ELECTION_H
#define ATX_ELECTION_H

#include "services/claims.h"

/* All candidates; the leader is the first if there is one. */
typedef struct AtxCandidates
{
	AtxClaim   *claims;
	int			count;
	bool		led;
} AtxCandidates;

extern AtxCandidates atx_election_candidates(AtxCall *call);
extern AtxStatus atx_election_enter(AtxCall *call, const AtxClaimRequest *request,
									AtxClaim *claim);
extern int	atx_election_withdraw(AtxCall *call, const char *candidate);
extern bool atx_election_anoint(AtxCall *call, const char *candidate);
extern bool atx_election_promote(AtxCall *call, const char *candidate);
extern bool atx_election_demote(AtxCall *call, const char *candidate);
extern bool atx_election_evict(AtxCall *call, const char *candidate);

#endif							/* ATX_ELECTION_H */
