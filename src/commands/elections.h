/*-------------------------------------------------------------------------
 *
 * elections.h
 *	  Elections by name, and what administrators do to grants.
 *
 * All functions need an open scope (base/spi.h).
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_ELECTIONS_H
#define ATX_ELECTIONS_H

#include "commands/claiming.h"
#include "services/election.h"

/* An election as it is. */
typedef struct AtxTerm
{
	int64		term;			/* changes of leadership so far */
	bool		led;			/* then claim is the leader's */
	AtxClaim	claim;
} AtxTerm;

extern AtxAnswer atx_enter_election(AtxScope *scope, const AtxClaimed *claimed,
									AtxClaimRequest *request, AtxClaimAnswer *result,
									AtxTerm *term);
extern AtxAnswer atx_withdraw_from_election(AtxScope *scope, const AtxClaimed *claimed,
											int64 session_id, bool *withdrawn);
extern AtxAnswer atx_change_election(AtxScope *scope, const AtxClaimed *claimed,
									 const char *candidate, const char *action,
									 bool (*change) (AtxCall *call, const char *candidate),
									 bool *found);
extern AtxAnswer atx_read_term(const AtxClaimed *claimed, AtxTerm *term);

extern AtxAnswer atx_force_release(AtxScope *scope, const AtxClaimed *claimed,
								   int64 token, const char *reason, bool *released);
extern AtxAnswer atx_transfer(AtxScope *scope, const AtxClaimed *claimed, int64 token,
							  int64 ticket, const char *reason, int64 *new_token);
extern AtxAnswer atx_set_delay(AtxScope *scope, const AtxClaimed *claimed, int64 delay);
extern AtxAnswer atx_resize(AtxScope *scope, const AtxClaimed *claimed, int32 permits);

#endif							/* ATX_ELECTIONS_H */
